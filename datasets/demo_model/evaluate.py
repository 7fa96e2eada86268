"""Measure whether the packaged demo model draws captions that it never saw in training.

    python -m datasets.demo_model.evaluate [--captions 240] [--json]

Exits 1 when fewer than 90 % of the pictures are right in every attribute.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from datasets.demo_model import captions, checker, world
from guard.generate import demo

_BAR: Final = 0.9
_TIMED_PICTURES: Final = 5
_ATTRIBUTES: Final = ("count", "shape", "colour", "background", "size", "place", "relation")


def held_out_captions(count: int, *, natural: bool, seed: int) -> list[tuple[world.Scene, str]]:
    """``count`` test scenes and what is said of each, the background included.

    ``natural``: paraphrases as in training instead of the fixed grammar.
    """
    rng = np.random.default_rng(seed)
    told: list[tuple[world.Scene, str]] = []
    while len(told) < count:
        scene = world.random_scene(rng, test=True)
        text = captions.caption(scene, rng) if natural else captions.plain_caption(scene)
        if demo.unknown_words(text) or "back" not in text:
            continue
        told.append((scene, text))
    return told


def open_pipeline(folder: Path) -> Any:
    """The pipeline in ``folder``, silent."""
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import logging

    logging.disable_progress_bar()
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(pipeline: Any, texts: list[str], given: argparse.Namespace, seed: int) -> list[Any]:
    """One picture (h, w, 3) uint8 per text, each from a seed of its own."""
    import torch

    seeds = [torch.Generator().manual_seed(seed + i) for i in range(len(texts))]
    images = pipeline(
        texts, num_inference_steps=given.steps, guidance_scale=given.guidance, generator=seeds
    ).images
    return [np.asarray(image) for image in images]


def seconds_per_picture(pipeline: Any, text: str, given: argparse.Namespace) -> float:
    """Median time of a single picture, after one to warm up."""
    draw(pipeline, [text], given, 0)
    times = []
    for i in range(_TIMED_PICTURES):
        start = time.perf_counter()
        draw(pipeline, [text], given, i)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def verdicts(
    pipeline: Any, told: list[tuple[world.Scene, str]], given: argparse.Namespace
) -> Iterator[tuple[str, dict[str, bool], Any]]:
    """Caption, verdict per attribute and picture, batch by batch."""
    for start in range(0, len(told), given.batch):
        some = told[start : start + given.batch]
        pictures = draw(pipeline, [text for _, text in some], given, 1000 + start)
        for (scene, text), picture in zip(some, pictures, strict=True):
            yield text, checker.verdict(checker.look(picture), scene), picture


def lower_bound(right: int, total: int) -> float:
    """Lower end of the 95 % Wilson interval of a share."""
    z = 1.96
    share = right / total
    centre = share + z * z / (2 * total)
    spread = z * float(np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)))
    return (centre - spread) / (1 + z * z / total)


def summary(rows: list[tuple[str, dict[str, bool]]], given: argparse.Namespace) -> dict[str, Any]:
    """Shares of right pictures, all in all and by attribute, and the wrong captions."""
    right = sum(all(row.values()) for _, row in rows)
    judged = {name: [row[name] for _, row in rows if name in row] for name in _ATTRIBUTES}
    return {
        "model": demo.VERSION,
        "captions": len(rows),
        "wording": "natural" if given.natural else "plain",
        "steps": given.steps,
        "guidance": given.guidance,
        "right": right,
        "accuracy": right / len(rows),
        "accuracy_low": lower_bound(right, len(rows)),
        "attributes": {
            name: {"right": sum(hits), "judged": len(hits)} for name, hits in judged.items() if hits
        },
        "wrong": [
            {"caption": text, "failed": [name for name, fine in row.items() if not fine]}
            for text, row in rows
            if not all(row.values())
        ],
    }


def show(result: dict[str, Any]) -> None:
    """Print the result as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"demo model {result['model']}, {result['captions']} held-out captions")
    for heading in ("attribute", "right", "judged", "share"):
        table.add_column(heading, justify="left" if heading == "attribute" else "right")
    for name, hits in result["attributes"].items():
        share = hits["right"] / hits["judged"]
        table.add_row(name, str(hits["right"]), str(hits["judged"]), f"{share:.1%}")
    table.add_section()
    count = str(result["captions"])
    table.add_row("everything", str(result["right"]), count, f"{result['accuracy']:.1%}")
    console = Console()
    console.print(table)
    console.print(f"95 % sure of at least {result['accuracy_low']:.1%}")
    console.print(f"{result['seconds_per_image']:.2f} s an image, one at a time")
    for miss in result["wrong"]:
        console.print(f"wrong {', '.join(miss['failed'])}: {miss['caption']}", style="dim")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=demo.weights_dir())
    parser.add_argument("--captions", type=int, default=240)
    parser.add_argument("--natural", action="store_true", help="paraphrases, not the plain form")
    parser.add_argument("--steps", type=int, default=demo.DEFAULT_STEPS)
    parser.add_argument("--guidance", type=float, default=demo.DEFAULT_GUIDANCE)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save-wrong", type=Path, help="write the pictures that are wrong here")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser.parse_args()


def _judge(pipeline: Any, given: argparse.Namespace) -> list[tuple[str, dict[str, bool]]]:
    from PIL import Image
    from rich.console import Console
    from rich.progress import track

    told = held_out_captions(given.captions, natural=given.natural, seed=given.seed)
    rows = []
    found = verdicts(pipeline, told, given)
    screen = Console(stderr=True)
    for text, row, picture in track(found, "drawing", total=len(told), console=screen):
        rows.append((text, row))
        if given.save_wrong and not all(row.values()):
            given.save_wrong.mkdir(parents=True, exist_ok=True)
            name = f"{text.replace(' ', '-').strip('.')}.png"
            Image.fromarray(picture).save(given.save_wrong / name)
    return rows


def main() -> int:
    """Measure, print, and say by the exit status whether the bar was met."""
    given = _arguments()
    import torch

    torch.set_num_threads(given.threads)
    pipeline = open_pipeline(given.weights)
    rows = _judge(pipeline, given)
    result = summary(rows, given)
    result["seconds_per_image"] = seconds_per_picture(pipeline, rows[0][0], given)
    if given.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0 if result["accuracy"] >= _BAR else 1


if __name__ == "__main__":
    sys.exit(main())
