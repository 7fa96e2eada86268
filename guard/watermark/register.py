"""Bringing a suspect picture back to the canonical plane: an affine map, then small local bends.

Perspective, lenses and sloppy resampling move parts of a picture by a few canonical pixels, which
no affine map undoes. Overlapping windows each say by the pilot's phases how far they are off; a
smooth displacement (second order in x and y) through what they say is undone as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from guard.watermark import shaping
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.pilot import Pilot
from guard.watermark.placement import Floats

MOST_PERIODS: Final = 6
"""Of a long picture so many periods a side are looked at."""

WINDOW, WINDOW_STEP = 96, 48  # canonical pixels
MOST_WINDOWS: Final = 10
"""Windows a side: of a large canvas they lie farther apart."""

FARTHEST_OFF: Final = 5.0
"""Canonical pixels by which a window may be off before the smooth displacement knows better."""

OFF_STEP: Final = 0.5
TRUSTED: Final = 7.0
"""Evidence (S²/Σw²) below which a window is not heard."""

_ORDER_1, _ORDER_2 = 3, 6  # coefficients of a plane and of a paraboloid
_ANTIALIAS: Final = 0.45
_EDGE: Final = 3  # canonical pixels along a cut edge that flattening spoils


@dataclass(slots=True)
class Canvas:
    """The canonical plane of one placement, aligned to whole periods."""

    matrix: Floats
    centre: Floats
    displacement: Floats
    plane: Plane
    origin: Floats = field(init=False)
    size: tuple[int, int] = field(init=False)
    """Columns, rows."""

    def __post_init__(self) -> None:
        height, width = self.plane.shape
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
        there = (corners - self.centre) @ np.linalg.inv(self.matrix).T + self.displacement
        low, high = there.min(axis=0), there.max(axis=0)
        most = MOST_PERIODS * PERIOD
        low = np.floor(np.maximum(low, (low + high - most) / 2) / PERIOD) * PERIOD
        high = np.minimum(np.ceil(high), low + most)
        self.origin = low
        self.size = (int(high[0] - low[0]), int(high[1] - low[1]))

    def flat(self, bend: Floats | None = None) -> Plane:
        """What the reader looks at, zero beyond the picture; ``bend`` holds coefficients (n, 2)."""
        offset = self.matrix @ (self.origin - self.displacement) + self.centre
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        if bend is None:
            matrix = np.column_stack([self.matrix, offset])
            warped = cv2.warpAffine(
                self.plane, matrix, self.size, flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
            inside = cv2.warpAffine(np.ones_like(self.plane), matrix, self.size, flags=flags)
        else:
            x, y = self._bent(bend, offset)
            warped = cv2.remap(self.plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            inside = cv2.remap(np.ones_like(self.plane), x, y, cv2.INTER_LINEAR)
        kept = cv2.erode((inside > 0.99).astype(np.uint8), np.ones((2 * _EDGE + 1,) * 2, np.uint8))
        return np.asarray(shaping.flatten(np.asarray(warped, np.float32)) * kept, np.float32)

    def _bent(self, bend: Floats, offset: Floats) -> tuple[Plane, Plane]:
        columns, rows = np.meshgrid(*(np.arange(side, dtype=np.float64) for side in self.size))
        basis = self.basis(columns.ravel(), rows.ravel(), len(bend))
        there = np.stack([columns.ravel(), rows.ravel()], axis=1) + basis @ bend
        here = (there @ self.matrix.T + offset).astype(np.float32)
        shape = (self.size[1], self.size[0])
        return here[:, 0].reshape(shape), here[:, 1].reshape(shape)

    def basis(self, columns: Floats, rows: Floats, count: int) -> Floats:
        """(n, count) monomials of the position, which is scaled to about ±1."""
        half = PERIOD / 2
        x = (columns - self.size[0] / 2) / half
        y = (rows - self.size[1] / 2) / half
        return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)[:, :count]


def canvas(plane: Plane, matrix: Floats, displacement: tuple[float, float]) -> Canvas:
    """The canvas of a placement: A is (2, 2), ``displacement`` in canonical pixels (x, y)."""
    scale = math.sqrt(abs(float(np.linalg.det(matrix))))
    height, width = plane.shape
    whole = int(scale)
    if whole >= 2:
        size = (max(1, round(width / whole)), max(1, round(height / whole)))
        plane = np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)
        ratio = np.array([plane.shape[1] / width, plane.shape[0] / height])
        matrix = ratio[:, None] * matrix
        scale = math.sqrt(abs(float(np.linalg.det(matrix))))
    if scale > 1.2:
        plane = np.asarray(cv2.GaussianBlur(plane, (0, 0), _ANTIALIAS * scale), np.float32)
    centre = (np.array(plane.shape[::-1], np.float64) - 1) / 2
    return Canvas(matrix, centre, np.array(displacement), plane)


def bend(flat: Plane, on: Canvas, pilot: Pilot, sign: float, known: Floats | None) -> Floats | None:
    """Coefficients (n, 2) of the displacement that ``flat`` still needs, added to ``known``.

    None where too few windows say anything.
    """
    places, offsets, evidence = _windows(flat, pilot, sign)
    heard = evidence > TRUSTED
    count = _ORDER_2 if heard.sum() >= 2 * _ORDER_2 else _ORDER_1
    if heard.sum() < 2 * _ORDER_1:
        return None
    basis = on.basis(places[:, 0], places[:, 1], count)
    weight = np.where(heard, evidence, 0.0)
    for _ in range(2):
        root = np.sqrt(weight)[:, None]
        found = np.linalg.lstsq(basis * root, offsets * root, rcond=None)[0]
        off = np.hypot(*(offsets - basis @ found).T)
        weight = np.where(heard & (off < 1.5), evidence, 0.0)
    total = np.zeros((_ORDER_2, 2))
    total[:count] = found
    return total if known is None else total + known


def heard(flat: Plane, pilot: Pilot, sign: float) -> Floats:
    """(n, 2) centres (x, y) of the windows of ``flat`` in which the pilot is heard."""
    places, _, evidence = _windows(flat, pilot, sign)
    return places[evidence > TRUSTED]


def _windows(flat: Plane, pilot: Pilot, sign: float) -> tuple[Floats, Floats, Floats]:
    """For each window: its centre (x, y), how far its content is off, and the evidence for it."""
    hann = np.hanning(WINDOW + 2)[1:-1].astype(np.float32)
    steps = np.arange(-FARTHEST_OFF, FARTHEST_OFF + OFF_STEP / 2, OFF_STEP)
    shift_y, shift_x = (one.ravel() for one in np.meshgrid(steps, steps, indexing="ij"))
    turn = 2 * np.pi / PERIOD
    turns = np.exp(1j * turn * (np.stack([shift_x, shift_y], axis=1) @ pilot.points.T))
    waves_x, waves_y = (
        np.exp(-1j * turn * points[:, None] * np.arange(side)).astype(np.complex64)
        for points, side in zip(pilot.points.T, flat.shape[::-1], strict=True)
    )
    step = max(WINDOW_STEP, max(flat.shape) // MOST_WINDOWS)
    centres, terms = [], []
    for top in range(0, max(1, flat.shape[0] - WINDOW + 1), step):
        rows = slice(top, min(top + WINDOW, flat.shape[0]))
        for left in range(0, max(1, flat.shape[1] - WINDOW + 1), step):
            columns = slice(left, min(left + WINDOW, flat.shape[1]))
            part = flat[rows, columns]
            part = part * hann[: part.shape[0], None] * hann[: part.shape[1]]
            sums = waves_y[:, rows] @ part.astype(np.complex64)
            terms.append((sums * waves_x[:, columns]).sum(axis=1))
            centres.append(
                ((columns.start + columns.stop - 1) / 2, (rows.start + rows.stop - 1) / 2)
            )
    values = np.array(terms)
    values = values / (np.sqrt(np.mean(np.abs(values) ** 2, axis=0, keepdims=True)) + 1e-9)
    turned = pilot.turned(values.astype(np.complex64))
    scores = sign * (turned @ np.conj(turns).T).real
    # Content at t + off reads as phase −k·off: the window's content sits at t + off.
    best = scores.argmax(axis=1)
    weights = (np.abs(turned) ** 2).sum(axis=1)
    top_scores = np.maximum(scores[np.arange(len(best)), best], 0.0)
    offsets = -np.stack([shift_x[best], shift_y[best]], axis=1)
    return np.array(centres), offsets, top_scores**2 / np.maximum(weights, 1e-9)
