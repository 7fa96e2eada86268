from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import InvalidImage
from guard.image.decode import decode
from guard.image.encode import EXTENSIONS, MEDIA_TYPES, XMP_LIMIT, encode

LOSSLESS = ("image/png", "image/webp", "image/tiff")
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/">é</x:xmpmeta>'.encode()


def noise(seed: int = 0, height: int = 31, width: int = 45) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth() -> np.ndarray:
    y, x = np.mgrid[0:64, 0:64]
    return np.stack([x * 3, y * 3, x + y], axis=-1).astype(np.uint8)


def test_every_media_type_has_an_extension() -> None:
    assert set(MEDIA_TYPES.values()) == set(EXTENSIONS)
    assert all(extension.startswith(".") for extension in EXTENSIONS.values())


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_same_pixels_same_bytes(media_type: str) -> None:
    data = encode(noise(), media_type, xmp=XMP)
    assert data == encode(noise(), media_type, xmp=XMP)
    assert data != encode(noise(1), media_type, xmp=XMP)
    assert decode(data).media_type == media_type


@pytest.mark.parametrize("media_type", LOSSLESS)
def test_lossless(media_type: str) -> None:
    assert np.array_equal(decode(encode(noise(), media_type)).pixels, noise())


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/avif"])
def test_lossy_stays_close_and_keeps_colour_resolution(media_type: str) -> None:
    back = decode(encode(smooth(), media_type)).pixels.astype(int)
    assert np.abs(back - smooth()).max() <= 12


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_xmp_is_in_the_file_as_given(media_type: str) -> None:
    assert XMP in encode(noise(), media_type, xmp=XMP)
    assert b"xmpmeta" not in encode(noise(), media_type)


@pytest.mark.parametrize("media_type", LOSSLESS)
def test_alpha_survives_and_what_is_seen_stays_the_same(media_type: str) -> None:
    alpha = np.random.default_rng(3).integers(0, 256, (31, 45), dtype=np.uint8)
    seen = decode(encode(noise(), media_type, alpha=alpha))
    again = decode(encode(seen.pixels, media_type, alpha=seen.alpha))
    assert again.alpha is not None
    assert np.array_equal(again.alpha, alpha)
    assert np.abs(again.pixels.astype(int) - seen.pixels).max() <= 1


def test_jpeg_drops_alpha_and_shows_the_picture() -> None:
    back = decode(encode(smooth(), "image/jpeg", alpha=np.zeros((64, 64), np.uint8)))
    assert back.alpha is None
    assert np.abs(back.pixels.astype(int) - smooth()).max() <= 12


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)
def test_wrong_pixels_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(InvalidImage, match="must be uint8"):
        encode(pixels, "image/png")


def test_wrong_alpha_is_refused() -> None:
    with pytest.raises(InvalidImage, match="Alpha"):
        encode(noise(), "image/png", alpha=np.zeros((3, 3), np.uint8))


def test_unknown_media_type_is_refused() -> None:
    with pytest.raises(InvalidImage, match="image/gif") as caught:
        encode(noise(), "image/gif")
    assert "image/png" in caught.value.hint


def test_a_packet_that_fits_no_segment_is_refused() -> None:
    with pytest.raises(InvalidImage, match="XMP"):
        encode(noise(), "image/jpeg", xmp=b"x" * (XMP_LIMIT + 1))
    assert encode(noise(), "image/jpeg", xmp=b"x" * XMP_LIMIT)


def test_a_side_that_the_format_cannot_hold_is_refused() -> None:
    with pytest.raises(InvalidImage, match="cannot be written") as caught:
        encode(np.zeros((1, 17_000, 3), np.uint8), "image/webp")
    assert "PNG" in caught.value.hint


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    seed=st.integers(0, 2**31),
    media_type=st.sampled_from(LOSSLESS),
)
def test_any_size_goes_there_and_back(height: int, width: int, seed: int, media_type: str) -> None:
    pixels = noise(seed, height, width)
    assert np.array_equal(decode(encode(pixels, media_type)).pixels, pixels)
