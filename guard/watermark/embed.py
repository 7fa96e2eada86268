"""Putting the mark into pixels.

The picture is taken to the canonical plane, the period of the mark (pilot and coded payload) is
laid over it, shaped by what the picture hides, taken back to native size and added to all three
channels alike: it is a change of luma only, so chroma subsampling costs nothing.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from guard.types import Pixels
from guard.watermark import canonical, code, shaping, spectrum
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.chips import Spreader
from guard.watermark.pilot import Pilot

PILOT_SHARE: Final = 0.25
"""Share of the mark's energy that the pilot takes."""

_ROUNDING: Final = 1 / 12  # variance that rounding to whole levels adds anyway


class Embedder:
    """Embeds with the pilot and chips of one key."""

    def __init__(self, pilot: Pilot, spreader: Spreader, target_psnr_db: float) -> None:
        self._pilot = pilot.pattern()
        self._spreader = spreader
        variance = 255.0**2 * 10 ** (-target_psnr_db / 10)
        # Rounding must not eat the whole budget of a very faint mark.
        self._target = math.sqrt(max(variance - _ROUNDING, 0.2 * variance))

    def embed(self, pixels: Pixels, payload: bytes, boost: float = 1.0) -> Pixels:
        """A marked copy of ``pixels``; ``boost`` multiplies the amplitude."""
        height, width = pixels.shape[:2]
        scale = canonical.scale_of(height, width)
        plane = canonical.to_canonical(canonical.luma(pixels), scale)
        tile = self._tile(plane, payload)
        tall, wide = (-(-side // PERIOD) for side in plane.shape)
        pattern = np.tile(tile, (tall, wide))[: plane.shape[0], : plane.shape[1]]
        pattern = pattern * (boost * shaping.amplitude(plane, scale, self._target))
        return _add(pixels, pattern, scale)

    def _tile(self, plane: Plane, payload: bytes) -> Plane:
        host = spectrum.transform(spectrum.fold(shaping.flatten(plane)))
        data = self._spreader.pattern(code.encode(payload), host, spectrum.local_power(host))
        return math.sqrt(1 - PILOT_SHARE) * data + math.sqrt(PILOT_SHARE) * self._pilot


def psnr(before: Pixels, after: Pixels) -> float:
    """Peak signal-to-noise ratio in dB over all channels; infinite when nothing changed."""
    total = 0.0
    for rows in canonical.bands(before.shape[0]):
        total += float(cv2.norm(_solid(before[rows]), _solid(after[rows]), cv2.NORM_L2SQR))
    return 10 * math.log10(255.0**2 * before.size / total) if total else math.inf


def _add(pixels: Pixels, pattern: Plane, scale: float) -> Pixels:
    marked = np.empty_like(pixels, order="C")
    for rows in canonical.bands(pixels.shape[0]):
        delta = canonical.from_canonical(pattern, scale, pixels.shape[1], rows)
        grey = cv2.merge([delta, delta, delta])
        part = cv2.add(_solid(pixels[rows]), grey, dtype=cv2.CV_8U)
        marked[rows] = np.asarray(part).reshape(marked[rows].shape)
    return marked


def _solid(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels)
