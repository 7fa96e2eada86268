"""Spreading: each code bit rides on about 157 keyed ±1 chips, scattered over the whole period.

Without the key the chips are noise and their places unknown; with it they add up in step.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from guard.watermark import code, spectrum
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.keys import MarkKey
from guard.watermark.spectrum import Spectrum

LOW, HIGH = 0.06, 0.27
"""The data band, cycles per canonical pixel: between a picture's body and what codecs drop.

On flat ground a codec keeps a block's coefficient only when it exceeds half a quantiser step, so
few strong coefficients survive where many faint ones vanish: at equal energy .27 reads after
WebP 75 where .40 does not. It also lets a copy of 128 px, at half resolution, carry all of it."""

RISE: Final = 0.8
"""The band's amplitude rises as frequency^RISE, against the picture's falling spectrum."""

OPPOSITION_GAIN: Final = 0.175
"""How much a code bit gains per standard deviation by which the picture opposes it."""

GAIN_LIMITS: Final = (0.4, 2.0)
QUARTER: Final = PERIOD // 2
"""Gains are set per quarter of the period, so that a crop keeps bits that carry themselves."""


class Spreader:
    """The chips of one key."""

    def __init__(self, key: MarkKey) -> None:
        size = PERIOD * PERIOD
        self._chips = np.where(key.stream("chips", size) & np.uint64(1), 1.0, -1.0)
        self._chips = self._chips.astype(np.float32).reshape(PERIOD, PERIOD)
        places = np.argsort(key.stream("places", size), kind="stable")
        bit = np.empty(size, dtype=np.int64)
        bit[places] = np.arange(size) % code.CODE_BITS
        self._bit = bit.reshape(PERIOD, PERIOD)
        self._band = _band()

    def pattern(self, bits: code.Soft, host: Spectrum, power: Plane) -> Plane:
        """One period that carries ``bits`` (±1), root mean square 1, informed by the picture."""
        gains = self._gains(bits, host, power)
        chips = self._chips * bits[self._bit] * gains
        tile = spectrum.inverse(spectrum.transform(chips) * self._band)
        return np.asarray(tile / tile.std(), dtype=np.float32)

    def read(self, found: Spectrum, power: Plane) -> code.Soft:
        """``CODE_BITS`` soft values: each bit's correlation over its own standard deviation."""
        matched = self._matched(found, power)
        sums = self._sum_by_bit(matched)
        squares = self._sum_by_bit(matched * matched)
        return (sums / np.sqrt(squares + 1e-30)).astype(np.float32)

    def _matched(self, found: Spectrum, power: Plane) -> Plane:
        return spectrum.inverse(found / power * self._band) * self._chips

    def _gains(self, bits: code.Soft, host: Spectrum, power: Plane) -> Plane:
        """More for bits that the picture itself speaks against, less for those it supports."""
        matched = self._matched(host, power)
        matched = matched / (float(matched.std()) + 1e-12)
        gains = np.empty((PERIOD, PERIOD), dtype=np.float32)
        for top in (0, QUARTER):
            for left in (0, QUARTER):
                part = np.s_[top : top + QUARTER, left : left + QUARTER]
                places = self._bit[part].ravel()
                counts = np.bincount(places, minlength=code.CODE_BITS)
                sums = np.bincount(places, matched[part].ravel(), minlength=code.CODE_BITS)
                support = bits * sums / np.sqrt(counts + 1.0)
                gains[part] = np.clip(1 - OPPOSITION_GAIN * support, *GAIN_LIMITS)[self._bit[part]]
        return gains

    def _sum_by_bit(self, values: Plane) -> NDArray[np.float64]:
        sums = np.bincount(self._bit.ravel(), values.ravel(), minlength=code.CODE_BITS)
        return np.asarray(sums, dtype=np.float64)


def _band() -> Plane:
    """The data band as a filter, shape ``spectrum.SHAPE``: smooth edges, so chips stay compact."""
    radius = np.maximum(spectrum.radius(), 1e-3)
    body = radius**RISE / (1 + (LOW / radius) ** 8) / (1 + (radius / HIGH) ** 16)
    body[0, 0] = 0.0
    return body.astype(np.float32)
