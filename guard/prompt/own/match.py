"""Finds the entries of an own list in a text: as written, and behind disguises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from guard.prompt import leet
from guard.prompt.disguises import Disguises
from guard.prompt.lexicon import Term, vocabulary
from guard.prompt.normalise import normalise, skeleton
from guard.prompt.own.entries import OwnEntry
from guard.prompt.tokens import Words, scan

MAX_DISGUISED: Final = 20_000
"""Entries of a longer list are not looked for behind misspellings: their index would cost a
second to build and a hundred megabytes, and half the dictionary is one slip from one of them."""

MAX_CHUNK: Final = 64
"""Characters between two spaces that are remembered as harmless: longer ones do not come again."""

MAX_CHUNKS: Final = 100_000
"""Chunks remembered, some ten megabytes; then memory begins anew."""

_OVERRIDE: Final = "\u202e"

Span = tuple[int, int]


class Match(NamedTuple):
    """An entry found at ``span`` (code points of the text); ``how`` says what hid it."""

    entry: OwnEntry
    span: Span
    how: str = ""


class OwnMatcher:
    """Looks for all entries at once. ``disguises`` false: only as they are written."""

    def __init__(self, entries: Sequence[OwnEntry], *, disguises: bool) -> None:
        self._entries = {one.text: one for one in entries}
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for one in self._entries.values():
            if not one.infix:
                words = tuple(one.text.split(" "))
                self._by_first.setdefault(words[0], []).append(words)
        self._disguised = disguises
        self._disguises = self._index() if disguises else None
        self._infix = [one.text for one in self._entries.values() if one.infix]
        self._parts = _automaton(self._infix)
        self._quiet: dict[str, bool] = {}
        self._spaced = any(" " in text for text in self._infix)

    def _index(self) -> Disguises | None:
        terms = [
            Term(one.text, 1.0, "en", frozenset(), "own", "own")
            for one in self._entries.values()
            if not one.infix
        ]
        return Disguises(terms, vocabulary()) if 0 < len(terms) <= MAX_DISGUISED else None

    def matches(self, text: str) -> list[Match]:
        """Every match, by span; of one entry at one place the plainest."""
        if not self._entries or self._is_quiet(text):
            return []
        best: dict[tuple[str, Span], Match] = {}
        for match in self._matches(text):
            best.setdefault((match.entry.text, match.span), match)
        return sorted(best.values(), key=lambda one: one.span)

    def _is_quiet(self, text: str) -> bool:
        """Whether nothing between two spaces is, begins or hides an entry: most texts are quiet.

        True is never wrong: words do not reach across a space.
        """
        if self._spaced or _OVERRIDE in text:
            return False
        quiet = self._quiet
        for chunk in text.split(" "):
            known = quiet.get(chunk)
            if known is None:
                known = self._says_nothing(chunk)
                if len(chunk) <= MAX_CHUNK:
                    if len(quiet) >= MAX_CHUNKS:
                        quiet.clear()
                    quiet[chunk] = known
            if not known:
                return False
        return True

    def _says_nothing(self, chunk: str) -> bool:
        words = scan(normalise(chunk))
        readings = [words]
        if self._disguised:
            folded = skeleton(words.view)
            readings += [] if folded is None else [scan(folded)]
            readings += leet.readings(words)
        begins = any(not self._by_first.keys().isdisjoint(one.texts) for one in readings)
        return not begins and not any(True for _ in self._matches(chunk))

    def _matches(self, text: str) -> Iterator[Match]:
        words = scan(normalise(text))
        yield from self._written(words)
        yield from self._among_characters(words)
        if not self._disguised:
            return
        if self._disguises is not None:
            for hit in self._disguises.hits(words, self._disguises.unknown(words)):
                yield Match(self._entries[hit.entry.text], hit.span, hit.how)
        folded = skeleton(words.view)
        if folded is not None:
            yield from self._written(scan(folded), "look-alike letters")
        for reading in leet.readings(words):
            yield from self._written(reading, "leetspeak")

    def _written(self, words: Words, how: str = "") -> Iterator[Match]:
        by_first, texts = self._by_first, words.texts
        if by_first.keys().isdisjoint(texts):
            return
        for position, text in enumerate(texts):
            for wanted in by_first.get(text, ()):
                last = position + len(wanted)
                if len(wanted) == 1 or tuple(texts[position:last]) == wanted:
                    span = words.origin(position, last)
                    yield Match(self._entries[" ".join(wanted)], span, how)

    def _among_characters(self, words: Words) -> Iterator[Match]:
        if self._parts is None:
            return
        view = words.view
        for found, start, end in self._parts.find_matches_as_indexes(view.text, overlapping=True):
            yield Match(self._entries[self._infix[found]], view.origin(start, end))


def _automaton(texts: list[str]):  # type: ignore[no-untyped-def]  # the library has no types
    import ahocorasick_rs

    return ahocorasick_rs.AhoCorasick(texts) if texts else None
