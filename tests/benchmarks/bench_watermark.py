"""Measure the mark beside others: survival, visibility, false positives, averaging, speed.

    python tests/benchmarks/bench_watermark.py [--fetch] [--quick] [--no-peers] [--json]
                                               [--autoencoder CLONE]

Everything is measured in one run on the same pictures (``mark_gallery.py``) under the same attacks
(``mark_attacks.py``). ``--fetch`` first fetches the photographs and wallpapers. Prints each figure
beside its bar; exits 1 when a figure falls below what was reached before (``FLOORS``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402  # one thread must be set before NumPy is imported
import numpy as np  # noqa: E402

from guard.errors import MarkRejected  # noqa: E402
from guard.types import Pixels  # noqa: E402
from guard.watermark.embed import psnr  # noqa: E402
from guard.watermark.pilot_watermark import PilotWatermark  # noqa: E402
from tests.benchmarks import mark_gallery  # noqa: E402
from tests.benchmarks.mark_attacks import (  # noqa: E402
    ATTACKS,
    BARS,
    BESIDE_THE_STANDARD,
    REGENERATED,
    regenerated,
)
from tests.benchmarks.mark_contestants import (  # noqa: E402
    PAYLOAD,
    SECRET,
    Contestant,
    genguard,
    peers,
)

T = TypeVar("T")
Pictures = list[tuple[str, Pixels]]
STRANGER: Final = b"another secret, to mark and not read"

PARTS: Final = ("survival", "peers", "visibility", "chance", "averaging", "speed", "large")
FLOORS: Final = {
    "mean survival, %": 93.0,
    "untouched, %": 100.0,
    "JPEG 50, %": 95.0,
    "crop 75 %, %": 90.0,
    "PSNR, dB": 44.5,
    "SSIMULACRA2": 78.0,
}
CEILINGS: Final = {
    "false positives": 0,
    "wrong payloads": 0,
    "unmarked ms over dwtDctSvd": 14.0,
    "4096² over 2048², time": 5.5,
    "memory over the picture": 12.0,
}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured; None: all there is."""

    pictures: int | None
    large: int
    peer_pictures: int
    unmarked: int
    strangers: int
    averaged: int
    timed: int


FULL = Size(None, 12, 12, 1_000, 200, 1_000, 9)
QUICK = Size(2, 1, 1, 100, 16, 64, 3)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fetch", action="store_true", help="fetch photographs and wallpapers")
    parser.add_argument("--quick", action="store_true", help="a small sample, a few minutes")
    parser.add_argument("--thorough", action="store_true", help="10,000 crops, 2,000 strangers")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    parser.add_argument("--pictures", type=int, metavar="N", help="at most N of each kind")
    names = [*ATTACKS, REGENERATED]
    parser.add_argument("--attacks", nargs="+", choices=names, metavar="NAME", help="only these")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--autoencoder", type=Path, metavar="CLONE", help="a clone of madebyollin/taesd: regenerate"
    )
    options = parser.parse_args()
    if options.autoencoder is not None:
        ATTACKS[REGENERATED] = regenerated(options.autoencoder.resolve())
    cv2.setNumThreads(1)
    if options.fetch:
        mark_gallery.fetch()
    size = QUICK if options.quick else FULL
    if options.thorough:
        size = replace(size, unmarked=10_000, strangers=2_000)
    if options.pictures is not None:
        size = replace(size, pictures=options.pictures, large=min(size.large, options.pictures))
    for name in set(ATTACKS) - set(options.attacks or ATTACKS):
        del ATTACKS[name]
    small = list(mark_gallery.gallery(512, size.pictures))
    large = list(mark_gallery.gallery(1024, size.large))
    others = [] if options.no_peers else peers()
    few = small[:: max(1, len(small) // size.peer_pictures)]
    parts: dict[str, Callable[[], Any]] = {
        "survival": lambda: {n: survival(genguard(), p) for n, p in ((512, small), (1024, large))},
        "peers": lambda: {one.name: survival(one, few) for one in others},
        "visibility": lambda: {512: visibility(small), 1024: visibility(large)},
        "chance": lambda: chance(small, size),
        "averaging": lambda: averaging(small, size.averaged),
        "speed": lambda: speed(small, others, size.timed),
        "large": large_pictures,
    }
    report: dict[str, Any] = {"pictures": {512: len(small), 1024: len(large)}}
    report |= {name: part() for name, part in parts.items() if name in options.only}
    report["missed"] = missed(report)
    print(json.dumps(report) if options.json else table(report))
    return 1 if report["missed"] else 0


def progress(label: str, items: Sequence[T]) -> Iterator[T]:
    """``items``, with a bar on stderr when somebody is watching."""
    for done, item in enumerate(items, 1):
        yield item
        if sys.stderr.isatty():
            filled = 30 * done // len(items)
            bar = "█" * filled + "·" * (30 - filled)
            end = "\n" if done == len(items) else ""
            sys.stderr.write(f"\r{label:<34} {bar} {done}/{len(items)} {end}")


def survival(contestant: Contestant, pictures: Pictures) -> dict[str, Any]:
    """Share of pictures whose payload is read after each attack, by kind and over all."""
    read: dict[str, dict[str, list[bool]]] = {name: {} for name in ATTACKS}
    rejected = 0
    for kind, pixels in progress(f"{contestant.name}, survival", pictures):
        try:
            marked = contestant.embed(pixels)
        except MarkRejected:
            rejected += 1
            continue
        for name, attack in ATTACKS.items():
            read[name].setdefault(kind, []).append(contestant.read(attack(marked)))
    shares = {
        name: {
            "all": 100 * float(np.mean(np.concatenate(list(kinds.values())))),
            **{kind: 100 * float(np.mean(values)) for kind, values in kinds.items()},
        }
        for name, kinds in read.items()
    }
    standard = [value["all"] for name, value in shares.items() if name not in BESIDE_THE_STANDARD]
    return {"attacks": shares, "standard": float(np.mean(standard)), "rejected": rejected}


def visibility(pictures: Pictures) -> dict[str, Any]:
    """PSNR in dB and SSIMULACRA2 (90 is invisible, 70 high quality) at the default strength."""
    try:
        from ssimulacra2.ssimulacra2 import compute_ssimulacra2
    except ImportError:
        sys.stderr.write("SKIPPED SSIMULACRA2: pip install ssimulacra2\n")
        compute_ssimulacra2 = None
    contestant = genguard()
    figures: dict[str, list[float]] = {"PSNR, dB": [], "SSIMULACRA2": []}
    with TemporaryDirectory() as folder:
        before, after = str(Path(folder, "before.png")), str(Path(folder, "after.png"))
        for kind, pixels in progress("visibility", pictures):
            if kind == "drawn":
                continue
            marked = contestant.embed(pixels)
            figures["PSNR, dB"].append(psnr(pixels, marked))
            if compute_ssimulacra2 is not None:
                cv2.imwrite(before, pixels[..., ::-1])
                cv2.imwrite(after, marked[..., ::-1])
                figures["SSIMULACRA2"].append(float(compute_ssimulacra2(before, after)))
    return {
        name: {"mean": float(np.mean(values)), "least": float(np.min(values))}
        for name, values in figures.items()
        if values
    }


def chance(pictures: Pictures, size: Size) -> dict[str, Any]:
    """What is found in crops of unmarked pictures, and in pictures marked under another key."""
    reader, stranger = PilotWatermark(SECRET), PilotWatermark(STRANGER)
    rng = np.random.default_rng(1)
    crops = [crop(rng, pictures) for _ in range(size.unmarked)]
    found = [reader.detect(one) for one in progress("unmarked crops", crops)]
    foreign = []
    for number in progress("strangers' marks", range(size.strangers)):
        pixels = pictures[number % len(pictures)][1]
        pixels = np.roll(pixels, int(rng.integers(pixels.shape[1])), axis=1)
        foreign.append(reader.detect(stranger.embed(pixels, rng.bytes(8)).pixels))
    values = np.array([one.p_value for one in found + foreign])
    return {
        "unmarked": len(found),
        "strangers": len(foreign),
        "false positives": sum(one.detected for one in found + foreign),
        "least p": float(values.min()),
        "share of p < .1": float((values < 0.1).mean()),
    }


def crop(rng: np.random.Generator, pictures: Pictures) -> Pixels:
    """A piece of some picture, scaled, mirrored and toned by chance."""
    pixels = pictures[int(rng.integers(len(pictures)))][1]
    height, width = (int(rng.integers(160, side + 1)) for side in pixels.shape[:2])
    top, left = (
        int(rng.integers(0, have - want + 1))
        for have, want in zip(pixels.shape[:2], (height, width), strict=True)
    )
    part = pixels[top : top + height, left : left + width]
    factor = float(rng.uniform(0.6, 1.3))
    part = np.asarray(cv2.resize(part, None, fx=factor, fy=factor))
    part = part[:, ::-1] if rng.random() < 0.5 else part
    return np.clip(part * rng.uniform(0.7, 1.2), 0, 255).astype(np.uint8)


def averaging(pictures: Pictures, count: int) -> dict[str, Any]:
    """An attacker averages ``count`` marks of one key, and takes that off a marked picture.

    He is given the marks themselves, which no one outside has: a worst case. *Amplified*, he takes
    off the mean at the loudness of a mark: it hardly holds the mark's own phases, but it jams the
    frequencies of the pilot, which are those of the key.
    """
    mark = PilotWatermark(SECRET)
    square = [pixels for _, pixels in pictures if pixels.shape[0] == pixels.shape[1]]
    rng, total = np.random.default_rng(3), np.zeros(square[0].shape[:2], np.float64)
    for number in progress("averaged marks", range(count)):
        pixels = square[number % len(square)]
        marked = mark._embedder.embed(pixels, rng.bytes(8))
        total += (marked.astype(np.float32) - pixels)[..., 1]
    mean = total / count
    read = {"as it is": 0, "less the mean": 0, "less the amplified mean": 0}
    for pixels in square:
        marked = mark.embed(pixels, PAYLOAD).pixels
        loudness = float(np.std(marked.astype(np.float32) - pixels))
        gains = (0.0, 1.0, loudness / max(float(mean.std()), 1e-9))
        for name, gain in zip(read, gains, strict=True):
            less = np.clip(np.rint(marked - gain * mean[..., None]), 0, 255).astype(np.uint8)
            part = np.ascontiguousarray(less[31:415, 57:441])
            read[name] += mark.detect(part).payload == PAYLOAD.hex()
    shares = {f"a crop read {name}, %": 100 * value / len(square) for name, value in read.items()}
    return {"averaged": count, "pictures": len(square), **shares}


def speed(pictures: Pictures, others: Sequence[Contestant], count: int) -> dict[str, Any]:
    """Median milliseconds of processor time on the same pictures, one thread."""
    mark = PilotWatermark(SECRET)
    chosen = [pixels for _, pixels in pictures[:: max(1, len(pictures) // count)]]
    marked = [mark.embed(pixels, PAYLOAD).pixels for pixels in chosen]
    cropped = [np.ascontiguousarray(one[40:424, 60:444]) for one in marked]
    work: dict[str, tuple[Callable[[Pixels], object], list[Pixels]]] = {
        "embed": (lambda pixels: mark._embedder.embed(pixels, PAYLOAD), chosen),
        "embed, assured": (lambda pixels: mark.embed(pixels, PAYLOAD), chosen),
        "read in the same frame": (mark.detect, marked),
        "read from a crop": (mark.detect, cropped),
        "say that nothing is there": (mark.detect, chosen),
    }
    for one in others:
        theirs = [one.embed(pixels) for pixels in chosen]
        work |= {f"{one.name}: embed": (one.embed, chosen), f"{one.name}: read": (one.read, theirs)}
    return {name: median_ms(*one) for name, one in work.items()}


def large_pictures() -> dict[str, float]:
    """What large pictures cost beside smaller ones: processor time, and peak memory by their own.

    Each is embedded in a process of its own, whose memory nothing else has stretched before.
    """
    script = """
import sys, time
from pathlib import Path
import cv2, numpy as np
from guard.watermark.pilot_watermark import PilotWatermark

def memory(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(what))

cv2.setNumThreads(1)
side, embed = int(sys.argv[1]), PilotWatermark(b"the large pictures secret")._embedder.embed
coarse = np.random.default_rng(1).integers(0, 255, (side // 16, side // 16, 3), np.uint8)
embed(cv2.resize(coarse, (512, 512)), bytes(8))
before = memory("VmRSS:")
pixels = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
began = time.process_time()
embed(pixels, bytes(8))
print(time.process_time() - began, (memory("VmHWM:") - before) / pixels.nbytes)
"""

    def measured(side: int) -> tuple[float, float]:
        command = [sys.executable, "-c", script, str(side)]
        runs = [
            subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            for _ in range(3)
        ]
        found = [[float(one) for one in run.stdout.split()] for run in runs]
        return min(one[0] for one in found), max(one[1] for one in found)

    (less, _), (more, memory) = measured(2048), measured(4096)
    return {"4096² over 2048², time": more / less, "memory over the picture": memory}


def median_ms(call: Callable[[Pixels], object], pictures: Sequence[Pixels]) -> float:
    """Median over ``pictures``, after one that warms up."""
    call(pictures[0])
    spent = []
    for pixels in pictures:
        began = time.process_time()
        call(pixels)
        spent.append(time.process_time() - began)
    return float(np.median(spent) * 1000)


def figures(report: dict[str, Any]) -> dict[str, float]:
    """What floors and ceilings speak of, as far as it was measured."""
    answer: dict[str, float] = {}
    if "survival" in report:
        first = report["survival"][512]
        answer["mean survival, %"] = first["standard"]
        answer |= {f"{name}, %": value["all"] for name, value in first["attacks"].items()}
    if "visibility" in report:
        answer |= {name: value["mean"] for name, value in report["visibility"][512].items()}
    if "chance" in report:
        answer["false positives"] = report["chance"]["false positives"]
    answer |= report.get("large", {})
    times = report.get("speed", {})
    if "dwtDctSvd: read" in times:
        ratio = times["say that nothing is there"] / times["dwtDctSvd: read"]
        answer["unmarked ms over dwtDctSvd"] = ratio
    return answer


def missed(report: dict[str, Any]) -> list[str]:
    """Figures that are worse than they were, in words."""
    known = figures(report)
    low = [n for n, least in FLOORS.items() if known.get(n, least) < least]
    high = [n for n, most in CEILINGS.items() if known.get(n, most) > most]
    return [f"{name}: {known[name]:.1f}" for name in low + high]


def table(report: dict[str, Any]) -> str:
    """The report for a person."""
    lines = survival_table(report.get("survival", {}), report.get("peers", {}))
    for side, seen in report.get("visibility", {}).items():
        for name, value in seen.items():
            words = f"mean {value['mean']:.1f}, least {value['least']:.1f}"
            lines.append(f"{name} at {side} px: {words}")
    for title in ("chance", "averaging"):
        if title in report:
            parts = ", ".join(f"{name} {value:.4g}" for name, value in report[title].items())
            lines.append(f"{title}: {parts}")
    lines += [f"{name}: {ms:.1f} ms" for name, ms in report.get("speed", {}).items()]
    lines += [f"{name}: {ratio:.2f}" for name, ratio in report.get("large", {}).items()]
    lines += [f"WORSE THAN IT WAS: {fault}" for fault in report["missed"]] or ["all floors hold"]
    return "\n".join(lines)


def survival_table(sides: dict[int, Any], others: dict[str, Any]) -> list[str]:
    """A row for each attack: its bar, both sizes, the kinds at the smaller size, the others."""
    kinds = ("photographs", "flat or painted", "drawn") if sides else ()
    heads = ["bar", *(f"{side} px" for side in sides), *kinds, *others]
    lines = [f"{'read after, %':<30}" + "".join(f"{one:>17}" for one in heads)] if heads[1:] else []
    for name in ATTACKS if heads[1:] else ():
        row: list[float | None] = [100 * BARS[name]]
        row += [sides[side]["attacks"][name]["all"] for side in sides]
        row += [sides[512]["attacks"][name].get(kind) for kind in kinds]
        row += [others[one]["attacks"][name]["all"] for one in others]
        lines.append(f"{name:<30}" + "".join(cell(one) for one in row))
    means = [99.5, *(one["standard"] for one in sides.values()), *(None for _ in kinds)]
    means += [one["standard"] for one in others.values()]
    title = "mean of the standard suite"
    return [*lines, f"{title:<30}" + "".join(cell(one) for one in means)] if lines else []


def cell(value: float | None) -> str:
    """A share for the table."""
    return f"{'–' if value is None else f'{value:.1f}':>17}"


if __name__ == "__main__":
    sys.exit(main())
