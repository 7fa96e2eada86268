"""What of a file does not come through decoding: said, so that nobody finds out by surprise.

:func:`guard.image.decode.decode` answers 8-bit RGB, upright. Some of a file can be given to a copy
of it again (alpha, an RGB colour profile), some cannot (depth, palette, metadata).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image

from guard.image.decode import TRIED, quiet

PALETTE = frozenset({"P", "PA", "1"})
GREY = frozenset({"L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N", "I"})
COLOURED = frozenset({"RGB", "RGBA", "RGBa", "P", "PA"})
"""Modes whose colours mean in the copy what they meant in the file, under the same profile."""

PNG_DEPTH = 24
"""Offset of IHDR's bit depth: signature 8, length 4, type 4, width 4, height 4 (PNG 3, 11.2.1)."""

TIFF_DEPTH = 258
"""BitsPerSample (TIFF 6.0, section 8)."""

ICC_SPACE = slice(16, 20)
"""Where a profile names the colours it speaks of (ICC.1:2022, 7.2.6)."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """``icc``: the profile that a copy needs, or None. ``changed``: sentences of what is lost."""

    icc: bytes | None = field(repr=False)
    changed: tuple[str, ...]


def conversion(data: bytes) -> Conversion:
    """What decoding changed of a file that it can decode. Reads the header alone."""
    with quiet(), Image.open(BytesIO(data), formats=TRIED) as image:
        profile: bytes = image.info.get("icc_profile") or b""
        usable = image.mode in COLOURED and profile[ICC_SPACE] == b"RGB "
        changed = [*_depth(image, data), *_colours(image), *_arrangement(image)]
        if profile and not usable:
            changed.append("its colour profile is not in the copy: it is not for RGB")
        changed += _metadata(image)
    return Conversion(profile if usable else None, tuple(changed))


def _depth(image: Image.Image, data: bytes) -> Iterator[str]:
    deep = image.mode in GREY and image.mode.startswith("I")
    if image.format == "PNG":
        deep = data[PNG_DEPTH] == 16
    with suppress(AttributeError, TypeError, ValueError, struct.error):
        deep = deep or max(image.tag_v2[TIFF_DEPTH]) > 8  # type: ignore[attr-defined]  # TIFF alone
    if deep:
        yield "16 bits a channel became 8"


def _colours(image: Image.Image) -> Iterator[str]:
    if image.mode in PALETTE:
        yield "its palette became full colour"
    elif image.mode in GREY:
        yield "grey became RGB"
    elif image.mode == "CMYK":
        yield "CMYK became RGB"


def _arrangement(image: Image.Image) -> Iterator[str]:
    if image.format == "MPO":
        yield "of its several pictures the first is marked, the others are not in the copy"
    if image.getexif().get(ExifTags.Base.Orientation, 1) not in {0, 1}:
        yield "it was turned upright, as its EXIF said"


def _metadata(image: Image.Image) -> Iterator[str]:
    info: dict[Any, Any] = image.info
    exif = dict(image.getexif())
    exif.pop(ExifTags.Base.Orientation, None)
    names = ["EXIF"] if "exif" in info and exif else []
    names += ["XMP"] if {"xmp", "XML:com.adobe.xmp"} & set(info) else []
    texts = getattr(image, "text", None) or {}
    names += ["texts"] if set(texts) - {"XML:com.adobe.xmp"} else []
    names += ["comment"] if "comment" in info else []
    if names:
        yield f"metadata is not in the copy: {', '.join(names)}"
