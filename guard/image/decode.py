"""From bytes, a path or a Pillow image to RGB pixels, under limits that a hostile file cannot pass.

Only the formats of :data:`FORMATS` are tried: Pillow's other readers (some of which start
programs) never see what was handed in. Whatever is wrong with a picture becomes one
:class:`guard.errors.InvalidImage` that says what to do.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from guard.errors import InvalidImage
from guard.types import Pixels

FORMATS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # what phones write: a JPEG with more pictures behind it
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "BMP": "image/bmp",
}
"""What is read: Pillow's name of the format → media type."""

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".gif", ".bmp"}
"""How the files of these formats are called: what is looked for in folders."""

TRIED = tuple(name for name in FORMATS if name != "MPO")  # the JPEG reader finds out itself

MAX_BYTES = 128 * 1024 * 1024
"""A larger file is refused unread: twice an uncompressed picture of 22 megapixels."""

MAX_PIXELS = 8192 * 8192
"""The largest picture that a request may ask for (guard.types.MAX_SIDE squared): 200 MB as RGB."""

MAX_SIDE = 65_535
"""JPEG's own limit; a longer strip cannot be encoded again."""

WHITE = 255
"""Transparent pictures are looked at on white, the ground that most pages give them."""

_CONVERTIBLE = {"1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LA", "PA", "RGBA", "La", "RGBa"}
_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_warning_filters = threading.Lock()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as seen: upright, RGB, transparency laid on white.

    ``pixels`` uint8 (height, width, 3), read-only; ``alpha`` uint8 (height, width), 255 opaque,
    or None where there is none; ``data`` the file it came from.
    """

    pixels: Pixels = field(repr=False)
    media_type: str
    alpha: NDArray[np.uint8] | None = field(repr=False)
    data: bytes = field(repr=False)


def load(source: bytes | str | Path | Image.Image) -> Decoded:
    """Decode bytes, the file at a path, or a Pillow image (whose ``data`` is a PNG of it).

    Raises InvalidImage, also when the path is missing, unreadable or no regular file.
    """
    if isinstance(source, Image.Image):
        return _from_pillow(source)
    if isinstance(source, (str, Path)):
        return decode(_read(Path(source)))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode(bytes(source))
    raise InvalidImage(
        f"A picture cannot be read from {type(source).__name__}.",
        hint="Hand in bytes, a path or a PIL image.",
    )


def decode(data: bytes) -> Decoded:
    """Decode one encoded picture.

    Raises InvalidImage when it is no picture of a known format, truncated, animated, of a
    colour depth that does not fit 8 bits, or past the limits.
    """
    _check_bytes(data)
    with quiet():
        try:
            with Image.open(BytesIO(data), formats=TRIED) as image:
                media_type = FORMATS[image.format or ""]
                pixels, alpha = _look_at(image)
        except UnidentifiedImageError as error:
            raise InvalidImage(
                "This is not a picture in a known format.",
                hint="PNG, JPEG, WebP, AVIF, TIFF, GIF and BMP are read.",
            ) from error
        except InvalidImage:
            raise
        except Image.DecompressionBombError as error:
            raise _too_large("far too many pixels") from error
        except Exception as error:  # on hostile bytes a decoder raises anything
            raise InvalidImage(
                "The picture is damaged or cut short.",
                hint="Fetch or export the file again.",
            ) from error
    return Decoded(pixels, media_type, alpha, data)


def _from_pillow(image: Image.Image) -> Decoded:
    from guard.image.encode import encode

    with quiet():
        try:
            pixels, alpha = _look_at(image)
        except InvalidImage:
            raise
        except Exception as error:  # a lazily opened file fails only here
            raise InvalidImage(
                "The PIL image cannot be read.",
                hint="Hand in the file's bytes, or call image.load() while the file is open.",
            ) from error
    return Decoded(pixels, "image/png", alpha, encode(pixels, "image/png", alpha=alpha))


def _read(path: Path) -> bytes:
    try:
        if not path.exists():
            raise InvalidImage(f"There is no file {str(path)!r}.", hint="Check the name.")
        if not path.is_file():
            raise InvalidImage(f"{str(path)!r} is not a file.", hint="Name a picture file.")
        if path.stat().st_size > MAX_BYTES:
            raise _too_large(f"{path.stat().st_size:,} bytes")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidImage(
            f"{str(path)!r} cannot be read: {reason}.", hint="Check its name and permissions."
        ) from error


def _check_bytes(data: bytes) -> None:
    if not data:
        raise InvalidImage("The picture is empty.", hint="Fetch or export the file again.")
    if len(data) > MAX_BYTES:
        raise _too_large(f"{len(data):,} bytes")


def _too_large(what: str) -> InvalidImage:
    return InvalidImage(
        f"The picture is too large: {what}.",
        hint=f"Scale it down: at most {MAX_PIXELS:,} pixels and {MAX_BYTES:,} bytes are read.",
    )


def _look_at(image: Image.Image) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """Pixels and alpha of an opened image; checks before anything is decompressed."""
    width, height = image.size
    if width < 1 or height < 1:
        raise InvalidImage("The picture has no pixels.", hint="Hand in another file.")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise _too_large(f"{width:,}×{height:,} pixels")
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise InvalidImage(
            "The picture is animated or has several pages.",
            hint="Hand in one frame at a time: only what is looked at may be released.",
        )
    image.load()
    return _flatten(_eight_bit(ImageOps.exif_transpose(image)))


def _eight_bit(image: Image.Image) -> Image.Image:
    """RGB or RGBA of the same size."""
    if image.mode in _16_BIT:
        wide = np.asarray(image).astype(np.int64)
        if wide.min() >= 0 and wide.max() <= 0xFFFF:
            return Image.fromarray((wide // 257).astype(np.uint8)).convert("RGB")
    if image.mode not in _CONVERTIBLE:
        raise InvalidImage(
            f"The picture's colour format ({image.mode}) is not supported.",
            hint="Export it with 8 or 16 bits a channel in RGB, grey or CMYK.",
        )
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    transparent = image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")


def _flatten(image: Image.Image) -> tuple[Pixels, NDArray[np.uint8] | None]:
    alpha: NDArray[np.uint8] | None = None
    if image.mode == "RGBA":
        alpha = np.array(image.getchannel("A"), dtype=np.uint8)
        alpha.setflags(write=False)
        ground = Image.new("RGBA", image.size, (WHITE, WHITE, WHITE, 255))
        image = Image.alpha_composite(ground, image).convert("RGB")
    pixels: Pixels = np.array(image, dtype=np.uint8)
    pixels.setflags(write=False)
    return pixels, alpha


@contextmanager
def quiet() -> Iterator[None]:
    """Pillow's warnings stay in here: they are remarks about other people's files.

    The filters are global to the process, so one thread at a time may have them changed.
    """
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
