"""What is known of a log from outside its database: roots of earlier sizes, and published tiles.

Roots tell that a log was rewritten; tiles also tell where. A tile is believed only when it leads
to a root that was signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.audit.tree.merkle import Frontier, leaf_hash
from guard.audit.tree.tile_paths import TILE_WIDTH, Tile, tiles_of, width_of
from guard.audit.tree.tiles import subtree_root
from guard.store.tiles import HASH_BYTES

if TYPE_CHECKING:
    from guard.audit.checkpoints.places import Place
    from guard.store.engine import Store

Report = Callable[[str, int | None], None]
"""Told (problem, index of the first bad row where it is known)."""


@dataclass(frozen=True, slots=True)
class Known:
    """``roots`` (32 bytes) by size, of checkpoints that were verified; where their tiles are."""

    roots: Mapping[int, bytes]
    place: Place | None = None

    @property
    def newest(self) -> int | None:
        """The largest size."""
        return max(self.roots, default=None)


@dataclass(slots=True)
class KnownCheck:
    """Compares a log with what is known of it, while its leaves pass by."""

    store: Store
    known: Known
    report: Report
    good: int = 0
    bad: list[int] = field(default_factory=list)

    def at(self, frontier: Frontier) -> None:
        """The tree as it was after so many leaves."""
        root = self.known.roots.get(frontier.size)
        if root is None:
            return
        if root == frontier.root:
            self.good = frontier.size
        else:
            self.bad.append(frontier.size)

    def finish(self, size: int, units: bytes) -> None:
        """Say what differs in a log of ``size`` rows, and from which row on."""
        missing = [one for one in self.known.roots if one > size]
        if not self.bad and not missing:
            return
        newest = max([*self.bad, *missing])
        if missing:
            self.report(f"The log once had {newest:,} rows.", size)
        if self.bad:
            still = f"; the first {self.good:,} still are" if self.good else ""
            self.report(
                f"The first {min(self.bad):,} rows are not those noted earlier{still}.", None
            )
        self._locate(newest, size, units)

    def _locate(self, newest: int, size: int, units: bytes) -> None:
        tiles = self._tiles(newest)
        if tiles is None:
            return
        above, tail = tiles
        first = _first_difference(above, units)
        hashes = tail
        if first < len(above) // HASH_BYTES:
            assert self.known.place is not None  # noqa: S101  # _tiles looked there
            hashes = self.known.place.tile(Tile(0, first)) or b""
            if len(hashes) != TILE_WIDTH * HASH_BYTES or subtree_root(hashes) != _nth(above, first):
                self.report(f"The published tile of row {first * TILE_WIDTH:,} is broken.", None)
                return
        start = first * TILE_WIDTH
        with self.store.read() as reader:
            rows = reader.leaves(start, TILE_WIDTH)
        ours = b"".join(leaf_hash(row.leaf) for row in rows)
        index = min(start + _first_difference(hashes, ours), newest)
        if index < size:
            self.report(f"Row {index:,} is not what was published.", index)

    def _tiles(self, size: int) -> tuple[bytes, bytes] | None:
        """The published roots over each 256 leaves and the hashes behind them, if authentic."""
        place, root = self.known.place, self.known.roots[size]
        if place is None:
            return None
        above, tail = bytearray(), b""
        for tile in tiles_of(size):
            partial = tile.level == 0 and tile.width < TILE_WIDTH
            if tile.level == 1 or partial:
                found = place.tile(tile)
                if found is None:
                    return None
                above, tail = (above, found) if partial else (above + found, tail)
        if len(above) != width_of(1, size) * HASH_BYTES or _root(bytes(above), tail) != root:
            self.report("The published tiles do not lead to the published checkpoint.", None)
            return None
        return bytes(above), tail


def _root(above: bytes, tail: bytes) -> bytes:
    units = Frontier()
    for at in range(0, len(above), HASH_BYTES):
        units.append(above[at : at + HASH_BYTES])
    whole = Frontier(units.size * TILE_WIDTH, units.packed)
    for at in range(0, len(tail), HASH_BYTES):
        whole.append(tail[at : at + HASH_BYTES])
    return whole.root


def _nth(hashes: bytes, number: int) -> bytes:
    return hashes[number * HASH_BYTES : (number + 1) * HASH_BYTES]


def _first_difference(theirs: bytes, ours: bytes) -> int:
    """The number of the first of ``theirs`` that ``ours`` has not; how many, if it has all."""
    count = len(theirs) // HASH_BYTES
    return next((at for at in range(count) if _nth(theirs, at) != _nth(ours, at)), count)
