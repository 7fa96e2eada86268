"""The lists that ship, read once a process; :mod:`guard.prompt.index` finds their entries.

A list is a flat TSV under ``policies/lexicons/`` built by ``datasets/lexicons/build.py``. Lines
that begin with ``#`` are comments; the first one names list and version. Terms are stored in
canonical form (:func:`guard.prompt.tokens.canonical`):

* terms: ``term  score  language  flags``;
* names: ``name  kind(artist|person)  born  died  occupation  flags``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from guard.errors import PolicyInvalid

NAME_LISTS: Final = ("artists", "people")

_FOLDER: Final = "lexicons"


class Term(NamedTuple):
    """A word or phrase of one list. ``score`` in 0–1 is how surely it means what the list is of.

    Flags: ``exact`` takes no part in fuzzy matching; ``infix`` is of a script without spaces;
    ``prefix`` may be followed by endings; ``negative`` counts only in a negative prompt.
    """

    text: str
    score: float
    language: str
    flags: frozenset[str]
    list: str
    source: str


class Name(NamedTuple):
    """A real person. Years are None when unknown; ``single`` names are everyday words too."""

    text: str
    kind: str
    born: int | None
    died: int | None
    occupation: str
    single: bool
    list: str
    source: str


Entry = Term | Name


class Hit(NamedTuple):
    """An entry found in a text.

    ``span`` is its place in the original; words ``first`` up to ``last`` are what matched (0, 0
    when it was found among characters); ``how`` says what hid it; ``style`` when a name stands for
    a style.
    """

    entry: Entry
    span: tuple[int, int]
    first: int
    last: int
    how: str = ""
    style: bool = False


@functools.cache
def folder() -> Traversable:
    """Where the lists are."""
    return resources.files("guard.policies") / _FOLDER


@functools.cache
def available_lists() -> tuple[str, ...]:
    """Names of all lists, sorted."""
    names = (entry.name for entry in folder().iterdir())
    return tuple(sorted(name.removesuffix(".tsv") for name in names if name.endswith(".tsv")))


class Rows(NamedTuple):
    """A list as it stands in its file, sorted: a row is parsed when a text calls for it.

    ``texts`` are the terms or names of its ``lines``.
    """

    name: str
    source: str
    texts: list[str]
    lines: list[str]

    def entry(self, line: str) -> Entry:
        """The entry that a line describes. Raises PolicyInvalid when the line is damaged."""
        return _entry(self.name, self.source, line)


@functools.cache
def read_rows(name: str) -> Rows:
    """The rows of a list. Raises PolicyInvalid when there is no such list."""
    head, _, body = _read(name).partition("\n")
    lines = [line for line in body.split("\n") if line and line[0] != "#"]
    texts = [line.partition("\t")[0] for line in lines]
    return Rows(name, f"{name}/{head.rpartition(' ')[2]}", texts, lines)


def _read(name: str) -> str:
    if name not in available_lists():
        raise PolicyInvalid(
            f"There is no list '{name}'.", hint=f"Known lists: {', '.join(available_lists())}."
        )
    return (folder() / f"{name}.tsv").read_text(encoding="utf-8")


@functools.cache
def load_list(name: str) -> tuple[Entry, ...]:
    """All entries of a list. Raises PolicyInvalid when there is no such list or it is broken."""
    rows = read_rows(name)
    return tuple(rows.entry(line) for line in rows.lines)


@functools.lru_cache(maxsize=20_000)
def _entry(name: str, source: str, line: str) -> Entry:
    try:
        cells = line.split("\t")
        return (_name if name in NAME_LISTS else _term)(cells, name, source)
    except (ValueError, IndexError) as error:
        raise PolicyInvalid(
            f"The list '{name}' is damaged: {error}.", hint="Reinstall genguard."
        ) from error


def _term(cells: list[str], name: str, source: str) -> Term:
    text, score, language, flags = cells
    return Term(text, float(score), language, frozenset(flags.split()), name, source)


def _name(cells: list[str], name: str, source: str) -> Name:
    text, kind, born, died, occupation, flags = cells
    year = int(born) if born else None
    death = int(died) if died else None
    return Name(text, kind, year, death, occupation, "single" in flags, name, source)


def terms(lists: Iterable[Rows]) -> Iterator[Term]:
    """The entries of ``lists`` that are no names."""
    for rows in lists:
        if rows.name not in NAME_LISTS:
            entries = (rows.entry(line) for line in rows.lines)
            yield from (entry for entry in entries if isinstance(entry, Term))


@functools.cache
def vocabulary() -> frozenset[str]:
    """Everyday English words and every word of a name that ships: what no fuzzy rule may touch."""
    names = (" ".join(read_rows(name).texts) for name in NAME_LISTS)
    return everyday().union(*(one.split() for one in names))


@functools.cache
def everyday() -> frozenset[str]:
    """Everyday English words."""
    return frozenset((folder() / "vocabulary.txt").read_text(encoding="utf-8").split())
