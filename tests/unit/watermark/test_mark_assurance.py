"""Damage by name: what names mean, what they do, and which say nothing."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import MarkRejected, SettingsInvalid
from guard.watermark.assurance import PATTERN, Damage, damage, recoded
from tests.support.mark_pictures import flat_art, texture


@pytest.mark.parametrize(
    ("name", "kept", "codec", "quality"),
    [
        ("jpeg75", 1.0, "jpeg", 75),
        ("webp50", 1.0, "webp", 50),
        ("jpeg5", 1.0, "jpeg", 5),
        ("crop90-jpeg75", 0.9, "jpeg", 75),
        ("crop50-webp99", 0.5, "webp", 99),
    ],
)
def test_names_say_what_is_done(name: str, kept: float, codec: str, quality: int) -> None:
    assert damage(name) == Damage(name, kept, codec, quality)


@given(
    kept=st.none() | st.integers(50, 99),
    codec=st.sampled_from(["jpeg", "webp"]),
    quality=st.integers(1, 99),
)
def test_every_name_of_the_pattern_means_something(
    kept: int | None, codec: str, quality: int
) -> None:
    one = damage((f"crop{kept}-" if kept else "") + f"{codec}{quality}")
    assert (one.kept, one.codec, one.quality) == ((kept or 100) / 100, codec, quality)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "jpeg",
        "jpeg0",
        "jpeg075",
        "jpeg100",
        "75jpeg",
        "JPEG75",
        "png75",
        "jpeg75 ",
        "jpeg75\n",
        "crop90",
        "crop-jpeg75",
        "crop49-jpeg75",
        "crop100-jpeg75",
        "crop90jpeg75",
        "jpeg75-crop90",
        "crop90-crop90-jpeg75",
        "jpeg７５",
    ],
)
def test_names_that_say_nothing_are_refused(name: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        damage(name)
    assert repr(name) in refused.value.message
    assert "jpeg75" in refused.value.hint


@given(st.text(max_size=12))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    if re.fullmatch(PATTERN, text):
        assert damage(text).name == text
    else:
        with pytest.raises(SettingsInvalid):
            damage(text)


@pytest.mark.parametrize("shape", [(200, 300), (128, 128), (131, 257)])
def test_crops_are_centred(shape: tuple[int, int]) -> None:
    pixels = texture(1, *shape)
    copy, (left, top) = damage("crop80-jpeg95").copy(pixels)
    assert (left, top) == (round(shape[1] / 10), round(shape[0] / 10))
    assert copy.shape == (shape[0] - 2 * top, shape[1] - 2 * left, 3)
    there = pixels[top : shape[0] - top, left : shape[1] - left]
    assert np.abs(copy.astype(int) - there).mean() < 12
    # Near miss: a pixel off is further away.
    beside = pixels[top + 3 : shape[0] - top + 3, left + 3 : shape[1] - left + 3]
    assert np.abs(copy.astype(int) - beside).mean() > np.abs(copy.astype(int) - there).mean()


def test_without_a_crop_the_whole_is_kept() -> None:
    pixels = flat_art(1, 130, 200)
    copy, corner = damage("webp80").copy(pixels)
    assert copy.shape == pixels.shape
    assert corner == (0, 0)


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_recoding_keeps_colours_and_order(codec: str) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[..., 0], pixels[..., 2] = 200, 30
    copy = recoded(pixels, codec, 90)
    assert copy.dtype == np.uint8
    assert copy.flags.c_contiguous
    assert np.abs(copy.astype(int) - pixels).max() < 12
    view = texture(2, 96, 96)[::-1, ::-1]
    assert np.array_equal(recoded(view, codec, 60), recoded(view.copy(), codec, 60))


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_lower_quality_is_further_away(codec: str) -> None:
    pixels = texture(3, 128, 128)
    off = [np.abs(recoded(pixels, codec, q).astype(int) - pixels).mean() for q in (90, 50, 10)]
    assert off == sorted(off)


@pytest.mark.parametrize("broken", ["imencode", "imdecode"])
def test_a_failed_codec_is_a_refusal(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = (False, None) if broken == "imencode" else None
    monkeypatch.setattr(cv2, broken, lambda *_: answer)
    with pytest.raises(MarkRejected, match="jpeg"):
        recoded(flat_art(0), "jpeg", 75)
