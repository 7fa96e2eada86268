"""Where each image format keeps its manifest store (C2PA 2.4, appendix A), read byte by byte.

The store is one JUMBF superbox (ISO/IEC 19566-5). It is handed out as found, unverified. A JPEG
splits it over several segments, so a store's place is a list of stretches of the file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import islice

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_APP11 = 0xEB
_START_OF_SCAN = 0xDA
_STANDALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_GIF_EXTENSION = b"\x21\xff\x0bC2PA_GIF\x01\0\0"
_TIFF_TAG = 0xCD41
_MAX_TAGS = 4096
"""More entries than any writer puts into one TIFF directory."""

MOST_CHUNKS = 50_000
"""Of a PNG: three times what a file of 128 MB has whose writer cuts it into pieces of 8 kB."""

MOST_BOXES = 10_000
"""Of an AVIF, which has tens of them."""

_MAX_DEPTH = 16
_HOLD_BOXES = frozenset(
    (b"moov trak mdia minf stbl edts dinf udta meta iprp ipco moof traf mfra mvex").split()
)

Stretch = tuple[int, int]
"""Start and end of a stretch of a file."""


def extract_manifest_store(asset_bytes: bytes, media_type: str) -> bytes | None:
    """The raw manifest store of a file, or None where there is none that can be read.

    What format it is, the bytes say (as they do to the c2pa library), and only failing that
    ``media_type``.
    """
    place = _place(asset_bytes, media_type)
    store = b"".join(asset_bytes[start:end] for start, end in place)
    return _whole_box(store) if store else None


def holds_manifest_store(asset_bytes: bytes, media_type: str) -> bool:
    """Whether there is something in the place of a manifest store, be it readable or not."""
    return bool(_place(asset_bytes, media_type))


def overfull(asset_bytes: bytes) -> bool:
    """Whether a file has so many parts that the c2pa library would take minutes over it.

    It compares every box of an AVIF, and every chunk of a PNG, with all others: 100,000 empty
    boxes, 800 kB, took it 54 seconds.
    """
    if asset_bytes.startswith(PNG_SIGNATURE):
        parts: Iterator[object] = _png_places(asset_bytes)
        return _more_than(MOST_CHUNKS, parts)
    if sniffed(asset_bytes) == "image/avif":
        return _more_than(MOST_BOXES, _all_boxes(asset_bytes, 0, len(asset_bytes), 0))
    return False


def _more_than(most: int, parts: Iterator[object]) -> bool:
    return next(islice(parts, most, None), None) is not None


def _all_boxes(data: bytes, at: int, end: int, depth: int) -> Iterator[bytes]:
    """The kinds of all boxes, also of those in boxes that hold boxes (ISO/IEC 14496-12)."""
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= end:
            length, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        after = min(at + length if length else end, end)
        if after < at + head:
            return
        yield kind
        if kind in _HOLD_BOXES and depth < _MAX_DEPTH:
            inner = at + head + (4 if kind == b"meta" else 0)
            yield from _all_boxes(data, inner, after, depth + 1)
        at = after


def replace_manifest_store(asset_bytes: bytes, media_type: str, store: bytes) -> bytes:
    """The file with another store of the same length. Raises ValueError for another length."""
    old = extract_manifest_store(asset_bytes, media_type)
    if old is None or len(old) != len(store):
        raise ValueError("only a store of the same length can be put in a store's place")
    changed = bytearray(asset_bytes)
    done = 0
    for start, end in _place(asset_bytes, media_type):
        part = store[done : done + end - start]
        changed[start : start + len(part)] = part
        done += len(part)
        if asset_bytes.startswith(PNG_SIGNATURE):
            changed[end : end + 4] = struct.pack(">I", zlib.crc32(changed[start - 4 : end]))
    return bytes(changed)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of every whole chunk of a PNG file."""
    for kind, start, end in _png_places(data):
        yield kind, data[start:end]


def _place(data: bytes, media_type: str) -> list[Stretch]:
    finder = _FINDERS.get(sniffed(data) or media_type)
    try:
        return finder(data) if finder is not None else []
    except (struct.error, IndexError, ValueError):  # cut short or nonsense: nothing to hand out
        return []


def sniffed(data: bytes) -> str | None:
    """The media type that a file's first bytes say; None for an unknown one."""
    if data.startswith(PNG_SIGNATURE):
        return "image/png"
    if data.startswith(b"\xff\xd8"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        return "image/avif"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "image/tiff"
    return "image/gif" if data.startswith(b"GIF8") else None


def _whole_box(store: bytes) -> bytes | None:
    """The box without padding; None when it is no JUMBF superbox or cut short."""
    if len(store) < 16 or store[4:8] != b"jumb":
        return None
    length = int(struct.unpack_from(">I", store)[0])
    return store[:length] if 16 <= length <= len(store) else None


def _png(data: bytes) -> list[Stretch]:
    return [(start, end) for kind, start, end in _png_places(data) if kind == b"caBX"][:1]


def _png_places(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    if not data.startswith(PNG_SIGNATURE):
        return
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            return
        yield kind, at + 8, at + 8 + length
        at += 12 + length


def _jpeg(data: bytes) -> list[Stretch]:
    """APP11 segments of one box instance: JPEG XT (ISO/IEC 18477-3, annex B)."""
    instances: dict[int, list[Stretch]] = {}
    for start, end in _app11(data):
        if data[start : start + 2] != b"JP" or end - start < 16:
            continue
        stretches = instances.setdefault(struct.unpack_from(">H", data, start + 2)[0], [])
        # The first segment holds the head of the box, later ones repeat its 8 bytes.
        stretches.append((start + (16 if stretches else 8), end))
    found = (one for one in instances.values() if b"c2pa" in data[one[0][0] : one[0][0] + 64])
    return next(found, [])


def _app11(data: bytes) -> Iterator[Stretch]:
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
            yield at + 4, min(at + 2 + length, len(data))
        at += 2 + length


def _webp(data: bytes) -> list[Stretch]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"C2PA":
            return [(at + 8, min(at + 8 + length, len(data)))]
        at += 8 + length + length % 2
    return []


def _avif(data: bytes) -> list[Stretch]:
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            length, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        end = min(at + length if length else len(data), len(data))
        if kind == b"uuid" and data[at + head : at + head + 16] == _C2PA_UUID:
            return _manifest_box(data, at + head + 16, end)
        if end < at + head:
            return []
        at = end
    return []


def _manifest_box(data: bytes, start: int, end: int) -> list[Stretch]:
    """Version and flags (4), purpose (text, NUL), offset of the first Merkle box (8), store."""
    purpose, _, _ = data[start + 4 : end].partition(b"\0")
    store = start + 4 + len(purpose) + 1 + 8
    return [(store, end)] if purpose == b"manifest" and store < end else []


def _tiff(data: bytes) -> list[Stretch]:
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(f"{order}I", data, 4)[0]
    count = struct.unpack_from(f"{order}H", data, start)[0]
    for entry in range(min(count, _MAX_TAGS)):
        tag, _, length, offset = struct.unpack_from(f"{order}HHII", data, start + 2 + 12 * entry)
        if tag == _TIFF_TAG:
            return [(offset, min(offset + length, len(data)))]
    return []


def _gif(data: bytes) -> list[Stretch]:
    """Sub-blocks of the application extension: it stands before the first picture."""
    at = data.find(_GIF_EXTENSION)
    if at < 0:
        return []
    at += len(_GIF_EXTENSION)
    stretches = []
    while at < len(data) and data[at]:
        stretches.append((at + 1, min(at + 1 + data[at], len(data))))
        at += 1 + data[at]
    return stretches


_FINDERS = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "image/avif": _avif,
    "image/tiff": _tiff,
    "image/gif": _gif,
}
