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


WIDE: Final = Band(low=0.09, high=0.45, rise=0.5, from_activity=2.4, pilot_share=0.33, seen=39.0)
MIDDLE: Final = Band(low=0.10, high=0.29, rise=0.5, from_activity=1.2, pilot_share=0.22, seen=60.0)
NARROW: Final = Band(
    low=0.12, high=0.20, rise=0.5, from_activity=-np.inf, pilot_share=0.15, seen=70.0
)
BANDS: Final = (WIDE, MIDDLE, NARROW)


def band_for(activity: float) -> Band:
    """The band of a picture of this typical activity."""
    return next(band for band in BANDS if activity >= band.from_activity)
