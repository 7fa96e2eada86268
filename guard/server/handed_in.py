"""What leads to manifests that were handed in: the very value, or a fingerprint near it.

There are few of them beside a house's own, so their fingerprints are kept in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from guard.image.fingerprint import BITS, from_binding
from guard.store.hamming import BitRows

if TYPE_CHECKING:
    from guard.store.engine import Store
    from guard.store.reader import Reader

FETCH = 10_000


class HandedIn:
    """The soft bindings of manifests that were handed in. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._rows: dict[str, BitRows] = {}
        self._after: dict[str, int] = {}

    def matches(
        self, algorithm: str, value: bytes, most_apart: int, limit: int
    ) -> Iterator[tuple[str, int]]:
        """(manifest id, score 0–100) of manifests that are still served, best first."""
        with self._store.read() as reader:
            found = [(one, 100) for one in reader.bound_manifests(algorithm, value, limit)]
            found += self._near(reader, algorithm, value, (most_apart, limit))
            yield from [one for one in found if _is_served(reader, one[0])]

    def _near(
        self, reader: Reader, algorithm: str, value: bytes, bounds: tuple[int, int]
    ) -> Iterator[tuple[str, int]]:
        asked = from_binding(algorithm, value)
        if asked is None:
            return
        most_apart, limit = bounds
        with self._lock:
            hits = self._refreshed(reader, algorithm).nearest([bytes.fromhex(asked.bits)], limit)
        for hit in hits:
            kept = reader.binding_at(hit.number)
            if kept and hit.distance <= most_apart:  # empty: it was replaced
                yield kept, max(0, round(100 * (1 - 2 * hit.distance / BITS)))

    def _refreshed(self, reader: Reader, algorithm: str) -> BitRows:
        rows = self._rows.setdefault(algorithm, BitRows(algorithm, None))
        while new := reader.bindings_after(algorithm, self._after.get(algorithm, 0), FETCH):
            prints = [(number, from_binding(algorithm, value)) for number, value in new]
            kept = [(number, one) for number, one in prints if one is not None]
            bits = b"".join(bytes.fromhex(one.bits) for _, one in kept)
            rows.add([number for number, _ in kept], bits)
            self._after[algorithm] = new[-1][0]
        return rows


def _is_served(reader: Reader, manifest_id: str) -> bool:
    return any(one.withdrawn_at_us is None for one in reader.entries(manifest_id))
