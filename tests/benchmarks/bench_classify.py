"""Classification: heads beside float64 references, what ten heads cost, banks of known pictures.

    python tests/benchmarks/bench_classify.py [--runs N] [--bank N] [--peer] [--json] [--check]

Heads and embeddings come from ../shared/data/clip (or GENGUARD_SHARED). Costs are measured around
a ViT-B/32 of real size with random weights, which take as long as real ones: medians of N runs in
turn, after one that warms up. ``--peer``: the throughput of a ViT-L/14 with the safety checker's
concepts in batches, beside diffusers' StableDiffusionSafetyChecker picture by picture, both with
random weights and without preparing the pictures. With ``--check`` the bars make the exit status 1.
Recall on unsafe pictures is not measured here: no weights of an encoder are at hand.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from guard.classify.bank_files import BankEntry
from guard.classify.clip import clip_detectors
from guard.classify.head_files import load_head
from guard.classify.known_bad import Bank, KnownBadDetector
from guard.classify.screen import Classifier
from guard.policy.model import ClipSettings, Concept, OutputRule, Policy
from guard.store.engine import open_store

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("GENGUARD_SHARED", ROOT.parent / "shared")) / "data" / "clip"
COSINES = (25.55, 20.09, 19.75)
"""100 × cosine in the README of OpenAI's CLIP, of its picture and three texts."""

Row = dict[str, Any]


def reference(path: Path, rows: np.ndarray) -> np.ndarray:
    """A published head's scores, written down from its authors' description, in float64."""
    from safetensors.numpy import load_file

    w = {name: value.astype(np.float64) for name, value in load_file(path).items()}
    x = rows.astype(np.float64)
    x /= np.sqrt((x**2).sum(axis=1, keepdims=True))
    if "prompts" in w:
        p = w["prompts"] / np.sqrt((w["prompts"] ** 2).sum(axis=1, keepdims=True))
        return 1 / (1 + np.exp(-100 * (x @ (p[1] - p[0]))))
    x = (x - w["norm.mean"]) / np.sqrt(w["norm.variance"])
    depth = sum(name.endswith(".weight") for name in w)
    for layer in range(1, depth + 1):
        x = np.einsum("oi,ni->no", w[f"linear_{layer}.weight"], x) + w[f"linear_{layer}.bias"]
        x = np.maximum(x, 0) if layer < depth else x
    return 1 / (1 + np.exp(-x[:, 0]))


def heads() -> Iterator[Row]:
    """The bars on published heads and real embeddings."""
    if not SHARED.is_dir():
        yield {"what": "SKIPPED: ../shared/data/clip is not here", "value": None, "ok": False}
        return
    with np.load(SHARED / "openai-vit-b-32.embeddings.npz") as stored:
        real = {name: stored[name].astype(np.float64) for name in stored.files}
    unit = {name: x / np.linalg.norm(x, axis=1, keepdims=True) for name, x in real.items()}
    found = 100 * unit["npclip_texts"] @ unit["npclip_image"][0]
    off = float(np.abs(found - COSINES).max())
    yield {"what": "OpenAI's README, 100 x cosine, off by", "value": off, "ok": off <= 0.05}
    for path in sorted(SHARED.glob("*.safetensors")):
        head = load_head(path)
        fits = path.name.endswith("B-32.safetensors")
        rows = np.random.default_rng(0).normal(size=(1000, head.width))
        rows = real["images"] if fits else rows
        off = float(np.abs(head.scores(rows)[:, 0] - reference(path, rows)).max())
        what = f"{path.stem}, off its float64 reference by"
        yield {"what": what, "value": off, "ok": off <= 1e-5}
        if head.name == "laion-nsfw" and fits:
            top = float(head.scores(rows).max())
            what = "LAION B/32, highest of 7 harmless pictures"
            yield {"what": what, "value": top, "ok": round(top, 2) <= 0.03}


def ten_heads(folder: Path) -> tuple[str, ...]:
    """Ten heads that read 512 numbers, of every layout, with random weights."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(1)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    layouts: dict[str, dict[str, np.ndarray]] = {
        f"unsafe-{n}": {
            "0.weight": normal(384, 512) / 20, "0.bias": normal(384), "3.weight": normal(384),
            "3.bias": normal(384), "3.running_mean": normal(384),
            "3.running_var": np.abs(normal(384)) + 0.1, "4.weight": normal(1, 384),
            "4.bias": normal(1),
        }
        for n in range(5)
    }  # fmt: skip
    layouts |= {f"prompts-{n}": {"prompts": normal(2, 512)} for n in range(2)}
    layouts["mlp"] = {
        "linear_1.weight": normal(64, 512), "linear_1.bias": normal(64),
        "linear_2.weight": normal(512, 64), "linear_2.bias": normal(512),
        "linear_3.weight": normal(1, 512), "linear_3.bias": normal(1),
        "norm.mean": normal(512), "norm.variance": np.abs(normal(512)) + 0.1,
    }  # fmt: skip
    layouts["checker"] = {
        "concept_embeds": normal(17, 512), "concept_embeds_weights": np.full(17, 0.2, np.float32),
        "special_care_embeds": normal(3, 512),
        "special_care_embeds_weights": np.full(3, 0.2, np.float32),
    }  # fmt: skip
    for name, tensors in layouts.items():
        save_file(tensors, folder / f"{name}.safetensors", metadata={"encoder": "ViT-B-32"})
    return tuple(str(folder / f"{name}.safetensors") for name in layouts)


def random_clip(folder: Path, architecture: str) -> Path:
    """A checkpoint of random weights."""
    import open_clip
    from safetensors.torch import save_file

    model = open_clip.create_model(architecture, pretrained=None)
    path = folder / f"{architecture}.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return path


def cost(runs: int, folder: Path) -> Iterator[Row]:
    """One pass with ten heads beside the encoder alone."""
    chosen = ClipSettings(
        pretrained=str(random_clip(folder, "ViT-B-32")),
        heads=ten_heads(folder),
        concepts=tuple(Concept(name=f"c{n}", prompts=(f"thing {n}",)) for n in range(10)),
    )
    detectors = clip_detectors(chosen)
    rule = OutputRule(id="r", category="c0", detectors=("clip",), block=1.0, message="No.")
    policy = Policy(name="p", output_rules=(rule,), required_detectors=("clip",), clip=chosen)
    classifier = Classifier(policy, detectors)
    classifier.prepare()
    encoder = detectors[0].embedder
    rng = np.random.default_rng(2)
    pictures = [rng.integers(0, 256, (512, 512, 3), dtype=np.uint8) for _ in range(runs + 1)]
    alone, whole = in_turn(pictures, lambda one: encoder.embed_all([one]), classifier.score)
    yield {"what": "ViT-B/32 alone, ms a picture", "value": alone * 1000, "ok": True}
    yield {"what": f"with {len(detectors)} heads, ms a picture", "value": whole * 1000, "ok": True}
    share = whole / alone
    yield {"what": "ten heads, times the encoder alone", "value": share, "ok": share <= 1.05}


def in_turn(
    pictures: list[np.ndarray], *works: Callable[[np.ndarray], object]
) -> tuple[float, ...]:
    """Median seconds of each work; in turn, so that whatever else runs slows all alike."""
    taken: list[list[float]] = [[] for _ in works]
    for place, picture in enumerate(pictures):
        for work, seconds in zip(works, taken, strict=True):
            start = time.perf_counter()
            work(picture)
            if place:
                seconds.append(time.perf_counter() - start)
    return tuple(statistics.median(seconds) for seconds in taken)


def bank(size: int, runs: int, folder: Path) -> Iterator[Row]:
    """Filling a bank and asking it, in SQLite."""
    from PIL import Image

    store = open_store(f"sqlite:///{folder}/audit.sqlite3", create=True)
    filled = Bank("main", lambda: store, folder / "index")
    bits = np.random.default_rng(3).integers(0, 256, (size, 32), dtype=np.uint8)
    start = time.perf_counter()
    filled.add((BankEntry(row.tobytes()) for row in bits), "bench")
    seconds = time.perf_counter() - start
    yield {"what": f"bank: {size:,} entries added, a second", "value": size / seconds, "ok": True}
    rng = np.random.default_rng(4)
    small = [rng.integers(0, 256, (12, 12, 3), dtype=np.uint8) for _ in range(runs + 1)]
    shown = [np.asarray(Image.fromarray(one).resize((512, 512), 3)) for one in small]
    detector = KnownBadDetector(filled)
    asked, _ = in_turn(shown, detector.score, lambda one: None)
    (looked,) = in_turn(shown, lambda one: filled.nearest([bits[0].tobytes()] * 8))
    yield {"what": "bank: looking a picture up, ms", "value": asked * 1000, "ok": True}
    yield {"what": "bank: of that, the search, ms", "value": looked * 1000, "ok": True}
    store.close()


def peer(pictures: int) -> Iterator[Row]:
    """The same weights and pictures, in batches here, one by one at diffusers'."""
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    from guard.classify.safety_checker import SafetyCheckerHead

    vision = {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
        "num_attention_heads": 16, "patch_size": 14, "image_size": 224, "projection_dim": 768,
    }  # fmt: skip
    theirs = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=768))
    theirs.eval()

    def parts(kind: str) -> tuple[np.ndarray, np.ndarray]:
        rows, limits = getattr(theirs, kind), getattr(theirs, f"{kind}_weights")
        return rows.detach().double().numpy(), limits.detach().double().numpy()

    head = SafetyCheckerHead("sd", "", parts("concept_embeds"), parts("special_care_embeds"))
    batch = torch.randn(pictures, 3, 224, 224)
    black = np.zeros((1, 8, 8, 3), np.float32)

    def ours() -> None:
        with torch.inference_mode():
            rows = theirs.visual_projection(theirs.vision_model(batch)[1])
        head.scores(rows.numpy())

    def one_by_one() -> None:
        for one in batch:
            theirs(clip_input=one[None], images=black.copy())

    times = []
    for work in (ours, one_by_one):
        work()
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    yield {"what": "ViT-L/14 in batches, pictures/s", "value": pictures / times[0], "ok": True}
    yield {"what": "diffusers' one by one, pictures/s", "value": pictures / times[1], "ok": True}
    share = times[1] / times[0]
    yield {"what": "times diffusers' throughput (bar: 2)", "value": share, "ok": share >= 2}


def main() -> int:
    """Measure, print, and judge with ``--check``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--bank", type=int, default=100_000)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rows = [*heads(), *cost(args.runs, place), *bank(args.bank, args.runs, place)]
        rows += [*peer(4)] if args.peer else []
    if args.json:
        print(json.dumps(rows))
    else:
        table = Table("what", "value", "")
        for row in rows:
            value = "–" if row["value"] is None else f"{row['value']:,.4g}"
            table.add_row(row["what"], value, "" if row["ok"] else "[red]below the bar[/]")
        Console(width=100).print(table)
    return int(args.check and not all(row["ok"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
