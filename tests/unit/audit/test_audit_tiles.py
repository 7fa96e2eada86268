"""Tiles: roots and proofs read from a few of them are those of the whole tree."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product

import pytest

from guard.audit.append import Tree
from guard.audit.log import SqlAuditLog
from guard.audit.tree import merkle, tiles
from guard.audit.tree.tiles import TileReader, subtree_root
from guard.errors import AuditUnavailable, LogTampered
from guard.store.tiles import HASH_BYTES, TILE_WIDTH, SealedTile

SIZES = (1, 2, 3, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 66_000)


class FakeTiles:
    """Leaf hashes and sealed tiles in memory, as the store would answer them."""

    def __init__(self, count: int) -> None:
        self.tiles = self
        self.hashes = [merkle.leaf_hash(str(n).encode()) for n in range(count)]
        self.kept: dict[tuple[int, int], SealedTile] = {}
        self.reads = 0

    def leaf_hashes(self, start: int, count: int) -> list[bytes]:
        self.reads += 1
        return self.hashes[start : start + count]

    def roots(self, level: int, start: int, count: int) -> list[bytes]:
        self.reads += 1
        places = [(level, at) for at in range(start, start + count)]
        return [self.kept[one].root for one in places if one in self.kept]

    def sealed(self, level: int, index: int) -> bytes | None:
        self.reads += 1
        found = self.kept.get((level, index))
        return found.hashes if found else None

    def seal(self, tile: SealedTile) -> None:
        assert (tile.level, tile.index) not in self.kept
        self.kept[tile.level, tile.index] = tile


@pytest.fixture(scope="module")
def fake() -> FakeTiles:
    made = FakeTiles(SIZES[-1])
    for size in range(SIZES[-1] + 1):
        tiles.seal(made, size)  # type: ignore[arg-type]
    return made


def test_tiles_are_sealed_as_they_fill(fake: FakeTiles) -> None:
    assert sorted(fake.kept) == [*((0, at) for at in range(257)), (1, 0)]
    first = fake.kept[0, 0]
    assert first.hashes == b"".join(fake.hashes[:256])
    assert first.root == subtree_root(first.hashes) == merkle.root(fake.hashes[:256])
    assert fake.kept[1, 0].root == merkle.root(fake.hashes[:65_536])


@pytest.mark.parametrize("size", SIZES)
def test_roots(fake: FakeTiles, size: int) -> None:
    assert TileReader(fake).root(size) == merkle.root(fake.hashes[:size])  # type: ignore[arg-type]


def test_the_empty_tree(fake: FakeTiles) -> None:
    assert TileReader(fake).root(0) == merkle.EMPTY_ROOT  # type: ignore[arg-type]


def test_all_proofs_of_small_trees() -> None:
    small = FakeTiles(70)
    reader = TileReader(small)  # type: ignore[arg-type]
    for size in range(1, 71):
        hashes = small.hashes[:size]
        for other in range(size):
            assert reader.inclusion_proof(other, size) == merkle.inclusion_proof(hashes, other)
            proof = merkle.consistency_proof(hashes, other + 1)
            assert reader.consistency_proof(other + 1, size) == proof


@pytest.mark.parametrize("size", SIZES[3:])
def test_proofs_verify_and_read_little(fake: FakeTiles, size: int) -> None:
    root, chance = merkle.root(fake.hashes[:size]), random.Random(size)  # noqa: S311
    for index in {0, size - 1, size // 2, chance.randrange(size)}:
        fake.reads = 0
        reader = TileReader(fake)  # type: ignore[arg-type]
        proof = reader.inclusion_proof(index, size)
        assert fake.reads <= 2 * 3 + 3
        assert merkle.verify_inclusion(fake.hashes[index], index, size, proof, root)
        old = index + 1
        proof = reader.consistency_proof(old, size)
        assert merkle.verify_consistency(old, size, proof, reader.root(old), root)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 5), (5, 5)])
def test_leaves_that_are_not_there(fake: FakeTiles, index: int, size: int) -> None:
    with pytest.raises(IndexError):
        TileReader(fake).inclusion_proof(index, size)  # type: ignore[arg-type]


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (-1, 1)])
def test_trees_that_do_not_fit(fake: FakeTiles, old: int, new: int) -> None:
    with pytest.raises(IndexError):
        TileReader(fake).consistency_proof(old, new)  # type: ignore[arg-type]


def test_the_cache_does_not_grow(fake: FakeTiles) -> None:
    reader = TileReader(fake)  # type: ignore[arg-type]
    for index in range(0, 66_000, 200):
        reader.inclusion_proof(index, 66_000)
    assert len(reader._cached) <= tiles.CACHED


@pytest.mark.parametrize(
    "ask",
    [
        lambda reader: reader.root(SIZES[-1] + 1),
        lambda reader: reader.tile(0, 300, 3),
        lambda reader: reader.tile(0, 300),
        lambda reader: reader.tile(1, 1, 9),
    ],
)
def test_what_is_missing_is_tampering(fake: FakeTiles, ask: Callable[[TileReader], object]) -> None:
    with pytest.raises(LogTampered, match="lacks"):
        ask(TileReader(fake))  # type: ignore[arg-type]


def test_partial_tiles(fake: FakeTiles) -> None:
    reader = TileReader(fake)  # type: ignore[arg-type]
    for level, width in product((0, 1), (1, 2, 100, 255)):
        assert reader.tile(level, 0, width) == reader.tile(level, 0)[: width * HASH_BYTES]


def _fill(log: SqlAuditLog, count: int) -> None:
    from guard.audit.record import Leaf
    from tests.support.auditing import started

    with log.store.write() as writer:
        tree = Tree(writer)
        for _ in range(count):
            tree.add(Leaf(started(), tree.log_id))


def test_a_log_seals_its_tiles(log: SqlAuditLog) -> None:
    _fill(log, 2 * TILE_WIDTH + 1)
    with log.store.read() as reader:
        assert reader.tiles.count() == 2
        hashes, head = reader.tiles.leaf_hashes(0, 1_000), reader.head()
        tree = TileReader(reader)
        assert tree.root(head.size) == head.root
        assert tree.inclusion_proof(300, 513) == merkle.inclusion_proof(hashes, 300)


def test_what_is_taken_back_takes_its_tile_with_it(log: SqlAuditLog) -> None:
    _fill(log, TILE_WIDTH - 1)
    from guard.audit.record import Leaf
    from tests.support.auditing import started

    def take_back(tree: Tree) -> None:
        with tree.savepoint():
            tree.add(Leaf(started(), tree.log_id))
            raise AuditUnavailable("no")

    with log.store.write() as writer:
        tree = Tree(writer)
        with pytest.raises(AuditUnavailable):
            take_back(tree)
        assert writer.tiles.count() == 0
        assert tree.size == TILE_WIDTH - 1
        tree.add(Leaf(started(), tree.log_id))
    with log.store.read() as reader:
        assert reader.tiles.count() == 1
        assert TileReader(reader).root(TILE_WIDTH) == reader.head().root


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_tile SET root = zeroblob(32)",
        "DELETE FROM audit_tile",
        "INSERT OR REPLACE INTO audit_tile SELECT * FROM audit_tile",
        "INSERT INTO audit_tile VALUES (0, 7, zeroblob(32), zeroblob(8191))",
        "INSERT INTO audit_tile VALUES (0, 7, zeroblob(31), zeroblob(8192))",
        "INSERT INTO audit_tile VALUES (-1, 7, zeroblob(32), zeroblob(8192))",
    ],
)
def test_the_database_refuses(log: SqlAuditLog, sql: str) -> None:
    import sqlite3

    _fill(log, TILE_WIDTH)
    with sqlite3.connect(log.store._place.file or "", isolation_level=None) as raw:
        before = raw.execute("SELECT * FROM audit_tile").fetchall()
        with pytest.raises(sqlite3.IntegrityError):
            raw.execute(sql)
        assert raw.execute("SELECT * FROM audit_tile").fetchall() == before
    raw.close()
