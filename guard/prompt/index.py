"""Finds every entry of some lists in a text: words and phrases by hashing, the rest by automata.

A list of a hundred thousand names must be ready in a blink, so nothing is compiled: a phrase is
filed under its first two words, and its row is parsed when a text holds those two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from guard.prompt.lexicon import NAME_LISTS, Entry, Hit, Rows, Term
from guard.prompt.normalise import normalise
from guard.prompt.tokens import Words

_KANA: Final = re.compile("[\u30a1-\u30fa\u30fc]")

_Row = tuple[Rows, str]
_Pair = tuple[str, str]


class Found(NamedTuple):
    """An entry at words ``first`` up to, not including, ``last``."""

    entry: Entry
    first: int
    last: int


class Index:
    """The entries of some lists."""

    def __init__(self, lists: Iterable[Rows]) -> None:
        self._singles: dict[str, list[_Row]] = {}
        self._pairs: dict[_Pair, list[_Row]] = {}
        parts: list[Term] = []
        for rows in lists:
            if rows.name in NAME_LISTS:
                self._file(rows, rows.lines)
                continue
            for line in rows.lines:
                entry = rows.entry(line)
                if isinstance(entry, Term) and entry.flags & {"infix", "prefix"}:
                    parts.append(entry)
                else:
                    self._file(rows, (line,))
        self.parts = Parts(parts)

    def _file(self, rows: Rows, lines: Sequence[str]) -> None:
        singles, pairs = self._singles, self._pairs
        for line in lines:
            words = line[: line.index("\t")].split(" ", 2)
            row = (rows, line)
            if len(words) == 1:
                singles.setdefault(words[0], []).append(row)
            else:
                pairs.setdefault((words[0], words[1]), []).append(row)

    def find(self, texts: Sequence[str]) -> list[Found]:
        """Entries written out in the words ``texts``."""
        found: list[Found] = []
        if not self._singles.keys().isdisjoint(texts):
            for position, text in enumerate(texts):
                for rows, line in self._singles.get(text, ()):
                    found.append(Found(rows.entry(line), position, position + 1))
        pairs = self._pairs
        neighbours = zip(texts, islice(texts, 1, None), strict=False)
        for position, pair in [one for one in enumerate(neighbours) if one[1] in pairs]:
            for rows, line in pairs[pair]:
                words = line[: line.index("\t")].split(" ")
                last = position + len(words)
                if len(words) == 2 or list(texts[position:last]) == words:
                    found.append(Found(rows.entry(line), position, last))
        return found


class Parts:
    """Terms of scripts that do not separate words, or that hang endings on them, and emoji."""

    def __init__(self, terms: Iterable[Term]) -> None:
        import ahocorasick_rs

        self._terms: dict[str, list[Term]] = {}
        for term in terms:
            self._terms.setdefault(normalise(term.text).text, []).append(term)
        self._texts = list(self._terms)
        self.letters = frozenset("".join(self._texts))
        """Every character that a term has."""
        self._automaton = ahocorasick_rs.AhoCorasick(self._texts)

    def hits(self, words: Words) -> Iterator[Hit]:
        """Hits among the characters of the text."""
        text = words.view.text
        if text.isascii():
            return
        for found, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            if _cuts_katakana(text, start, end):
                continue
            first, last = words.around(start, end)
            for term in self._terms[self._texts[found]]:
                if "prefix" not in term.flags or not text[max(0, start - 1) : start].isalnum():
                    yield Hit(term, words.view.origin(start, end), first, last)


def _cuts_katakana(text: str, start: int, end: int) -> bool:
    """Whether a katakana word goes on beyond the match: ヌード is not in ヌードル (noodle)."""
    before = start > 0 and _KANA.match(text[start]) and _KANA.match(text[start - 1])
    after = end < len(text) and _KANA.match(text[end - 1]) and _KANA.match(text[end])
    return bool(before or after)
