"""Whether the tiles in the database are those of the leaves; and what they should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.audit.tree.tiles import subtree_root
from guard.store.tiles import HASH_BYTES, TILE_BYTES, TILE_WIDTH, SealedTile

if TYPE_CHECKING:
    from guard.store.engine import Store

AT_ONCE = 64
"""Tiles compared with one question: half a megabyte."""

Report = Callable[[str, int | None], None]
"""Told (problem, index of the first row concerned)."""


@dataclass(slots=True)
class TileCheck:
    """Builds the tiles again while leaves pass by, and compares them with those that are stored.

    ``units``: the roots over each 256 leaves, one after another (an eighth of a byte a row).
    """

    store: Store
    report: Report
    units: bytearray = field(default_factory=bytearray)
    built: int = 0
    _open: list[bytearray] = field(default_factory=list)
    _counts: list[int] = field(default_factory=list)
    _waiting: list[list[SealedTile]] = field(default_factory=list)

    def add(self, hashed_leaf: bytes) -> None:
        """The next leaf's hash."""
        self._push(0, hashed_leaf)

    def _push(self, level: int, one: bytes) -> None:
        if level == len(self._open):
            self._open.append(bytearray())
            self._counts.append(0)
            self._waiting.append([])
        tile = self._open[level]
        tile += one
        if len(tile) < TILE_BYTES:
            return
        hashes = bytes(tile)
        tile.clear()
        root = subtree_root(hashes)
        self._waiting[level].append(SealedTile(level, self._counts[level], root, hashes))
        self._counts[level] += 1
        self.built += 1
        if len(self._waiting[level]) >= AT_ONCE:
            self._compare(level)
        if level == 0:
            self.units += root
        self._push(level + 1, root)

    def finish(self, stored: int) -> None:
        """Compare the rest; ``stored`` tiles were there before the leaves were counted."""
        for level in range(len(self._waiting)):
            self._compare(level)
        if stored > self.built:
            self.report("There are tiles of rows that are not there.", None)

    def _compare(self, level: int) -> None:
        wanted, self._waiting[level] = self._waiting[level], []
        if not wanted:
            return
        with self.store.read() as reader:
            found = reader.tiles.after((level, wanted[0].index - 1), len(wanted))
        kept = {tile.index: tile for tile in found if tile.level == level}
        for tile in wanted:
            if kept.get(tile.index) != tile:
                first = tile.index * TILE_WIDTH ** (level + 1)
                self.report(
                    f"Tile {tile.index:,} of level {level} is not that of its rows.",
                    first + self._place(tile, kept.get(tile.index)) * TILE_WIDTH**level,
                )

    @staticmethod
    def _place(right: SealedTile, wrong: SealedTile | None) -> int:
        """The first hash in which a tile differs."""
        there = b"" if wrong is None else wrong.hashes
        for at in range(0, TILE_BYTES, HASH_BYTES):
            if there[at : at + HASH_BYTES] != right.hashes[at : at + HASH_BYTES]:
                return at // HASH_BYTES
        return 0
