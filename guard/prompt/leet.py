"""Digits and signs read as the letters they stand for, and upside-down words turned back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from guard.prompt.folding import TURNED, UPSIDE_DOWN
from guard.prompt.normalise import View
from guard.prompt.tokens import Words, scan

_COMMON: Final = {
    "0": "o",
    "1": "i",
    "2": "z",
    "3": "e",
    "4": "a",
    "5": "s",
    "6": "g",
    "7": "t",
    "8": "b",
    "9": "g",
    "@": "a",
    "$": "s",
    "!": "i",
    "|": "i",
    "+": "t",
    "€": "e",
    "£": "e",
    "¢": "c",
    "¥": "y",
    **dict(zip("©®§µ×√∂∆∑†¡₳฿₵₣₲₭₥₦₱₴₮₩₽₹₤₺₸", "crsuxvdaetiabcfgkmnpstwprltt", strict=True)),
}
"""Signs and the letters that they are written for."""

TABLES: Final = (
    str.maketrans(_COMMON),
    str.maketrans(_COMMON | {"1": "l", "|": "l", "6": "b", "9": "q", "£": "l"}),
    str.maketrans(_COMMON | {"!": "l", "(": "c", "<": "c", "{": "c", "#": "h"}),
)
"""Readings of the same signs: one may stand for more than one letter."""

_CHUNK: Final = re.compile(r"[^\s,;:\"'`]+")
_SIGN: Final = re.compile(rf"[{re.escape(''.join(_COMMON))}(<{{#]")
_LETTER: Final = re.compile(r"[^\W\d_]")
_TURN: Final = {ord(turned): plain for turned, plain in UPSIDE_DOWN.items()}


def readings(words: Words) -> Iterator[Words]:
    """The text with leetspeak read as letters: at most three readings, none when there is none."""
    text = words.view.text
    if not _SIGN.search(text):
        return
    chunks = (one for one in _CHUNK.finditer(text) if _SIGN.search(one[0]))
    places = [_trimmed(chunk) for chunk in chunks if _LETTER.search(chunk[0])]
    places = [(a, b) for a, b in places if b - a > 2 and not text[a:b].isalpha()]
    seen = {text}
    for table in TABLES if places else ():
        letters = list(text)
        for start, end in places:
            letters[start:end] = text[start:end].translate(table)
        reading = "".join(letters)
        if reading not in seen:
            seen.add(reading)
            yield scan(View(reading, words.view.starts, words.view.ends))


def _trimmed(chunk: re.Match[str]) -> tuple[int, int]:
    """Without the punctuation around it: the ! of ``wow!`` is no letter."""
    text = chunk[0]
    left = len(text) - len(text.lstrip("([{<\"'!|#"))
    right = len(text.rstrip(")]}>\"'!?.|:"))
    return chunk.start() + left, max(chunk.start() + right, chunk.start() + left)


def turned_readings(original: str) -> tuple[str, ...]:
    """What an upside-down word may say; empty when no letter of it is upside down."""
    if TURNED.isdisjoint(original):
        return ()
    upright = original.casefold().translate(_TURN)
    return upright, upright[::-1]
