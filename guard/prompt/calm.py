"""Whether a text needs a close look at all: most do not, and proof of that is cheap.

A text is taken apart at its white space. What each chunk says, and that nothing is hidden in it,
is known from :mod:`guard.prompt.chunks`; what is left to do for a text is to look for phrases
and for what only neighbours make: split words, letters kept apart, ages, misspelt names.

The answer errs on the side of looking: a glance is final only where a close look would find the
same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from guard.prompt import spread
from guard.prompt.ages import ages
from guard.prompt.chunks import Chunks, Hidden, Places
from guard.prompt.codes import hidden
from guard.prompt.disguises import Disguises
from guard.prompt.index import Found, Index
from guard.prompt.kinds import AGE, BEGIN, CODES, LETTERS, NOTABLE, PIECE, UNKNOWN
from guard.prompt.lexicon import Hit
from guard.prompt.names import BentNames
from guard.prompt.normalise import normalise

MAX_CHARS: Final = 8_000
"""Longer texts get the full look: so many new chunks would cost more than it."""


class Glance:
    """What a first glance tells: the words ``texts``, entries among them and what hid each.

    ``apart`` are hits that are no entries among the words: ages, and terms split in pieces.
    """

    __slots__ = ("_chunks", "_kinds", "_places", "_text", "apart", "found", "texts")

    def __init__(self, text: str, chunks: list[str], kinds: list[str], texts: list[str]) -> None:
        self._text, self._chunks, self._kinds, self.texts = text, chunks, kinds, texts
        self._places: Places | None = None
        self.found: list[tuple[Found, str]] = []
        self.apart: list[Hit] = []

    def origin(self, first: int, last: int) -> tuple[int, int]:
        """The span in the text of words ``first`` up to, not including, ``last``."""
        if self._places is None:
            self._places = Places(self._text, self._chunks, map(len, self._kinds))
        return self._places.origin(first, last)


_EMPTY: Final = Glance("", [], [], [])


class Calm:
    """Judges texts. ``hides(chunk)`` tells whether any reader of disguises sees something in it."""

    def __init__(
        self,
        index: Index,
        disguises: Disguises,
        bent: BentNames,
        hides: Callable[[str], bool],
    ) -> None:
        self._index, self._disguises, self._bent = index, disguises, bent
        self._chunks = Chunks(index, disguises, hides)

    def glance(self, text: str) -> Glance | None:
        """What there is in ``text``; None when it needs a close look."""
        if len(text) > MAX_CHARS:
            return None
        self._chunks.tidy()
        chunks = text.split()
        try:
            by_chunk = list(map(self._chunks.__getitem__, chunks))
        except Hidden:
            return None
        kinds = "".join(by_chunk)
        begins = _positions(BEGIN, kinds)
        notable = NOTABLE.search(kinds)
        if not begins and notable is None:
            return _EMPTY
        try:
            texts = " ".join(map(self._chunks.said.__getitem__, chunks)).split()
        except KeyError:  # another thread has just begun the memory anew
            return None
        glance = Glance(text, chunks, by_chunk, texts)
        glance.found = [(one, "") for one in self._index.find(texts, begins)]
        if notable is not None:
            if self._is_spelt(text, kinds):
                return None
            glance.found += self._bent.find(texts, _positions(UNKNOWN, kinds))
            glance.apart += self._apart(text, glance, kinds)
        return glance

    def _is_spelt(self, text: str, kinds: str) -> bool:
        """Whether neighbours are the letters of something."""
        if LETTERS.search(kinds) and any(spread.kept_apart(normalise(text), self._disguises)):
            return True
        return bool(CODES.search(kinds)) and any(hidden(text))

    def _apart(self, text: str, glance: Glance, kinds: str) -> Iterator[Hit]:
        if AGE.match(kinds):
            yield from ages(normalise(text))
        pieces = _positions(PIECE, kinds)
        for term, first, last in self._disguises.splits(glance.texts, pieces) if pieces else ():
            yield Hit(term, glance.origin(first, last), first, last, "a split")


def _positions(kind: re.Pattern[str], kinds: str) -> list[int]:
    return [found.start() for found in kind.finditer(kinds)]
