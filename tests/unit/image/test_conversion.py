"""What a copy cannot keep is said, and what it can keep is kept."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from guard.image.conversion import conversion
from guard.image.decode import decode
from guard.image.encode import EXTENSIONS, encode

PIXELS = np.random.default_rng(5).integers(0, 256, (24, 32, 3), dtype=np.uint8)
DEEP = PIXELS[..., 0].astype(np.uint16) * 257
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def rgb() -> Image.Image:
    return Image.fromarray(PIXELS)


def exif(orientation: int, maker: str = "") -> Image.Exif:
    made = Image.Exif()
    made[0x112] = orientation
    if maker:
        made[0x10F] = maker
    return made


def text(key: str, value: str) -> PngInfo:
    made = PngInfo()
    made.add_itxt(key, value)
    return made


CASES: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    "plain png": (lambda: saved(rgb(), "PNG"), []),
    "plain jpeg": (lambda: saved(rgb(), "JPEG"), []),
    "plain tiff": (lambda: saved(rgb(), "TIFF"), []),
    "alpha is kept": (lambda: saved(rgb().convert("RGBA"), "WEBP", lossless=True), []),
    "palette": (lambda: saved(rgb().convert("P"), "PNG"), ["palette"]),
    "two colours": (lambda: saved(rgb().convert("1"), "PNG"), ["palette"]),
    "gif": (lambda: saved(rgb().convert("P"), "GIF"), ["palette"]),
    "grey": (lambda: saved(rgb().convert("L"), "JPEG"), ["grey"]),
    "cmyk": (lambda: saved(rgb().convert("CMYK"), "JPEG"), ["CMYK"]),
    "16-bit png": (lambda: saved(Image.fromarray(DEEP), "PNG"), ["16 bits", "grey"]),
    "16-bit tiff": (lambda: saved(Image.fromarray(DEEP), "TIFF"), ["16 bits", "grey"]),
    "upright already": (lambda: saved(rgb(), "JPEG", exif=exif(1)), []),
    "turned": (lambda: saved(rgb(), "JPEG", exif=exif(6)), ["upright"]),
    "exif": (lambda: saved(rgb(), "JPEG", exif=exif(1, "Maker")), ["EXIF"]),
    "xmp": (lambda: encode(PIXELS, "image/png", xmp=b"<x/>"), ["XMP"]),
    "comment": (lambda: saved(rgb(), "JPEG", comment=b"hello"), ["comment"]),
    "texts": (lambda: saved(rgb(), "PNG", pnginfo=text("parameters", "steps")), ["texts"]),
    "profile for other colours": (lambda: saved(rgb(), "PNG", icc_profile=LAB), ["profile"]),
    "profile of grey": (
        lambda: saved(rgb().convert("L"), "JPEG", icc_profile=SRGB),
        ["grey", "profile"],
    ),
}


@pytest.mark.parametrize(("make", "words"), CASES.values(), ids=CASES)
def test_what_changes_is_said_and_nothing_else(make: Callable[[], bytes], words: list[str]) -> None:
    data = make()
    decode(data)

    changed = conversion(data).changed

    assert len(changed) == len(words), changed
    assert all(word in one for word, one in zip(words, changed, strict=True)), changed


def test_colour_of_16_bits() -> None:
    """Pillow reads a PNG of 16 bits a channel as one of 8 and says nothing."""
    done, data = cv2.imencode(".png", PIXELS.astype(np.uint16) * 257)

    assert done
    assert conversion(data.tobytes()).changed == ("16 bits a channel became 8",)


@pytest.mark.parametrize("media_type", EXTENSIONS)
def test_a_colour_profile_goes_from_file_to_copy(media_type: str) -> None:
    told = conversion(saved(rgb(), "PNG", icc_profile=SRGB))
    assert (told.icc, told.changed) == (SRGB, ())

    copy = encode(PIXELS, media_type, icc=told.icc)

    assert conversion(copy).icc == SRGB
    assert conversion(encode(PIXELS, media_type)).icc is None
    assert np.array_equal(decode(copy).pixels, decode(encode(PIXELS, media_type)).pixels)


def test_of_several_pictures_the_first() -> None:
    data = saved(rgb(), "MPO", save_all=True, append_images=[rgb()])

    assert ["first" in one for one in conversion(data).changed] == [True]
