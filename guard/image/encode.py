"""From RGB pixels to a file, the same bytes every time.

Lossless where the format can be: what was looked at and marked is what leaves. JPEG and AVIF
keep full colour resolution (4:4:4), because halving it costs the watermark more than it saves.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guard.errors import InvalidImage
from guard.types import Pixels

MEDIA_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
    "tiff": "image/tiff",
}
"""Name of a format on the command line → media type."""

EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/tiff": ".tiff",
}
"""Media type → file name extension."""

WITHOUT_ALPHA = frozenset({"image/jpeg"})
"""Formats that cannot be transparent: they show the picture on white."""

JPEG_QUALITY = 95
AVIF_QUALITY = 90
XMP_LIMIT = 60_000
"""Bytes of XMP: one JPEG APP1 segment holds 65,533, and Pillow's buffer 65,536 with all headers."""

_XMP_TAG = 700  # TIFF tag of an XMP packet

_OPTIONS: dict[str, dict[str, Any]] = {
    "image/png": {"format": "PNG", "compress_level": 6},
    "image/jpeg": {"format": "JPEG", "quality": JPEG_QUALITY, "subsampling": 0, "optimize": True},
    "image/webp": {"format": "WEBP", "lossless": True, "quality": 50, "method": 2, "exact": True},
    "image/avif": {
        "format": "AVIF",
        "quality": AVIF_QUALITY,
        "subsampling": "4:4:4",
        "speed": 8,
        "max_threads": 1,  # more threads cut the picture into other tiles: other bytes
    },
    "image/tiff": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
}


def encode(
    pixels: Pixels,
    media_type: str,
    *,
    xmp: bytes | None = None,
    alpha: NDArray[np.uint8] | None = None,
    icc: bytes | None = None,
) -> bytes:
    """The picture as a file of ``media_type``, with XMP packet and ICC profile when given.

    ``alpha`` uint8 (height, width) makes it transparent again: ``pixels`` are taken to lie on
    white, and that white is taken out of the half-transparent ones. JPEG drops it.

    Raises InvalidImage for another media type, a wrong shape, or a side or packet that the
    format cannot hold.
    """
    options = _options(media_type, xmp)
    if icc is not None:
        options["icc_profile"] = icc
    image = _image(pixels, None if media_type in WITHOUT_ALPHA else alpha)
    out = BytesIO()
    try:
        image.save(out, **options)
    except (OSError, ValueError) as error:
        raise InvalidImage(
            f"A picture of {image.width}×{image.height} pixels cannot be written as {media_type}.",
            hint="Choose PNG: other formats have tighter limits.",
        ) from error
    return out.getvalue()


def _options(media_type: str, xmp: bytes | None) -> dict[str, Any]:
    if media_type not in _OPTIONS:
        raise InvalidImage(
            f"Pictures are not written as {media_type!r}.",
            hint=f"Choose one of {', '.join(_OPTIONS)}.",
        )
    options = dict(_OPTIONS[media_type])
    if xmp is None:
        return options
    if len(xmp) > XMP_LIMIT:
        raise InvalidImage(f"The XMP packet has {len(xmp):,} bytes.", hint="Shorten it.")
    if media_type == "image/png":
        from PIL.PngImagePlugin import PngInfo

        chunks = PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8"))
        return options | {"pnginfo": chunks}
    if media_type == "image/tiff":
        from PIL.TiffImagePlugin import ImageFileDirectory_v2

        tags = ImageFileDirectory_v2()
        tags[_XMP_TAG] = xmp
        return options | {"tiffinfo": tags}
    return options | {"xmp": xmp}


def _image(pixels: Pixels, alpha: NDArray[np.uint8] | None) -> Image.Image:
    shape = pixels.shape
    if pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise InvalidImage(f"Pixels must be uint8 (height, width, 3), not {pixels.dtype} {shape}.")
    if alpha is None:
        return Image.fromarray(np.ascontiguousarray(pixels))
    if alpha.dtype != np.uint8 or alpha.shape != shape[:2]:
        raise InvalidImage(f"Alpha must be uint8 {shape[:2]}, not {alpha.dtype} {alpha.shape}.")
    return Image.fromarray(np.dstack([_off_white(pixels, alpha), alpha]))


def _off_white(pixels: Pixels, alpha: NDArray[np.uint8]) -> Pixels:
    """The colours that show ``pixels`` when laid on white: c = 255 − (255 − p)·255/alpha."""
    opacity = alpha.astype(np.int32)[..., None]
    missing = (255 - pixels.astype(np.int32)) * 255
    colours = 255 - (missing + opacity // 2) // np.maximum(opacity, 1)
    shown = np.clip(np.where(opacity > 0, colours, 255), 0, 255)
    return shown.astype(np.uint8)
