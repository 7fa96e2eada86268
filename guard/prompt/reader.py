"""Reads a text for the entries of some lists, as typed and in every other reading of it.

The other readings: a skeleton of look-alike letters, leetspeak, encodings, disguised words. How
many of them a text needs is decided by :mod:`guard.prompt.calm`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from guard.prompt import leet, spread
from guard.prompt.ages import ages
from guard.prompt.artists import styled
from guard.prompt.calm import Calm, Glance
from guard.prompt.contexts import Contexts
from guard.prompt.decode import decoded
from guard.prompt.disguises import Disguises
from guard.prompt.index import Found, Index
from guard.prompt.lexicon import Hit, Name, Rows, read_rows, terms, vocabulary
from guard.prompt.names import BentNames
from guard.prompt.normalise import compose, normalise, skeleton
from guard.prompt.tokens import Words, scan

_HYPHENED: Final = re.compile(r"[A-Za-z]{2,}-[A-Za-z]{2,}")


class Engine:
    """What reading for some lists needs, and does not depend on a policy otherwise."""

    def __init__(self, lists: Iterable[Rows]) -> None:
        lists = tuple(lists)
        self.index = Index(lists)
        self._terms = tuple(terms(lists))
        self.disguises = Disguises(self._terms, vocabulary())
        self.bent = BentNames(lists)
        self.calm = Calm(self.index, self.disguises, self.bent, self._hides)

    def _hides(self, chunk: str) -> bool:
        """Whether there is more in ``chunk`` than what it says plainly."""
        words = scan(normalise(chunk))
        readings = tuple(leet.readings(words))
        if any(self.disguised(words, chunk, readings)) or any(True for _ in decoded(chunk)):
            return True
        if skeleton(words.view) is not None:
            return True
        said = set(words.texts)
        others = (word for reading in readings for word in reading.texts)
        return any(word not in said and self._says(word) for word in others)

    @functools.cached_property
    def _term_words(self) -> frozenset[str]:
        return frozenset(word for term in self._terms for word in term.text.split())

    def _says(self, word: str) -> bool:
        """Whether ``word`` may be part of an entry; shorter words are so by chance."""
        return (len(word) > 2 and word in self._term_words) or (
            len(word) > 3 and word in vocabulary()
        )

    def disguised(self, words: Words, text: str, readings: Sequence[Words]) -> Iterator[Hit]:
        """Terms behind disguises of single words; ``readings`` are those of leetspeak."""
        yield from self.disguises.hits(words, self.disguises.unknown(words))
        yield from spread.hits(words, self.disguises)
        yield from self._upside_down(words, text)
        for reading in readings:
            yield from self.disguises.hits(reading, self.disguises.unknown(reading))

    def _upside_down(self, words: Words, text: str) -> Iterator[Hit]:
        if text.isascii():
            return
        for position in range(len(words.texts)):
            span = words.origin(position, position + 1)
            for reading in leet.turned_readings(text[slice(*span)]):
                term = self.disguises.exact(reading)
                if term is not None:
                    yield Hit(term, span, position, position + 1, "upside-down letters")


@functools.cache
def engine(lists: tuple[str, ...]) -> Engine:
    """The engine for these lists. Raises PolicyInvalid when there is no such list."""
    return Engine(map(read_rows, lists))


class Reader:
    """Reads texts under one policy's contexts; ``allowed`` are canonical terms to pass over."""

    def __init__(self, engine: Engine, contexts: Contexts, allowed: frozenset[str]) -> None:
        self._engine, self._contexts, self._allowed = engine, contexts, allowed

    def hits(self, text: str) -> Iterator[Hit]:
        """All hits in ``text``."""
        glance = self._engine.calm.glance(text)
        if glance is None:
            yield from self._closely(text)
            return
        if glance.found:
            yield from self._kept(glance, glance.found)
        yield from glance.apart

    def _closely(self, text: str) -> Iterator[Hit]:
        words = scan(normalise(text))
        yield from self._plain(words, self._engine.disguises.unknown(words))
        yield from ages(words.view)
        yield from self._engine.disguises.split_hits(words)
        readings = tuple(leet.readings(words))
        for hit in self._engine.disguised(words, text, readings):
            if not self._is_written_apart(words, hit, text):
                yield hit
        yield from self._other_readings(words, text, readings)

    def _other_readings(self, words: Words, text: str, readings: Sequence[Words]) -> Iterator[Hit]:
        folded = skeleton(words.view)
        if folded is not None:
            yield from self._plain(scan(folded), (), how="look-alike letters")
        for reading in readings:
            unknown = self._engine.disguises.unknown(reading)
            yield from self._plain(reading, unknown, how="leetspeak")
        for view in decoded(text):
            reading = scan(compose(view, normalise(view.text)))
            yield from self._plain(reading, (), how="an encoding")
            for hit in self._engine.disguised(reading, text, tuple(leet.readings(reading))):
                yield hit._replace(how="an encoding")

    def _plain(self, words: Words, unknown: Sequence[int], how: str = "") -> Iterator[Hit]:
        """Entries as they are written in ``words``."""
        engine = self._engine
        found = [(one, how) for one in engine.index.find(words.texts)]
        found += engine.bent.find(words.texts, unknown)
        yield from self._kept(words, found)
        for hit in engine.index.parts.hits(words):
            if self._counts(words.texts, Found(hit.entry, hit.first, hit.last), ""):
                yield hit

    def _kept(self, words: Words | Glance, found: Sequence[tuple[Found, str]]) -> Iterator[Hit]:
        """What was found, and how it was hidden, without what is in harmless company."""
        found = _outside_names(found)
        kept = [(one, how) for one, how in found if self._counts(words.texts, one, how)]
        asked = styled(words.texts, [one for one, _ in kept if isinstance(one.entry, Name)])
        for one, how in kept:
            style = one in asked
            if style or not (isinstance(one.entry, Name) and one.entry.single):
                span = words.origin(one.first, one.last)
                yield Hit(one.entry, span, one.first, one.last, how, style)

    def _is_written_apart(self, words: Words, hit: Hit, text: str) -> bool:
        """Whether a hit is but a word with a hyphen, in harmless company: "strap-on tool pouch"."""
        if not _HYPHENED.fullmatch(text[slice(*hit.span)]) or hit.last == 0:
            return False
        return self._contexts.harmless(words.texts, Found(hit.entry, hit.first, hit.last))

    def _counts(self, texts: Sequence[str], found: Found, how: str) -> bool:
        if found.entry.text in self._allowed:
            return False
        return bool(how) or not self._contexts.harmless(texts, found)


def _outside_names(found: Sequence[tuple[Found, str]]) -> Sequence[tuple[Found, str]]:
    """Without terms that are but part of a name: "Alan Cumming", "Lauren Child"."""
    names = [one for one, _ in found if isinstance(one.entry, Name) and one.last - one.first > 1]
    if not names:
        return found
    return [
        (one, how)
        for one, how in found
        if isinstance(one.entry, Name)
        or not any(
            name.first <= one.first
            and one.last <= name.last
            and one.last - one.first < name.last - name.first
            for name in names
        )
    ]
