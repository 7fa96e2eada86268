"""Shaping, folding, whitening, spreading and blending, each on its own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from guard.watermark import code, embed, shaping, spectrum
from guard.watermark.canonical import PERIOD, luma
from guard.watermark.chips import Spreader
from guard.watermark.embed import Embedder, psnr
from guard.watermark.keys import MarkKey
from guard.watermark.pilot import Pilot
from tests.support.mark_pictures import flat_art, noise, texture


def test_busy_pictures_get_more_than_the_target() -> None:
    busy = luma(texture(3, PERIOD, PERIOD))
    amplitude = shaping.amplitude(busy, 2.0, 2.0)
    gain = math.sqrt(np.mean(amplitude**2)) / 2.0
    assert 1.0 < gain <= shaping.BUSY_GAIN


def test_flat_ground_is_capped() -> None:
    flat = np.full((PERIOD, PERIOD), 200, dtype=np.float32)
    assert np.allclose(shaping.amplitude(flat, 2.0, 5.0), shaping.FLAT_LEVELS, atol=1e-3)
    assert np.allclose(shaping.amplitude(flat, 2.0, 0.5), 0.5, atol=1e-3)


@pytest.mark.parametrize(("scale", "share"), [(0.1, 2.0), (0.5, 2.0), (1.0, 2**0.5), (9.0, 0.8)])
def test_small_flat_pictures_are_allowed_more(scale: float, share: float) -> None:
    flat = np.full((PERIOD, PERIOD), 90, dtype=np.float32)
    allowed = shaping.amplitude(flat, scale, 9.0)
    assert np.allclose(allowed, share * shaping.FLAT_LEVELS, atol=1e-3)


def test_a_lone_edge_gets_less_than_texture() -> None:
    edge = np.zeros((PERIOD, PERIOD), dtype=np.float32)
    edge[:, PERIOD // 2 :] = 160
    beside = shaping.amplitude(edge, 2.0, 5.0)[:, PERIOD // 2 - 6]
    stripes = np.tile(np.float32([0, 160]), PERIOD // 2)[None].repeat(PERIOD, 0)
    assert beside.max() < 0.5 * shaping.amplitude(stripes, 2.0, 5.0).mean()


def test_loud_ground_weighs_less_to_the_reader() -> None:
    loud = luma(noise(4, PERIOD, PERIOD))
    quiet = 128 + (loud - 128) / 4
    ratio = shaping.flatten(loud).std() / shaping.flatten(quiet).std()
    assert 1 / 4 < ratio < 1


def test_fold_adds_up_repetitions() -> None:
    tile = np.random.default_rng(0).normal(size=(PERIOD, PERIOD)).astype(np.float32)
    plane = np.tile(tile, (1, 3))[:, : 2 * PERIOD + 40]
    folded = spectrum.fold(plane)
    assert np.allclose(folded[:, :40], 3 * tile[:, :40], atol=1e-5)
    assert np.allclose(folded[:, 40:], 2 * tile[:, 40:], atol=1e-5)


def test_moved_is_a_shift() -> None:
    tile = np.random.default_rng(1).normal(size=(PERIOD, PERIOD)).astype(np.float32)
    moved = spectrum.inverse(spectrum.moved(spectrum.transform(tile), 3, -7))
    assert np.allclose(moved, np.roll(tile, (3, -7), (0, 1)), atol=1e-4)


def test_local_power_is_positive_and_smooth() -> None:
    lone = np.zeros(spectrum.SHAPE, dtype=np.complex64)
    lone[40, 30] = 1000
    power = spectrum.local_power(lone)
    assert power.shape == spectrum.SHAPE
    assert power.min() > 0
    assert power.max() < 0.05 * 1000**2
    assert spectrum.local_power(np.zeros(spectrum.SHAPE, np.complex64)).min() > 0


def test_chips_carry_and_separate(key: MarkKey) -> None:
    spreader, stranger = Spreader(key), Spreader(MarkKey(b"a stranger's secret"))
    bits = code.encode(b"8 bytes!")
    host = np.random.default_rng(2).normal(size=(PERIOD, PERIOD)).astype(np.float32)
    quiet = spectrum.transform(host)
    tile = spreader.pattern(bits, quiet, spectrum.local_power(quiet))
    assert tile.std() == pytest.approx(1.0, abs=1e-4)
    found = spectrum.transform(host + tile)
    power = spectrum.local_power(found)
    assert code.decode(spreader.read(found, power)) == b"8 bytes!"
    assert code.decode(stranger.read(found, power)) is None


def test_opposed_bits_get_more(key: MarkKey) -> None:
    spreader = Spreader(key)
    bits = code.encode(b"8 bytes!")
    host = spectrum.transform(np.random.default_rng(3).normal(size=(PERIOD, PERIOD)))
    power = spectrum.local_power(host)
    informed = spectrum.transform(spreader.pattern(bits, host, power))
    blind = spectrum.transform(spreader.pattern(bits, 0 * host, power))
    worst = {
        name: (spreader.read(host + 60 * mark / np.abs(mark).std(), power) * bits).min()
        for name, mark in {"informed": informed, "blind": blind}.items()
    }
    assert worst["informed"] > worst["blind"]


def test_embedding_changes_luma_only(key: MarkKey) -> None:
    pixels = texture(5, 300, 400) // 2 + 60
    marked = Embedder(Pilot(key), Spreader(key), 42.0).embed(pixels, b"8 bytes!")
    difference = marked.astype(int) - pixels
    assert np.array_equal(difference[..., 0], difference[..., 1])
    assert np.array_equal(difference[..., 0], difference[..., 2])
    assert abs(difference.mean()) < 0.1


def test_psnr() -> None:
    pixels = flat_art(0, 600, 200)
    assert psnr(pixels, pixels) == math.inf
    other = np.where(pixels > 128, pixels - 2, pixels + 2).astype(np.uint8)
    assert psnr(pixels, other) == pytest.approx(20 * math.log10(255 / 2))
    assert embed.PILOT_SHARE < 0.5
