"""Spreading: each code bit rides on about 150 keyed ±1 chips, scattered over the whole period.

Without the key the chips are noise and their places unknown; with it they add up in step.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from guard.watermark import spectrum
from guard.watermark.bands import BANDS, Band
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.code import Soft
from guard.watermark.keys import MarkKey
from guard.watermark.spectrum import Spectrum

OPPOSITION_GAIN: Final = 0.2
"""How much a code bit gains per standard deviation by which the picture opposes it."""

GAIN_LIMITS: Final = (0.2, 2.5)
BLOCK: Final = PERIOD // 4
"""Gains are set per block of the period, so that a crop keeps bits that carry themselves."""


class Spreader:
    """The chips of one key, for ``code_bits`` code bits."""

    def __init__(self, key: MarkKey, code_bits: int) -> None:
        size = PERIOD * PERIOD
        chips = np.where(key.stream("chips", size) & np.uint64(1), 1.0, -1.0)
        self._chips = chips.astype(np.float32).reshape(PERIOD, PERIOD)
        places = np.argsort(key.stream("places", size), kind="stable")
        bit = np.empty(size, dtype=np.int64)
        bit[places] = np.arange(size) % code_bits
        self._bit = bit.reshape(PERIOD, PERIOD)
        self._count = code_bits
        self._filters = {band: band.filter() for band in BANDS}

    def pattern(self, bits: Soft, band: Band, host: Spectrum, power: Plane) -> Plane:
        """One period that carries ``bits`` (±1), root mean square 1, informed by the picture."""
        gains = self._gains(bits, band, host, power)
        chips = self._chips * bits[self._bit] * gains
        tile = spectrum.inverse(spectrum.transform(chips) * self._filters[band])
        return np.asarray(tile / tile.std(), dtype=np.float32)

    def read(self, found: Spectrum, power: Plane, band: Band) -> Soft:
        """Soft values, one a code bit: its correlation over its own standard deviation."""
        matched = self._matched(found, power, band)
        sums, squares = self._sum_by_bit(matched), self._sum_by_bit(matched * matched)
        return (sums / np.sqrt(squares + 1e-30)).astype(np.float32)

    def _matched(self, found: Spectrum, power: Plane, band: Band) -> Plane:
        return spectrum.inverse(found / power * self._filters[band]) * self._chips

    def _gains(self, bits: Soft, band: Band, host: Spectrum, power: Plane) -> Plane:
        """More for bits that the picture itself speaks against, less for those it supports."""
        matched = self._matched(host, power, band)
        matched = matched / (float(matched.std()) + 1e-12)
        gains = np.empty((PERIOD, PERIOD), dtype=np.float32)
        for top in range(0, PERIOD, BLOCK):
            for left in range(0, PERIOD, BLOCK):
                part = np.s_[top : top + BLOCK, left : left + BLOCK]
                places = self._bit[part].ravel()
                counts = np.bincount(places, minlength=self._count)
                sums = np.bincount(places, matched[part].ravel(), minlength=self._count)
                support = bits * sums / np.sqrt(counts + 1.0)
                gains[part] = np.clip(1 - OPPOSITION_GAIN * support, *GAIN_LIMITS)[self._bit[part]]
        return gains

    def _sum_by_bit(self, values: Plane) -> NDArray[np.float64]:
        sums = np.bincount(self._bit.ravel(), values.ravel(), minlength=self._count)
        return np.asarray(sums, dtype=np.float64)
