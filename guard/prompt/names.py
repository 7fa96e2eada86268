"""What names of people and of artists have in common: whose name counts, and misspelt names."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Final

from guard.policy.model import PromptRule
from guard.prompt.index import Found
from guard.prompt.lexicon import NAME_LISTS, Name, Rows
from guard.prompt.slips import one_edit
from guard.prompt.wordsets import word_set

MAX_AGE: Final = 100
"""Where no year of death is known, nobody is presumed dead before this age."""

MIN_SLIP: Final = 5
"""Shorter parts of names have too many neighbours that are other names."""


MIN_GLUED: Final = 8
"""Shorter names without their spaces may be words of another language."""


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


class BentNames:
    """Names of two or three parts with one part misspelt by one slip, and names glued together.

    The indexes are built when the first unknown word comes: most texts have none.
    """

    def __init__(self, lists: Iterable[Rows]) -> None:
        self._names = [
            (rows, line)
            for rows in lists
            if rows.name in NAME_LISTS
            for line in rows.lines
            if not line.endswith("single")
        ]
        self._near = functools.lru_cache(maxsize=20_000)(self._one_edit_off)

    @functools.cached_property
    def _gaps(self) -> tuple[dict[_Gap, int], dict[int, int]]:
        """Names without one part, by what is left; numbers chained as in an Index.

        A key is what is left, the place of the missing part and its length; a number is the
        name's times four and that place.
        """
        last: dict[_Gap, int] = {}
        before: dict[int, int] = {}
        for number, (_, line) in enumerate(self._names):
            parts = line[: line.index("\t")].split(" ")
            if not 2 <= len(parts) <= 3:
                continue
            for place, part in enumerate(parts):
                if len(part) >= MIN_SLIP:
                    rest = parts[1 - place] if len(parts) == 2 else _REST[place](parts)
                    key, slot = (rest, place, len(part)), number * 4 + place
                    if key in last:
                        before[slot] = last[key]
                    last[key] = slot
        return last, before

    @functools.cached_property
    def _rests(self) -> frozenset[str | tuple[str, ...]]:
        return frozenset(rest for rest, _, _ in self._gaps[0])

    @functools.cached_property
    def _glued(self) -> dict[str, int]:
        names = (line[: line.index("\t")] for _, line in self._names)
        return {name.replace(" ", ""): number for number, name in enumerate(names)}

    def find(self, texts: Sequence[str], unknown: Iterable[int]) -> Iterator[tuple[Found, str]]:
        """Names that are behind one of the ``unknown`` words, and what hid them."""
        for position in unknown:
            text = texts[position]
            if len(text) >= MIN_GLUED and text in self._glued:
                rows, line = self._names[self._glued[text]]
                yield Found(rows.entry(line), position, position + 1), "glued words"
            if len(text) >= MIN_SLIP - 1:
                for found in self._around(texts, position):
                    yield found, "a misspelling"

    def _around(self, texts: Sequence[str], at: int) -> Iterator[Found]:
        rests = self._rests
        for rest, place, words in _company(texts, at):
            if rest not in rests:
                continue
            for rows, line in self._near(texts[at], rest, place):
                yield Found(rows.entry(line), at - place, at - place + words)

    def _one_edit_off(
        self, text: str, rest: str | tuple[str, ...], place: int
    ) -> tuple[tuple[Rows, str], ...]:
        """Names with ``rest`` whose part at ``place`` is one edit from ``text``."""
        return tuple(
            (rows, line)
            for length in (len(text) - 1, len(text), len(text) + 1)
            for rows, line in self._missing((rest, place, length))
            if one_edit(text, line[: line.index("\t")].split(" ")[place])
        )

    def _missing(self, gap: _Gap) -> Iterator[tuple[Rows, str]]:
        last, before = self._gaps
        slot = last.get(gap)
        while slot is not None:
            yield self._names[slot // 4]
            slot = before.get(slot)


_Gap = tuple[str | tuple[str, ...], int, int]
_REST: Final = (itemgetter(1, 2), itemgetter(0, 2), itemgetter(0, 1))
"""What is left of three parts without the first, second or third."""


def _company(texts: Sequence[str], at: int) -> Iterator[tuple[str | tuple[str, str], int, int]]:
    """(the rest, place, length) of the names that the word ``at`` may be part of."""
    if at + 1 < len(texts):
        yield texts[at + 1], 0, 2
        if at + 2 < len(texts):
            yield (texts[at + 1], texts[at + 2]), 0, 3
        if at:
            yield (texts[at - 1], texts[at + 1]), 1, 3
    if at:
        yield texts[at - 1], 1, 2
        if at > 1:
            yield (texts[at - 2], texts[at - 1]), 2, 3
