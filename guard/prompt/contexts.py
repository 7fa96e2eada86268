"""Harmless company: what turns a term or a name into something else.

``contexts.txt`` holds lines ``terms | after or before | words``: the term is harmless when one of
the words follows (precedes) it closely, in the same part of the sentence. ``*name*`` as the term
means any name of a person ("Van Gogh museum"). A third kind, ``phrase``, is harmless as a whole.
Words between the two may describe, but not be a person: "nude pink nail polish" is a colour, "nude
woman with nail polish" is not.

``place`` is for towns with unlucky names: one of the words follows, over a comma or without one
("Intercourse, Pennsylvania").

Another kind, ``in``, names function words of another language: with two of them anywhere in the
text, the term is that language's ("Slut på dagen" is Swedish for the end of the day).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from guard.prompt.index import Found
from guard.prompt.lexicon import Name, folder
from guard.prompt.tokens import BREAK, canonical
from guard.prompt.wordsets import word_set

ANY_NAME: Final = "*name*"

REACH: Final = 2
"""Words that may stand between a term and what makes it harmless."""

AROUND: Final = 60
"""Words on either side that tell the language of a term."""

NAME_REACH: Final = 0
"""After a name the place must follow at once: "Paris Hilton hotel"."""

_PERSONS: Final = word_set(
    "woman women girl girls man men boy boys lady ladies female male females males guy guys chick "
    "babe babes teen teens teenager model models person people human body bodies figure figures "
    "she he her his him they wife husband mother father daughter son actress actor singer "
    "celebrity couple couples goddess queen princess nurse teacher student anime waifu elf witch "
    "portrait and in on wearing holding with of sitting standing lying posing under beneath behind "
    "at near by from except but draped covered wrapped only without no not dancer dancers nun "
    "angel angels beach"
)


@dataclass(frozen=True, slots=True)
class Contexts:
    """Harmless words by term, and harmless phrases by each of their words and its position."""

    after: dict[str, frozenset[str]]
    before: dict[str, frozenset[str]]
    place: dict[str, frozenset[str]]
    phrases: dict[str, tuple[tuple[tuple[str, ...], int], ...]]
    abroad: dict[str, tuple[frozenset[str], ...]]

    def with_phrases(self, phrases: Sequence[str]) -> Contexts:
        """These contexts and the phrases of a policy."""
        filed = dict(self.phrases)
        for words in (tuple(canonical(one).split()) for one in phrases):
            for position, word in enumerate(words):
                filed[word] = (*filed.get(word, ()), (words, position))
        return replace(self, phrases=filed)

    def harmless(self, texts: Sequence[str], found: Found) -> bool:
        """Whether the company of an entry written plainly among ``texts`` makes it harmless."""
        entry, first, last = found
        if last == 0:
            return False
        if texts[first] in self.phrases and self._in_phrase(texts, found):
            return True
        if entry.text in self.abroad and self._is_abroad(texts, found):
            return True
        return self._in_company(texts, found)

    def _in_company(self, texts: Sequence[str], found: Found) -> bool:
        entry, first, last = found
        is_name = isinstance(entry, Name)
        term, reach = (ANY_NAME, NAME_REACH) if is_name else (entry.text, REACH)
        if term in self.place and self._is_place(texts, last, self.place[term]):
            return True
        if term in self.after:
            end = last + (is_name and list(texts[last : last + 1]) == ["s"])  # "Hilton's hotel"
            if _meets(texts[end : last + reach + 2], self.after[term], reach, forward=True):
                return True
        if term in self.before:
            ahead = texts[max(0, first - reach - 2) : first][::-1]
            return _meets(ahead, self.before[term], reach, forward=False)
        return False

    def _is_place(self, texts: Sequence[str], last: int, where: frozenset[str]) -> bool:
        behind = [word for word in texts[last : last + 3] if word != BREAK][:2]
        return any(" ".join(behind[:n]) in where for n in (1, 2))

    def _in_phrase(self, texts: Sequence[str], found: Found) -> bool:
        for phrase, position in self.phrases[texts[found.first]]:
            start = found.first - position
            end = start + len(phrase)
            if start >= 0 and found.last <= end and tuple(texts[start:end]) == phrase:
                return True
        return False

    def _is_abroad(self, texts: Sequence[str], found: Found) -> bool:
        languages = self.abroad[found.entry.text]
        around = texts[max(0, found.first - AROUND) : found.last + AROUND]
        return any(len(language.intersection(around)) >= 2 for language in languages)


def _meets(company: Sequence[str], wanted: frozenset[str], reach: int, *, forward: bool) -> bool:
    """Whether a wanted word or pair of words comes before a break or a person does."""
    for position, word in enumerate(company[: reach + 1]):
        pair = company[position : position + 2]
        if word in wanted or " ".join(pair if forward else pair[::-1]) in wanted:
            return True
        if word == BREAK or word in _PERSONS:
            return False
    return False


@functools.cache
def shipped_contexts() -> Contexts:
    """The contexts of ``contexts.txt``."""
    tables: dict[str, dict[str, frozenset[str]]] = {"after": {}, "before": {}, "place": {}}
    phrases: list[str] = []
    abroad: dict[str, tuple[frozenset[str], ...]] = {}
    for line in (folder() / "contexts.txt").read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("phrase:"):
            phrases += [canonical(one) for one in line.removeprefix("phrase:").split(",")]
            continue
        terms, side, words = (part.strip() for part in line.split("|"))
        given = frozenset(canonical(word) for word in words.split(","))
        for term in terms.split(","):
            key = term.strip() if term.strip() == ANY_NAME else canonical(term)
            if side == "in":
                abroad[key] = (*abroad.get(key, ()), given)
                continue
            tables[side][key] = tables[side].get(key, frozenset()) | given
    return Contexts(tables["after"], tables["before"], tables["place"], {}, abroad).with_phrases(
        phrases
    )
