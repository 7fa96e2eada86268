"""Finding the mark, or saying with a p-value that it is not there.

Stages, cheapest and likeliest first; each has its share of the false-positive budget, so that
the reported p-value is right whatever stage answers (a weighted union bound):

1. *same frame*: the whole picture, at any size, any codec;
2. *turned*: the seven other flips and quarter turns;
3. *cropped*: the whole shift search at the picture's own scale and at the scales of common
   original sizes, for pictures that were cropped and not rescaled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from guard.types import Pixels
from guard.watermark import canonical, code, pilot, shaping, spectrum
from guard.watermark.canonical import Plane
from guard.watermark.chips import Spreader
from guard.watermark.pilot import Pilot, Reading
from guard.watermark.spectrum import Spectrum

ORIGINAL_SIDES: Final = (512, 576, 640, 704, 720, 768, 832, 896, 960, 1024, 1080, 1152, 1216, 1280)
"""Short sides that generators make, in pixels: a crop of one of them keeps its scale."""

MOST_CROPPED: Final = 4.0
"""A crop whose short side is below a quarter of the original's holds too little of the mark."""

LONGEST_LOOK: Final = 8
"""Of a ribbon, so many short sides are looked at: that is evidence enough, at bounded cost."""

SIGNS: Final = 2
TURNS: Final = 7
SHARE_SAME, SHARE_TURNED, SHARE_CROPPED = 0.5, 0.25, 0.25


@dataclass(frozen=True, slots=True)
class Found:
    """The least p-value met, and the payload when its check sum held there."""

    p_value: float
    payload: bytes | None
    geometry: str


class Detector:
    """Reads with the pilot and chips of one key."""

    def __init__(self, keyed: Pilot, spreader: Spreader, false_positive_rate: float) -> None:
        self._pilot = keyed
        self._spreader = spreader
        self._limit = false_positive_rate

    def find(self, pixels: Pixels, *, search: bool = True) -> Found:
        """The mark in ``pixels``; ``search`` False looks in the same frame only."""
        best = Found(1.0, None, "")
        side = min(pixels.shape[:2])
        if side < canonical.LEAST_SIDE:
            return best
        look = LONGEST_LOOK * side
        plane = canonical.luma(pixels[:look, :look])
        for found in self._attempts(plane, search=search):
            if found.p_value < self._limit and found.payload is not None:
                return found
            best = min(best, found, key=lambda one: one.p_value)
        return Found(best.p_value, None, "")

    def _attempts(self, plane: Plane, *, search: bool) -> Iterator[Found]:
        scale = canonical.scale_of(*plane.shape)
        own = canonical.to_canonical(plane, scale)
        yield self._read(own, SIGNS / SHARE_SAME, "same frame")
        if not search:
            return
        for name, turned in _turns(plane):
            moved = canonical.to_canonical(turned, scale)
            yield self._read(moved, TURNS * SIGNS / SHARE_TURNED, name)
        scales = _scales(scale)
        hypotheses = len(scales) * SIGNS * pilot.SHIFTS / SHARE_CROPPED
        for one in scales:
            yield self._search(canonical.to_canonical(plane, one), hypotheses, one)

    def _read(self, plane: Plane, hypotheses: float, geometry: str) -> Found:
        found, power = _spectrum(plane)
        return self._decode(found, power, self._pilot.read(found, power), (hypotheses, geometry))

    def _search(self, plane: Plane, hypotheses: float, scale: float) -> Found:
        found, power = _spectrum(plane)
        reading = self._pilot.search(found, power)
        geometry = f"cropped, {scale * canonical.PERIOD:.0f} px original"
        found = spectrum.moved(found, reading.dy, reading.dx)
        return self._decode(found, power, reading, (hypotheses, geometry))

    def _decode(
        self, found: Spectrum, power: Plane, reading: Reading, claim: tuple[float, str]
    ) -> Found:
        """The payload, read only where the pilot says that there is one."""
        hypotheses, geometry = claim
        p_value = reading.p_value(hypotheses)
        if p_value >= self._limit:
            return Found(p_value, None, geometry)
        # A negative picture carries the mark with its sign turned: the pilot tells.
        soft = self._spreader.read(found, power) * np.float32(math.copysign(1.0, reading.score))
        return Found(p_value, code.decode(soft), geometry)


def _spectrum(plane: Plane) -> tuple[Spectrum, Plane]:
    found = spectrum.transform(spectrum.fold(shaping.flatten(plane)))
    return found, spectrum.local_power(found)


def _turns(plane: Plane) -> Iterator[tuple[str, Plane]]:
    """``plane`` in the seven other orientations; the name says what was done to it."""
    for quarters in range(4):
        turned = np.rot90(plane, -quarters)
        angle = f"turned {90 * quarters}° counter-clockwise"
        if quarters:
            yield angle, np.ascontiguousarray(turned)
        name = f"mirrored, {angle}" if quarters else "mirrored"
        yield name, np.ascontiguousarray(np.fliplr(turned))


def _scales(own: float) -> list[float]:
    """Native pixels per canonical pixel of the originals that a crop may come from."""
    originals = (side / canonical.PERIOD for side in ORIGINAL_SIDES)
    return [own, *(scale for scale in originals if own < scale <= MOST_CROPPED * own)]
