"""Where a mark lies in a suspect picture: the affine map from its canonical plane.

A point q of the canonical plane (pixels, x right, y down, measured from the picture's centre) lies
at p = A·q + centre in the suspect. A sinusoid of frequency k there has the frequency A⁻ᵀ·k here.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LOG_SCALE, ANGLE, MIRROR, ASPECT, SHEAR = range(5)
"""Columns of a placement: natural log of suspect pixels per canonical pixel; radians, clockwise;
1 when mirrored left to right; natural log of width over height; shear."""

PARAMETERS: Final = 5


def placements(
    log_scale: Floats | float,
    angle: Floats | float = 0.0,
    mirror: Floats | float = 0.0,
    aspect: Floats | float = 0.0,
    shear: Floats | float = 0.0,
) -> Floats:
    """(n, PARAMETERS) rows of the broadcast columns."""
    columns = np.broadcast_arrays(log_scale, angle, mirror, aspect, shear)
    return np.stack([np.asarray(one, np.float64).ravel() for one in columns], axis=1)


def matrices(rows: Floats) -> Floats:
    """(n, 2, 2) matrices A = scale · rotation · shear · stretch · mirror."""
    scale, angle = np.exp(rows[:, LOG_SCALE]), rows[:, ANGLE]
    cos, sin, shear = np.cos(angle), np.sin(angle), rows[:, SHEAR]
    across = scale * np.exp(rows[:, ASPECT] / 2) * np.where(rows[:, MIRROR] > 0, -1.0, 1.0)
    down = scale * np.exp(-rows[:, ASPECT] / 2)
    first = np.stack([cos * across, (cos * shear - sin) * down], axis=1)
    second = np.stack([sin * across, (sin * shear + cos) * down], axis=1)
    return np.stack([first, second], axis=1)
