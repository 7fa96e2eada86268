"""Encodings that carry a term past a reader of plain text.

Entities, escapes, markup inside words, base64, hex, tag characters, Morse, rot13 where it is named.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import string
from collections.abc import Iterator
from itertools import pairwise
from typing import Final
from urllib.parse import unquote

from guard.prompt.normalise import View
from guard.prompt.wordsets import word_list

_INLINE: Final = re.compile(
    r"&#?\w{1,31};?|(?:%[0-9a-fA-F]{2})+|\\u\{?[0-9a-fA-F]{4,6}\}?|\\x[0-9a-fA-F]{2}|"
    r"\\U[0-9a-fA-F]{8}|\\[0-3][0-7]{2}|(?<![\w])[uU]\+[0-9a-fA-F]{4,5}(?:\s(?=[uU]\+))?"
)
_MAY_DECODE: Final = re.compile(r"[&%\\]|[uU]\+")
_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{6,4096}={0,2}")
_ORDINARY: Final = re.compile(r"[A-Z]?[a-z_/-]+|[A-Z]+|[0-9]+")
"""Chunks that are words or numbers; base64 of a text mixes cases or has digits."""

_HEX: Final = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{2}[\s:,-]?){3,2048}")
_MARKUP: Final = re.compile(
    r"(?<=\w)(?:<!--.{0,40}?-->|</?[A-Za-z][^<>]{0,40}>|\[/?[A-Za-z]{1,8}\]|[\"\u201c\u201d])+(?=\w)"
)
_ROT13: Final = re.compile(r"(?i)\brot-?13\b")
_MORSE: Final = re.compile(r"(?<!\S)[.-]{1,4}(?: [.-]{1,4}){2,80}(?!\S)")
_MORSE_LETTERS: Final = dict(
    zip(
        word_list(
            ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- "
            "...- .-- -..- -.-- --.."
        ),
        string.ascii_lowercase,
        strict=True,
    )
)
MAX_LAYERS: Final = 3
"""Base64 of base64 of base64: beyond that nobody reads it back."""

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
    if piece[0] == "\\" and piece[1].isdigit():
        return chr(int(piece[1:], 8))
    code = int(re.sub(r"[^0-9a-fA-F]", "", piece[2:] if piece[0] == "\\" else piece[1:]), 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else piece


def unmarked(text: str) -> View | None:
    """``text`` without markup and quotation marks that stand inside words; None without any."""
    cuts = [found.span() for found in _MARKUP.finditer(text)]
    if not cuts:
        return None
    kept = [*range(cuts[0][0])]
    for (_, start), (end, _) in pairwise([*cuts, (len(text), len(text))]):
        kept += range(start, end)
    return View("".join(map(text.__getitem__, kept)), kept, [one + 1 for one in kept])


def hidden(text: str) -> Iterator[View]:
    """Texts hidden whole: base64, hex and tag characters that decode to something readable."""
    for found in _TAGS.finditer(text):
        yield _whole("".join(chr(ord(char) - 0xE0000) for char in found[0]), found)
    for found in _BASE64.finditer(text):
        plain = "" if _ORDINARY.fullmatch(found[0]) else _unwrapped(found[0])
        if plain:
            yield _whole(plain, found)
    if _ROT13.search(text):
        yield View(codecs.encode(text, "rot13"), range(len(text)), range(1, len(text) + 1))
    for found in _MORSE.finditer(text):
        letters = [_MORSE_LETTERS.get(one, "") for one in found[0].split(" ")]
        yield _whole("".join(letters), found)
    for found in _HEX.finditer(text):
        digits = re.sub(r"[^0-9a-fA-F]", "", found[0].removeprefix("0x"))
        plain = _readable(bytes.fromhex(digits)) if len(digits) % 2 == 0 else ""
        if plain:
            yield _whole(plain, found)


def _unwrapped(chunk: str) -> str:
    """What a chunk of base64 says, however often it was wrapped; "" for what says nothing."""
    for _ in range(MAX_LAYERS):
        raw = _from_base64(chunk)
        inner = raw.decode("ascii", errors="replace")
        if not _BASE64.fullmatch(inner) or _ORDINARY.fullmatch(inner):
            return _readable(raw)
        chunk = inner
    return ""


def _from_base64(chunk: str) -> bytes:
    bare = chunk.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


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
