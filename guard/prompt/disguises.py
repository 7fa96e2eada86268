"""Plain terms behind disguises: in one word, or in a word split in pieces."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from guard.prompt.bends import ATTEMPTS
from guard.prompt.lexicon import Hit, Term
from guard.prompt.term_index import MIN_FUZZY, Found, TermIndex
from guard.prompt.tokens import Words

MAX_WORD: Final = 40
"""Longer runs are no words: bounds the work that one of them can cause."""

MAX_SPLIT: Final = 4
"""Pieces that a split term is looked for in."""


class Disguises(TermIndex):
    """Finds terms behind disguises; words of ``vocabulary`` are never taken for any."""

    def __init__(self, terms: Iterable[Term], vocabulary: frozenset[str]) -> None:
        super().__init__(terms, vocabulary)
        self.lookup = functools.lru_cache(maxsize=20_000)(self._lookup)

    def hits(self, words: Words, unknown: Iterable[int]) -> Iterator[Hit]:
        """Terms behind single unknown words."""
        for position in unknown:
            found = self.lookup(words.texts[position])
            if found is not None:
                span = words.origin(position, position + 1)
                yield Hit(found[0], span, position, position + 1, found[1])

    def split_hits(self, words: Words) -> Iterator[Hit]:
        """Terms split in pieces."""
        loose = [i for i, text in enumerate(words.texts) if not self.is_ordinary(text)]
        for term, first, last in self.splits(words.texts, loose):
            yield Hit(term, words.origin(first, last), first, last, "a split")

    def splits(self, texts: Sequence[str], loose: Iterable[int]) -> Iterator[tuple[Term, int, int]]:
        """Terms that ``loose`` words and their neighbours make, and from where to where."""
        firsts = {first for at in loose for first in range(max(0, at - MAX_SPLIT + 1), at + 1)}
        for first in sorted(firsts):
            joined = texts[first]
            for last in range(first + 1, min(first + MAX_SPLIT, len(texts))):
                joined += texts[last]
                term = self.words.get(joined)
                if (
                    term is not None
                    and len(joined) >= MIN_FUZZY
                    and self._is_split(texts[first : last + 1])
                ):
                    yield term, first, last + 1

    def _is_split(self, parts: Sequence[str]) -> bool:
        """Whether words are but parts of one: some of them are no words."""
        strange = sum(not self.is_ordinary(part) for part in parts)
        return strange >= (1 if len(parts) == 2 else 2)

    def _lookup(self, word: str) -> Found | None:
        if not 3 <= len(word) <= MAX_WORD or self.knows(word) or not word.isascii():
            return None
        bare = word.strip("0123456789")
        if bare != word:
            term = self.words.get(bare)
            return (term, "digits around it") if term and len(bare) >= MIN_FUZZY else None
        if not word.isalpha():
            return None
        return next((found for attempt in ATTEMPTS if (found := attempt(self, word))), None)
