"""Finds every entry of some lists in a text: words and phrases by hashing, the rest by automata.

A list of a hundred thousand names must be ready in a blink, so nothing is compiled: a phrase is
filed under its first two words, and its row is parsed when a text holds those two.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Final, NamedTuple

from guard.prompt.lexicon import Entry, Hit, Rows, Term, terms
from guard.prompt.normalise import normalise
from guard.prompt.tokens import Words

_KANA: Final = re.compile("[\u30a1-\u30fa\u30fc]")

_BETWEEN: Final = " \U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"

_APART: Final = frozenset({"infix", "prefix"})
"""Flags of terms that are no whole words."""


class Found(NamedTuple):
    """An entry at words ``first`` up to, not including, ``last``."""

    entry: Entry
    first: int
    last: int


class Index:
    """The entries of some lists.

    A key, which is the first two words of an entry or its only one, leads to the number of the
    last row that has it; the others stand before that, for lists are sorted.
    """

    def __init__(self, lists: Iterable[Rows]) -> None:
        self._lists = tuple(lists)
        self._last = [dict(zip(_keys(rows.texts), count())) for rows in self._lists]
        self._keys: frozenset[str] = frozenset().union(*self._last)
        self.singles = frozenset(key for key in self._keys if " " not in key)
        pairs = " ".join(self._keys - self.singles).split(" ")
        self.firsts, self.seconds = frozenset(pairs[::2]), frozenset(pairs[1::2])
        self._filed = functools.lru_cache(maxsize=20_000)(self._parsed)

    @functools.cached_property
    def parts(self) -> Parts:
        """The terms that are no whole words; built when a text holds more than ASCII."""
        return Parts(term for term in terms(self._lists) if _is_apart(term))

    def _parsed(self, key: str) -> tuple[tuple[Entry, list[str]], ...]:
        """The entries under a key, and their words."""
        found = []
        for rows, last in zip(reversed(self._lists), reversed(self._last), strict=True):
            number = last.get(key, -1)
            while number >= 0 and _keys(rows.texts[number : number + 1]) == [key]:
                entry = rows.entry(rows.lines[number])
                if not _is_apart(entry):
                    found.append((entry, entry.text.split(" ")))
                number -= 1
        return tuple(found)

    def find(self, texts: list[str], begins: Iterable[int] | None = None) -> list[Found]:
        """Entries written out in the words ``texts``, at the places ``begins`` or anywhere."""
        keys = [
            (at, key)
            for at in (range(len(texts)) if begins is None else begins)
            for key in dict.fromkeys((texts[at], " ".join(texts[at : at + 2])))
            if key in self._keys
        ]
        return [
            Found(entry, at, at + len(words))
            for at, key in keys
            for entry, words in self._filed(key)
            if len(words) < 3 or texts[at : at + len(words)] == words
        ]


def _keys(texts: Iterable[str]) -> list[str]:
    """The first two words of each text."""
    return [
        one if one.count(" ") < 2 else one[: one.index(" ", one.index(" ") + 1)] for one in texts
    ]


def _is_apart(entry: Entry) -> bool:
    return isinstance(entry, Term) and not entry.flags.isdisjoint(_APART)


class Parts:
    """Terms of scripts that do not separate words, or that hang endings on them, and emoji."""

    def __init__(self, terms: Iterable[Term]) -> None:
        import ahocorasick_rs

        self._terms: dict[str, list[Term]] = {}
        for term in terms:
            self._terms.setdefault(normalise(term.text).text, []).append(term)
        self._texts = list(self._terms)
        self.letters = frozenset("".join(self._texts)) - {" "}
        """Every character that a term has, but spaces."""
        self._automaton = ahocorasick_rs.AhoCorasick(self._texts)

    def hits(self, words: Words) -> Iterator[Hit]:
        """Hits among the characters of the text."""
        text = words.view.text
        if text.isascii():
            return
        for found, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            if not _cuts_katakana(text, start, end):
                yield from self._as_hits(words, self._texts[found], (start, end))
        yield from self._sequences(words)

    def _sequences(self, words: Words) -> Iterator[Hit]:
        """Emoji kept apart by spaces, or in other skins."""
        text = words.view.text
        signs = [i for i, char in enumerate(text) if char in self.letters and not char.isalnum()]
        for run in _runs(text, signs):
            joined = "".join(map(text.__getitem__, run))
            for found, start, end in self._automaton.find_matches_as_indexes(
                joined, overlapping=True
            ):
                span = (run[start], run[end - 1] + 1)
                if span[1] - span[0] > end - start:
                    yield from self._as_hits(words, self._texts[found], span)

    def _as_hits(self, words: Words, text: str, span: tuple[int, int]) -> Iterator[Hit]:
        first, last = words.around(*span)
        inside = words.view.text[max(0, span[0] - 1) : span[0]].isalnum()
        for term in self._terms[text]:
            if "prefix" not in term.flags or not inside:
                yield Hit(term, words.view.origin(*span), first, last)


def _runs(text: str, signs: Sequence[int]) -> Iterator[list[int]]:
    """Runs of positions between which nothing but spaces and skin tones stands."""
    run: list[int] = []
    for at in signs:
        if run and text[run[-1] + 1 : at].strip(_BETWEEN):
            yield run
            run = []
        run.append(at)
    if run:
        yield run


def _cuts_katakana(text: str, start: int, end: int) -> bool:
    """Whether a katakana word goes on beyond the match: ヌード is not in ヌードル (noodle)."""
    before = start > 0 and _KANA.match(text[start]) and _KANA.match(text[start - 1])
    after = end < len(text) and _KANA.match(text[end - 1]) and _KANA.match(text[end])
    return bool(before or after)
