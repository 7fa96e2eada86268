"""The vault: personal data as ciphertext beside the log, and whose key is which.

Salts of records made from now on are ciphertext, too; those of older records stay where they are
until their person is erased or their time is up.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0006"
down_revision = "r0005"


def upgrade() -> None:
    op.create_table(
        "vault_subject",
        _blob("lookup"),
        _blob("subject"),
        sa.PrimaryKeyConstraint("lookup"),
        sa.UniqueConstraint("subject", name="uq_vault_subject"),
        sa.CheckConstraint("length(lookup) = 32", name="ck_vault_subject_lookup"),
        sa.CheckConstraint("length(subject) = 32", name="ck_vault_subject_subject"),
    )
    op.create_table(
        "vault_key",
        _blob("key_id"),
        _blob("subject"),
        _text("period"),
        sa.PrimaryKeyConstraint("key_id"),
        sa.UniqueConstraint("subject", "period", name="uq_vault_key_subject_period"),
        sa.CheckConstraint("length(key_id) = 16", name="ck_vault_key_id"),
    )
    op.create_table(
        "vault_entry",
        _text("record_id"),
        _blob("key_id"),
        sa.Column("at_us", sa.BigInteger(), nullable=False, autoincrement=False),
        *[
            sa.Column(name, sa.LargeBinary(), nullable=True)
            for name in ("prompt", "negative_prompt", "user_id", "salts")
        ],
        sa.PrimaryKeyConstraint("record_id"),
        sa.CheckConstraint("length(key_id) = 16", name="ck_vault_entry_key"),
    )
    op.create_index("ix_vault_entry_key", "vault_entry", ["key_id"])
    op.create_index("ix_vault_entry_at", "vault_entry", ["at_us", "record_id"])
    op.create_table(
        "vault_erasure",
        *[_text(name) for name in ("erasure_id", "act", "who", "reason")],
        *[
            sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)
            for name in ("at_us", "records")
        ],
        sa.PrimaryKeyConstraint("erasure_id"),
    )
    op.create_table(
        "vault_doomed",
        *[_text(name) for name in ("erasure_id", "kind", "item")],
        sa.PrimaryKeyConstraint("erasure_id", "kind", "item"),
        sa.CheckConstraint("kind IN ('key', 'record')", name="ck_vault_doomed_kind"),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)
