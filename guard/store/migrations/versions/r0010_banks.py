"""Banks of fingerprints of known pictures: every change is a row, and no row is ever changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0010"
down_revision = "r0009"

_TABLE = "bank_change"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("bank", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("bits", sa.LargeBinary(), nullable=False),
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("label", "note", "who")],
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.CheckConstraint("change IN ('add', 'remove')", name="ck_bank_change"),
        sa.CheckConstraint("length(bits) = 32", name="ck_bank_bits"),
    )
    op.create_index("ix_bank_change_bank", _TABLE, ["bank", "number"])
    op.create_index("ix_bank_change_bits", _TABLE, ["bits", "bank"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(sa.text(statement))


def _refusal(event: str, condition: str = "") -> str:
    return (
        f"CREATE TRIGGER {_TABLE}_{event.lower()} BEFORE {event} ON {_TABLE} {condition}"
        f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only'); END"
    )


# REPLACE deletes the row in its way without firing DELETE triggers: see the first step.
_SAME_NUMBER = "EXISTS (SELECT 1 FROM bank_change WHERE number = NEW.number)"

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
