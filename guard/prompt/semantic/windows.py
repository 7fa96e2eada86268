"""Parts of a text: windows that are scored one by one, and the clauses that findings point at.

A long prompt is read in overlapping windows, and the worst one counts: harmless padding around it
changes nothing. Their number is bounded; of a longer text the beginning and the end are read, which
is more than any generator sees (77 tokens for CLIP, 512 for T5).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

WORDS: Final = 60
STRIDE: Final = 40
WHOLE: Final = 80
"""Up to so many words a text is read in one piece."""
CHARACTERS: Final = 60_000
"""Of a longer text, so many characters are read at either end."""
WORD_CHARACTERS: Final = 200
"""A "word" longer than this is cut up: text without spaces must not hide in one window."""

SENTENCES: Final = 600
"""At most so many sentences are read by themselves."""
SENTENCE_WORDS: Final = 6
"""Shorter ones say too little by themselves."""

_SENTENCE: Final = re.compile(r"[^.!?\n\u3002]+")
_WORD: Final = re.compile(rf"\S{{1,{WORD_CHARACTERS}}}")
_CLAUSE: Final = re.compile(r"[^,.;:!?|\n\u3001\u3002]+")


class Window(NamedTuple):
    """A part of a text; ``start`` and ``end`` in code points."""

    start: int
    end: int
    text: str


def windows(text: str) -> list[Window]:
    """Windows of ``text``, in order; one for a text of ordinary length, at least one."""
    if len(text) <= WHOLE:  # at most so many words
        return [Window(0, len(text), text)]
    if len(text) <= 2 * CHARACTERS:
        return _of(text, 0, len(text))
    return [*_of(text, 0, CHARACTERS), *_of(text, len(text) - CHARACTERS, len(text))]


def clauses(window: Window) -> list[Window]:
    """The clauses of a window, without the white space around them; itself when it has none."""
    found = []
    for match in _CLAUSE.finditer(window.text):
        inner = match.group().strip()
        if inner:
            start = window.start + match.start() + match.group().index(inner[0])
            found.append(Window(start, start + len(inner), inner))
    return found or [window]


def _of(text: str, start: int, end: int) -> list[Window]:
    spans = [match.span() for match in _WORD.finditer(text, start, end)]
    if len(spans) <= WHOLE:
        return [Window(start, end, text[start:end])]
    answer = _sentences(text[start:end], start)
    for first in range(0, len(spans) - (WORDS - STRIDE), STRIDE):
        a, b = spans[first][0], spans[min(first + WORDS, len(spans)) - 1][1]
        answer.append(Window(a, b, text[a:b]))
    return answer


def _sentences(text: str, offset: int) -> list[Window]:
    """Whole sentences of a long text: one among many harmless ones is not to be thinned by them."""
    found: list[Window] = []
    for match in _SENTENCE.finditer(text):
        if len(found) < SENTENCES and len(match.group().split()) >= SENTENCE_WORDS:
            found.append(Window(offset + match.start(), offset + match.end(), match.group()))
    return found
