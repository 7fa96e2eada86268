"""The Hamming index over the fingerprints in the database, kept in step with it.

The database is the truth. The index's file is believed only if it fits: it says how many rows it
has and which was the last, and the database must hold as many up to there, and that very one. A
file that does not fit, for whatever reason, is thrown away and made again. And whatever the index
answers is looked up in the database before it is believed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from guard.errors import AuditUnavailable
from guard.store.hamming import ROW_BYTES, BitRows, Hit
from guard.store.lock import FileLock

FETCH = 10_000
"""Rows fetched at once: bounds memory while a large log is read the first time."""

SAVE_AFTER = 4_096
"""New rows at which the file is written: fewer are fetched again faster than they are synced."""

HOLD = 1_000_000
"""New rows held in memory at most (40 MB), while a large log is read the first time."""

WAIT_SECONDS = 2.0
"""For another process that writes the file; without it, new rows stay in memory this time."""


@dataclass(frozen=True, slots=True)
class Near:
    """A record near a question: how many bits differ, and which question it was."""

    record_id: str
    distance: int
    question: int


class Prints(Protocol):
    """Where fingerprints are kept, under numbers that only grow: a log's reader, or a bank's."""

    def fingerprints(self, algorithm: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        """(number, bits) of those behind ``after``, in order."""
        ...

    def fingerprint_count(self, algorithm: str, until: int, size: int) -> int:
        """How many of ``size`` bytes there are up to ``until``."""
        ...

    def fingerprint_at(self, algorithm: str, index: int) -> tuple[str, bytes] | None:
        """What it belongs to, and bits, of the one under this number."""
        ...


class FingerprintIndex:
    """Fingerprints of one algorithm, 256 bits each; others are passed over. Thread-safe.

    ``folder`` is where the file lives; None keeps everything in memory.
    """

    def __init__(self, algorithm: str, log_id: str, folder: Path | None = None) -> None:
        self._algorithm = algorithm
        self._name = f"{log_id} {algorithm}"
        self._folder = folder
        self._guard = threading.Lock()
        self._rows = BitRows(self._name, self._stem)
        self._after = -1
        self._ready = False

    @property
    def _stem(self) -> Path | None:
        plain = re.sub(r"[^A-Za-z0-9.-]", "_", self._name)
        return None if self._folder is None else self._folder / plain

    def __len__(self) -> int:
        return len(self._rows)

    def nearest(
        self, reader: Prints, questions: Sequence[bytes], max_distance: int, limit: int = 1
    ) -> list[Near]:
        """At most ``limit`` records within ``max_distance`` bits of a question, nearest first.

        Questions that do not have 256 bits are near to nothing.
        """
        asked = {place: bits for place, bits in enumerate(questions) if len(bits) == ROW_BYTES}
        places = list(asked)
        with self._guard:
            self._refresh(reader)
            hits = self._rows.nearest(list(asked.values()), limit)
            best: dict[int, Hit] = {}
            for hit in hits:
                if hit.distance <= max_distance:
                    best.setdefault(hit.number, hit)
            try:
                return [self._confirmed(reader, places, hit, asked) for hit in best.values()][
                    :limit
                ]
            except LookupError:
                self._forget()
        return self.nearest(reader, questions, max_distance, limit)

    def _confirmed(
        self, reader: Prints, places: list[int], hit: Hit, asked: dict[int, bytes]
    ) -> Near:
        """What the database says of a hit. Raises LookupError when it is something else."""
        stored = reader.fingerprint_at(self._algorithm, hit.number)
        question = places[hit.question]
        if stored is None or _apart(stored[1], asked[question]) != hit.distance:
            raise LookupError("the database holds something else under this number")
        return Near(stored[0], hit.distance, question)

    # -- in step with the database -----------------------------------------------------------

    def _refresh(self, reader: Prints) -> None:
        if not self._ready:
            if self._rows.load() and not self._fits(reader, self._rows):
                self._rows = BitRows(self._name, self._stem)
            self._after, self._ready = self._rows.last, True
        self._fetch(reader)
        while self._rows.unsaved >= SAVE_AFTER and self._save(reader):
            self._fetch(reader)

    def _fetch(self, reader: Prints) -> None:
        while rows := reader.fingerprints(self._algorithm, self._after, FETCH):
            kept = [(number, bits) for number, bits in rows if len(bits) == ROW_BYTES]
            self._rows.add([number for number, _ in kept], b"".join(bits for _, bits in kept))
            self._after = rows[-1][0]
            if self._rows.unsaved >= HOLD:
                self._save(reader)

    def _forget(self) -> None:
        """Start again from the database, and replace the file when it is next written."""
        self._rows = BitRows(self._name, self._stem)
        self._after = -1

    def _fits(self, reader: Prints, rows: BitRows) -> bool:
        last = reader.fingerprint_at(self._algorithm, rows.last)
        stored = reader.fingerprint_count(self._algorithm, rows.last, ROW_BYTES)
        return stored == len(rows) and last is not None and last[1] == rows.last_row

    def _save(self, reader: Prints) -> bool:
        """Write the file, if it is free and can be written: it is a convenience, not the truth.

        Answers whether the file of another process was taken over: then there is more to fetch.
        """
        if self._folder is None:
            return False
        with suppress(OSError, AuditUnavailable):
            self._folder.mkdir(exist_ok=True, mode=0o700)
            lock = FileLock(self._folder / ".lock", WAIT_SECONDS)
            try:
                with lock.held():
                    if self._take_over(reader):
                        return True
                    self._rows.save()
            finally:
                lock.close()
        return False

    def _take_over(self, reader: Prints) -> bool:
        """Use the file of another process, when it wrote one that holds more than ours."""
        if self._rows.is_newest:
            return False
        other = BitRows(self._name, self._stem)
        if not other.load() or other.last <= self._rows.saved or not self._fits(reader, other):
            return False
        self._rows, self._after = other, other.last
        return True


def _apart(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()
