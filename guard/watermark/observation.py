"""The suspect picture as frequencies: looked up at any point, for any placement of the mark.

The flattened luma is transformed once, padded so that values between its frequencies can be read
by interpolation, and whitened by the mean power around each frequency. Phases refer to the
picture's centre. A placement then costs one look-up per sinusoid of the pilot.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from guard.watermark import shaping
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.placement import Floats

SHORT_SIDE, LONG_SIDE = 512, 1024
"""Larger pictures are searched at reduced size: the pilot lies below a quarter of their band."""

PADDING: Final = 1.8
WHITEN: Final = 11  # frequencies a side over which the mean power is taken
LOUDEST_POWER: Final = 8.0
"""A whitened power counts up to so much: one loud frequency must not decide."""

_SMOOTH: Final = 0.8  # frequencies over which powers are smoothed before they are looked up


class Observation:
    """Whitened spectrum of one picture, given by its luma (height, width): 12 or more each."""

    def __init__(self, plane: Plane, finenesses: tuple[float, ...] = (1.0,)) -> None:
        height, width = plane.shape
        self.finenesses = finenesses
        self.reduction = min(1.0, SHORT_SIDE / min(height, width), LONG_SIDE / max(height, width))
        """Size at which the search works, over the picture's size, (0, 1]."""
        if self.reduction < 1.0:
            size = (max(1, round(width * self.reduction)), max(1, round(height * self.reduction)))
            plane = np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)
        self.height, self.width = plane.shape
        self.ratio = np.array([width / self.width, height / self.height])
        """Pixels of the picture per pixel at which the search works, (x, y)."""
        self.scale = min(plane.shape) / PERIOD
        grain = float(np.clip(self.scale / finenesses[0], 1.0, 2.0))
        self._transform(shaping.flatten(plane, grain))

    def _transform(self, flat: Plane) -> None:
        self.rows, self.columns = (
            2 * fft.next_fast_len(round(PADDING * side / 2) + 1, real=True) for side in flat.shape
        )
        found = fft.rfft2(flat, s=(self.rows, self.columns)).astype(np.complex64)
        power = (found.real**2 + found.imag**2).astype(np.float32)
        mean = _box_mean(power)
        size = np.sqrt(power / mean)
        # Phases count from the centre: a turn about it then leaves them alone.
        down = np.exp(2j * np.pi * fft.fftfreq(self.rows) * ((self.height - 1) / 2))
        right = np.exp(2j * np.pi * fft.rfftfreq(self.columns) * ((self.width - 1) / 2))
        self._values = found / np.sqrt(mean)
        self._values *= down[:, None].astype(np.complex64) * right[None, :].astype(np.complex64)
        self.power = cv2.GaussianBlur(np.minimum(size**2, LOUDEST_POWER), (0, 0), _SMOOTH)

    def values(self, matrices: Floats, points: NDArray[np.int64]) -> NDArray[np.complex64]:
        """Whitened values of the pilot at ``points`` under each of (n, 2, 2) maps: (n, points)."""
        mirrored, row, column, inside = self._places(matrices, points)
        top, left = np.floor(row).astype(np.int64), np.floor(column).astype(np.int64)
        down, right = (row - top).astype(np.float32), (column - left).astype(np.float32)
        upper, lower = top % self.rows, (top + 1) % self.rows
        value = self._values
        first = value[upper, left] * (1 - right) + value[upper, left + 1] * right
        second = value[lower, left] * (1 - right) + value[lower, left + 1] * right
        found = (first * (1 - down) + second * down) * inside
        return np.asarray(np.where(mirrored, np.conj(found), found), np.complex64)

    def _places(
        self, matrices: Floats, points: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], Floats, Floats, NDArray[np.bool_]]:
        """Where A⁻ᵀ·k falls in the half plane that is stored: mirrored, row, column, inside."""
        inverse = np.linalg.inv(matrices)
        frequency = (points / PERIOD) @ inverse
        mirrored = frequency[..., 0] < 0
        frequency = np.where(mirrored[..., None], -frequency, frequency)
        column, row = frequency[..., 0] * self.columns, frequency[..., 1] * self.rows
        inside = (column < self.columns // 2 - 1) & (np.abs(row) < self.rows // 2 - 1)
        return mirrored, np.where(inside, row, 0.0), np.where(inside, column, 0.0), inside


def _box_mean(power: Plane) -> Plane:
    """Mean around each frequency of a half plane; the other half mirrors it."""
    margin = WHITEN // 2
    wide = np.concatenate([power[:, margin:0:-1], power], axis=1)
    mean = cv2.blur(wide, (WHITEN, WHITEN), borderType=cv2.BORDER_REFLECT)[:, margin:]
    return np.asarray(mean + 1e-9, np.float32)
