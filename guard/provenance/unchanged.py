"""Whether signing left a picture as it was, told from the bytes where a format allows it.

PNG, JPEG and WebP files are lists of parts: signing adds parts that hold the manifest store and
leaves every other one as it is, byte for byte (metadata and colour profile included), which is
cheaper to see than decoding both files and says more. In other formats, or where the lists
differ, the pixels are compared.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import numpy as np

from guard.image.decode import decode

_PNG_HEAD = 8
_RIFF_HEAD = 12
_APP11 = b"\xff\xeb"
_START_OF_SCAN = b"\xff\xda"


def same_picture(before: bytes, after: bytes, media_type: str) -> bool:
    """Whether ``after`` shows what ``before`` shows. Raises InvalidImage for no picture."""
    parts = _PARTS.get(media_type)
    if parts is not None and list(parts(before)) == list(parts(after)):
        return True
    one, other = decode(before), decode(after)
    return np.array_equal(one.pixels, other.pixels) and (
        (one.alpha is None and other.alpha is None)
        or (one.alpha is not None and np.array_equal(one.alpha, other.alpha))  # type: ignore[arg-type]
    )


def _png(data: bytes) -> Iterator[bytes]:
    """Chunks whole, with their checksums."""
    at = _PNG_HEAD
    yield data[:at]
    while at < len(data):
        end = at + 12 + _number(">I", data, at)
        if data[at + 4 : at + 8] != b"caBX":
            yield data[at:end]
        at = end


def _jpeg(data: bytes) -> Iterator[bytes]:
    """Segments up to the scan, then all the rest."""
    at = 2
    yield data[:at]
    while at < len(data) and data[at : at + 2] != _START_OF_SCAN:
        end = at + 2 + _number(">H", data, at + 2)
        if data[at : at + 2] != _APP11:
            yield data[at:end]
        at = end
    yield data[at:]


def _webp(data: bytes) -> Iterator[bytes]:
    """Chunks with their padding; not the file's head, which holds its size."""
    at = _RIFF_HEAD
    while at < len(data):
        size = _number("<I", data, at + 4)
        end = at + 8 + size + size % 2
        if data[at : at + 4] != b"C2PA":
            yield data[at:end]
        at = end


def _number(kind: str, data: bytes, at: int) -> int:
    """A length in a file; one that is cut short ends the walk, and decoding judges the rest."""
    width = struct.calcsize(kind)
    return int(struct.unpack_from(kind, data, at)[0]) if at + width <= len(data) else len(data)


_PARTS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
}
