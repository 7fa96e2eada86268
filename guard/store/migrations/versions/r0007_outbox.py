"""Messages that wait to be sent, and the blocks that are counted for signals.

What a message says never changes; how far its sending got does.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0007"
down_revision = "r0006"

_SAID = ("message_id", "kind", "about", "payload", "created_us")


def upgrade() -> None:
    _create_outbox()
    op.create_table(
        "subject_block",
        _text("record_id"),
        _text("subject"),
        _number("at_us"),
        _text("categories"),
        sa.PrimaryKeyConstraint("record_id"),
        sa.CheckConstraint("length(subject) = 64", name="ck_subject_block_pseudonym"),
    )
    op.create_index("ix_subject_block_subject", "subject_block", ["subject", "at_us"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(sa.text(statement))


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, autoincrement=False)


def _create_outbox() -> None:
    op.create_table(
        "outbox_message",
        _text("message_id"),
        _text("endpoint"),
        _text("kind"),
        _text("about"),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        _number("created_us"),
        _number("next_us"),
        _number("attempts"),
        _text("state"),
        _number("lease_until_us", nullable=True),
        _text("lease_owner", nullable=True),
        _text("last_error", nullable=True),
        sa.PrimaryKeyConstraint("message_id"),
        sa.CheckConstraint("length(payload) BETWEEN 2 AND 65536", name="ck_outbox_message_size"),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'dead')", name="ck_outbox_message_state"
        ),
        sa.CheckConstraint(
            "(lease_owner IS NULL) = (lease_until_us IS NULL)", name="ck_outbox_message_lease"
        ),
    )
    op.create_index("ix_outbox_message_due", "outbox_message", ["state", "endpoint", "next_us"])
    op.create_index("ix_outbox_message_about", "outbox_message", ["about"])


_CHANGED = " OR ".join(f"NEW.{name} <> OLD.{name}" for name in _SAID)

_SQLITE = (
    (
        f"CREATE TRIGGER outbox_message_update BEFORE UPDATE ON outbox_message WHEN {_CHANGED} "
        "BEGIN SELECT RAISE(ABORT, 'outbox_message: what was said is append-only'); END"
    ),
)

_POSTGRESQL = (
    (
        "CREATE FUNCTION guard_outbox_said() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {_CHANGED} THEN "
        "RAISE EXCEPTION 'outbox_message: what was said is append-only'; END IF; "
        "RETURN NEW; END $$"
    ),
    (
        "CREATE TRIGGER outbox_message_update BEFORE UPDATE ON outbox_message "
        "FOR EACH ROW EXECUTE FUNCTION guard_outbox_said()"
    ),
    "ALTER TABLE outbox_message ENABLE ALWAYS TRIGGER outbox_message_update",
)
