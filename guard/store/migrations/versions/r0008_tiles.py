"""Tiles of the tree: proofs read a few of them instead of every leaf.

Logs that are there already get the tiles that they would have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "r0008"
down_revision = "r0007"

_TABLE = "audit_tile"
_WIDTH = 256
_AT_ONCE = 10_000


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("level", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("tile_index", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "tile_index"),
        sa.CheckConstraint("level >= 0 AND tile_index >= 0", name="ck_audit_tile_place"),
        sa.CheckConstraint("length(root) = 32", name="ck_audit_tile_root"),
        sa.CheckConstraint("length(hashes) = 8192", name="ck_audit_tile_size"),
    )
    _seal_what_is_there(op.get_bind())
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(sa.text(statement))


def _seal_what_is_there(connection: sa.Connection) -> None:
    pending: list[list[bytes]] = [[]]
    counts = [0]
    for one in _leaf_hashes(connection):
        pending[0].append(one)
        level = 0
        while len(pending[level]) == _WIDTH:
            full, pending[level] = pending[level], []
            root, place = _root(full), {"l": level, "i": counts[level]}
            connection.execute(_ADD, place | {"r": root, "h": b"".join(full)})
            counts[level] += 1
            level += 1
            if level == len(pending):
                pending.append([])
                counts.append(0)
            pending[level].append(root)


_ADD = sa.text(
    f"INSERT INTO {_TABLE} (level, tile_index, root, hashes) "  # noqa: S608 - a constant
    "VALUES (:l, :i, :r, :h)"
)


def _leaf_hashes(connection: sa.Connection) -> Iterator[bytes]:
    some = sa.text(
        "SELECT leaf_index, leaf_hash FROM audit_leaf WHERE leaf_index > :after "
        "ORDER BY leaf_index LIMIT :most"
    )
    after = -1
    while rows := connection.execute(some, {"after": after, "most": _AT_ONCE}).fetchall():
        yield from (bytes(row[1]) for row in rows)
        after = rows[-1][0]


def _root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [hashlib.sha256(b"\1" + left + right).digest() for left, right in pairs]
    return hashes[0]


def _refusal(event: str, condition: str = "") -> str:
    return (
        f"CREATE TRIGGER {_TABLE}_{event.lower()} BEFORE {event} ON {_TABLE} {condition}"
        f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only'); END"
    )


# REPLACE deletes the row in its way without firing DELETE triggers: see the first step.
_SAME_PLACE = (
    "EXISTS (SELECT 1 FROM audit_tile WHERE level = NEW.level AND tile_index = NEW.tile_index)"
)

_SQLITE = (
    _refusal("UPDATE"),
    _refusal("DELETE"),
    _refusal("INSERT", f"WHEN {_SAME_PLACE} "),
)


def _trigger(event: str, each: str) -> tuple[str, str]:
    name = f"{_TABLE}_{event.lower().split()[0]}"
    call = "EXECUTE FUNCTION guard_append_only()"
    return (
        f"CREATE TRIGGER {name} BEFORE {event} ON {_TABLE} FOR EACH {each} {call}",
        f"ALTER TABLE {_TABLE} ENABLE ALWAYS TRIGGER {name}",
    )


_POSTGRESQL = (*_trigger("UPDATE OR DELETE", "ROW"), *_trigger("TRUNCATE", "STATEMENT"))
