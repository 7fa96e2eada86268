"""What names of people and of artists have in common: whose name counts, and misspelt names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from guard.policy.model import PromptRule
from guard.prompt.lexicon import Hit, Name
from guard.prompt.slips import one_edit
from guard.prompt.tokens import Words
from guard.prompt.wordsets import word_set

MAX_AGE: Final = 100
"""Where no year of death is known, nobody is presumed dead before this age."""

MIN_SLIP: Final = 5
"""Shorter parts of names have too many neighbours that are other names."""


def counts(name: Name, rule: PromptRule, year: int) -> bool:
    """Whether ``rule`` means this person, in ``year``."""
    if rule.occupations and name.occupation not in {one.lower() for one in rule.occupations}:
        return False
    if rule.died_within_years is None:
        return True
    if name.died is not None:
        return year - name.died < rule.died_within_years
    if name.born is not None:
        return year - (name.born + MAX_AGE) < rule.died_within_years
    return True


MAKERS: Final = word_set(
    "painter sculptor photographer artist architect designer producer writer composer"
) | {"film director", "comic artist", "fashion designer", "game designer"}
"""Occupations whose names stand for what they made: "by Steven Spielberg" does not show him."""


def makes_pictures(name: Name) -> bool:
    """Whether asking for this name's style asks for a work, not for the person's likeness."""
    return name.kind == "artist" or name.occupation in MAKERS


class MisspeltNames:
    """Names of two or three parts with one part misspelt by one slip."""

    def __init__(self, names: Iterable[Name]) -> None:
        self._rest: dict[tuple[int, str], list[tuple[str, Name]]] = {}
        for name in names:
            parts = name.text.split()
            if name.single or not 2 <= len(parts) <= 3:
                continue
            for position, part in enumerate(parts):
                if len(part) >= MIN_SLIP:
                    rest = " ".join(parts[:position] + parts[position + 1 :])
                    key = (position - len(parts) if position else 0, rest)
                    self._rest.setdefault(key, []).append((part, name))

    def hits(self, words: Words, unknown: Iterable[int]) -> Iterator[Hit]:
        """Names one part of which is one of the ``unknown`` words."""
        for position in unknown:
            text = words.texts[position]
            if len(text) < MIN_SLIP - 1:
                continue
            for first, last, key in _windows(words.texts, position):
                for part, name in self._rest.get(key, ()):
                    if one_edit(text, part):
                        span = words.origin(first, last)
                        yield Hit(name, span, first, last, "a misspelling")


def _windows(texts: Sequence[str], at: int) -> Iterator[tuple[int, int, tuple[int, str]]]:
    """(first, last, key) of the two- and three-word names that the word ``at`` may be part of."""
    for length in (2, 3):
        for position in range(length):
            first = at - position
            if first >= 0 and first + length <= len(texts):
                rest = [*texts[first:at], *texts[at + 1 : first + length]]
                key = (position - length if position else 0, " ".join(rest))
                yield first, first + length, key
