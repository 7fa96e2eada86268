"""Where a picture hides a mark, and how the reader undoes it.

``activity`` is the local variance of the luma after its slow part is taken away. The eye misses
small changes where much is going on and sees them on flat ground, so the mark's local amplitude
grows with a power of the activity, and a cap holds it down on flat ground. The cap follows
``busyness``, a mean that a lone edge hardly raises: beside a clean edge grain shows as dirt. The
reader divides by a larger power of the activity: texture, which is noise to it, then weighs less
than flat ground.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from guard.watermark.canonical import Plane

MASKING: Final = 0.4
"""Exponent γ: amplitude ∝ activity^(γ/2). 1 hides best; .4 keeps enough mark on smooth ground."""

NOISE_FLOOR: Final = 3.0
"""Luma levels of local deviation below which ground counts as flat."""

FLAT_LEVELS: Final = 0.9
"""Amplitude (root mean square, luma levels) allowed on perfectly flat ground where the short side
measures 512 pixels: below, JPEG 50 rounds it away; above, it shows."""

FLAT_SCALE: Final = 2.0
FLAT_RANGE: Final = (0.8, 2.0)
"""Smaller pictures carry the mark at higher frequencies, which codecs round more coarsely and the
eye sees less: what flat ground is allowed grows with 1/√size, within this range."""

LEVELS_PER_BUSYNESS: Final = 0.4
"""How much more is allowed per luma level of busyness."""

ORDINARY_DEVIATION: Final = 8.0
"""Typical local deviation (geometric mean, luma levels) above which a picture counts as busy."""

BUSY_GAIN: Final = 1.4
"""Busy pictures drown the mark and hide it: they get up to so many times the target, 3 dB."""

_HOST_BLUR, _HOST_POOL = 2.0, 2.5  # canonical pixels
_READ_BLUR, _READ_POOL = 1.6, 1.9


def amplitude(plane: Plane, scale: float, target: float) -> Plane:
    """Local amplitude of the mark in luma levels: shape of ``plane`` (canonical luma).

    Its root mean square is ``target`` (more on a busy picture) where the cap does not bind.
    ``scale`` is the number of native pixels per canonical pixel.
    """
    fast, activity = _split(plane, _HOST_BLUR, _HOST_POOL)
    mask = np.power(activity + NOISE_FLOOR**2, MASKING / 2)
    wanted = mask * (target * _busy_gain(activity) / float(np.sqrt(np.mean(mask * mask))))
    flat = FLAT_LEVELS * float(np.clip(math.sqrt(FLAT_SCALE / scale), *FLAT_RANGE))
    cap = flat + LEVELS_PER_BUSYNESS * _busyness(fast)
    return np.asarray(np.minimum(wanted, cap), dtype=np.float32)


def flatten(plane: Plane) -> Plane:
    """What the reader looks at: the luma's fast part, its local variance evened out."""
    fast, activity = _split(plane, _READ_BLUR, _READ_POOL)
    return np.asarray(fast * np.power(activity + NOISE_FLOOR**2, MASKING / 2 - 1), np.float32)


def _split(plane: Plane, blur: float, pool: float) -> tuple[Plane, Plane]:
    fast = plane - cv2.GaussianBlur(plane, (0, 0), blur)
    # Rounding can leave a variance a hair below zero.
    activity = np.maximum(cv2.GaussianBlur(fast * fast, (0, 0), pool), 0.0)
    return fast, activity


def _busy_gain(activity: Plane) -> float:
    typical = math.exp(float(np.mean(np.log(activity + 1.0))) / 2)
    return float(np.clip(math.sqrt(typical / ORDINARY_DEVIATION), 1.0, BUSY_GAIN))


def _busyness(fast: Plane) -> Plane:
    """Local mean of √|fast|, squared: texture counts in full, a lone edge by its share squared."""
    roots = cv2.GaussianBlur(np.sqrt(np.abs(fast)), (0, 0), _HOST_POOL)
    return np.asarray(roots * roots, dtype=np.float32)
