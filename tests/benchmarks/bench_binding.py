"""Does a mark vouch for its own picture only? Copied marks, painted parts, and harmless copies.

    python tests/benchmarks/bench_binding.py [--pictures N] [--json]

Marked pictures of ``mark_gallery.py`` are described as the pipeline describes them. Then

* the mark of one is added to another picture, as it is, cropped, scaled and turned: of those in
  which the mark reads, how many are found not to be the recorded picture;
* a patch of another picture, 12 to 25 % of the short side and blended in, is put into each, which
  is then re-encoded: how many are found altered, and where;
* every attack of ``mark_attacks.py`` that paints nothing: how many are taken for altered.

Only suspects in which the mark reads are compared, as in ``guard verify``. Exits 1 when a floor
is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402  # one thread must be set before NumPy is imported
import numpy as np  # noqa: E402

from guard.errors import MarkRejected  # noqa: E402
from guard.image.blocks import Blocks, describe, read  # noqa: E402
from guard.types import Pixels  # noqa: E402
from guard.verify.compare import Comparison, compare  # noqa: E402
from guard.watermark.pilot_watermark import PilotWatermark  # noqa: E402
from tests.benchmarks import mark_gallery  # noqa: E402
from tests.benchmarks.mark_attacks import ATTACKS, codec, cropped, resized, turned  # noqa: E402

SECRET: Final = b"the secret of the binding, 32 by"
PAINTING: Final = {"captioned", "meme", "letterboxed"}
"""These do change the picture."""

LOUDER: Final = 1.5
"""A thief makes the copied residue surer."""

COPIES: Final = {
    "as it is": lambda pixels: pixels,
    "cropped": cropped(0.8),
    "scaled": resized(0.7),
    "turned": turned(5, whole=False),
    "JPEG 75": codec("jpeg", 75),
}
FLOORS: Final = {"copied marks refused, %": 99.0, "patches found, %": 95.0}
CEILINGS: Final = {"harmless copies accused, %": 1.0, "tilted copies accused, %": 25.0}
TILTED: Final = ("perspective", "photograph")
"""What these leave out of step is hard to tell from a change: they are counted apart."""


class Marked:
    """A marked picture with what is kept of it."""

    def __init__(self, mark: PilotWatermark, pixels: Pixels, payload: bytes) -> None:
        self.payload = payload.hex()
        self.before = pixels
        self.pixels = mark.embed(pixels, payload).pixels
        self.blocks: Blocks = read(describe(self.pixels))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, help="at most so many of each kind")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    mark, rng = PilotWatermark(SECRET), np.random.default_rng(1)
    pictures = []
    for kind, pixels in mark_gallery.gallery(512, options.pictures):
        if kind == "drawn" and options.pictures is None:
            continue  # flat colour and stripes look alike by nature
        try:
            pictures.append(Marked(mark, pixels, rng.bytes(8)))
        except MarkRejected:
            continue
    report = copied(mark, pictures) | patched(mark, pictures, rng) | harmless(mark, pictures)
    low = [name for name, least in FLOORS.items() if report[name] < least]
    high = [name for name, most in CEILINGS.items() if report[name] > most]
    report["missed"] = low + high
    lines = [f"{name}: {value}" for name, value in report.items()]
    print(json.dumps(report) if options.json else "\n".join(lines))
    return 1 if report["missed"] else 0


def judged(mark: PilotWatermark, suspect: Pixels, one: Marked) -> Comparison | None:
    """The comparison; None where the mark does not read."""
    found = mark.detect(np.ascontiguousarray(suspect))
    if found.payload != one.payload:
        return None
    return compare(suspect, found.placement, one.blocks)


def copied(mark: PilotWatermark, pictures: list[Marked]) -> dict[str, Any]:
    """The residue of each picture on the next."""
    refused, passed = 0, []
    for number, one in enumerate(pictures):
        other = pictures[(number + 1) % len(pictures)].before
        residue = one.pixels.astype(np.float32) - one.before
        size = other.shape[1::-1]
        residue = cv2.resize(residue, size, interpolation=cv2.INTER_CUBIC)
        fake = np.clip(np.rint(other + LOUDER * residue), 0, 255).astype(np.uint8)
        for name, change in COPIES.items():
            found = judged(mark, change(fake), one)
            if found is None:
                continue
            if found.differs:
                refused += 1
            else:
                passed.append(f"{number} {name}: {found.result}")
    total = refused + len(passed)
    return {
        "copied marks that read": total,
        "copied marks refused, %": round(100 * refused / max(total, 1), 2),
        "copied marks that passed": passed,
    }


def patched(
    mark: PilotWatermark, pictures: list[Marked], rng: np.random.Generator
) -> dict[str, Any]:
    """A patch of another picture in each, twice."""
    found, placed, total, missed = 0, 0, 0, []
    for number, one in enumerate(pictures * 2):
        other = pictures[(number + 3) % len(pictures)].before
        height, width = one.pixels.shape[:2]
        side = int(min(height, width) * rng.uniform(0.12, 0.25))
        top, left = int(rng.integers(0, height - side)), int(rng.integers(0, width - side))
        suspect = _recoded(_blended(one.pixels, other, (top, left), side))
        comparison = judged(mark, suspect, one)
        if comparison is None:
            continue
        total += 1
        if comparison.differs:
            found += 1
            middle = np.array([left + side / 2, top + side / 2]) / (width, height)
            boxes = [np.array(region) for region in comparison.regions]
            placed += any(
                (box.min(axis=0) <= middle).all() and (middle <= box.max(axis=0)).all()
                for box in boxes
            )
        else:
            missed.append(f"{number} of {side} px: {comparison.result}")
    return {
        "patched pictures that read": total,
        "patches found, %": round(100 * found / max(total, 1), 2),
        "patches found in their place, %": round(100 * placed / max(total, 1), 2),
        "patches missed": missed,
    }


def _blended(pixels: Pixels, other: Pixels, corner: tuple[int, int], side: int) -> Pixels:
    """``other``'s middle put into ``pixels`` as an ellipse with soft edges."""
    top, left = corner
    y, x = (one // 2 for one in other.shape[:2])
    half = min(side, y, x)
    patch = cv2.resize(other[y - half : y + half, x - half : x + half], (side, side))
    mask = np.zeros((side, side), np.float32)
    axes = (int(side * 0.45), int(side * 0.48))
    cv2.ellipse(mask, (side // 2, side // 2), axes, 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), side / 24)[..., None]
    changed = pixels.copy()
    part = changed[top : top + side, left : left + side]
    part[...] = np.rint(part * (1 - mask) + patch * mask).astype(np.uint8)
    return changed


_recoded = codec("jpeg", 85)


def harmless(mark: PilotWatermark, pictures: list[Marked]) -> dict[str, Any]:
    """Every attack that paints nothing."""
    seen: dict[str, list[bool]] = {"harmless": [], "tilted": []}
    accused = []
    for number, one in enumerate(pictures):
        for name, attack in ATTACKS.items():
            found = None if name in PAINTING else judged(mark, attack(one.pixels), one)
            if found is None:
                continue
            seen["tilted" if name.startswith(TILTED) else "harmless"].append(found.differs)
            if found.differs:
                accused.append(f"{number} {name}: {found.result}")
    report: dict[str, Any] = {}
    for kind, wrong in seen.items():
        report[f"{kind} copies that read"] = len(wrong)
        report[f"{kind} copies accused, %"] = round(100 * sum(wrong) / max(len(wrong), 1), 2)
    return report | {"accused": accused}


if __name__ == "__main__":
    sys.exit(main())
