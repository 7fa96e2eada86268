"""Entries of a platform's own lists, and the files they are written in.

Three forms, told apart by the file's ending; lines that begin with ``#`` are comments everywhere:

* plain text and ``.tsv``: an entry a line, after a tab its category, after another a note;
* ``.csv``: the same with commas and quotes;
* ``.jsonl``: an object a line with ``term`` and perhaps ``category`` and ``note``.

A table may begin with a line that names its columns.
"""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from guard.errors import PolicyInvalid
from guard.prompt.normalise import normalise
from guard.prompt.tokens import canonical

MAX_TERM: Final = 400
"""Characters of one entry: longer ones are sentences, or a file of another kind."""

COLUMNS: Final = ("term", "category", "note")

_UNSPACED: Final = ("CJK ", "HIRAGANA ", "KATAKANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ")
"""Beginnings of the Unicode names of letters whose scripts put no spaces between words."""


class OwnEntry(NamedTuple):
    """One entry: ``term`` as it was written, ``text`` as it is looked for.

    ``infix`` entries (emoji, scripts without spaces) are looked for among characters instead of
    words. ``category``, where given, names a category or rule of the policy. ``place`` is the
    line, or the number of the change, that the entry comes from.
    """

    term: str
    text: str
    infix: bool
    category: str = ""
    note: str = ""
    place: int = 0


def entry(term: str, category: str = "", note: str = "", place: int = 0) -> OwnEntry:
    """An entry. Raises ValueError when there is nothing in ``term`` to look for."""
    term, category, note = term.strip(), (category or "").strip(), (note or "").strip()
    if len(term) > MAX_TERM:
        raise ValueError(f"an entry has {len(term):,} characters; the limit is {MAX_TERM}")
    if not term.isprintable():
        raise ValueError("an entry holds characters that cannot be seen")
    words = canonical(term)
    if not words or _is_unspaced(words):
        text = normalise(term).text.strip()
        if not text:
            raise ValueError(f"the entry {term!r} is empty")
        return OwnEntry(term, text, infix=True, category=category, note=note, place=place)
    return OwnEntry(term, words, infix=False, category=category, note=note, place=place)


def _is_unspaced(words: str) -> bool:
    return any(unicodedata.name(char, "").startswith(_UNSPACED) for char in words)


def parse_entries(data: bytes, path: Path) -> tuple[OwnEntry, ...]:
    """All entries of a file. Raises PolicyInvalid naming file and line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise broken(path, line, "this is not UTF-8 text") from None
    found: list[OwnEntry] = []
    number = 0
    try:
        for number, cells in _rows(text, path.suffix.lower()):
            found.append(entry(*cells, place=number))
    except _BadLine as error:
        raise broken(path, error.line, str(error)) from None
    except ValueError as error:
        raise broken(path, number, str(error)) from None
    return tuple(found)


class _BadLine(ValueError):
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def broken(path: Path, line: int, what: str) -> PolicyInvalid:
    """The error about a line of a list's file."""
    return PolicyInvalid(
        f"{path}:{line}: {what}.",
        hint="Mend that line: nothing is screened on half a list. `guard lists check` tells more.",
    )


def _rows(text: str, suffix: str) -> Iterator[tuple[int, tuple[str, str, str]]]:
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if suffix in {".jsonl", ".ndjson"}:
        yield from ((number, _object(number, line)) for number, line in lines)
        return
    columns: dict[str, int] = {name: place for place, name in enumerate(COLUMNS)}
    for position, (number, line) in enumerate(lines):
        cells = [cell.strip() for cell in _split(number, line, suffix)]
        if position == 0 and len(cells) > 1 and "term" in map(str.lower, cells):
            columns = _named(number, cells)
            continue
        if len(cells) > max(len(COLUMNS), len(columns)):
            raise _BadLine(number, f"{len(cells)} columns where term, category, note belong")
        yield number, _cells(cells, columns)


def _split(number: int, line: str, suffix: str) -> list[str]:
    if suffix != ".csv":
        return line.split("\t")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise _BadLine(number, f"this is no CSV: {error}") from None


def _named(number: int, cells: Iterable[str]) -> dict[str, int]:
    columns = {cell.lower(): place for place, cell in enumerate(cells)}
    unknown = sorted(set(columns) - set(COLUMNS))
    if unknown:
        raise _BadLine(number, f"unknown columns: {', '.join(unknown)}")
    return columns


def _cells(cells: list[str], columns: dict[str, int]) -> tuple[str, str, str]:
    def cell(name: str) -> str:
        place = columns.get(name, len(cells))
        return cells[place] if place < len(cells) else ""

    return cell("term"), cell("category"), cell("note")


def _object(number: int, line: str) -> tuple[str, str, str]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise _BadLine(number, f"this is no JSON: {error}") from None
    if not isinstance(row, dict) or not isinstance(row.get("term"), str):
        raise _BadLine(number, "an object with 'term' is expected")
    unknown = sorted(set(row) - set(COLUMNS))
    if unknown:
        raise _BadLine(number, f"unknown fields: {', '.join(unknown)}")
    category, note = row.get("category") or "", row.get("note") or ""
    if not isinstance(category, str) or not isinstance(note, str):
        raise _BadLine(number, "'category' and 'note' are texts")
    return row["term"], category, note
