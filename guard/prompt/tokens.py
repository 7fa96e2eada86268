"""Words of a normalised text, in the canonical form that lexicons are matched in.

Canonical: words separated by one space, sentence punctuation as the word ``,`` so that phrases
do not reach across it, a space at both ends. Every other sign (brackets and weights of prompt
syntax, quotes, hyphens, underscores, slashes, line ends) only separates words.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
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

_WEIGHT: Final = r":-?\d*\.?\d+(?=[)\]}>])"
"""``(word:1.3)``: the number is no word. No space in it: a text's words are those of its chunks."""

_FULL_STOP: Final = r"(?<![^\W_])\.|(?<=[^\W_]{2})\.(?=\s|$)"
"""A dot that ends something: not one inside a word, nor the one of an initial."""

_SCAN_ASCII: Final = re.compile(
    rf"([a-z0-9]+(?:'(?!s(?![a-z0-9]))[a-z0-9]+)*)"
    rf"|({_WEIGHT}|[,;|!?]|{_FULL_STOP}|(?<!\S)-(?!\S))"
)
_LETTERS: Final = rf"[^\W_](?:[^\W_]|[{_SCRIPT_MARKS}])*"
_SCAN: Final = re.compile(
    rf"({_LETTERS}(?:'(?!s(?![^\W_])){_LETTERS})*)"
    rf"|({_WEIGHT}|[,;|!?。、，؛؟।…•·]|{_FULL_STOP}|(?<!\S)[–—-](?!\S))"
)

_CANONICAL: Final = re.compile(r"[a-z0-9]+(?: [a-z0-9]+)*")


class Words:
    """The words of a view: ``texts[i]`` is a canonical word or BREAK.

    Where each stands is worked out when it is first asked for: most texts hold nothing.
    """

    __slots__ = ("_places", "texts", "view")

    def __init__(self, view: View, texts: list[str]) -> None:
        self.view = view
        self.texts = texts
        self._places: list[tuple[int, int]] | None = None

    @property
    def places(self) -> list[tuple[int, int]]:
        """(start, end) of each word in the view."""
        if self._places is None:
            self._places = list(_places(self.view.text))
        return self._places

    def origin(self, first: int, last: int) -> tuple[int, int]:
        """The span of the original text of words ``first`` up to, not including, ``last``."""
        places = self.places
        return self.view.origin(places[first][0], places[last - 1][1])

    def around(self, start: int, end: int) -> tuple[int, int]:
        """First and one past the last of the words that ``start:end`` of the view touches."""
        first = bisect_left(self.places, start, key=lambda place: place[1] - 1)
        last = bisect_left(self.places, end, key=lambda place: place[0])
        return (first, last) if first < last else (0, 0)


def _places(text: str) -> Iterator[tuple[int, int]]:
    for found in _pattern(text).finditer(text):
        if found[1] or found[0][0] != ":":
            yield found.span()


def _pattern(text: str) -> re.Pattern[str]:
    return _SCAN_ASCII if text.isascii() else _SCAN


def scan(view: View) -> Words:
    """The words of ``view`` (a normalised text)."""
    found = _pattern(view.text).findall(view.text)
    texts = [word or BREAK for word, other in found if word or other[0] != ":"]
    if "'" in view.text:
        texts = [word.replace("'", "") for word in texts]
    return Words(view, texts)


def canonical(term: str) -> str:
    """A lexicon term or name in canonical form, breaks left out, without the outer spaces."""
    if _CANONICAL.fullmatch(term):
        return term
    return " ".join(text for text in scan(normalise(term)).texts if text != BREAK)
