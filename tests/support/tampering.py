"""Someone with full write access to the database, who hashes everything anew after each change.

What they leave behind agrees with itself in every way: leaves, hashes, columns, tiles and head.
"""

from __future__ import annotations

import dataclasses
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from guard.audit import acts, record
from guard.audit.acts import ActLeaf, new_act
from guard.audit.leaf import columns, to_bytes
from guard.audit.record import Leaf
from guard.audit.tree.merkle import Frontier, leaf_hash
from guard.audit.tree.tiles import subtree_root
from guard.types import Act
from tests.support.auditing import new_record_id, started

AnyLeaf = Leaf | ActLeaf


def read_leaves(data: bytes) -> AnyLeaf:
    """A leaf of either kind."""
    return acts.parse(data) if b'"act_id"' in data else record.parse(data)


def new_leaves(log_id: str, count: int, rng: random.Random) -> list[bytes]:
    """Rows as a log has them: records that begin, and acts now and then."""
    found: list[AnyLeaf] = []
    for _ in range(count):
        if rng.random() < 0.2:
            found.append(ActLeaf(new_act(Act.VIEWED, "dana", f"case-{rng.random()}"), log_id))
        else:
            begun = started(new_record_id(), model=f"m{rng.randrange(9)}")
            found.append(Leaf(begun, log_id))
    return [to_bytes(one) for one in found]


def rebuild(database: Path, leaves: list[bytes]) -> None:
    """Make ``leaves`` the log of this database, with everything that follows from them."""
    connection = sqlite3.connect(database, isolation_level=None)
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    (log_id,) = connection.execute("SELECT log_id FROM audit_head").fetchone()
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN IMMEDIATE")
    for (name,) in triggers.fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute("DELETE FROM audit_leaf")
    connection.execute("DELETE FROM audit_tile")
    frontier = Frontier()
    hashes: list[list[bytes]] = [[]]
    for index, data in enumerate(leaves):
        one = leaf_hash(data)
        values = dataclasses.asdict(columns(read_leaves(data)))
        values |= {"log_id": log_id, "leaf_index": index, "leaf": data, "leaf_hash": one}
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        connection.execute(
            f"INSERT INTO audit_leaf ({names}) VALUES ({marks})",  # noqa: S608
            [*values.values()],
        )
        frontier.append(one)
        hashes[0].append(one)
    for level, row in enumerate(hashes):
        for at in range(len(row) // 256):
            tile = b"".join(row[at * 256 : (at + 1) * 256])
            connection.execute(
                "INSERT INTO audit_tile (level, tile_index, root, hashes) VALUES (?, ?, ?, ?)",
                [level, at, subtree_root(tile), tile],
            )
            if level + 1 == len(hashes):
                hashes.append([])
            hashes[level + 1].append(subtree_root(tile))
    connection.execute(
        "UPDATE audit_head SET size = ?, root = ?, frontier = ?",
        [frontier.size, frontier.root, frontier.packed],
    )
    connection.execute("COMMIT")
    connection.close()


@dataclass(frozen=True, slots=True)
class Attack:
    """What was done, and the first row that is not what it was."""

    name: str
    leaves: list[bytes]
    first_bad: int


def _edit(leaves: list[bytes], rng: random.Random) -> Attack:
    at = rng.randrange(len(leaves))
    leaf = read_leaves(leaves[at])
    if isinstance(leaf, ActLeaf):
        changed: AnyLeaf = dataclasses.replace(leaf, act=dataclasses.replace(leaf.act, who="eve"))
    else:
        changed = dataclasses.replace(leaf, record=dataclasses.replace(leaf.record, policy="mild"))
    return Attack("edit", [*leaves[:at], to_bytes(changed), *leaves[at + 1 :]], at)


def _delete(leaves: list[bytes], rng: random.Random) -> Attack:
    at = rng.randrange(len(leaves))
    return Attack("delete and renumber", leaves[:at] + leaves[at + 1 :], at)


def _swap(leaves: list[bytes], rng: random.Random) -> Attack:
    one, two = sorted(rng.sample(range(len(leaves)), 2))
    swapped = list(leaves)
    swapped[one], swapped[two] = swapped[two], swapped[one]
    return Attack("swap", swapped, one)


def _truncate(leaves: list[bytes], rng: random.Random) -> Attack:
    at = rng.randrange(len(leaves))
    return Attack("truncate", leaves[:at], at)


def _insert(leaves: list[bytes], rng: random.Random) -> Attack:
    at = rng.randrange(len(leaves))
    (new,) = new_leaves(read_leaves(leaves[0]).log_id, 1, rng)
    return Attack("insert", [*leaves[:at], new, *leaves[at:]], at)


def _roll_back(leaves: list[bytes], rng: random.Random) -> Attack:
    """An old backup, in which the log goes on for a while, but not as far as it was."""
    at = rng.randrange(len(leaves))
    more = new_leaves(read_leaves(leaves[0]).log_id, rng.randrange(len(leaves) - at), rng)
    return Attack("roll back to an old backup", leaves[:at] + more, at)


def _fork(leaves: list[bytes], rng: random.Random) -> Attack:
    """Another history from some row on, as long as the true one or longer."""
    at = rng.randrange(len(leaves))
    count = len(leaves) - at + rng.randrange(40)
    return Attack("fork", leaves[:at] + new_leaves(read_leaves(leaves[0]).log_id, count, rng), at)


KINDS: tuple[Callable[[list[bytes], random.Random], Attack], ...] = (
    _edit, _delete, _swap, _truncate, _insert, _roll_back, _fork,
)  # fmt: skip


def attacks(leaves: list[bytes], count: int, seed: int) -> Iterator[Attack]:
    """``count`` attacks of every kind in turn; the same for the same seed, but for new ids."""
    rng = random.Random(seed)  # noqa: S311  # no secret hangs on it
    for number in range(count):
        yield KINDS[number % len(KINDS)](leaves, rng)
