"""What names of people and of artists have in common: whose name counts, and misspelt names."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
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
        self._beginning = functools.lru_cache(maxsize=20_000)(self._that_begin)

    @functools.cached_property
    def _glued(self) -> dict[str, _Place]:
        """Names that count everywhere, without their spaces."""
        return {
            text.replace(" ", ""): (rows, number)
            for rows in self._lists
            for number, (text, line) in enumerate(zip(rows.texts, rows.lines, strict=True))
            if not line.endswith("single")
        }

    @functools.cached_property
    def _ending(self) -> dict[str, list[_Place]]:
        """Names by all their parts but the first."""
        found: dict[str, list[_Place]] = defaultdict(list)
        for rows in self._lists:
            for number, text in enumerate(rows.texts):
                found[text.partition(" ")[2]].append((rows, number))
        return dict(found)

    def _that_begin(self, prefix: str) -> list[_Place]:
        """Names that begin with ``prefix`` and go on: lists are sorted."""
        return [
            (rows, number)
            for rows in self._lists
            for number in range(
                bisect_left(rows.texts, f"{prefix} "), bisect_left(rows.texts, f"{prefix}!")
            )
        ]

    def find(self, texts: Sequence[str], unknown: Iterable[int]) -> Iterator[tuple[Found, str]]:
        """Names that are behind one of the ``unknown`` words, and what hid them."""
        for position in unknown:
            text = texts[position]
            if len(text) >= MIN_GLUED and text in self._glued:
                rows, number = self._glued[text]
                yield Found(_entry(rows, number), position, position + 1), "glued words"
            if len(text) >= MIN_SLIP - 1:
                for found in self._around(texts, position):
                    yield found, "a misspelling"

    def _around(self, texts: Sequence[str], at: int) -> Iterator[Found]:
        for first, last in _companies(len(texts), at):
            before, after = " ".join(texts[first:at]), " ".join(texts[at + 1 : last])
            if self._beginning(before) if before else after in self._ending:
                for rows, number in self._near(texts[at], before, after):
                    yield Found(_entry(rows, number), first, last)

    def _one_edit_off(self, text: str, before: str, after: str) -> tuple[_Place, ...]:
        """Names with a part between ``before`` and ``after`` that is one edit from ``text``."""
        begin, end = len(before) + bool(before), len(after) + bool(after)
        found: list[tuple[int, int, _Place]] = []
        for rows, number in self._beginning(before) if before else self._ending[after]:
            name = rows.texts[number]
            part = name[begin : len(name) - end]
            if (
                abs(len(part) - len(text)) <= 1
                and len(part) >= MIN_SLIP
                and name[len(name) - end :].lstrip() == after
                and " " not in part
                and one_edit(text, part)
                and not rows.lines[number].endswith("single")
            ):
                found.append((len(part), -len(found), (rows, number)))
        return tuple(place for _, _, place in sorted(found, key=itemgetter(0, 1)))


_Place = tuple[Rows, int]
"""A list and the number of a row of it."""


def _entry(rows: Rows, number: int) -> Entry:
    return rows.entry(rows.lines[number])


def _companies(count: int, at: int) -> Iterator[tuple[int, int]]:
    """From where to where the names reach that the word ``at`` of ``count`` may be part of."""
    for first, length in ((at, 2), (at, 3), (at - 1, 3), (at - 1, 2), (at - 2, 3)):
        if first >= 0 and first + length <= count:
            yield first, first + length
