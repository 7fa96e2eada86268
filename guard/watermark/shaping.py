"""Where a picture hides a mark, and how the reader undoes it.

``activity`` is the local variance of the luma after its slow part is taken away. The eye misses
small changes where much is going on and sees them on flat ground, so the mark's local amplitude
grows with a power of the activity, and a cap holds it down on flat ground. The cap follows
``busyness``, a mean that a lone edge hardly raises: beside a clean edge grain shows as dirt. The
reader divides by a larger power of the activity: texture, which is noise to it, then weighs less
than flat ground.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from guard.watermark.canonical import Plane

MASKING: Final = 0.4
"""Exponent γ: amplitude ∝ activity^(γ/2). 1 hides best; .4 keeps enough mark on smooth ground."""

NOISE_FLOOR: Final = 3.0
"""Luma levels of local deviation below which ground counts as flat."""

FLAT_LEVELS: Final = 0.9
"""Amplitude (root mean square, luma levels) allowed on perfectly flat ground: below, JPEG 50 rounds
it away; above, it shows."""

LEVELS_PER_BUSYNESS: Final = 0.4
"""How much more is allowed per luma level of busyness."""

_HOST_BLUR, _HOST_POOL = 2.0, 2.5  # canonical pixels
_READ_BLUR, _READ_POOL = 1.6, 1.9


def amplitude(plane: Plane, target: float, boost: float) -> Plane:
    """Local amplitude of the mark in luma levels: shape of ``plane`` (canonical luma).

    Its root mean square is ``target`` where the cap does not bind; ``boost`` multiplies both.
    """
    fast, activity = _split(plane, _HOST_BLUR, _HOST_POOL)
    mask = np.power(activity + NOISE_FLOOR**2, MASKING / 2)
    wanted = mask * (target / float(np.sqrt(np.mean(mask * mask))))
    cap = FLAT_LEVELS + LEVELS_PER_BUSYNESS * _busyness(fast)
    return np.asarray(boost * np.minimum(wanted, cap), dtype=np.float32)


def flatten(plane: Plane) -> Plane:
    """What the reader looks at: the luma's fast part, its local variance evened out."""
    fast, activity = _split(plane, _READ_BLUR, _READ_POOL)
    return np.asarray(fast * np.power(activity + NOISE_FLOOR**2, MASKING / 2 - 1), np.float32)


def _split(plane: Plane, blur: float, pool: float) -> tuple[Plane, Plane]:
    fast = plane - cv2.GaussianBlur(plane, (0, 0), blur)
    # Rounding can leave a variance a hair below zero.
    activity = np.maximum(cv2.GaussianBlur(fast * fast, (0, 0), pool), 0.0)
    return fast, activity


def _busyness(fast: Plane) -> Plane:
    """Local mean of √|fast|, squared: texture counts in full, a lone edge by its share squared."""
    roots = cv2.GaussianBlur(np.sqrt(np.abs(fast)), (0, 0), _HOST_POOL)
    return np.asarray(roots * roots, dtype=np.float32)
