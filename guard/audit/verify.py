"""Is the log what was written? Recomputes everything from the leaves.

For every row: the leaf is canonical, belongs to this log, its hash and every column beside it
follow from its bytes, and the indexes have no gap. For the whole: root and frontier match the
head, every record's events are in an allowed order, and the lookup tables (marks, manifests,
fingerprints, blocks, keys) and the tiles say what the leaves say. Of the leaves 32 bytes for each
256 are kept in memory.

The database alone cannot tell when someone with full write access rewrites leaves, columns, hashes
and head alike, or puts an old copy of the whole database back. That takes what is kept elsewhere:
checkpoints (``known``), or a root that was noted (``expected``).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.audit.checkpoints.known import Known, KnownCheck
from guard.audit.kept import KeptBeside
from guard.audit.leaf import columns, parse
from guard.audit.log import SqlAuditLog
from guard.audit.record import Leaf
from guard.audit.rules import may_follow
from guard.audit.tree.merkle import Frontier, leaf_hash
from guard.audit.tree.tile_check import TileCheck
from guard.errors import LogTampered
from guard.store.rows import COLUMN_NAMES, Head, LeafRow
from guard.types import AuditRecord

if TYPE_CHECKING:
    from guard.store.engine import Store

CHUNK = 2_000
"""Rows read at once: about 2 MB."""

MAX_PROBLEMS = 100
"""A log that was replaced as a whole has a problem in every row; a hundred make the point."""

BLOCKS_AT_ONCE = 200
"""Descriptions of pictures are about two kilobytes each."""

Progress = Callable[[int, int], None]
"""Told (rows done, rows in all)."""


@dataclass(frozen=True, slots=True)
class LogCheck:
    """What a check found. ``root`` is recomputed, in hex; ``first_bad`` the lowest bad index.

    ``first_bad`` is None when the log is good, and when the rows agree with one another but not
    with the head, or with a checkpoint whose tiles nobody kept: then it cannot be told where.
    ``checkpoint``: the rows of the newest checkpoint that it was compared with.
    """

    ok: bool
    records: int
    root: str
    first_bad: int | None
    problems: tuple[str, ...]
    checkpoint: int | None = None


@dataclass(slots=True)
class _Findings:
    first_bad: int | None = None
    problems: list[str] = field(default_factory=list)
    more: int = 0

    def add(self, problem: str, index: int | None = None) -> None:
        if index is not None and (self.first_bad is None or index < self.first_bad):
            self.first_bad = index
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        else:
            self.more += 1

    def said(self) -> tuple[str, ...]:
        return (*self.problems, *([f"and {self.more:,} more"] if self.more else []))


def verify_log(
    log: SqlAuditLog | Store,
    *,
    expected: tuple[int, str] | None = None,
    known: Known | None = None,
    progress: Progress | None = None,
) -> LogCheck:
    """Check everything; ``records`` counts the rows.

    ``expected`` is (size, root in hex) noted earlier in a safe place: the log must still begin
    with that very tree, as with those of ``known``. Appending may go on meanwhile: rows newer
    than the head at the start are left to the next check. Raises AuditUnavailable when the
    database cannot be read, CheckpointUnavailable when published tiles are needed and cannot.
    """
    store = log.store if isinstance(log, SqlAuditLog) else log
    found = _Findings()
    known = _with_noted(known or Known({}), expected, found)
    with store.read() as reader:
        sealed = reader.tiles.count()
        head, stored = reader.head_and_count()
    if stored != head.size:
        found.add(
            f"The head says {head.size:,} rows, the table has {stored:,}.", min(head.size, stored)
        )
    frontier = _walk(store, head, (known, sealed, progress), found)
    _check_head(frontier, head, found)
    _check_order(store, head.size, found)
    _check_lookups(store, head.size, found)
    root = frontier.root.hex()
    return LogCheck(
        not found.problems, frontier.size, root, found.first_bad, found.said(), known.newest
    )


def _with_noted(known: Known, expected: tuple[int, str] | None, found: _Findings) -> Known:
    """``known`` and what was noted, which must not contradict."""
    if expected is None:
        return known
    size, root = expected[0], bytes.fromhex(expected[1])
    if known.roots.get(size, root) != root:
        found.add(f"The checkpoint of {size:,} rows is not what was noted.")
    return dataclasses.replace(known, roots={**known.roots, size: root})


def _walk(
    store: Store, head: Head, against: tuple[Known, int, Progress | None], found: _Findings
) -> Frontier:
    """Check every row, and what is to be compared with them; answers their tree."""
    known, sealed, progress = against
    frontier, outside = Frontier(), KnownCheck(store, known, found.add)
    blocks, kept = _Blocks(store, found), KeptBeside(store, found.add)
    tiles = TileCheck(store, found.add)
    outside.at(frontier)
    for row in _rows(store, head.size, progress):
        checked = _check_row(row, frontier.size, head.log_id, found)
        blocks.expect(checked)
        kept.expect(checked and checked[0], row)
        hashed = leaf_hash(row.leaf)
        tiles.add(hashed)
        frontier.append(hashed)
        outside.at(frontier)
    blocks.check()
    kept.check()
    tiles.finish(sealed)
    outside.finish(frontier.size, bytes(tiles.units))
    return frontier


def _rows(store: Store, size: int, progress: Progress | None) -> Iterator[LeafRow]:
    start = done = 0
    while start < size:
        with store.read() as reader:
            rows = [row for row in reader.leaves(start, CHUNK) if row.index < size]
        if not rows:
            return
        yield from rows
        start, done = rows[-1].index + 1, done + len(rows)
        if progress:
            progress(done, size)


@dataclass(slots=True)
class _Blocks:
    """Compares what pictures look like with the digests that their records hold, some at a time."""

    store: Store
    found: _Findings
    wanted: dict[str, tuple[str, int]] = field(default_factory=dict)

    def expect(self, row: tuple[AuditRecord, int] | None) -> None:
        """Take in what a row's record says."""
        if row is not None and row[0].blocks_sha256 is not None:
            self.wanted[row[0].record_id] = (row[0].blocks_sha256, row[1])
        if len(self.wanted) >= BLOCKS_AT_ONCE:
            self.check()

    def check(self) -> None:
        """Compare what was taken in so far."""
        with self.store.read() as reader:
            kept = reader.blocks(list(self.wanted))
        for record_id, (digest, index) in self.wanted.items():
            if hashlib.sha256(kept.get(record_id, b"")).hexdigest() != digest:
                self.found.add(
                    f"The blocks of record {record_id} are not the recorded ones.", index
                )
        self.wanted.clear()


def _check_row(
    row: LeafRow, place: int, log_id: str, found: _Findings
) -> tuple[AuditRecord, int] | None:
    """The record that a row holds, if it is one's, and the row's index."""
    if row.index != place:
        found.add(f"Row {row.index:,} stands where row {place:,} should.", min(place, row.index))
    if leaf_hash(row.leaf) != row.leaf_hash:
        found.add(f"Row {row.index:,}: the leaf does not have its hash.", row.index)
    try:
        leaf = parse(row)
    except LogTampered:
        found.add(f"Row {row.index:,}: the leaf is not a record.", row.index)
        return None
    if leaf.log_id != log_id:
        found.add(f"Row {row.index:,}: the leaf belongs to log {leaf.log_id}.", row.index)
    derived = columns(leaf)
    wrong = [name for name in COLUMN_NAMES if getattr(derived, name) != getattr(row.columns, name)]
    if wrong:
        found.add(f"Row {row.index:,}: not what the leaf says: {', '.join(wrong)}.", row.index)
    return (leaf.record, row.index) if isinstance(leaf, Leaf) else None


def _check_head(frontier: Frontier, head: Head, found: _Findings) -> None:
    if frontier.size != head.size:
        return  # said already: rows are missing
    if frontier.root != head.root:
        found.add("The root over all rows is not that of the head.")
    elif frontier.packed != head.frontier:
        found.add("The frontier of the head is not that of its tree.")


def _check_order(store: Store, size: int, found: _Findings) -> None:
    """The columns were just compared with the leaves, so their index may be walked instead."""
    after, last, seen = ("", -1), None, 0
    while True:
        with store.read() as reader:
            rows = reader.event_order(after, CHUNK)
        for record_id, index, event in rows:
            if record_id != after[0]:
                last = None
            if index < size:
                seen += 1
                if not may_follow(last, event):
                    found.add(f"Row {index:,}: '{event}' cannot follow '{last}'.", index)
                last = event
            after = (record_id, index)
        if len(rows) < CHUNK:
            break
    if seen != size and not found.problems:
        found.add("The index over the records does not hold every row.")


def _check_lookups(store: Store, size: int, found: _Findings) -> None:
    with store.read() as reader:
        for table, record_id, index in reader.lookup_gaps(size, MAX_PROBLEMS):
            found.add(
                f"The table {table} and the rows do not agree about record {record_id}.", index
            )
    after = ""
    while True:
        with store.read() as reader:
            rows = reader.manifests(after)
        for record_id, digest, manifest in rows:
            if hashlib.sha256(manifest).hexdigest() != digest:
                found.add(f"The manifest of record {record_id} is not the recorded one.")
            after = record_id
        if not rows:
            return
