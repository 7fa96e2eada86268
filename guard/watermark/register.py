"""Bringing a suspect picture back to the canonical plane: by an affine map, and by a known bend.

A bend is a smooth displacement of second order in x and y: see :mod:`guard.watermark.bend`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from guard.watermark import shaping
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.placement import Floats

MOST_PERIODS: Final = 6
"""Of a long picture so many periods a side are looked at."""

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
    half: float = field(init=False)
    """Half the longer side of what the picture covers, canonical pixels."""
    size: tuple[int, int] = field(init=False)
    """Columns, rows."""

    def __post_init__(self) -> None:
        height, width = self.plane.shape
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
        there = (corners - self.centre) @ np.linalg.inv(self.matrix).T + self.displacement
        low, high = there.min(axis=0), there.max(axis=0)
        self.half = float((high - low).max()) / 2
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
        """(n, count) monomials of the position: the picture's centre is 0, its edges about ±1."""
        x, y = (np.stack([columns, rows]) - (self.displacement - self.origin)[:, None]) / self.half
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
