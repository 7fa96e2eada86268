"""The texts that a file carries beside its pixels: PNG text chunks, Exif fields, comments.

Everything here was written by somebody else, and nothing is signed. Number and length are bounded
before anything is unpacked or decoded; what cannot be read is left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Any

from guard.image.decode import TRIED, quiet
from guard.provenance.container import PNG_SIGNATURE, png_chunks

if TYPE_CHECKING:
    from PIL.Image import Exif

MAX_TEXT = 1024 * 1024
"""Bytes of one text. A compressed chunk is unpacked no further: a few kB can hold gigabytes."""

MAX_TEXTS = 64
"""So many texts of a file are looked at; generators write fewer than ten."""

_EXIF_FIELDS = {
    0x010E: "ImageDescription",
    0x010F: "Make",  # ComfyUI keeps its prompt and workflow in these two in WebP files
    0x0110: "Model",
    0x0131: "Software",
    0x013B: "Artist",
    0x8298: "Copyright",
    0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
    0x9C9E: "XPKeywords",
    0x9C9F: "XPSubject",
}
_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_CODES = {b"ASCII\0\0\0": "ascii", b"JIS\0\0\0\0\0": "iso2022_jp"}
_UNICODE = b"UNICODE\0"


@dataclass(frozen=True, slots=True)
class ForeignText:
    """One text: ``where`` it stands (``PNG text``, ``Exif``, ``comment``) and under which key."""

    where: str
    key: str
    text: str


def foreign_texts(data: bytes) -> tuple[ForeignText, ...]:
    """The texts of a file, bounded in number and length; never raises, whatever it is fed."""
    found: list[ForeignText] = []
    for reader in (_png, _pillow):
        with suppress(Exception):  # a text that cannot be read is none
            for one in islice(reader(data), MAX_TEXTS):
                found.append(one)  # noqa: PERF402  # keeps what came before a reader broke
    return tuple(found)


def _png(data: bytes) -> Iterator[ForeignText]:
    """tEXt, zTXt and iTXt chunks (PNG 3rd edition, 11.3.3)."""
    for kind, content in png_chunks(data):
        key, _, rest = content.partition(b"\0")
        if kind == b"tEXt":
            text = rest
        elif kind == b"zTXt":
            text = unpacked(rest[1:])
        elif kind == b"iTXt":
            text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
            text = unpacked(text) if rest[:1] == b"\x01" else text
        else:
            continue
        yield ForeignText("PNG text", key[:79].decode("latin-1"), _decoded(text[:MAX_TEXT]))


def unpacked(packed: bytes) -> bytes:
    """A deflated text, up to MAX_TEXT bytes of it; empty when it is none."""
    with suppress(zlib.error):
        return zlib.decompressobj().decompress(packed, MAX_TEXT)
    return b""


def _pillow(data: bytes) -> Iterator[ForeignText]:
    """Exif fields and comments of any format; no pixel is decoded for them."""
    comment, exif = _metadata(data)
    if isinstance(comment, (bytes, str)):
        yield ForeignText("comment", "comment", _plain(comment))
    fields: list[tuple[str, Any]] = [(name, exif.get(tag)) for tag, name in _EXIF_FIELDS.items()]
    fields.append(("UserComment", exif.get_ifd(_EXIF_IFD).get(_USER_COMMENT)))
    for name, value in fields:
        if isinstance(value, (bytes, str)) and value:
            yield ForeignText("Exif", name, _field(name, value))


def _metadata(data: bytes) -> tuple[Any, Exif]:
    """The comment and the Exif fields. Of a PNG Pillow would decode all pixels to get at them."""
    from PIL import Image

    if data.startswith(PNG_SIGNATURE):
        exif = Image.Exif()
        packed = next((content for kind, content in png_chunks(data) if kind == b"eXIf"), None)
        if packed is not None:
            exif.load(b"Exif\0\0" + packed)
        return None, exif
    with quiet(), Image.open(BytesIO(data), formats=TRIED) as image:
        exif = image.getexif()
        exif.get_ifd(_EXIF_IFD)  # reads it while the file is open
        return image.info.get("comment"), exif


def _field(name: str, value: bytes | str) -> str:
    if isinstance(value, bytes):
        if name.startswith("XP"):
            return value[:MAX_TEXT].decode("utf-16-le", errors="replace").rstrip("\0")
        if name == "UserComment":
            return _user_comment(value[: MAX_TEXT + 8])
    return _plain(value)


def _user_comment(value: bytes) -> str:
    """Eight bytes say the character code (Exif 2.32, 4.6.5); programs differ in UTF-16's order."""
    code, content = value[:8], value[8:]
    if code == _UNICODE:
        either = [content.decode(coding, errors="replace") for coding in ("utf-16-be", "utf-16-le")]
        return max(either, key=_legible)
    if code in _CODES:
        return content.decode(_CODES[code], errors="replace")
    return _decoded(value.lstrip(b"\0"))


def _legible(text: str) -> int:
    return sum(character.isascii() for character in text[:2000])


def _plain(value: bytes | str) -> str:
    return _decoded(value[:MAX_TEXT]) if isinstance(value, bytes) else value[:MAX_TEXT]


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
