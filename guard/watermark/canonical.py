"""The canonical plane: where the mark lives, whatever size the picture has.

A picture's luma (Rec. 601 weights, 0–255) is resampled by one factor in both directions so that
its short side measures ``PERIOD`` canonical pixels. Scaling an uncropped picture leaves this
plane as it was, so its mark is read without a search. The pattern repeats every ``PERIOD``
pixels of the plane: along the long side it is repeated, and reading adds the repetitions up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.types import Pixels

Plane = NDArray[np.float32]

PERIOD: Final = 256
LONGEST: Final = 64 * PERIOD
"""Canonical pixels looked at along the long side: bounds the work on a 1 × 10,000 picture."""

LEAST_SIDE: Final = 24
"""A shorter picture holds none of the mark's frequencies."""

BAND_ROWS: Final = 512
"""Large pictures are worked through in bands of so many rows, to keep memory near the picture's."""

_LONGEST_WARP: Final = 32_000  # OpenCV's warps address pixels with 16 bits
_REC601: Final = np.array([[0.299, 0.587, 0.114]], dtype=np.float32)
_ANTIALIAS: Final = 0.45  # sigma per unit of reduction, below which linear sampling aliases


def bands(height: int) -> Iterator[slice]:
    """Slices of at most ``BAND_ROWS`` rows that together cover ``height`` rows."""
    for top in range(0, height, BAND_ROWS):
        yield slice(top, min(top + BAND_ROWS, height))


def luma(pixels: Pixels) -> Plane:
    """Rec. 601 luma, float32, shape (height, width)."""
    height, width = pixels.shape[:2]
    plane = np.empty((height, width), dtype=np.float32)
    for rows in bands(height):
        # One column comes back from OpenCV without its last axis: reshape, do not assume.
        part = cv2.transform(np.ascontiguousarray(pixels[rows], dtype=np.float32), _REC601)
        plane[rows] = part.reshape(-1, width)
    return plane


def scale_of(height: int, width: int, fineness: float = 1.0) -> float:
    """Native pixels per canonical pixel of a plane of this fineness."""
    return min(height, width) / (PERIOD * fineness)


def to_canonical(plane: Plane, scale: float) -> Plane:
    """``plane`` resampled to one sample per ``scale`` native pixels; pixel edges stay aligned.

    The last row and column may reach beyond the picture by less than a pixel; they mirror it.
    """
    plane = _clip(plane, scale)
    height, width = plane.shape
    size = (math.ceil(width / scale - 1e-9), math.ceil(height / scale - 1e-9))
    plane = _halve(plane, scale)
    step_x, step_y = scale * plane.shape[1] / width, scale * plane.shape[0] / height
    if step_x > 1.2:
        plane = np.asarray(cv2.GaussianBlur(plane, (0, 0), _ANTIALIAS * step_x), np.float32)
    matrix = np.array([[step_x, 0.0, (step_x - 1) / 2], [0.0, step_y, (step_y - 1) / 2]])
    return _warp(plane, matrix, size, cv2.INTER_LINEAR)


def from_canonical(pattern: Plane, scale: float, width: int, rows: slice) -> Plane:
    """``rows`` of the native plane of ``width`` columns that ``pattern`` (canonical) fills."""
    offset = (1 - scale) / (2 * scale)
    matrix = np.array([[1 / scale, 0.0, offset], [0.0, 1 / scale, rows.start / scale + offset]])
    return _warp(pattern, matrix, (width, rows.stop - rows.start), cv2.INTER_CUBIC)


def _clip(plane: Plane, scale: float) -> Plane:
    most = min(int(LONGEST * scale), _LONGEST_WARP) if scale < 2 else int(LONGEST * scale)
    return plane[: max(most, 1), : max(most, 1)]


def _halve(plane: Plane, scale: float) -> Plane:
    """``plane`` averaged over whole blocks as far as ``scale`` allows: fast, no aliases."""
    whole = int(scale)
    if whole < 2:
        return plane
    height, width = plane.shape
    size = (max(1, round(width / whole)), max(1, round(height / whole)))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _warp(plane: Plane, matrix: NDArray[np.float64], size: tuple[int, int], method: int) -> Plane:
    """Sample ``plane`` at ``matrix`` · (x, y, 1) for each pixel of an image of ``size`` (w, h)."""
    warped = cv2.warpAffine(
        plane,
        matrix,
        size,
        flags=method | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(warped, dtype=np.float32).reshape(size[1], size[0])
