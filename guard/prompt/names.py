"""What names of people and of artists have in common: whose name counts, and misspelt names."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

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


class _Slot(NamedTuple):
    """The part of a name that is left out, and where it stands in it."""

    part: str
    place: int
    rows: Rows
    line: str


class BentNames:
    """Names of two or three parts with one part misspelt by one slip, and names glued together.

    The indexes are built when the first unknown word comes: most texts have none.
    """

    def __init__(self, lists: Iterable[Rows]) -> None:
        self._lists = tuple(rows for rows in lists if rows.name in NAME_LISTS)

    @functools.cached_property
    def _rest(self) -> dict[str | tuple[str, str], list[_Slot]]:
        """Names without one part, by what is left: a word or a pair of words."""
        filed: dict[str | tuple[str, str], list[_Slot]] = {}
        for rows in self._lists:
            for line in rows.lines:
                parts = line[: line.index("\t")].split(" ")
                if not 2 <= len(parts) <= 3 or line.endswith("single"):
                    continue
                for position, part in enumerate(parts):
                    if len(part) >= MIN_SLIP:
                        a, *b = parts[:position] + parts[position + 1 :]
                        slot = _Slot(part, position, rows, line)
                        filed.setdefault((a, b[0]) if b else a, []).append(slot)
        return filed

    @functools.cached_property
    def _glued(self) -> dict[str, tuple[Rows, str]]:
        return {
            line[: line.index("\t")].replace(" ", ""): (rows, line)
            for rows in self._lists
            for line in rows.lines
            if not line.endswith("single")
        }

    def find(self, texts: Sequence[str], unknown: Iterable[int]) -> Iterator[tuple[Found, str]]:
        """Names that are behind one of the ``unknown`` words, and what hid them."""
        for position in unknown:
            text = texts[position]
            if len(text) >= MIN_GLUED and text in self._glued:
                rows, line = self._glued[text]
                yield Found(rows.entry(line), position, position + 1), "glued words"
            if len(text) >= MIN_SLIP - 1:
                for found in self._around(texts, position):
                    yield found, "a misspelling"

    def _around(self, texts: Sequence[str], at: int) -> Iterator[Found]:
        company = ["", "", *texts[max(0, at - 2) : at]][-2:]
        company += [*texts[at + 1 : at + 3], "", ""][:2]
        far, before, after, beyond = company
        rest: tuple[tuple[str | tuple[str, str], int], ...]
        rest = ((after, 0), (before, 1), ((after, beyond), 0), ((before, after), 1))
        text = texts[at]
        head, tail = text[:2], text[-2:]  # one edit cannot touch both
        for left, place in (*rest, ((far, before), 2)):
            for slot in self._rest.get(left, ()):
                part = slot.part
                near = slot.place == place and (part[:2] == head or part[-2:] == tail)
                if near and one_edit(text, part):
                    length = 2 if isinstance(left, str) else 3
                    yield Found(slot.rows.entry(slot.line), at - place, at - place + length)
