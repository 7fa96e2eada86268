"""Nearest fingerprint by Hamming distance, over all that the store holds.

The bits are kept in memory (32 bytes a picture for PDQ) and only what is new is fetched: a
million pictures are 32 MB and some ten milliseconds a question.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from guard.store.reader import Reader

FETCH = 10_000
"""Rows fetched at once: bounds memory while a large log is read the first time."""

_POPCOUNT = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(
    axis=1, dtype=np.uint8
)


class FingerprintIndex:
    """Fingerprints of one algorithm. Thread-safe."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self._lock = threading.Lock()
        self._records: list[str] = []
        self._bits: NDArray[np.uint8] = np.zeros((0, 0), dtype=np.uint8)
        self._last = -1

    def refresh(self, reader: Reader) -> None:
        """Fetch what was added since the last time."""
        with self._lock:
            while rows := reader.fingerprints(self._algorithm, self._last, FETCH):
                self._add([(record, bits) for _, record, bits in rows])
                self._last = rows[-1][0]

    def _add(self, rows: list[tuple[str, bytes]]) -> None:
        width = self._bits.shape[1] or len(rows[0][1])
        kept = [(record, bits) for record, bits in rows if len(bits) == width]
        new = np.frombuffer(b"".join(bits for _, bits in kept), np.uint8).reshape(-1, width)
        self._bits = np.concatenate([self._bits.reshape(-1, width), new])
        self._records += [record for record, _ in kept]

    def nearest(self, bits: bytes, max_distance: int) -> tuple[str, int] | None:
        """(record id, distance) of the nearest within ``max_distance`` bits, if any is."""
        with self._lock:
            if self._bits.shape[1] != len(bits) or not self._records:
                return None
            differing = np.bitwise_xor(self._bits, np.frombuffer(bits, np.uint8))
            distances = _POPCOUNT[differing].sum(axis=1, dtype=np.int64)
            best = int(distances.argmin())
            distance = int(distances[best])
            return (self._records[best], distance) if distance <= max_distance else None
