"""The first tables, and the triggers that keep the log append-only.

A superuser can drop triggers: they are a fence against mistakes and lesser roles, and the tree
is the evidence. There is no way back: dropping an audit log is not a migration.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    _create_log()
    _create_lookups()
    triggers = _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL
    for statement in triggers:
        op.execute(sa.text(statement))


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)


def _create_log() -> None:
    optional = ("tenant", "action", "stage")
    optional_too = ("model", "mark", "fingerprint", "asset_sha256", "manifest_sha256")
    op.create_table(
        "audit_leaf",
        _text("log_id"),
        _number("leaf_index"),
        _blob("leaf"),
        _blob("leaf_hash"),
        _text("record_id"),
        _text("event"),
        _number("at_us"),
        _text("origin"),
        *[_text(name, nullable=True) for name in optional],
        *[_text(name) for name in ("rules", "categories", "policy", "policy_digest")],
        *[_text(name, nullable=True) for name in optional_too],
        *[_text(name, nullable=True) for name in ("idempotency_key", "reviewer")],
        sa.PrimaryKeyConstraint("log_id", "leaf_index"),
        sa.UniqueConstraint("log_id", "record_id", "event", name="uq_audit_leaf_record_event"),
        sa.CheckConstraint("leaf_index >= 0", name="ck_audit_leaf_index"),
        sa.CheckConstraint("length(leaf) BETWEEN 1 AND 65536", name="ck_audit_leaf_size"),
        sa.CheckConstraint("length(leaf_hash) = 32", name="ck_audit_leaf_hash"),
    )
    op.create_index("ix_audit_leaf_record", "audit_leaf", ["record_id", "leaf_index", "event"])
    op.create_index("ix_audit_leaf_event", "audit_leaf", ["event", "at_us"])
    op.create_index("ix_audit_leaf_at", "audit_leaf", ["at_us"])
    op.create_index("ix_audit_leaf_tenant", "audit_leaf", ["tenant", "at_us"])
    op.create_table(
        "audit_head",
        _text("log_id"),
        _number("size"),
        _blob("root"),
        _blob("frontier"),
        sa.PrimaryKeyConstraint("log_id"),
        sa.CheckConstraint("size >= 0", name="ck_audit_head_size"),
        sa.CheckConstraint("length(root) = 32", name="ck_audit_head_root"),
    )


def _create_lookups() -> None:
    op.create_table(
        "commitment_salt",
        _text("record_id"),
        _blob("prompt_salt"),
        _blob("user_salt"),
        sa.PrimaryKeyConstraint("record_id"),
    )
    op.create_table(
        "mark_id", _text("payload"), _text("record_id"), sa.PrimaryKeyConstraint("payload")
    )
    op.create_index("ix_mark_id_record", "mark_id", ["record_id"])
    op.create_table(
        "manifest_store",
        _text("record_id"),
        _text("sha256"),
        _blob("manifest"),
        sa.PrimaryKeyConstraint("record_id"),
    )
    op.create_table(
        "picture_fingerprint",
        _text("record_id"),
        _number("leaf_index"),
        _text("algorithm"),
        _blob("bits"),
        sa.PrimaryKeyConstraint("record_id"),
    )
    op.create_index(
        "ix_picture_fingerprint_leaf", "picture_fingerprint", ["algorithm", "leaf_index"]
    )
    op.create_table(
        "idempotency_key",
        _text("tenant"),
        _text("key"),
        _text("record_id"),
        sa.PrimaryKeyConstraint("tenant", "key"),
    )


def _sqlite_refusal(table: str, event: str, condition: str = "", why: str = "") -> str:
    when = f"WHEN {condition} " if condition else ""
    name = f"{table}_{event.lower()}"
    message = why or f"{table} is append-only"
    return (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} {when}"
        f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


_NOT_NEXT = (
    "NEW.leaf_index <> (SELECT COALESCE(MAX(leaf_index) + 1, 0) FROM audit_leaf "
    "WHERE log_id = NEW.log_id)"
)
_SEEN = "EXISTS (SELECT 1 FROM audit_leaf WHERE record_id = NEW.record_id AND event = NEW.event)"

# SQLite's REPLACE deletes the row in its way without firing DELETE triggers, so inserts that
# would meet an existing row are refused before they can.
_SQLITE = (
    _sqlite_refusal("audit_leaf", "UPDATE"),
    _sqlite_refusal("audit_leaf", "DELETE"),
    _sqlite_refusal(
        "audit_leaf", "INSERT", f"{_NOT_NEXT} OR {_SEEN}", "audit_leaf takes only the next leaf"
    ),
    _sqlite_refusal("audit_head", "DELETE"),
    _sqlite_refusal(
        "audit_head",
        "UPDATE",
        "NEW.log_id <> OLD.log_id OR NEW.size <= OLD.size",
        "audit_head only grows",
    ),
    _sqlite_refusal(
        "audit_head", "INSERT", "EXISTS (SELECT 1 FROM audit_head)", "there is one log"
    ),
    _sqlite_refusal("mark_id", "UPDATE"),
    _sqlite_refusal("mark_id", "DELETE"),
    _sqlite_refusal(
        "mark_id", "INSERT", "EXISTS (SELECT 1 FROM mark_id WHERE payload = NEW.payload)"
    ),
)


def _postgresql_function(name: str, body: str) -> str:
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"


def _postgresql_trigger(table: str, event: str, function: str, each: str = "ROW") -> list[str]:
    # ALWAYS: otherwise SET session_replication_role = replica would switch the fence off.
    name = f"{table}_{event.lower().split()[0]}"
    call = f"{function}()"
    return [
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH {each} EXECUTE FUNCTION {call}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    ]


_POSTGRESQL = (
    _postgresql_function("guard_append_only", "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;"),
    _postgresql_function(
        "guard_next_leaf",
        f"IF {_NOT_NEXT} THEN "
        "RAISE EXCEPTION 'audit_leaf takes only the next leaf'; END IF; RETURN NEW;",
    ),
    _postgresql_function(
        "guard_head_grows",
        "IF NEW.log_id <> OLD.log_id OR NEW.size <= OLD.size THEN "
        "RAISE EXCEPTION 'audit_head only grows'; END IF; RETURN NEW;",
    ),
    _postgresql_function(
        "guard_one_head",
        "IF EXISTS (SELECT 1 FROM audit_head) THEN "
        "RAISE EXCEPTION 'there is one log'; END IF; RETURN NEW;",
    ),
    *_postgresql_trigger("audit_leaf", "UPDATE OR DELETE", "guard_append_only"),
    *_postgresql_trigger("audit_leaf", "INSERT", "guard_next_leaf"),
    *_postgresql_trigger("audit_leaf", "TRUNCATE", "guard_append_only", "STATEMENT"),
    *_postgresql_trigger("audit_head", "DELETE", "guard_append_only"),
    *_postgresql_trigger("audit_head", "UPDATE", "guard_head_grows"),
    *_postgresql_trigger("audit_head", "INSERT", "guard_one_head"),
    *_postgresql_trigger("audit_head", "TRUNCATE", "guard_append_only", "STATEMENT"),
    *_postgresql_trigger("mark_id", "UPDATE OR DELETE", "guard_append_only"),
    *_postgresql_trigger("mark_id", "TRUNCATE", "guard_append_only", "STATEMENT"),
)
