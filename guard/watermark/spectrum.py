"""One period of the canonical plane, and its spectrum made white.

Folding adds up all repetitions of the pattern: the mark adds in step, the picture does not.
A picture's energy sits in a few low frequencies; dividing by the local mean power makes every
frequency count by how far the mark stands out of its surroundings there.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from guard.watermark.canonical import PERIOD, Plane

Spectrum = NDArray[np.complex64]

SHAPE: Final = (PERIOD, PERIOD // 2 + 1)
_SMOOTH: Final = 3.0  # frequency bins over which the local mean power is taken
_MARGIN: Final = 8  # bins borrowed from the other half plane so that the mean has no edge


def fold(plane: Plane) -> Plane:
    """Sum of all ``PERIOD`` × ``PERIOD`` tiles of ``plane``, zeros beyond its edge."""
    tall, wide = (-(-side // PERIOD) for side in plane.shape)
    padded = np.zeros((tall * PERIOD, wide * PERIOD), dtype=np.float32)
    padded[: plane.shape[0], : plane.shape[1]] = plane
    tiles: Plane = padded.reshape(tall, PERIOD, wide, PERIOD).sum(axis=(0, 2))
    return tiles


def transform(tile: Plane) -> Spectrum:
    """Spectrum of one period, shape ``SHAPE``."""
    return np.asarray(fft.rfft2(tile), dtype=np.complex64)


def inverse(spectrum: Spectrum) -> Plane:
    """The period whose spectrum this is."""
    return np.asarray(fft.irfft2(spectrum, s=(PERIOD, PERIOD)), dtype=np.float32)


def local_power(spectrum: Spectrum) -> Plane:
    """Mean power around each frequency, never zero; shape ``SHAPE``."""
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    wide = np.concatenate([power[:, _MARGIN:0:-1], power, power[:, -2 : -_MARGIN - 2 : -1]], axis=1)
    tall = np.concatenate([wide[-_MARGIN:], wide, wide[:_MARGIN]], axis=0)
    smooth = cv2.GaussianBlur(tall, (0, 0), _SMOOTH)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    return np.asarray(smooth + 1e-3 * smooth.mean() + 1e-12, dtype=np.float32)


def radius() -> Plane:
    """Distance of each frequency from zero, cycles per canonical pixel; shape ``SHAPE``."""
    rows, columns = fft.fftfreq(PERIOD)[:, None], fft.rfftfreq(PERIOD)[None, :]
    return np.asarray(np.hypot(rows, columns), dtype=np.float32)


def moved(found: Spectrum, dy: float, dx: float) -> Spectrum:
    """The spectrum of the same period with its content moved down by ``dy`` and right by ``dx``."""
    down = np.exp(-2j * np.pi * fft.fftfreq(PERIOD) * dy).astype(np.complex64)
    right = np.exp(-2j * np.pi * fft.rfftfreq(PERIOD) * dx).astype(np.complex64)
    return np.asarray(found * down[:, None] * right[None, :], dtype=np.complex64)
