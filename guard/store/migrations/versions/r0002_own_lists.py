"""Own lists of a platform: every change is a row, and no row is ever changed or removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"

_TABLE = "own_list_change"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        *[
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("kind", "name", "change", "term", "category", "note", "who")
        ],
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.CheckConstraint("kind IN ('deny', 'allow', 'opted-in')", name="ck_own_list_kind"),
        sa.CheckConstraint("change IN ('add', 'remove')", name="ck_own_list_change"),
        sa.CheckConstraint("length(term) > 0", name="ck_own_list_term"),
    )
    op.create_index("ix_own_list_change_list", _TABLE, ["kind", "name", "number"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(sa.text(statement))


def _refusal(event: str, condition: str = "") -> str:
    return (
        f"CREATE TRIGGER {_TABLE}_{event.lower()} BEFORE {event} ON {_TABLE} {condition}"
        f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only'); END"
    )


# REPLACE deletes the row in its way without firing DELETE triggers: see the first step.
_SAME_NUMBER = "EXISTS (SELECT 1 FROM own_list_change WHERE number = NEW.number)"

_SQLITE = (
    _refusal("UPDATE"),
    _refusal("DELETE"),
    _refusal("INSERT", f"WHEN {_SAME_NUMBER} "),
)


def _trigger(event: str, each: str) -> tuple[str, str]:
    name = f"{_TABLE}_{event.lower().split()[0]}"
    call = "EXECUTE FUNCTION guard_append_only()"
    return (
        f"CREATE TRIGGER {name} BEFORE {event} ON {_TABLE} FOR EACH {each} {call}",
        f"ALTER TABLE {_TABLE} ENABLE ALWAYS TRIGGER {name}",
    )


_POSTGRESQL = (*_trigger("UPDATE OR DELETE", "ROW"), *_trigger("TRUNCATE", "STATEMENT"))
