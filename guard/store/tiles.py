"""Sealed tiles of the log's tree, and the leaf hashes that no tile holds yet.

A tile is 256 hashes of one level (C2SP tlog-tiles): of leaves on level 0, of the tiles of the level
below on the others. It is written once, in the transaction that fills it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from guard.store.tables import LEAF, table

TILE_WIDTH = 256
HASH_BYTES = 32
TILE_BYTES = TILE_WIDTH * HASH_BYTES


@dataclass(frozen=True, slots=True)
class SealedTile:
    """A full tile: 256 hashes, one after another, and the root over them."""

    level: int
    index: int
    root: bytes
    hashes: bytes


class Tiles:
    """Tiles within one transaction. Only writers may add them."""

    def __init__(self, connection: Connection, log_id: str) -> None:
        self._connection = connection
        self._log_id = log_id

    def sealed(self, level: int, index: int) -> bytes | None:
        """The 8,192 bytes of a full tile; None when it is not there."""
        kept = table("audit_tile")
        statement = select(kept.c.hashes).where(kept.c.level == level, kept.c.tile_index == index)
        row = self._connection.execute(statement).first()
        return None if row is None else bytes(row[0])

    def roots(self, level: int, start: int, count: int) -> list[bytes]:
        """Roots of the full tiles from ``start`` on, in order: fewer when there are fewer."""
        kept = table("audit_tile")
        statement = (
            select(kept.c.root)
            .where(kept.c.level == level)
            .where(kept.c.tile_index.between(start, start + count - 1))
            .order_by(kept.c.tile_index)
        )
        return [bytes(row[0]) for row in self._connection.execute(statement)]

    def after(self, place: tuple[int, int], limit: int) -> list[SealedTile]:
        """Tiles behind (level, index) ``place``, in order."""
        kept = table("audit_tile")
        level, index = kept.c.level, kept.c.tile_index
        statement = (
            select(level, index, kept.c.root, kept.c.hashes)
            .where((level > place[0]) | ((level == place[0]) & (index > place[1])))
            .order_by(level, index)
            .limit(limit)
        )
        rows = self._connection.execute(statement)
        return [SealedTile(row[0], row[1], bytes(row[2]), bytes(row[3])) for row in rows]

    def count(self) -> int:
        """How many tiles are stored."""
        return int(
            self._connection.execute(select(func.count()).select_from(table("audit_tile"))).scalar()
            or 0
        )

    def leaf_hashes(self, start: int, count: int) -> list[bytes]:
        """Stored hashes of the leaves from ``start`` on, in order: fewer when there are fewer."""
        statement = (
            select(LEAF.c.leaf_hash)
            .where(LEAF.c.log_id == self._log_id)
            .where(LEAF.c.leaf_index.between(start, start + count - 1))
            .order_by(LEAF.c.leaf_index)
        )
        return [bytes(row[0]) for row in self._connection.execute(statement)]

    def seal(self, tile: SealedTile) -> None:
        """Add a full tile."""
        place = {"level": tile.level, "tile_index": tile.index}
        values = {**place, "root": tile.root, "hashes": tile.hashes}
        self._connection.execute(insert(table("audit_tile")), values)
