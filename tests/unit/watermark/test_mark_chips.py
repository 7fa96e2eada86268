"""Spreading: carried by the key's chips, invisible without them, informed by the picture."""

from __future__ import annotations

import numpy as np
import pytest

from guard.watermark import spectrum
from guard.watermark.bands import BANDS, NARROW, WIDE, Band
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.chips import Spreader
from guard.watermark.code import Code
from guard.watermark.keys import MarkKey

CODE = Code(64)


@pytest.fixture(scope="module")
def spreader(key: MarkKey) -> Spreader:
    return Spreader(key, CODE.code_bits)


@pytest.fixture(scope="module")
def stranger() -> Spreader:
    return Spreader(MarkKey(b"a stranger's secret"), CODE.code_bits)


def _grain(seed: int) -> Plane:
    return np.random.default_rng(seed).normal(size=(PERIOD, PERIOD)).astype(np.float32)


@pytest.mark.parametrize("band", BANDS)
def test_carries_and_separates(spreader: Spreader, stranger: Spreader, band: Band) -> None:
    bits, host = CODE.encode(b"8 bytes!"), spectrum.transform(_grain(2))
    tile = spreader.pattern(bits, band, host, spectrum.local_power(host))
    assert tile.std() == pytest.approx(1.0, abs=1e-4)
    found = spectrum.transform(_grain(2) + tile)
    power = spectrum.local_power(found)
    soft = spreader.read(found, power, band)
    assert soft.shape == (CODE.code_bits,)
    assert CODE.decode(soft) == (b"8 bytes!", 0)
    assert CODE.decode(stranger.read(found, power, band)) is None
    assert CODE.decode(-spreader.read(-found, power, band)) == (b"8 bytes!", 0)


def test_another_band_hears_less(spreader: Spreader) -> None:
    bits, host = CODE.encode(b"8 bytes!"), spectrum.transform(_grain(3))
    power = spectrum.local_power(host)
    tile = spreader.pattern(bits, NARROW, host, power)
    found = spectrum.transform(_grain(3) + tile)
    power = spectrum.local_power(found)
    own, other = (float(spreader.read(found, power, one) @ bits) for one in (NARROW, WIDE))
    assert own > 1.2 * other


def test_a_moved_pattern_is_not_heard(spreader: Spreader) -> None:
    bits, host = CODE.encode(b"8 bytes!"), spectrum.transform(_grain(4))
    tile = spreader.pattern(bits, WIDE, host, spectrum.local_power(host))
    found = spectrum.transform(np.roll(tile, 5, 1) + _grain(4))
    assert CODE.decode(spreader.read(found, spectrum.local_power(found), WIDE)) is None


def test_soft_values_have_one_size(spreader: Spreader) -> None:
    """Over their own deviation: without a mark, about one."""
    for seed in range(3):
        found = spectrum.transform(50 * _grain(seed))
        soft = spreader.read(found, spectrum.local_power(found), WIDE)
        assert 0.85 < soft.std() < 1.15
        assert abs(soft.mean()) < 0.2


@pytest.mark.parametrize("bits", [48, 128, 256])
def test_longer_codes_have_fewer_chips_a_bit(key: MarkKey, bits: int) -> None:
    code = Code(bits)
    spreader = Spreader(key, code.code_bits)
    payload, host = bytes(range(bits // 8)), spectrum.transform(_grain(6))
    coded = code.encode(payload)
    tile = spreader.pattern(coded, WIDE, host, spectrum.local_power(host))
    found = spectrum.transform(tile + _grain(6))
    soft = spreader.read(found, spectrum.local_power(found), WIDE)
    assert code.decode(soft) == (payload, 0)
    counts = np.bincount(spreader._bit.ravel())
    assert len(counts) == code.code_bits
    assert counts.max() - counts.min() <= 1


def test_opposed_bits_get_more(spreader: Spreader) -> None:
    bits = CODE.encode(b"8 bytes!")
    host = spectrum.transform(_grain(3))
    power = spectrum.local_power(host)
    informed = spectrum.transform(spreader.pattern(bits, WIDE, host, power))
    blind = spectrum.transform(spreader.pattern(bits, WIDE, 0 * host, power))
    worst = {
        name: np.sort(spreader.read(host + 0.5 * mark, power, WIDE) * bits)[:40].mean()
        for name, mark in {"informed": informed, "blind": blind}.items()
    }
    assert worst["informed"] > worst["blind"]


def test_silence_is_read_as_nothing(spreader: Spreader) -> None:
    nothing = np.zeros(spectrum.SHAPE, np.complex64)
    soft = spreader.read(nothing, spectrum.local_power(nothing), WIDE)
    assert np.array_equal(soft, np.zeros(CODE.code_bits, np.float32))
