"""What each recorded picture looks like, coarsely: suspects are compared with it by place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"

_TABLE = "picture_blocks"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("blocks", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("record_id"),
        sa.CheckConstraint("length(blocks) BETWEEN 1 AND 65536", name="ck_picture_blocks_size"),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(sa.text(statement))


def _refusal(event: str, condition: str = "") -> str:
    return (
        f"CREATE TRIGGER {_TABLE}_{event.lower()} BEFORE {event} ON {_TABLE} {condition}"
        f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only'); END"
    )


# REPLACE deletes the row in its way without firing DELETE triggers: see the first step.
_SAME_RECORD = "EXISTS (SELECT 1 FROM picture_blocks WHERE record_id = NEW.record_id)"

_SQLITE = (
    _refusal("UPDATE"),
    _refusal("DELETE"),
    _refusal("INSERT", f"WHEN {_SAME_RECORD} "),
)


def _trigger(event: str, each: str) -> tuple[str, str]:
    name = f"{_TABLE}_{event.lower().split()[0]}"
    call = "EXECUTE FUNCTION guard_append_only()"
    return (
        f"CREATE TRIGGER {name} BEFORE {event} ON {_TABLE} FOR EACH {each} {call}",
        f"ALTER TABLE {_TABLE} ENABLE ALWAYS TRIGGER {name}",
    )


_POSTGRESQL = (*_trigger("UPDATE OR DELETE", "ROW"), *_trigger("TRUNCATE", "STATEMENT"))
