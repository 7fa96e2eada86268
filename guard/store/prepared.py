"""The statements that every addition makes, built and compiled once.

Building and compiling them anew took four times as long as the database takes to run them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, bindparam, insert, select, update

from guard.store.rows import COLUMN_NAMES
from guard.store.tables import LEAF, table

LEAF_COLUMNS = [LEAF.c[name] for name in ("leaf_index", "leaf", "leaf_hash", *COLUMN_NAMES)]

EVENTS = (
    select(*LEAF_COLUMNS)
    .where(LEAF.c.log_id == bindparam("log"), LEAF.c.record_id == bindparam("record"))
    .order_by(LEAF.c.leaf_index)
)
"""Every event of a record: ``log``, ``record``."""

_HEAD = table("audit_head")

HELD_HEAD = select(_HEAD).where(_HEAD.c.log_id == bindparam("log")).with_for_update()
"""The tree's state, held until the transaction ends: ``log``."""

MOVE_HEAD = (
    update(_HEAD)
    .where(_HEAD.c.log_id == bindparam("log"), _HEAD.c.size == bindparam("old_size"))
    .where(_HEAD.c.root == bindparam("old_root"))
    .values(
        size=bindparam("new_size"), root=bindparam("new_root"), frontier=bindparam("new_frontier")
    )
)
"""Compare-and-swap of the head."""

MARK_OWNER = select(table("mark_id").c.record_id).where(
    table("mark_id").c.payload == bindparam("mark")
)
"""The record whose picture carries a mark id: ``mark``."""


def add(connection: Connection, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Insert ``rows``, which have the same columns, into table ``name``."""
    text, order = _insertion(connection.dialect, name, tuple(rows[0]))
    if order is None:
        connection.exec_driver_sql(text, list(rows) if len(rows) > 1 else rows[0])
        return
    values = [tuple(row[column] for column in order) for row in rows]
    connection.exec_driver_sql(text, values if len(values) > 1 else values[0])


@cache
def _insertion(
    dialect: Dialect, name: str, columns: tuple[str, ...]
) -> tuple[str, tuple[str, ...] | None]:
    """The text of an insertion, and the order of its parameters unless they are named."""
    made = insert(table(name)).compile(dialect=dialect, column_keys=list(columns))
    return str(made), tuple(made.positiontup) if made.positiontup is not None else None
