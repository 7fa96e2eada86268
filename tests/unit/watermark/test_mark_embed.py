"""Laying the mark over a picture: luma only, as loud as the strength says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from guard.types import Pixels
from guard.watermark import bands, embed
from guard.watermark.chips import Spreader
from guard.watermark.code import Code
from guard.watermark.embed import STRENGTHS, Embedder, psnr
from guard.watermark.keys import MarkKey
from guard.watermark.pilot import Pilot
from tests.support.mark_pictures import flat_art, noise, texture

PAYLOAD = b"8 bytes!"


@pytest.fixture(scope="module")
def embedders(key: MarkKey) -> dict[str, Embedder]:
    code, pilot = Code(), Pilot(key)
    spreader = Spreader(key, code.code_bits)
    return {name: Embedder(pilot, spreader, code, strength) for name, strength in STRENGTHS.items()}


def _middling(pixels: Pixels) -> Pixels:
    return (pixels // 2 + 60).astype(np.uint8)


def test_embedding_changes_luma_only(embedders: dict[str, Embedder]) -> None:
    pixels = _middling(texture(5, 300, 400))
    marked = embedders["default"].embed(pixels, PAYLOAD)
    difference = marked.astype(int) - pixels
    assert difference.any()
    assert np.array_equal(difference[..., 0], difference[..., 1])
    assert np.array_equal(difference[..., 0], difference[..., 2])
    assert abs(difference.mean()) < 0.1


@pytest.mark.parametrize("draw", [flat_art, texture])
def test_strengths_are_in_order(embedders: dict[str, Embedder], draw: object) -> None:
    pixels = _middling(draw(5))  # type: ignore[operator]
    prices = {name: psnr(pixels, one.embed(pixels, PAYLOAD)) for name, one in embedders.items()}
    assert prices["high-quality"] > prices["default"] + 1
    assert prices["default"] > prices["robust"] + 1


def test_boost_multiplies(embedders: dict[str, Embedder]) -> None:
    pixels = _middling(texture(6))
    single = embedders["default"].embed(pixels, PAYLOAD)
    double = embedders["default"].embed(pixels, PAYLOAD, 2.0)
    assert psnr(pixels, single) - psnr(pixels, double) == pytest.approx(6.02, abs=0.4)
    assert np.array_equal(embedders["default"].embed(pixels, PAYLOAD, 0.0), pixels)


def test_never_louder_than_the_loudest(embedders: dict[str, Embedder]) -> None:
    pixels = _middling(noise(0))
    marked = embedders["robust"].embed(pixels, PAYLOAD)
    loudest = 20 * math.log10(255 / embed.LOUDEST)
    assert psnr(pixels, marked) > loudest - 0.3


def test_payloads_differ_in_their_pixels(embedders: dict[str, Embedder]) -> None:
    pixels = flat_art(4)
    first, second = (embedders["default"].embed(pixels, one) for one in (PAYLOAD, b"8 bytes?"))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("strength", STRENGTHS.values())
def test_visibility_of_sizes_bands_and_activity(strength: embed.Strength) -> None:
    def of(band: bands.Band, activity: float, scale: float, side: int = 512) -> float:
        return strength.visibility(band, activity, scale, side)

    for band in bands.BANDS:
        assert of(band, 1.0, 2.0) > of(band, 1.0, 4.0) > 0.0
        assert of(band, 1.0, 2.0) > of(band, 1.0, 2.0, 1024) > 0.0
        assert of(band, embed.BUSY, 2.0) == of(band, 0.0, 2.0)
        assert of(band, embed.BUSY + 1, 2.0) > of(band, embed.BUSY, 2.0)


def test_psnr() -> None:
    pixels = flat_art(0, 600, 200)
    assert psnr(pixels, pixels) == math.inf
    other = np.where(pixels > 128, pixels - 2, pixels + 2).astype(np.uint8)
    assert psnr(pixels, other) == pytest.approx(20 * math.log10(255 / 2))
    assert psnr(pixels[::-1, ::-1], other[::-1, ::-1]) == pytest.approx(psnr(pixels, other))
