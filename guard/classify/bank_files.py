"""Lists of fingerprints as others hand them out, read line by line: millions of them fit.

One entry a line, in any of these forms; empty lines and lines that begin with ``#`` are nothing:

* ``HASH``
* ``HASH,ID,TIME,TAGS``: what hasher-matcher-actioner keeps of ThreatExchange, without a header
* columns under a header that names one of ``hash``, ``signal``, ``indicator``, ``value`` or
  ``pdq``; there may be ``type`` (``signal_type``, ``indicator_type``), ``id``, ``tags``, ``note``
* ``pdq HASH``: what python-threatexchange reads from local files

A hash is PDQ's: 64 hex digits. Entries of other types (MD5, TMK, URLs) are counted and left out;
anything else that is no PDQ hash is an error, and then nothing of the file is taken.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from guard.errors import InvalidRequest

HASH = re.compile(r"[0-9a-fA-F]{64}")
PDQ_TYPES = {"pdq", "hash_pdq", "hash-pdq"}
HASH_COLUMNS = ("hash", "signal", "indicator", "value", "pdq")
TYPE_COLUMNS = ("type", "signal_type", "indicator_type")
MAX_LINE = 20_000
MAX_TEXT = 400
"""Of a label or a note, characters that are kept."""


@dataclass(frozen=True, slots=True)
class BankEntry:
    """A fingerprint of 32 bytes; ``label`` is its id elsewhere, ``note`` its tags."""

    bits: bytes
    label: str = ""
    note: str = ""


@dataclass(slots=True)
class BankFile:
    """A file of fingerprints; ``others`` counts what is of other types, once it was read."""

    path: Path
    others: int = 0

    def entries(self) -> Iterator[BankEntry]:
        """Every PDQ entry. Raises InvalidRequest naming file and line."""
        self.others = 0
        number = 0
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                columns: dict[str, int] | None = None
                for number, line in enumerate(file, 1):
                    if len(line) > MAX_LINE:
                        raise self._wrong(number, "is too long")
                    row = _cells(line)
                    if columns is None and row:
                        columns = _header(row)
                        if columns:
                            continue
                    if row:
                        yield from self._entry(number, row, columns or {})
        except OSError as error:
            raise InvalidRequest(
                f"{self.path} cannot be read: {error.strerror}.", hint="Check the path."
            ) from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise self._wrong(number + 1, "is no text") from error

    def _entry(self, number: int, row: list[str], columns: dict[str, int]) -> Iterator[BankEntry]:
        def cell(*names: str) -> str:
            places = [columns[name] for name in names if name in columns]
            return row[places[0]].strip() if places and places[0] < len(row) else ""

        if columns:
            kind, found = cell(*TYPE_COLUMNS).lower(), cell(*HASH_COLUMNS)
            label, note = cell("id", "indicator_id", "label"), cell("tags", "note", "description")
        else:
            kind, _, found = row[0].strip().rpartition(" ")
            label, note = (row[1:2] or [""])[0], (row[3:4] or [""])[0]
        if kind and kind.strip().lower() not in PDQ_TYPES:
            self.others += 1
        elif not HASH.fullmatch(found):
            raise self._wrong(number, "holds no PDQ hash of 64 hex digits")
        else:
            yield BankEntry(bytes.fromhex(found), _plain(label), _plain(note))

    def _wrong(self, number: int, what: str) -> InvalidRequest:
        return InvalidRequest(
            f"{self.path}:{number}: the line {what}.",
            hint="Correct or remove it; nothing of the file was taken.",
        )


def _cells(line: str) -> list[str]:
    if not line.strip() or line.lstrip().startswith("#"):
        return []
    return next(csv.reader([line]))


def _header(row: list[str]) -> dict[str, int]:
    names = {name.strip().lower(): place for place, name in enumerate(row)}
    return names if any(name in names for name in HASH_COLUMNS) else {}


def _plain(text: str) -> str:
    return "".join(char for char in text.strip() if char.isprintable())[:MAX_TEXT]
