"""Merges the sources of names into the two lists, and leaves out what is no name in a prompt."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from datasets.lexicons import readers
from datasets.lexicons.readers import CURATED, Record
from guard.prompt.tokens import canonical

PANTHEON_ARTISTS = frozenset({"painter", "sculptor", "photographer", "comic artist"})
SHIPPED = Path(__file__).parents[2] / "policies" / "lexicons"
MAX_NAME_WORDS = 6
MIN_ALONE = 5
SAME_BIRTH = 2
"""Years by which sources differ on one person's birth; more are two people of one name."""

LIKENESS_SINCE = 1926
"""Artists who died before are kept out of the list of people: nobody asks for their likeness, and
the list of artists has them."""


@dataclass
class Person:
    """What is known about a name while sources are merged."""

    kind: str
    born: int | None = None
    died: int | None = None
    occupation: str = ""
    flags: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)


def artists(sources: Path, without: Iterable[str] = ()) -> dict[str, Person]:
    """Artists by canonical name; ``without`` leaves sources out, to measure what they would add."""
    held = set(without)
    made = _Merge("artist")
    made.add("own", readers.own_artists(), one_word=True)
    made.add("makers", readers.makers())
    for label in readers.STYLE_LISTS:
        if label not in held:
            made.add(label, readers.style_list(sources, label))
    for label, read in (("tate", readers.tate), ("moma", readers.moma)):
        if label not in held:
            made.add(label, read(sources))
    if "pantheon" not in held:
        made.add("pantheon", _of(readers.pantheon(sources), PANTHEON_ARTISTS))
    made.years(readers.records(readers.WORDNET))
    made.demote_phrases()
    for one in made.found.values():
        one.occupation = "" if one.occupation == "artist" else one.occupation  # the list says so
    return made.found


def people(sources: Path, without: Iterable[str] = ()) -> dict[str, Person]:
    """Public figures by canonical name."""
    held = set(without)
    made = _Merge("person")
    made.add("own", readers.own_people(), one_word=True)
    made.add("pantheon", _with_short_names(readers.pantheon(sources)))
    for label, path in (("wordnet", readers.WORDNET), ("nba", readers.NBA)):
        if label not in held:
            made.add(label, readers.records(path))
    for label, read in (("tate", readers.tate), ("moma", readers.moma)):
        if label not in held:
            recent = (one for one in read(sources) if _is_recent(one))
            made.add(label, recent)
            made.years(read(sources))
    made.drop_phrases()
    return made.found


def _is_recent(one: Record) -> bool:
    if one.died is not None:
        return one.died >= LIKENESS_SINCE
    return one.born is None or one.born + 100 >= LIKENESS_SINCE


def _of(found: Iterable[Record], occupations: frozenset[str]) -> Iterator[Record]:
    return (one for one in found if one.occupation in occupations)


def _with_short_names(found: Iterable[Record]) -> Iterator[Record]:
    """Also without a title or number behind a comma ("Diana, Princess of Wales")."""
    for one in found:
        yield one._replace(name=one.name.replace(",", " "))
        if "," in one.name:
            yield one._replace(name=one.name.partition(",")[0])


class _Merge:
    """Names found so far. The first source that knows a fact wins, but for namesakes."""

    def __init__(self, kind: str) -> None:
        self.found: dict[str, Person] = {}
        self._kind = kind

    def add(self, label: str, given: Iterable[Record], *, one_word: bool = False) -> None:
        """Names of a source; single ones only with ``one_word``."""
        for one in given:
            name = canonical(one.name)
            alone = label in readers.STYLE_LISTS and _is_known_alone(name)
            if not (one_word or alone or _is_full_name(name)):
                continue
            known = self.found.setdefault(name, Person(self._kind))
            known.sources.add(label)
            known.flags |= {"single"} if alone else set(one.flags.split()) & {"single"}
            _learn(known, one)

    def years(self, given: Iterable[Record]) -> None:
        """Years of names that are listed already."""
        for one in given:
            known = self.found.get(canonical(one.name))
            if known is not None:
                _learn(known, one)

    def drop_phrases(self) -> None:
        """Takes out everyday phrases, and names that hold no more than everyday words."""
        for name in _not_names():
            self.found.pop(name, None)
        kept = _kept_names()
        for name, one in list(self.found.items()):
            if "own" not in one.sources and name not in kept and is_phrase(name):
                del self.found[name]

    def demote_phrases(self) -> None:
        """Like drop_phrases, but artists of a list of styles stay, asked for as a style only."""
        for name in _not_names():
            self.found.pop(name, None)
        for name, one in list(self.found.items()):
            if "own" in one.sources or not is_phrase(name):
                continue
            if one.sources & {"makers", *readers.STYLE_LISTS}:
                one.flags.add("single")
            else:
                del self.found[name]


def _learn(known: Person, one: Record) -> None:
    known.occupation = known.occupation or one.occupation
    if known.born and one.born and abs(known.born - one.born) > SAME_BIRTH:
        if one.born > known.born:  # of two namesakes the later one is who might be harmed
            known.born, known.died = one.born, one.died
        return
    known.born = known.born or one.born
    known.died = known.died or one.died


def _is_full_name(name: str) -> bool:
    parts = name.split()
    return (
        2 <= len(parts) <= MAX_NAME_WORDS
        and max(map(len, parts)) >= 3
        and not any(part.isdigit() for part in parts)
        and parts[:2] != ["n", "a"]
    )


def _is_known_alone(name: str) -> bool:
    """Whether a list of styles may name someone by this word alone: no word of any dictionary."""
    return len(name) >= MIN_ALONE and name.isalpha() and name not in _dictionary()


def is_phrase(name: str) -> bool:
    """Whether every part is an everyday word: "summer rain", "grace hill"."""
    return all(part in _everyday() for part in name.split())


@functools.cache
def _everyday() -> frozenset[str]:
    return readers.everyday()


@functools.cache
def _dictionary() -> frozenset[str]:
    return frozenset((SHIPPED / "vocabulary.txt").read_text(encoding="utf-8").split())


def _not_names() -> set[str]:
    return {canonical(row[0]) for row in readers.table(CURATED / "not_names.txt", 1)}


def _kept_names() -> set[str]:
    return {canonical(row[0]) for row in readers.table(CURATED / "kept_names.txt", 1)}
