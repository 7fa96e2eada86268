"""What names of people and of artists have in common: whose name counts, and misspelt names."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from guard.policy.model import PromptRule
from guard.prompt.index import Found
from guard.prompt.lexicon import NAME_LISTS, Entry, Name, Rows
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
        self._lists = [rows for rows in lists if rows.name in NAME_LISTS]
        self._near = functools.lru_cache(maxsize=20_000)(self._one_edit_off)

    @functools.cached_property
    def _names(self) -> list[tuple[Rows, int]]:
        """List and number of each name that counts everywhere."""
        return [
            (rows, number)
            for rows in self._lists
            for number, line in enumerate(rows.lines)
            if not line.endswith("single")
        ]

    @functools.cached_property
    def _gaps(self) -> tuple[dict[str, int], dict[int, int]]:
        """Names without one part, by what is left.

        A key is a gap and the length of what is missing. It leads to the last name that has it, a
        name to the one before it; a number is the name's times four and the place of the gap.
        """
        last: dict[str, int] = {}
        before: dict[int, int] = {}
        for number, (rows, row) in enumerate(self._names):
            parts = rows.texts[row].split(" ")
            if not 2 <= len(parts) <= 3:
                continue
            for place, part in enumerate(parts):
                if len(part) >= MIN_SLIP:
                    key = f"{_gap(parts, place)} {len(part)}"
                    slot = number * 4 + place
                    if key in last:
                        before[slot] = last[key]
                    last[key] = slot
        return last, before

    @functools.cached_property
    def _gap_set(self) -> frozenset[str]:
        return frozenset(key[: key.rindex(" ")] for key in self._gaps[0])

    @functools.cached_property
    def _glued(self) -> dict[str, int]:
        names = (rows.texts[row] for rows, row in self._names)
        return {name.replace(" ", ""): number for number, name in enumerate(names)}

    def find(self, texts: Sequence[str], unknown: Iterable[int]) -> Iterator[tuple[Found, str]]:
        """Names that are behind one of the ``unknown`` words, and what hid them."""
        for position in unknown:
            text = texts[position]
            if len(text) >= MIN_GLUED and text in self._glued:
                yield Found(self._entry(self._glued[text]), position, position + 1), "glued words"
            if len(text) >= MIN_SLIP - 1:
                for found in self._around(texts, position):
                    yield found, "a misspelling"

    def _entry(self, number: int) -> Entry:
        rows, row = self._names[number]
        return rows.entry(rows.lines[row])

    def _around(self, texts: Sequence[str], at: int) -> Iterator[Found]:
        for first, last in _companies(len(texts), at):
            gap = _gap(texts[first:last], at - first)
            if gap in self._gap_set:
                for number in self._near(texts[at], gap, at - first):
                    yield Found(self._entry(number), first, last)

    def _one_edit_off(self, text: str, gap: str, place: int) -> tuple[int, ...]:
        """Names with that gap whose part in its place is one edit from ``text``."""
        return tuple(
            number
            for length in (len(text) - 1, len(text), len(text) + 1)
            for number, name in self._filling(gap, length)
            if one_edit(text, name.split(" ")[place])
        )

    def _filling(self, gap: str, length: int) -> Iterator[tuple[int, str]]:
        last, before = self._gaps
        slot = last.get(f"{gap} {length}")
        while slot is not None:
            rows, row = self._names[slot // 4]
            yield slot // 4, rows.texts[row]
            slot = before.get(slot)


def _gap(parts: Sequence[str], place: int) -> str:
    """Parts of a name with one left open."""
    return " ".join((*parts[:place], "_", *parts[place + 1 :]))


def _companies(count: int, at: int) -> Iterator[tuple[int, int]]:
    """From where to where the names reach that the word ``at`` of ``count`` may be part of."""
    for first, last in ((at, 2), (at, 3), (at - 1, 3), (at - 1, 2), (at - 2, 3)):
        if first >= 0 and first + last <= count:
            yield first, first + last
