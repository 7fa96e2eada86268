"""Laying a suspect picture over the recorded one, cell by cell.

A mark's placement says how the suspect is turned and scaled, and where it lies modulo one period of
the mark; which period it is, the pictures themselves say. A picture that a fingerprint found was
not cut: it fills the frame in one of eight positions. Seen at an angle, it is then brought into
step by the eight numbers of a homography (Evangelidis and Psarakis, "Parametric Image Alignment
Using Enhanced Correlation Coefficient Maximization", 2008).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.image.blocks import CELL, Blocks, coarse, fine
from guard.types import Pixels, Placement

Floats = NDArray[np.float64]
Cells = NDArray[np.float32]

MOST_CELLS: Final = 1024
"""Of a large page so many cells a side are looked at, around what the mark was seen in."""

FARTHEST: Final = 6.0
"""Cells by which a corner may be brought into step: perspective of 5 % moves it by 4."""

ENOUGH: Final = 0.5
"""Of the marked part that the best place covers, so much a place must cover to be considered."""

WHOLE: Final = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
ROUNDS: Final = 100
AFAR, CLOSE = 3, 1
"""Cells over which both are smoothed: far for what is far off, and none for the last step."""

_PRECISION: Final = 1e-6
_COVERED: Final = 250.0  # of 255: the share of a cell that the suspect has to fill


@dataclass(frozen=True, slots=True)
class Laid:
    """A suspect in the recorded frame.

    ``cells``: RGB, shape of the record's cells; ``seen``: which of them the suspect shows;
    ``back``: the homography from cells of the record (x, y from its corner) to fractions of the
    suspect's width and height; ``likeness``: correlation of the lumas, −1 to 1; ``moved``: cells
    by which a corner was moved to bring it into step.
    """

    cells: Cells
    seen: NDArray[np.bool_]
    back: Floats
    likeness: float
    moved: float = 0.0


def lay(pixels: Pixels, placement: Placement | None, blocks: Blocks) -> Laid | None:
    """``pixels`` over the recorded picture; None where they do not meet.

    ``placement`` None: the whole frame, in whichever of eight positions is likest.
    """
    if placement is not None:
        return _in_step(_Sheet.placed(pixels, placement, blocks), blocks)
    sheets = [_Sheet.filling(pixels, way, blocks) for way in range(8)]
    return _in_step(max(sheets, key=lambda sheet: abs(sheet.at_best(blocks)[0])), blocks)


def spread(pixels: Pixels, blocks: Blocks) -> tuple[Cells, NDArray[np.bool_]]:
    """``pixels`` over the whole recorded frame as they stand: RGB cells, and which are filled."""
    sheet = _Sheet.filling(pixels, 0, blocks)
    return coarse(sheet.shown), coarse(sheet.mask) > _COVERED


@dataclass(slots=True)
class _Sheet:
    """A suspect on the canonical plane."""

    shown: Pixels
    mask: Pixels
    corner: tuple[int, int]
    forth: Floats
    """(3, 3): from fractions of the suspect to canonical units."""
    region: tuple[int, int, int, int]
    """Left, top, right, bottom in cells of the sheet: about where the mark was seen."""
    period: int = 0
    """Cells by any number of which it may lie elsewhere; 0 for not at all."""

    @classmethod
    def placed(cls, pixels: Pixels, placement: Placement, blocks: Blocks) -> _Sheet:
        matrix, shift = np.array(placement.matrix), np.array(placement.shift)
        sheet = cls._laid(pixels, matrix, shift, _looked_at(placement, pixels))
        sheet.period = round(placement.period / CELL)
        region = np.array(placement.region or WHOLE) - 0.5
        there = (region * pixels.shape[1::-1] @ matrix.T + shift) / CELL - sheet.corner
        low, high = np.maximum(there.min(axis=0), 0), np.maximum(there.max(axis=0), 0)
        sheet.region = (int(low[0]), int(low[1]), math.ceil(high[0]), math.ceil(high[1]))
        return sheet

    @classmethod
    def filling(cls, pixels: Pixels, way: int, blocks: Blocks) -> _Sheet:
        height, width = pixels.shape[:2]
        frame = np.array([blocks.width, blocks.height]) / blocks.unit
        axes = np.diag([-1.0 if way & 1 else 1.0, -1.0 if way & 2 else 1.0])
        axes = axes[::-1] if way & 4 else axes
        reach = frame[:, None] * np.abs(axes) / np.array([width, height])
        rows, columns = blocks.cells.shape[:2]
        return cls._laid(pixels, axes * reach, frame / 2, (0, 0, columns, rows))

    @classmethod
    def _laid(
        cls, pixels: Pixels, matrix: Floats, shift: Floats, box: tuple[int, int, int, int]
    ) -> _Sheet:
        left, top, right, bottom = box
        shown, mask = fine(pixels, matrix, shift, (left, top), (right - left, bottom - top))
        size = np.array(pixels.shape[1::-1], np.float64)
        forth = np.eye(3)
        forth[:2, :2] = matrix * size
        forth[:2, 2] = shift - matrix @ size / 2
        return cls(shown, mask, (left, top), forth, (0, 0, right - left, bottom - top))

    def at_best(self, blocks: Blocks) -> tuple[float, tuple[int, int]]:
        """Likeness where the frame fits best, and the cell of this sheet at the frame's corner."""
        luma, seen = _luma(coarse(self.shown)), coarse(self.mask) > _COVERED
        recorded = _luma(blocks.cells)
        best, found, corner = -1.0, 0.0, (-self.corner[0], -self.corner[1])
        places = list(self._corners(seen.shape, recorded.shape))
        shares = [self._marked(seen, recorded.shape, *one) for one in places]
        for (left, top), share in zip(places, shares, strict=True):
            mine, theirs = _overlap(seen.shape, recorded.shape, left, top)
            both = seen[mine]
            if share < ENOUGH * max(shares) or not both.any():
                continue
            likeness = _correlation(luma[mine][both], recorded[theirs][both])
            weight = math.atanh(min(abs(likeness), 0.999)) * math.sqrt(float(both.sum()))
            if weight > best:
                best, found, corner = weight, likeness, (left, top)
        return found, corner

    def _marked(
        self, seen: NDArray[np.bool_], frame: tuple[int, ...], left: int, top: int
    ) -> float:
        """Cells of the part in which the mark was seen that a frame at (left, top) covers."""
        mine, _ = _overlap(seen.shape, frame, left, top)
        first, second, third, fourth = self.region
        rows, columns = slice(second, fourth), slice(first, third)
        part = np.zeros_like(seen)
        part[mine] = seen[mine]
        return float(part[rows, columns].sum())

    def _corners(self, mine: tuple[int, ...], theirs: tuple[int, ...]) -> Iterator[tuple[int, int]]:
        period = self.period
        if not period:
            yield 0, 0
            return
        lefts, tops = (
            range((-one) % period - period * (there // period + 1), here, period)
            for one, here, there in zip(self.corner, mine[::-1], theirs[::-1], strict=True)
        )
        yield from ((left, top) for left in lefts for top in tops)


def _looked_at(placement: Placement, pixels: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the cells that the suspect falls into, or the middle of them."""
    matrix, shift = np.array(placement.matrix), np.array(placement.shift)
    half = np.array(pixels.shape[1::-1]) / 2
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    there = (corners @ matrix.T + shift) / CELL
    low, high = np.floor(there.min(axis=0)), np.ceil(there.max(axis=0))
    region = np.array(placement.region or WHOLE)
    middle = ((region.mean(axis=0) * 2 - 1) * half @ matrix.T + shift) / CELL
    low = np.maximum(low, np.floor(middle - MOST_CELLS / 2))
    high = np.minimum(high, np.ceil(middle + MOST_CELLS / 2))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _in_step(sheet: _Sheet, blocks: Blocks) -> Laid | None:
    """The sheet at its best place, brought into step with the recorded picture."""
    likeness, (left, top) = sheet.at_best(blocks)
    if not likeness:
        return None
    start = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)
    laid = [
        dataclasses.replace(_resampled(sheet, warp, blocks), moved=moved)
        for warp, moved in _steps(sheet, blocks, start, likeness)
    ]
    return max(laid, key=lambda one: abs(one.likeness))


def _steps(
    sheet: _Sheet, blocks: Blocks, start: Floats, likeness: float
) -> list[tuple[Floats, float]]:
    """Ways of bringing the sheet into step: none, from afar, closer, and close from the start.

    Each with the cells by which it moves a corner.
    """
    recorded, luma = _luma(blocks.cells), _luma(coarse(sheet.shown))
    luma *= np.float32(math.copysign(1.0, likeness))
    seen = (coarse(sheet.mask) > _COVERED).astype(np.uint8)
    afar = _refined(recorded, luma, seen, start, AFAR)
    closer = afar if afar is None else _refined(recorded, luma, seen, afar, CLOSE)
    steps = (start, afar, closer, _refined(recorded, luma, seen, start, CLOSE))
    rows, columns = recorded.shape
    corners = np.array([[(0, 0), (columns, 0), (columns, rows), (0, rows)]], np.float64)
    home = cv2.perspectiveTransform(corners, start)
    moved = [
        (one, float(np.abs(cv2.perspectiveTransform(corners, one) - home).max()))
        for one in steps
        if one is not None
    ]
    return [one for one in moved if one[1] <= FARTHEST]


def _refined(
    recorded: Cells, luma: Cells, seen: NDArray[np.uint8], start: Floats, smoothing: int
) -> Floats | None:
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, ROUNDS, _PRECISION)
    begin = start.astype(np.float32)
    try:
        warp = cv2.findTransformECC(
            recorded, luma, begin, cv2.MOTION_HOMOGRAPHY, stop, seen, smoothing
        )[1]
    except cv2.error:  # it does not converge: another picture, or a flat one
        return None
    return np.asarray(warp, np.float64)


def _resampled(sheet: _Sheet, warp: Floats, blocks: Blocks) -> Laid:
    """The sheet in the recorded frame: ``warp`` takes indices of its cells to the sheet's."""
    rows, columns = blocks.cells.shape[:2]
    # Index i of a cell is i + ½ cells from the corner; sample u of the sheet is u + ½ units.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    edges = half @ warp @ np.linalg.inv(half)  # from the record's cells to the sheet's, by edges
    scale = np.diag([CELL, CELL, 1.0])
    samples = np.linalg.inv(half) @ scale @ edges @ np.linalg.inv(scale) @ half
    size = (int(CELL) * columns, int(CELL) * rows)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpPerspective(
        sheet.shown, samples, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    covered = coarse(cv2.warpPerspective(sheet.mask, samples, size, flags=flags)) > _COVERED
    mask = _without_edges(covered, blocks)
    cells = coarse(shown)
    move = np.array([[1, 0, sheet.corner[0]], [0, 1, sheet.corner[1]], [0, 0, 1]], np.float64)
    back = np.linalg.inv(sheet.forth) @ scale @ move @ edges
    likeness = _correlation(_luma(cells)[mask], _luma(blocks.cells)[mask])
    return Laid(cells, mask, back, likeness)


def _without_edges(mask: NDArray[np.bool_], blocks: Blocks) -> NDArray[np.bool_]:
    """Cells along an edge mix with what lies beyond, and the last may reach there themselves."""
    kept = mask.astype(np.uint8)
    kept[int(blocks.height / blocks.unit / CELL) :] = 0
    kept[:, int(blocks.width / blocks.unit / CELL) :] = 0
    cross = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.erode(kept, cross, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0)


def _overlap(
    mine: tuple[int, ...], theirs: tuple[int, ...], left: int, top: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where two fields of cells meet, in each: one has its corner at (left, top) of the other."""
    first_row, last_row = max(0, top), min(mine[0], top + theirs[0])
    first, last = max(0, left), min(mine[1], left + theirs[1])
    here = (slice(first_row, max(first_row, last_row)), slice(first, max(first, last)))
    there = tuple(
        slice(one.start - off, one.stop - off) for one, off in zip(here, (top, left), strict=True)
    )
    return here, (there[0], there[1])


def _luma(cells: NDArray[np.float32] | Pixels) -> Cells:
    return np.asarray(cells @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def _correlation(a: Cells, b: Cells) -> float:
    if a.size == 0:
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size else 0.0
