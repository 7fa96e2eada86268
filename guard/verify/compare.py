"""Whether a suspect is the recorded picture, and where it is not.

The suspect is laid over the description that was kept when the picture was released
(:mod:`guard.image.blocks`), tones are matched, and around every cell what is left over is weighed
against what copies do to a picture: noise everywhere, and a little blur and displacement where it
has detail. A value above 1 is more than these explain. A connected group of cells far above it was
painted over; where hardly anything is alike, it is another picture, to which a mark was copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.image.blocks import Blocks
from guard.types import Pixels, Placement, Point
from guard.verify.align import Cells, Floats, Laid, lay
from guard.verify.tone import matched, opponent

Result = Literal["agrees", "altered", "other_picture", "not_compared"]

LEAST_OVERLAP: Final = 150
"""Cells: a crop to a quarter of each side shows 200 and more; of fewer, any can be matched."""

UNLIKE: Final = 0.7
STRUCTURED: Final = 5.0
"""Correlation of the lumas below which it is another picture, where the recorded one has structure:
levels of deviation. Of 900 harmless copies none correlated less than .85."""

FADED: Final = 0.3
"""Share of the recorded picture's contrast below which it is another picture: to black, any tones
could be matched."""

MOSTLY: Final = 0.5
"""Share of cells from which it is another picture, not a part of it that was changed."""

DEVIANT, PEAK, LEAST_CELLS = 2.0, 3.2, 14
"""A group counts when so many connected cells exceed the first and one exceeds the second. See
tests/benchmarks/bench_binding.py for what harmless copies and patches reach."""

WINDOW: Final = 1.5
"""Sigma in cells of the window around each: half the size of the smallest patch."""

DETAIL, DISPLACED = 0.1, 0.3
"""Share of the local variance, and cells of displacement, that copying explains."""

BENT, DISPLACED_BENT = 1.0, 0.9
"""Where bringing it into step moved a corner by so many cells, it was seen at an angle or through a
lens, and what is left of that displaces so many."""

NOISE: Final = 4.0
QUIET, LOUD = 2.0, 8.0
"""Variances of the noise that it explains, and levels of noise between which it is believed: a
picture that is off everywhere must not pass for a noisy one."""

CHROMA: Final = 0.7
"""Codecs are coarser with colour."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing with the recorded picture said.

    ``likeness``: correlation of the lumas, −1–1 (negatives are below 0). ``overlap``: share of
    the recorded picture that the suspect shows. ``share``: of those cells, how many were changed.
    ``frame``: corners of the recorded picture, and ``regions``: of the changed parts, as fractions
    of the suspect's width and height.
    """

    result: Result
    likeness: float = 0.0
    overlap: float = 0.0
    share: float = 0.0
    frame: tuple[Point, ...] = ()
    regions: tuple[tuple[Point, ...], ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the suspect is not, or not all, the recorded picture."""
        return self.result in {"altered", "other_picture"}


def compare(pixels: Pixels, placement: Placement | None, blocks: Blocks) -> Comparison:
    """``pixels`` beside the recorded picture.

    ``placement``: where the mark lies; None for a picture found otherwise, which was not cut.
    """
    laid = lay(pixels, placement, blocks)
    if laid is None or laid.seen.sum() < LEAST_OVERLAP:
        return Comparison("not_compared")
    overlap = float(laid.seen.mean())
    frame = _corners(laid.back, 0, 0, *blocks.cells.shape[1::-1])
    off = deviations(laid, blocks)
    groups = _groups(off)
    share = float((off[laid.seen] > DEVIANT).mean()) if groups else 0.0
    if _unlike(laid, blocks) or share > MOSTLY:
        return Comparison("other_picture", laid.likeness, overlap, 1.0, frame)
    regions = tuple(_corners(laid.back, *box) for box in groups)
    result: Result = "altered" if groups else "agrees"
    return Comparison(result, laid.likeness, overlap, share, frame, regions)


def _unlike(laid: Laid, blocks: Blocks) -> bool:
    """Whether a recorded picture that has structure is not what is seen, as a whole."""
    recorded, shown = (
        float(opponent(cells)[laid.seen][:, 0].std()) for cells in (blocks.cells, laid.cells)
    )
    faded = shown < FADED * recorded
    return recorded >= STRUCTURED and (faded or abs(laid.likeness) < UNLIKE)


def deviations(laid: Laid, blocks: Blocks) -> Cells:
    """How far each cell is off, in units of what copying explains; 0 where nothing is seen."""
    recorded, shown = opponent(blocks.cells), opponent(laid.cells)
    expected, noise = matched(recorded, shown, laid.seen)
    seen = laid.seen.astype(np.float32)[..., None]
    around = _window(seen[..., 0])[..., None] + 1e-6
    off = _window((shown - expected) ** 2 * seen) / around
    mean = _window(expected * seen) / around
    variance = np.maximum(_window(expected**2 * seen) / around - mean**2, 0.0)
    slope = sum(
        np.asarray(cv2.Sobel(expected, cv2.CV_32F, *axis, scale=1 / 8), np.float32) ** 2
        for axis in ((1, 0), (0, 1))
    )
    displaced = DISPLACED if laid.moved < BENT else DISPLACED_BENT
    detail = DETAIL * variance + displaced**2 * _window(slope * seen) / around
    noises = NOISE * np.clip(noise, QUIET, LOUD) ** 2
    luma = off[..., 0] / (detail[..., 0] + noises[0])
    chroma = off[..., 1:].sum(axis=-1) / (detail.sum(axis=-1) + noises[1:].sum())
    worst = np.maximum(luma, CHROMA * chroma)
    return np.asarray(np.where(around[..., 0] > 0.5, worst, 0.0), np.float32)


def _groups(off: Cells) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom of the connected groups that count."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((off > DEVIANT).astype(np.uint8))
    found = []
    for one in range(1, count):
        left, top, width, height, cells = (int(value) for value in stats[one])
        if cells >= LEAST_CELLS and float(off[labels == one].max()) >= PEAK:
            found.append((left, top, left + width, top + height))
    return found


def _corners(back: Floats, left: int, top: int, right: int, bottom: int) -> tuple[Point, ...]:
    """A box of recorded cells in the suspect: where a corner lies beyond it, its edge."""
    box = np.array([[(left, top), (right, top), (right, bottom), (left, bottom)]], np.float64)
    there = np.clip(cv2.perspectiveTransform(box, back)[0], 0.0, 1.0)
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in there)


def _window(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), WINDOW), np.float32)
