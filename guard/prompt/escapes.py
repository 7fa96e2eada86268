"""Escapes that stand for characters: entities, URL encoding, and what programming languages use."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final
from urllib.parse import unquote

from guard.prompt.normalise import View, compose

_MAY_ESCAPE: Final = re.compile(r"[&%\\]|[uU]\+|=[0-9A-F]{2}=|\+A[A-Za-z0-9+/]{2}")
_ESCAPE: Final = re.compile(
    r"&#?\w{1,31};?"  # HTML, XML
    r"|%u[0-9a-fA-F]{4}|(?:%[0-9a-fA-F]{2})+"  # URL
    r"|(?:=[0-9A-F]{2}){2,}"  # quoted-printable
    r"|\\[xu]\{?[0-9a-fA-F]{2,6}\}?|\\U[0-9a-fA-F]{8}|\\N\{[A-Z -]{3,60}\}"  # C, Java, Python, Perl
    r"|\\[0-3][0-7]{2}(?![0-9a-fA-F])|\\[0-9a-fA-F]{2,6}\s?"  # octal; CSS
    r"|(?<!\w)[uU]\+[0-9a-fA-F]{4,6}(?:\s(?=[uU]\+))?"
    r"|\+A[A-Za-z0-9+/]{2,}-?"  # UTF-7
)
_DIGITS: Final = re.compile(r"[0-9a-fA-F]+")
MAX_LAYERS: Final = 3
"""Escapes of escapes of escapes: beyond that nobody reads it back."""


def unescaped(text: str) -> View | None:
    """``text`` with escapes read, and those in what they say; None when it has none."""
    view = _once(text)
    for _ in range(MAX_LAYERS - 1):
        inner = _once(view.text) if view is not None else None
        if view is None or inner is None:
            return view
        view = compose(view, inner)
    return view


def _once(text: str) -> View | None:
    if not _MAY_ESCAPE.search(text):
        return None
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position, changed = 0, False
    for found in _ESCAPE.finditer(text):
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
    """What an escape says; the escape itself when it says nothing."""
    if piece[0] == "&":
        return html.unescape(piece)
    if piece[0] == "=":
        return bytes.fromhex(piece.replace("=", "")).decode("latin-1")
    if piece[0] == "+":
        return _utf7(piece)
    if piece[0] == "%" and piece[1] != "u":
        return unquote(piece, errors="replace")
    return _named(piece) if piece[:2] == "\\N" else _numbered(piece)


def _numbered(piece: str) -> str:
    digits = _DIGITS.search(piece, 1 if piece[1] not in "xuU+" else 2)
    if digits is None:
        return piece
    octal = piece[0] == "\\" and len(digits[0]) == 3 and digits[0].isdigit()
    return _character(int(digits[0], 8 if octal else 16), piece)


def _character(code: int, piece: str) -> str:
    return chr(code) if 0x20 <= code < 0x110000 and not 0xD800 <= code < 0xE000 else piece


def _named(piece: str) -> str:
    try:
        return unicodedata.lookup(piece[3:-1])
    except KeyError:
        return piece


def _utf7(piece: str) -> str:
    try:
        return piece.encode("ascii").decode("utf-7")
    except UnicodeError:
        return piece
