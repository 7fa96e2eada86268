"""Where a picture hides a mark, how strong it may be, and how the reader undoes it.

``activity`` is the local variance of the luma after its slow part is taken away. The eye misses
small changes where much is going on and sees them on flat ground, so the mark's local amplitude
grows with a power of the activity. The reader divides by a larger power: texture, which is noise
to it, then weighs less than flat ground.

**Visibility** is D = mean(a²/√(u + 16)) for an amplitude a and the activity u over a wide
neighbourhood. Over our pictures, strengths and maskings it predicts SSIMULACRA2 to about 2 points:
100 − s ≈ k·D^0.635, with k by band and size. So every picture is marked to the same visibility, not
to the same PSNR.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from guard.watermark.canonical import PERIOD, Plane

MASKING: Final = 0.5
"""Exponent γ: amplitude ∝ activity^(γ/2). 1 hides best; .5 keeps enough mark on smooth ground."""

NOISE_FLOOR: Final = 3.0
"""Luma levels of local deviation below which ground counts as flat."""

VISIBLE_FLOOR: Final = 16.0
VISIBLE_POWER: Final = 0.635
VISIBLE_SCALE, VISIBLE_GROWTH = 2.0, 0.385
VISIBLE_SIDE, VISIBLE_SPREAD = 512.0, 0.25
"""The lower its frequencies, the more a mark shows, and it shows more in larger pictures:
k ∝ (scale/2)^0.385 · (side/512)^0.25 for ``scale`` native pixels per canonical pixel."""


_HOST_BLUR, _HOST_POOL = 2.0, 2.5  # canonical pixels
_WIDE_BLUR, _WIDE_POOL = 3.0, 6.0
_READ_BLUR, _READ_POOL = 1.6, 1.9


class Ground:
    """What a picture, given by its canonical luma, hides and where."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._activity = _split(plane, _HOST_BLUR, _HOST_POOL)[1]

    @property
    def typical_activity(self) -> float:
        """Mean natural logarithm of the local variance (luma levels², plus 1): 0 is flat."""
        return float(np.mean(np.log(self._activity + 1.0)))

    def amplitude(self, visibility: float, most: float) -> Plane:
        """Local amplitude in luma levels, shape of the plane, of D = ``visibility``.

        Its root mean square stays at or below ``most``.
        """
        shape = _power(self._activity + NOISE_FLOOR**2, MASKING / 2)
        # What is seen is a mean over wide neighbourhoods: half the resolution tells it as well.
        around = _split(_halved(self._plane), _WIDE_BLUR / 2, _WIDE_POOL / 2)[1]
        seen = float(np.mean(_halved(shape * shape) / np.sqrt(around + VISIBLE_FLOOR)))
        gain = math.sqrt(visibility / seen)
        loudest = most / math.sqrt(float(np.mean(shape * shape)))
        return np.asarray(shape * min(gain, loudest), dtype=np.float32)


def typical_activity(luma: Plane) -> float:
    """That of a picture of any size, of which only a view of ``PERIOD`` pixels is looked at."""
    side = min(luma.shape)
    size = tuple(max(1, round(one * PERIOD / side)) for one in luma.shape[::-1])
    return Ground(
        np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.float32)
    ).typical_activity


def flatten(plane: Plane, grain: float = 1.0) -> Plane:
    """What the reader looks at: the luma's fast part, its local variance evened out.

    ``grain``: pixels of ``plane`` per canonical pixel.
    """
    fast, activity = _split(plane, _READ_BLUR * grain, _READ_POOL * grain)
    return np.asarray(fast * _power(activity + NOISE_FLOOR**2, MASKING / 2 - 1), np.float32)


def _halved(plane: Plane) -> Plane:
    size = tuple(max(1, side // 2) for side in plane.shape[::-1])
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _split(plane: Plane, blur: float, pool: float) -> tuple[Plane, Plane]:
    fast = plane - cv2.GaussianBlur(plane, (0, 0), blur)
    # Rounding can leave a variance a hair below zero.
    return fast, np.maximum(cv2.GaussianBlur(fast * fast, (0, 0), pool), 0.0)


def _power(values: Plane, exponent: float) -> Plane:
    return np.asarray(cv2.pow(values, exponent), dtype=np.float32)
