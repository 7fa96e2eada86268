"""Which frequencies carry the payload: wide on texture, low and narrow on flat ground.

Texture drowns a mark but survives codecs: there the payload spreads over many frequencies, the
high ones too, so that even a small crop holds enough of it. On flat ground nothing drowns a mark,
but a codec drops every coefficient below half a quantiser step: there few low frequencies carry
all of it. A picture takes one of three bands by its typical activity; the reader tries them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from guard.watermark import spectrum
from guard.watermark.canonical import Plane


@dataclass(frozen=True, slots=True)
class Band:
    """Edges in cycles per canonical pixel; the amplitude rises as frequency^``rise`` between."""

    low: float
    high: float
    rise: float
    from_activity: float
    """Typical activity (mean logarithm of the local variance) from which pictures take it."""

    fine: bool
    """Whether it lies on a finer plane than the coarsest, but in small pictures."""

    pilot_share: float
    """Share of the mark's energy that the pilot takes: what drowns the mark, drowns it first."""

    seen: float
    """k of ``100 − SSIMULACRA2 ≈ k·D^0.635`` (see :mod:`guard.watermark.shaping`), measured."""

    def filter(self) -> Plane:
        """Amplitude of each frequency, shape ``spectrum.SHAPE``; smooth edges: compact chips."""
        radius = np.maximum(spectrum.radius(), 1e-3)
        edges = (1 + (self.low / radius) ** 8) * (1 + (radius / self.high) ** 16)
        body = radius**self.rise / edges
        body[0, 0] = 0.0
        return np.asarray(body, dtype=np.float32)


FINENESSES: Final = (1.0, 1.6, 2.56)
"""Short side of the canonical planes in periods. The finer, the more of the mark a crop holds and
the less of it is seen; the coarser, the more of it codecs and blur leave."""

LARGE_SIDE: Final = 880
"""Native pixels of the short side from which a fine mark takes the finest plane."""

SMALL_SIDE: Final = 200
"""Native pixels of the short side below which every mark takes the coarsest plane: the finer ones
have frequencies for which such a picture has too few pixels."""

SIDE_CHANGED: Final = 1.3
ACTIVITY_CHANGED: Final = 0.6
"""How much of the short side and of the activity a stretched copy may have lost or gained."""

WIDE: Final = Band(
    low=0.08, high=0.44, rise=0.3, from_activity=2.4, fine=True, pilot_share=0.33, seen=31.8
)
MIDDLE: Final = Band(
    low=0.07, high=0.21, rise=0.5, from_activity=1.2, fine=True, pilot_share=0.28, seen=52.5
)
NARROW: Final = Band(
    low=0.12, high=0.20, rise=0.5, from_activity=-np.inf, fine=False, pilot_share=0.11, seen=72.0
)
BANDS: Final = (WIDE, MIDDLE, NARROW)


def band_for(activity: float) -> Band:
    """The band of a picture of this typical activity."""
    return next(band for band in BANDS if activity >= band.from_activity)


def finenesses(activity: float, side: int) -> tuple[float, ...]:
    """All planes, that of a picture of this activity and short side first."""
    coarse, fine, finest = FINENESSES
    if not band_for(activity).fine or side < SMALL_SIDE:
        return coarse, fine, finest
    return (fine, finest, coarse) if side < LARGE_SIDE else (finest, fine, coarse)


def stretched_finenesses(activity: float, side: int) -> tuple[float, ...]:
    """The planes of pictures that look like this one once stretched, the likeliest first.

    A stretch changes the short side, and it and codecs the activity.
    """
    first = [
        finenesses(activity + changed, round(side * factor))[0]
        for changed in (0.0, -ACTIVITY_CHANGED, ACTIVITY_CHANGED)
        for factor in (1.0, SIDE_CHANGED, 1 / SIDE_CHANGED)
    ]
    return tuple(dict.fromkeys(first))


def bands_of(fineness: float) -> tuple[Band, ...]:
    """The bands of the marks that lie on a plane of this fineness, the likeliest first."""
    if fineness == FINENESSES[0]:
        return BANDS[::-1]
    return tuple(band for band in BANDS if band.fine)
