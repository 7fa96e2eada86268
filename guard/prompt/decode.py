"""Encodings that carry a term past a reader of plain text: entities, escapes, base64, hex, tags."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from guard.prompt.normalise import View

_INLINE: Final = re.compile(
    r"&#?\w{1,31};?|(?:%[0-9a-fA-F]{2})+|\\u\{?[0-9a-fA-F]{4,6}\}?|\\x[0-9a-fA-F]{2}|"
    r"\\U[0-9a-fA-F]{8}|(?<![\w])[uU]\+[0-9a-fA-F]{4,5}(?:\s(?=[uU]\+))?"
)
_MAY_DECODE: Final = re.compile(r"[&%\\]|[uU]\+")
_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{6,4096}={0,2}")
_ORDINARY: Final = re.compile(r"[A-Z]?[a-z_/-]+|[A-Z]+|[0-9]+")
"""Chunks that are words or numbers; base64 of a text mixes cases or has digits."""

_HEX: Final = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{2}[\s:,-]?){3,2048}")
_TAGS: Final = re.compile("[\U000e0020-\U000e007e]{3,}")


def inline(text: str) -> View | None:
    """``text`` with entities and escapes read; None when it has none."""
    if not _MAY_DECODE.search(text):
        return None
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position, changed = 0, False
    for found in _INLINE.finditer(text):
        piece = _read(found[0])
        if piece == found[0]:
            continue
        changed = True
        plain = range(position, found.start())
        out += [text[position : found.start()], piece]
        starts += [*plain, *[found.start()] * len(piece)]
        ends += [*(one + 1 for one in plain), *[found.end()] * len(piece)]
        position = found.end()
    if not changed:
        return None
    rest = range(position, len(text))
    return View(
        "".join(out) + text[position:], [*starts, *rest], [*ends, *(one + 1 for one in rest)]
    )


def _read(piece: str) -> str:
    if piece.startswith("&"):
        return html.unescape(piece)
    if piece.startswith("%"):
        return unquote(piece, errors="replace")
    code = int(re.sub(r"[^0-9a-fA-F]", "", piece[2:] if piece[0] == "\\" else piece[1:]), 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else piece


def hidden(text: str) -> Iterator[View]:
    """Texts hidden whole: base64, hex and tag characters that decode to something readable."""
    for found in _TAGS.finditer(text):
        yield _whole("".join(chr(ord(char) - 0xE0000) for char in found[0]), found)
    for found in _BASE64.finditer(text):
        plain = "" if _ORDINARY.fullmatch(found[0]) else _from_base64(found[0])
        if plain:
            yield _whole(plain, found)
    for found in _HEX.finditer(text):
        digits = re.sub(r"[^0-9a-fA-F]", "", found[0].removeprefix("0x"))
        plain = _readable(bytes.fromhex(digits)) if len(digits) % 2 == 0 else ""
        if plain:
            yield _whole(plain, found)


def _from_base64(chunk: str) -> str:
    bare = chunk.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _readable(base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True))
    except (binascii.Error, ValueError):
        return ""


def _readable(raw: bytes) -> str:
    """The bytes as text when they look like words, else "": random bytes never do for long."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    letters = sum(char.isalpha() or char == " " for char in text)
    return text if letters >= 3 and letters >= 0.8 * len(text) else ""


def _whole(text: str, found: re.Match[str]) -> View:
    return View(text, [found.start()] * len(text), [found.end()] * len(text))
