"""Whether signing left a picture as it was: by its parts, or by its pixels."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import InvalidImage
from guard.image.encode import EXTENSIONS, encode
from guard.provenance import unchanged as module
from guard.provenance.sign import C2paSigner
from guard.provenance.unchanged import same_picture

from .kit import facts, picture

BY_PARTS = ["image/png", "image/jpeg", "image/webp"]


@pytest.mark.parametrize("kind", list(EXTENSIONS))
def test_a_signed_picture_is_the_same(signer: C2paSigner, kind: str) -> None:
    encoded = encode(picture(), kind)
    assert same_picture(encoded, signer.sign(encoded, kind, facts()).bytes, kind)


@pytest.mark.parametrize("kind", BY_PARTS)
def test_it_is_seen_without_decoding(
    signer: C2paSigner, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = encode(picture(), kind, xmp=b"<x:xmpmeta/>")
    signed = signer.sign(encoded, kind, facts()).bytes

    def refuse(data: bytes) -> Any:
        raise AssertionError("decoded")

    monkeypatch.setattr(module, "decode", refuse)
    assert same_picture(encoded, signed, kind)


@pytest.mark.parametrize("kind", list(EXTENSIONS))
def test_another_picture_is_not(kind: str) -> None:
    assert not same_picture(encode(picture(1), kind), encode(picture(2), kind), kind)


@pytest.mark.parametrize("kind", ["image/png", "image/webp", "image/tiff"])
def test_one_bit_of_one_pixel_is_seen(kind: str) -> None:
    changed = picture()
    changed[50, 60, 1] ^= 1
    assert not same_picture(encode(picture(), kind), encode(changed, kind), kind)


def test_transparency_counts() -> None:
    clear = np.tile(np.arange(128, dtype=np.uint8), (96, 1)) | 1
    other = clear.copy()
    white = np.full((96, 128, 3), 255, np.uint8)
    other[3, 3] = 9
    one, two, opaque = (encode(white, "image/png", alpha=a) for a in (clear, other, None))
    assert same_picture(one, one, "image/png")
    assert not same_picture(one, two, "image/png")
    assert not same_picture(one, opaque, "image/png")
    assert not same_picture(opaque, one, "image/png")


def test_pixels_decide_where_the_parts_differ() -> None:
    """The same picture, written otherwise."""
    one = encode(picture(), "image/png")
    two = encode(picture(), "image/png", xmp=b"<x:xmpmeta/>")
    assert same_picture(one, two, "image/png")


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(BY_PARTS))
def test_cut_and_broken_files_end_the_walk(data: st.DataObject, kind: str) -> None:
    whole = encode(picture(), kind)
    cut = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3)) if cut else 0):
        cut[data.draw(st.integers(0, len(cut) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InvalidImage):
        assert same_picture(whole, bytes(cut), kind) in {True, False}
