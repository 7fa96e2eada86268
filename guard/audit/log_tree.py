"""The tree of a log in the database: its hashes by level, roots of earlier sizes, proofs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.audit import merkle
from guard.audit.tile_paths import TILE_WIDTH, Tile
from guard.errors import LogTampered

if TYPE_CHECKING:
    from guard.store.engine import Store

PAGE = 2_000


class LogTree:
    """Reads hashes as they are stored; whether they are those of the leaves is verify's to say."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def root(self, size: int) -> bytes:
        """The root over the first ``size`` leaves."""
        return merkle.root(self.hashes(0, 0, size))

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Of leaf ``index`` in the tree of ``size`` leaves (RFC 6962, section 2.1.1)."""
        return merkle.inclusion_proof(self.hashes(0, 0, size), index)

    def consistency_proof(self, old: int, size: int) -> list[bytes]:
        """From the tree of ``old`` leaves (at least 1) to that of ``size`` (section 2.1.2)."""
        return merkle.consistency_proof(self.hashes(0, 0, size), old)

    def tile(self, tile: Tile) -> bytes:
        """A tile's hashes."""
        return b"".join(self.hashes(tile.level, tile.start, tile.start + tile.width))

    def hashes(self, level: int, start: int, end: int) -> list[bytes]:
        """Hashes ``start`` to ``end`` of a tile level: of 256 ** level leaves each.

        Raises LogTampered when a row is missing.
        """
        if level:
            return [
                merkle.root(self.hashes(level - 1, at * TILE_WIDTH, (at + 1) * TILE_WIDTH))
                for at in range(start, end)
            ]
        found: list[bytes] = []
        while len(found) < end - start:
            with self._store.read() as reader:
                rows = reader.leaves(start + len(found), min(PAGE, end - start - len(found)))
            found += [row.leaf_hash for row in rows]
            if not rows or rows[-1].index != start + len(found) - 1:
                raise LogTampered(
                    f"The audit log has a gap among the rows {start:,} to {end:,}.",
                    hint="Run guard audit verify.",
                )
        return found
