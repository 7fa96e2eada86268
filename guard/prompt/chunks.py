"""What stands between white space, read once a process: most texts are made of the same chunks."""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Final

from guard.prompt.disguises import Disguises
from guard.prompt.index import Index
from guard.prompt.kinds import Kinds
from guard.prompt.normalise import normalise
from guard.prompt.tokens import BREAK, scan

MAX_CHUNK: Final = 60
"""Longer chunks are no words."""

MAX_CHUNKS: Final = 100_000
"""Chunks remembered: about 20 MB."""

_PLAIN: Final = re.compile(r"[(\"']?([A-Z]?[a-z]+|[A-Z]+)[.,;:!?)\"']?")
_CHUNK: Final = re.compile(r"\S+")
_BREAKS: Final = frozenset(",;!?")
_REACHES_ON: Final = re.compile(
    r"[\u202a-\u202e\u2066-\u2069]|<!|(?i:rot-?13)|\A(?:\.+-|-+\.)[.-]*\Z"
)
"""What does not end with its chunk: directional overrides, comments, a named cipher, Morse."""


class Hidden(Exception):
    """In this chunk something may be hidden."""


class Chunks(dict[str, str]):
    """The kinds of the words of each chunk, worked out when it is first asked for; raises Hidden.

    ``said`` are the words themselves. ``hides(chunk)`` tells whether any reader of disguises sees
    something in it.
    """

    def __init__(
        self,
        index: Index,
        disguises: Disguises,
        hides: Callable[[str], bool],
    ) -> None:
        super().__init__()
        self.said: dict[str, str] = {}
        self._index, self._disguises, self._hides = index, disguises, hides
        self._kinds = Kinds(index, disguises)
        self._hidden: set[str] = set()

    def __missing__(self, chunk: str) -> str:
        if chunk in self._hidden:
            raise Hidden
        try:
            said = self.said[chunk] = self._read(chunk)
        except Hidden:
            if len(chunk) <= MAX_CHUNK:
                self._hidden.add(chunk)
            raise
        kinds = self[chunk] = "".join(map(self._kinds.of, said.split()))
        return kinds

    def tidy(self) -> None:
        """Begin anew when there is too much to remember."""
        if len(self) + len(self._hidden) >= MAX_CHUNKS:
            self.said.clear()  # first: another thread may be reading, and kinds need their words
            self.clear()
            self._hidden.clear()

    def _read(self, chunk: str) -> str:
        plain = _PLAIN.fullmatch(chunk)
        if plain is not None:
            return self._read_plain(plain[1].lower(), chunk[plain.end(1) :])
        if len(chunk) > MAX_CHUNK or _REACHES_ON.search(chunk):
            raise Hidden
        view = normalise(f" {chunk} ")
        if not self._is_latin(view.text) or self._hides(chunk):
            raise Hidden
        return " ".join(scan(view).texts)

    def _read_plain(self, word: str, after: str) -> str:
        """The short way for a word in plain punctuation, which most chunks are."""
        if not self._disguises.knows(word) and self._disguises.lookup(word) is not None:
            raise Hidden
        ends = after and (not _BREAKS.isdisjoint(after) or ("." in after and len(word) > 1))
        return f"{word} {BREAK}" if ends else word

    def _is_latin(self, folded: str) -> bool:
        """Whether all its letters are ASCII, and its signs belong to no entry."""
        others = [char for char in folded if not char.isascii()]
        return not any(char.isalnum() or char in self._index.parts.letters for char in others)


class Places:
    """Where the words of ``text`` stand; ``counts`` are the words of each of its ``chunks``."""

    def __init__(self, text: str, chunks: list[str], counts: Iterable[int]) -> None:
        self._chunks = chunks
        self._firsts = list(accumulate(counts, initial=0))
        if len(text) == sum(map(len, chunks)) + len(chunks) - 1:  # single spaces only
            self._starts = list(accumulate((len(chunk) + 1 for chunk in chunks), initial=0))
        else:
            self._starts = [found.start() for found in _CHUNK.finditer(text)]

    def origin(self, first: int, last: int) -> tuple[int, int]:
        """The span of words ``first`` up to, not including, ``last``."""
        left = bisect_right(self._firsts, first) - 1
        right = bisect_right(self._firsts, last - 1, left) - 1
        start = _inner(self._chunks[left])[first - self._firsts[left]][0]
        end = _inner(self._chunks[right])[last - 1 - self._firsts[right]][1]
        return self._starts[left] + start, self._starts[right] + end


@functools.lru_cache(maxsize=20_000)
def _inner(chunk: str) -> tuple[tuple[int, int], ...]:
    """(start, end) in ``chunk`` of each of its words."""
    plain = _PLAIN.fullmatch(chunk)
    if plain is not None:
        return plain.span(1), (plain.end(1), len(chunk))
    words = scan(normalise(f" {chunk} "))
    spans = (words.origin(at, at + 1) for at in range(len(words.texts)))
    return tuple((start - 1, end - 1) for start, end in spans)
