"""Words of a normalised text, in the canonical form that lexicons are matched in.

Canonical: words separated by one space, sentence punctuation as the word ``,`` so that phrases
do not reach across it, a space at both ends. Every other sign (brackets and weights of prompt
syntax, quotes, hyphens, underscores, slashes, line ends) only separates words.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from guard.prompt.normalise import View, normalise

BREAK: Final = ","

_SCRIPT_MARKS: Final = (
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a4d"
    "\u0a81-\u0acd\u0b01-\u0b4d\u0b82-\u0bcd\u0c00-\u0c4d\u0c81-\u0ccd\u0d00-\u0d4d\u0d82-\u0ddf"
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u0f71-\u0f84\u102b-\u103e"
    "\u17b6-\u17d3"
)
"""Vowel signs and points that are part of words but no letters to ``str.isalnum``."""

_WEIGHT: Final = r":\s*-?\d*\.?\d+(?=\s*[)\]}>])"
"""``(word:1.3)``: the number is no word."""

_FULL_STOP: Final = r"(?<![^\W_])\.|(?<=[^\W_]{2})\.(?=\s|$)"
"""A dot that ends something: not one inside a word, nor the one of an initial."""

_SCAN_ASCII: Final = re.compile(
    rf"([a-z0-9]+(?:'(?!s(?![a-z0-9]))[a-z0-9]+)*)|{_WEIGHT}|[,;|!?]|{_FULL_STOP}|(?<=\s)-(?=\s)"
)
_LETTERS: Final = rf"[^\W_](?:[^\W_]|[{_SCRIPT_MARKS}])*"
_SCAN: Final = re.compile(
    rf"({_LETTERS}(?:'(?!s(?![^\W_])){_LETTERS})*)"
    rf"|{_WEIGHT}|[,;|!?。、，؛؟।…•·]|{_FULL_STOP}|(?<=\s)[–—-](?=\s)"
)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a view.

    ``texts[i]`` is a canonical word or BREAK, ``starts[i]:ends[i]`` its place in the view, and
    ``offsets[i]`` where it begins in the canonical ``text``.
    """

    view: View
    texts: Sequence[str]
    starts: Sequence[int]
    ends: Sequence[int]
    offsets: Sequence[int]
    text: str

    def at(self, start: int, end: int) -> tuple[int, int]:
        """First word and one past the last of ``start:end`` in the canonical text."""
        return bisect_left(self.offsets, start), bisect_left(self.offsets, end)

    def origin(self, first: int, last: int) -> tuple[int, int]:
        """The span of the original text of words ``first`` up to, not including, ``last``."""
        return self.view.origin(self.starts[first], self.ends[last - 1])


def scan(view: View) -> Words:
    """The words of ``view`` (a normalised text)."""
    texts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    offsets: list[int] = []
    position = 1
    pattern = _SCAN_ASCII if view.text.isascii() else _SCAN
    for found in pattern.finditer(view.text):
        word = found[1]
        if word is None:
            if found[0][0] == ":":
                continue
            word = BREAK
        elif "'" in word:
            word = word.replace("'", "")
        start, end = found.span()
        texts.append(word)
        starts.append(start)
        ends.append(end)
        offsets.append(position)
        position += len(word) + 1
    text = f" {' '.join(texts)} " if texts else " "
    return Words(view, texts, starts, ends, offsets, text)


def canonical(term: str) -> str:
    """A lexicon term or name in canonical form, breaks left out, without the outer spaces."""
    return " ".join(text for text in scan(normalise(term)).texts if text != BREAK)
