"""Putting the mark into pixels.

The picture is taken to the canonical plane, the period of the mark (pilot and coded payload) is
laid over it, shaped by what the picture hides, taken back to native size and added to all three
channels alike: it is a change of luma only, so chroma subsampling costs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from guard.types import Pixels
from guard.watermark import bands, canonical, shaping, spectrum
from guard.watermark.bands import Band
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.chips import Spreader
from guard.watermark.code import Code
from guard.watermark.pilot import Pilot

BUSY, BUSY_DISCOUNT = 3.5, 4.0
"""Very busy pictures drown the mark: from this activity on they get more, by the unit of it."""

LOUDEST: Final = 3.6
"""Most root mean square of the mark in luma levels (37 dB), before a boost."""


@dataclass(frozen=True, slots=True)
class Strength:
    """SSIMULACRA2 that pictures of each band shall keep, on average."""

    wide: float
    middle: float
    narrow: float

    def visibility(self, band: Band, activity: float, scale: float, side: int) -> float:
        """D of :mod:`guard.watermark.shaping` for this quality."""
        score = {bands.WIDE: self.wide, bands.MIDDLE: self.middle, bands.NARROW: self.narrow}[band]
        score -= BUSY_DISCOUNT * max(0.0, activity - BUSY)
        seen = band.seen * (scale / shaping.VISIBLE_SCALE) ** shaping.VISIBLE_GROWTH
        seen *= (side / shaping.VISIBLE_SIDE) ** shaping.VISIBLE_SPREAD
        return float(((100.0 - score) / seen) ** (1 / shaping.VISIBLE_POWER))


STRENGTHS: Final = {
    "high-quality": Strength(wide=89.0, middle=87.0, narrow=85.0),
    "default": Strength(wide=85.0, middle=83.0, narrow=79.9),
    "robust": Strength(wide=76.0, middle=72.0, narrow=68.0),
}


class Embedder:
    """Embeds with the pilot and chips of one key."""

    def __init__(self, pilot: Pilot, spreader: Spreader, code: Code, strength: Strength) -> None:
        self._pilot = pilot
        self._pilot_tile = pilot.pattern()
        self._spreader = spreader
        self._code = code
        self._strength = strength

    def embed(self, pixels: Pixels, payload: bytes, boost: float = 1.0) -> Pixels:
        """A marked copy of ``pixels``; ``boost`` multiplies the amplitude."""
        height, width = pixels.shape[:2]
        luma = canonical.luma(pixels)
        activity = shaping.typical_activity(luma)
        band = bands.band_for(activity)
        fineness = bands.finenesses(activity, min(height, width))[0]
        scale = canonical.scale_of(height, width, fineness)
        plane = canonical.to_canonical(luma, scale)
        tile = self._tile(plane, payload, band, bands.FINENESSES.index(fineness))
        tall, wide = (-(-side // PERIOD) for side in plane.shape)
        pattern = np.tile(tile, (tall, wide))[: plane.shape[0], : plane.shape[1]]
        visibility = self._strength.visibility(band, activity, scale, min(height, width))
        pattern = pattern * (boost * shaping.Ground(plane).amplitude(visibility, LOUDEST))
        return _add(pixels, pattern.astype(np.float32, copy=False), scale)

    def _tile(self, plane: Plane, payload: bytes, band: Band, number: int) -> Plane:
        """One period as it lies on the picture: moved to where the payload's set wants it."""
        right, down = map(int, self._pilot.displacements[self._pilot.set_of(payload)])
        host = spectrum.transform(spectrum.fold(shaping.flatten(plane)))
        power = spectrum.local_power(host)
        host = spectrum.moved(host, down, right)
        data = self._spreader.pattern(self._code.encode(payload, number), band, host, power)
        share = band.pilot_share
        tile = math.sqrt(1 - share) * data + math.sqrt(share) * self._pilot_tile
        return np.roll(tile, (-down, -right), axis=(0, 1))


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
