"""Nearest bit strings by Hamming distance: exact, in a file that is mapped, not loaded.

Rows of 256 bits lie one behind the other in a file (320 MB for ten million), and behind them in a
second file one number each. A search reads all of them, on several threads, with faiss's popcount
kernel: 2.3 ns a row and core were measured, so ten million rows take about 12 ms on two cores, and
nothing is missed. Graphs and hash tables would be faster still; they take three to ten times the
memory, are rebuilt or approximate, and no question here waits for them.

What was added since the file was last written is held in memory. A header says how many rows count
and what their check sums are; it is replaced in one step after the rows are on disk, so a crash
leaves an older state that is whole. Files that do not fit their header are refused.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROW_BYTES = 32
"""256 bits."""

NUMBER_BYTES = 8

FORMAT = 1

READ_AT_ONCE = 1 << 24
"""Bytes of a file that are checked at once: its size does not become memory."""

THREADS = min(4, os.cpu_count() or 1)
"""Searching is bound by memory: more threads than that gain nothing."""

LEAST_PER_THREAD = 50_000
"""Rows under which a second thread costs more than it does."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A row near a question: its ``number``, how many bits differ, and which question it was."""

    number: int
    distance: int
    question: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a file claims to hold. ``last`` is the number of its last row, -1 for none."""

    name: str
    rows: int = 0
    last: int = -1
    rows_crc: int = 0
    numbers_crc: int = 0
    version: int = FORMAT


class BitRows:
    """Rows of 256 bits with ascending numbers. Not thread-safe: its owner holds a lock.

    ``stem`` names the files (``.bits``, ``.numbers``, ``.json``); None keeps all in memory.
    ``name`` is what the files must claim to be of.
    """

    def __init__(self, name: str, stem: Path | None) -> None:
        self._name = name
        self._stem = stem
        self._clear()

    def _clear(self) -> None:
        self._header = Header(self._name)
        self._rows: NDArray[np.uint8] = np.zeros((0, ROW_BYTES), np.uint8)
        self._numbers: NDArray[np.int64] = np.zeros(0, np.int64)
        self._new_rows: list[NDArray[np.uint8]] = []
        self._new_numbers: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        return self._header.rows + self.unsaved

    @property
    def unsaved(self) -> int:
        """Rows that are in memory only."""
        return sum(map(len, self._new_numbers))

    @property
    def last(self) -> int:
        """The highest number; -1 for none."""
        return int(self._new_numbers[-1][-1]) if self._new_numbers else self._header.last

    @property
    def saved(self) -> int:
        """The highest number that is in the files; -1 for none."""
        return self._header.last

    @property
    def last_row(self) -> bytes:
        """The bits under the highest number; nothing where there is none."""
        rows = self._new_rows[-1] if self._new_rows else self._rows
        return rows[-1].tobytes() if len(rows) else b""

    def add(self, numbers: Sequence[int], rows: bytes) -> None:
        """Add ``rows``, 32 bytes each, under ``numbers`` that ascend from :attr:`last`."""
        if numbers:
            self._new_numbers.append(np.array(numbers, np.int64))
            self._new_rows.append(np.frombuffer(rows, np.uint8).reshape(-1, ROW_BYTES))

    # -- files -------------------------------------------------------------------------------

    def load(self) -> bool:
        """Map the files; False, and nothing held, when there are none that can be believed."""
        self._clear()
        header = self._header_on_disk()
        if header is None or header.rows < 1:
            return False
        try:
            self._map(header)
        except (OSError, ValueError):  # not there, or shorter than it should be
            self._clear()
            return False
        sums = _crc(self._rows), _crc(self._numbers), int(self._numbers[-1])
        if sums != (header.rows_crc, header.numbers_crc, header.last):
            self._clear()
            return False
        return True

    def _header_on_disk(self) -> Header | None:
        if self._stem is None:
            return None
        try:
            header = Header(**json.loads(self._file("json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return header if (header.version, header.name) == (FORMAT, self._name) else None

    def _map(self, header: Header) -> None:
        shape = (header.rows, ROW_BYTES)
        self._rows = np.memmap(self._file("bits"), np.uint8, "r", shape=shape)
        self._numbers = np.memmap(self._file("numbers"), np.int64, "r", shape=(header.rows,))
        self._header = header

    @property
    def is_newest(self) -> bool:
        """Whether the files are still those that are mapped: another process may have written."""
        return self._header_on_disk() == self._header

    def save(self) -> None:
        """Write what is in memory only: behind what is mapped, or all of it into new files.

        Only one process may save at a time. Raises OSError; what is held stays as it was.
        """
        if self._stem is None or not self.unsaved:
            return
        rows, numbers = [*self._new_rows], [*self._new_numbers]
        before = self._header
        if not self.is_newest:
            before = Header(self._name)
            rows, numbers = [self._rows, *rows], [self._numbers, *numbers]
            rows, numbers = [one for one in rows if len(one)], [one for one in numbers if len(one)]
        header = Header(
            self._name,
            rows=before.rows + sum(map(len, numbers)),
            last=self.last,
            rows_crc=_crc(rows, before.rows_crc),
            numbers_crc=_crc(numbers, before.numbers_crc),
        )
        self._append("bits", before.rows * ROW_BYTES, rows)
        self._append("numbers", before.rows * NUMBER_BYTES, numbers)
        _replace(self._file("json"), json.dumps(asdict(header)))
        self._map(header)
        self._new_rows, self._new_numbers = [], []

    def _append(self, kind: str, at: int, data: list[NDArray[Any]]) -> None:
        """Behind the first ``at`` bytes; at 0 into a new file, for others may have mapped the old.

        What lies behind ``at`` is from a writer that was killed: nobody maps it.
        """
        file = self._file(kind)
        if at == 0:
            file.unlink(missing_ok=True)
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "r+b") as stream:
            stream.truncate(at)
            stream.seek(at)
            for part in data:
                stream.write(np.ascontiguousarray(part).data.cast("B"))
            stream.flush()
            os.fsync(stream.fileno())

    def _file(self, kind: str) -> Path:
        assert self._stem is not None  # noqa: S101  # for the type checker
        return self._stem.with_name(f"{self._stem.name}.{kind}")

    # -- search ------------------------------------------------------------------------------

    def nearest(self, questions: Sequence[bytes], limit: int) -> list[Hit]:
        """The ``limit`` rows nearest to each question of 32 bytes; nearest first over all."""
        if not len(self) or not questions:
            return []
        self._new_rows, self._new_numbers = _joined(self._new_rows), _joined(self._new_numbers)
        asked = np.frombuffer(b"".join(questions), np.uint8).reshape(-1, ROW_BYTES)
        parts = list(self._parts())
        if len(parts) == 1:
            found = [_search(asked, parts[0], limit)]
        else:
            found = list(_pool().map(lambda part: _search(asked, part, limit), parts))
        hits = [hit for one in found for hit in one]
        return sorted(hits, key=lambda hit: (hit.distance, hit.number))

    def _parts(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        held = [(self._rows, self._numbers), *zip(self._new_rows, self._new_numbers, strict=True)]
        for rows, numbers in held:
            cuts = max(1, min(THREADS, len(rows) // LEAST_PER_THREAD))
            edges = [len(rows) * place // cuts for place in range(cuts + 1)]
            for start, end in pairwise(edges):
                if end > start:
                    yield rows[start:end], numbers[start:end]


def _search(
    asked: NDArray[np.uint8], part: tuple[NDArray[np.uint8], NDArray[np.int64]], limit: int
) -> list[Hit]:
    rows, numbers = part
    distances, places = _faiss().knn_hamming(asked, np.asarray(rows), min(limit, len(rows)))
    return [
        Hit(int(numbers[place]), int(distances[question, rank]), question)
        for question, row in enumerate(places)
        for rank, place in enumerate(row)
        if place >= 0
    ]


@lru_cache(maxsize=1)
def _faiss() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of SWIG's own types
        import faiss

    return faiss


def _pool() -> ThreadPoolExecutor:
    return _pool_of(os.getpid())


@lru_cache(maxsize=1)
def _pool_of(_process: int) -> ThreadPoolExecutor:
    """Threads do not survive a fork: one pool for each process."""
    # One OpenMP thread in each: a team of its own waits actively, and took 50 times as long on
    # cores that others use, too. The setting is the calling thread's.
    return ThreadPoolExecutor(
        THREADS, "guard-hamming", initializer=lambda: _faiss().omp_set_num_threads(1)
    )


def _joined(arrays: list[NDArray[Any]]) -> list[NDArray[Any]]:
    return [np.concatenate(arrays)] if len(arrays) > 1 else arrays


def _crc(arrays: NDArray[Any] | list[NDArray[Any]], start: int = 0) -> int:
    total = start
    for array in arrays if isinstance(arrays, list) else [arrays]:
        view = np.ascontiguousarray(array).data.cast("B")
        for at in range(0, len(view), READ_AT_ONCE):
            total = zlib.crc32(view[at : at + READ_AT_ONCE], total)
    return total


def _replace(file: Path, text: str) -> None:
    new = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}.new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)
