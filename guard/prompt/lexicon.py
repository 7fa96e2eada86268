"""The lists that ship, read once a process, and the automata that find their entries in a text.

A list is a flat TSV under ``policies/lexicons/`` built by ``datasets/lexicons/build.py``. Lines
that begin with ``#`` are comments; the first one names list and version. Terms are stored in
canonical form (:func:`guard.prompt.tokens.canonical`):

* terms: ``term  score  language  flags``;
* names: ``name  kind(artist|person)  born  died  occupation  flags``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from guard.errors import PolicyInvalid
from guard.prompt.tokens import Words

NAME_LISTS: Final = ("artists", "people")

_FOLDER: Final = "lexicons"
_KANA: Final = re.compile("[\u30a1-\u30fa\u30fc]")


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


@functools.cache
def load_list(name: str) -> tuple[Entry, ...]:
    """All entries of a list. Raises PolicyInvalid when there is no such list or it is broken."""
    if name not in available_lists():
        raise PolicyInvalid(
            f"There is no list '{name}'.", hint=f"Known lists: {', '.join(available_lists())}."
        )
    head, *lines = (folder() / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    source = f"{name}/{head.rpartition(' ')[2]}"
    read = _name if name in NAME_LISTS else _term
    try:
        return tuple(
            read(line.split("\t"), name, source) for line in lines if line[:1] not in {"", "#"}
        )
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


@functools.cache
def vocabulary() -> frozenset[str]:
    """Everyday words and all parts of names: what no fuzzy rule may touch."""
    words = (folder() / "vocabulary.txt").read_text(encoding="utf-8").split()
    parts = {
        part for name in NAME_LISTS for entry in load_list(name) for part in entry.text.split()
    }
    return frozenset(words) | parts


class Matcher:
    """Finds every entry of some lists in one pass over a text."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        import ahocorasick_rs

        spaced: dict[str, list[Entry]] = {}
        infix: dict[str, list[Entry]] = {}
        for entry in entries:
            flags = entry.flags if isinstance(entry, Term) else frozenset()
            if "infix" in flags:
                infix.setdefault(entry.text, []).append(entry)
            elif "prefix" in flags:
                spaced.setdefault(f" {entry.text}", []).append(entry)
            else:
                spaced.setdefault(f" {entry.text} ", []).append(entry)
        self._spaced = list(spaced.values())
        self._infix = list(infix.values())
        self._infix_texts = list(infix)
        self._words = ahocorasick_rs.AhoCorasick(list(spaced))
        self._parts = ahocorasick_rs.AhoCorasick(self._infix_texts)

    def in_words(self, words: Words, how: str = "") -> Iterator[Hit]:
        """Hits at word boundaries of the canonical text."""
        for found, start, end in self._words.find_matches_as_indexes(words.text, overlapping=True):
            first, last = words.at(start + 1, end)
            span = words.origin(first, last)
            for entry in self._spaced[found]:
                yield Hit(entry, span, first, last, how)

    def in_text(self, words: Words) -> Iterator[Hit]:
        """Hits in scripts that do not separate words."""
        text = words.view.text
        if text.isascii() or not self._infix:
            return
        for found, start, end in self._parts.find_matches_as_indexes(text, overlapping=True):
            if _cuts_katakana(text, start, end):
                continue
            first, last = _words_around(words, start, end)
            for entry in self._infix[found]:
                yield Hit(entry, words.view.origin(start, end), first, last)


def _cuts_katakana(text: str, start: int, end: int) -> bool:
    """Whether a katakana word goes on beyond the match: ヌード is not in ヌードル (noodle)."""
    before = start > 0 and _KANA.match(text[start]) and _KANA.match(text[start - 1])
    after = end < len(text) and _KANA.match(text[end - 1]) and _KANA.match(text[end])
    return bool(before or after)


def _words_around(words: Words, start: int, end: int) -> tuple[int, int]:
    places = enumerate(zip(words.starts, words.ends, strict=True))
    inside = [i for i, (first, last) in places if first < end and start < last]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)
