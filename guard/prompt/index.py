"""Finds every entry of some lists in a text: words and phrases by hashing, the rest by automata.

A list of a hundred thousand names must be ready in a blink, so nothing is compiled: a phrase is
filed under its first two words, and its row is parsed when a text holds those two.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Final, NamedTuple

from guard.prompt.lexicon import NAME_LISTS, Entry, Hit, Rows, Term
from guard.prompt.normalise import normalise
from guard.prompt.tokens import Words

_KANA: Final = re.compile("[\u30a1-\u30fa\u30fc]")

_BETWEEN: Final = " \U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"

_APART: Final = frozenset({"infix", "prefix"})
"""Flags of terms that are no whole words."""

_Pair = tuple[str, str]


class Found(NamedTuple):
    """An entry at words ``first`` up to, not including, ``last``."""

    entry: Entry
    first: int
    last: int


class Index:
    """The entries of some lists.

    A key leads to the number of its last row, a row to the one before it under the same key:
    numbers cost the collector nothing, where a hundred thousand small lists would keep it busy
    for longer than the rest takes.
    """

    def __init__(self, lists: Iterable[Rows]) -> None:
        self._lists: list[Rows] = []
        self._begins: list[int] = []
        self._lines: list[str] = []
        self._last: dict[str | _Pair, int] = {}
        self._before: dict[int, int] = {}
        parts: list[Term] = []
        for rows in lists:
            lines: Sequence[str] = rows.lines
            if rows.name not in NAME_LISTS:
                terms = [entry for entry in map(rows.entry, lines) if isinstance(entry, Term)]
                apart = [not term.flags.isdisjoint(_APART) for term in terms]
                parts += compress(terms, apart)
                lines = list(compress(lines, (not one for one in apart)))
            self._file(rows, lines)
        self.parts = Parts(parts)
        pairs = [key for key in self._last if isinstance(key, tuple)]
        self.singles = frozenset(key for key in self._last if isinstance(key, str))
        self.firsts, self.seconds = map(frozenset, zip(*pairs, strict=True)) if pairs else ((), ())
        self._filed = functools.lru_cache(maxsize=20_000)(self._parsed)

    def _file(self, rows: Rows, lines: Sequence[str]) -> None:
        last, before = self._last, self._before
        self._lists.append(rows)
        self._begins.append(len(self._lines))
        for number, line in enumerate(lines, len(self._lines)):
            words = line[: line.index("\t")].split(" ", 2)
            key = words[0] if len(words) == 1 else (words[0], words[1])
            if key in last:
                before[number] = last[key]
            last[key] = number
        self._lines += lines

    def _parsed(self, key: str | _Pair) -> tuple[tuple[Entry, list[str]], ...]:
        """The entries under a key, and their words."""
        found = []
        number = self._last.get(key)
        while number is not None:
            entry = self._lists[bisect_right(self._begins, number) - 1].entry(self._lines[number])
            found.append((entry, entry.text.split(" ")))
            number = self._before.get(number)
        return tuple(found)

    def find(self, texts: list[str], begins: Iterable[int] | None = None) -> list[Found]:
        """Entries written out in the words ``texts``, at the places ``begins`` or anywhere."""
        last = self._last
        keys: list[tuple[int, str | _Pair]] = []
        for at in range(len(texts)) if begins is None else begins:
            pair = tuple(texts[at : at + 2])
            keys += [(at, key) for key in (texts[at], pair) if key in last]
        return [
            Found(entry, at, at + len(words))
            for at, key in keys
            for entry, words in self._filed(key)
            if len(words) < 3 or texts[at : at + len(words)] == words
        ]


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
