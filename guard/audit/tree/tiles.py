"""The tree read by tiles: roots of earlier sizes and proofs, without reading the log.

A tile holds 256 hashes of one level (C2SP tlog-tiles): of leaves on level 0, and on level n of
perfect subtrees of 256ⁿ leaves, each the root of a full tile of the level below. Full tiles are
stored; the last, partial tile of a level is made of leaf hashes or of the tiles below. A proof
takes O(log n) hashes, each from one tile.

Hashes are taken as they are stored. Whether they are those of the leaves is for
:func:`guard.audit.verify.verify_log` to say; whether a proof holds, for who receives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.audit.tree.merkle import EMPTY_ROOT, node_hash
from guard.errors import LogTampered
from guard.store.tiles import HASH_BYTES, TILE_WIDTH, SealedTile, Tiles

if TYPE_CHECKING:
    from guard.store.reader import Reader
    from guard.store.writer import Writer

TILE_LEVELS = 8
"""Levels of the tree between two levels of tiles: 256 is 2⁸."""

CACHED = 64
"""Tiles kept by a reader: half a megabyte."""


class TileReader:
    """Roots and proofs of the log, within the transaction of ``reader``."""

    def __init__(self, reader: Reader) -> None:
        self._tiles = reader.tiles
        self._cached: dict[tuple[int, int], bytes] = {}

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """The first ``width`` (1–256) hashes of a tile, 32 bytes each.

        Raises LogTampered when the log does not hold what they are made of.
        """
        if width == TILE_WIDTH:
            return self._full(level, index)
        return _made(self._tiles, level, index, width)

    def root(self, size: int) -> bytes:
        """The root over the first ``size`` leaves. Raises LogTampered when they are not there."""
        return self._range(0, size, size) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Of leaf ``index`` in the tree of ``size`` leaves (RFC 6962, section 2.1.1).

        Raises IndexError when that tree has no such leaf.
        """
        if not 0 <= index < size:
            raise IndexError(f"no leaf {index} in a tree of {size}")
        proof: list[bytes] = []
        start, end = 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                proof.append(self._range(middle, end, size))
                end = middle
            else:
                proof.append(self._range(start, middle, size))
                start = middle
        return proof[::-1]

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """From the tree of ``old`` leaves (at least 1) to that of ``new`` (section 2.1.2).

        Raises IndexError when the one does not fit into the other.
        """
        if not 0 < old <= new:
            raise IndexError(f"no tree of {old} leaves within {new}")
        proof: list[bytes] = []
        start, end = 0, new
        whole = True  # the subtree at hand is the old tree itself, whose root the verifier knows
        while old < end:
            middle = start + _split(end - start)
            if old <= middle:
                proof.append(self._range(middle, end, new))
                end = middle
            else:
                proof.append(self._range(start, middle, new))
                start, whole = middle, False
        if not whole:
            proof.append(self._range(start, end, new))
        return proof[::-1]

    def _range(self, start: int, end: int, size: int) -> bytes:
        """The root over the leaves from ``start`` to ``end``, where ``start`` begins a subtree."""
        parts: list[bytes] = []
        while start < end:
            height = (end - start).bit_length() - 1
            parts.append(self._node(height, start >> height, size))
            start += 1 << height
        found = parts.pop()
        while parts:
            found = node_hash(parts.pop(), found)
        return found

    def _node(self, height: int, index: int, size: int) -> bytes:
        """The root of perfect subtree ``index`` of 2 ** height leaves, in a tree of ``size``."""
        level, inner = divmod(height, TILE_LEVELS)
        first = index << inner
        tile_index, at = divmod(first, TILE_WIDTH)
        width = min(TILE_WIDTH, (size >> (level * TILE_LEVELS)) - tile_index * TILE_WIDTH)
        hashes = self._kept(level, tile_index, width)
        return subtree_root(hashes[at * HASH_BYTES : (at + (1 << inner)) * HASH_BYTES])

    def _kept(self, level: int, index: int, width: int) -> bytes:
        """A tile, from the cache where it is there at least as wide."""
        found = self._cached.get((level, index), b"")
        if len(found) < width * HASH_BYTES:
            if len(self._cached) >= CACHED:
                self._cached.clear()
            found = self._cached[level, index] = self.tile(level, index, width)
        return found

    def _full(self, level: int, index: int) -> bytes:
        found = self._tiles.sealed(level, index)
        if found is None or len(found) != TILE_WIDTH * HASH_BYTES:
            raise _gap(level, index)
        return found


def seal(writer: Writer, size: int) -> None:
    """Store the tiles that leaf number ``size`` (counted from 1) fills."""
    level = 0
    while size and size % TILE_WIDTH == 0:
        size //= TILE_WIDTH
        hashes = _made(writer.tiles, level, size - 1, TILE_WIDTH)
        writer.tiles.seal(SealedTile(level, size - 1, subtree_root(hashes), hashes))
        level += 1


def _made(tiles: Tiles, level: int, index: int, width: int) -> bytes:
    """The first hashes of a tile, of what lies below it."""
    start = index * TILE_WIDTH
    hashes = tiles.roots(level - 1, start, width) if level else tiles.leaf_hashes(start, width)
    if len(hashes) != width:
        raise _gap(level, index)
    return b"".join(hashes)


def subtree_root(hashes: bytes) -> bytes:
    """The root over 1, 2, 4 … 256 hashes, given one after another."""
    level = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def _split(size: int) -> int:
    """The largest power of two below ``size`` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _gap(level: int, index: int) -> LogTampered:
    return LogTampered(
        f"The audit log lacks what tile {index:,} of level {level} is made of.",
        hint="Run guard audit verify.",
    )
