"""Where each image format keeps its manifest store (C2PA 2.4, appendix A), read byte by byte.

The store is one JUMBF superbox (ISO/IEC 19566-5). It is handed out as found, unverified.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_APP11 = 0xEB
_START_OF_SCAN = 0xDA
_STANDALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_TIFF_TAG = 0xCD41
_MAX_TAGS = 4096
"""More entries than any writer puts into one TIFF directory."""


def extract_manifest_store(asset_bytes: bytes, media_type: str) -> bytes | None:
    """The raw manifest store of a file, or None where there is none that can be read."""
    store = _find(asset_bytes, media_type)
    return _whole_box(store) if store else None


def holds_manifest_store(asset_bytes: bytes, media_type: str) -> bool:
    """Whether there is something in the place of a manifest store, be it readable or not."""
    return _find(asset_bytes, media_type) is not None


def _find(asset_bytes: bytes, media_type: str) -> bytes | None:
    finder = _FINDERS.get(media_type)
    try:
        return finder(asset_bytes) if finder is not None else None
    except (struct.error, IndexError, ValueError):  # cut short or nonsense: nothing to hand out
        return None


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of every whole chunk of a PNG file."""
    if not data.startswith(PNG_SIGNATURE):
        return
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            return
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def _whole_box(store: bytes) -> bytes | None:
    """The box without padding; None when it is no JUMBF superbox or cut short."""
    if len(store) < 16 or store[4:8] != b"jumb":
        return None
    length = int(struct.unpack_from(">I", store)[0])
    return store[:length] if 16 <= length <= len(store) else None


def _png(data: bytes) -> bytes | None:
    return next((content for kind, content in png_chunks(data) if kind == b"caBX"), None)


def _jpeg(data: bytes) -> bytes | None:
    """APP11 segments of one box instance, put together: JPEG XT (ISO/IEC 18477-3, annex B)."""
    boxes: dict[int, bytearray] = {}
    for content in _app11(data):
        if content[:2] != b"JP" or len(content) < 16:
            continue
        instance = struct.unpack_from(">H", content, 2)[0]
        if instance in boxes:  # later segments repeat the 8 bytes of the box header
            boxes[instance] += content[16:]
        else:
            boxes[instance] = bytearray(content[8:])
    return next((bytes(box) for box in boxes.values() if b"c2pa" in box[:64]), None)


def _app11(data: bytes) -> Iterator[bytes]:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _START_OF_SCAN:
            return
        if marker in _STANDALONE or marker == 0xFF:
            at += 1 if marker == 0xFF else 2
            continue
        length = struct.unpack_from(">H", data, at + 2)[0]
        if marker == _APP11:
            yield data[at + 4 : at + 2 + length]
        at += 2 + length


def _webp(data: bytes) -> bytes | None:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"C2PA":
            return data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    return None


def _avif(data: bytes) -> bytes | None:
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            length, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        length = length or len(data) - at
        if kind == b"uuid" and data[at + head : at + head + 16] == _C2PA_UUID:
            return _manifest_box(data[at + head + 16 : at + length])
        if length < head:
            return None
        at += length
    return None


def _manifest_box(content: bytes) -> bytes | None:
    """Version and flags (4), purpose (text, NUL), offset of the first Merkle box (8), store."""
    purpose, _, rest = content[4:].partition(b"\0")
    return rest[8:] if purpose == b"manifest" else None


def _tiff(data: bytes) -> bytes | None:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    start = struct.unpack_from(f"{order}I", data, 4)[0]
    count = struct.unpack_from(f"{order}H", data, start)[0]
    for entry in range(min(count, _MAX_TAGS)):
        tag, _, length, offset = struct.unpack_from(f"{order}HHII", data, start + 2 + 12 * entry)
        if tag == _TIFF_TAG:
            return data[offset : offset + length]
    return None


_FINDERS = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "image/avif": _avif,
    "image/tiff": _tiff,
}
