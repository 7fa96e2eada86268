"""The manifest repository: several fingerprints a picture, manifests by their id, soft bindings.

Manifests of our own records stay in ``manifest_store``; here is which id leads to which record.
Those that others hand in are kept whole. A manifest can be withdrawn: then it is no longer served,
and the log still says that it was.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"

_AT_ONCE = 1_000


def upgrade() -> None:
    _allow_several_fingerprints()
    _create_repository()
    _name_what_is_kept()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, autoincrement=False)


def _allow_several_fingerprints() -> None:
    """One a record and algorithm, where it was one a record."""
    op.drop_index("ix_picture_fingerprint_leaf", "picture_fingerprint")
    op.create_table(
        "picture_fingerprint_new",
        _text("record_id"),
        _number("leaf_index"),
        _text("algorithm"),
        sa.Column("bits", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "algorithm"),
    )
    columns = "record_id, leaf_index, algorithm, bits"
    op.execute(
        f"INSERT INTO picture_fingerprint_new ({columns}) "  # noqa: S608 - constants
        f"SELECT {columns} FROM picture_fingerprint"
    )
    op.drop_table("picture_fingerprint")
    op.rename_table("picture_fingerprint_new", "picture_fingerprint")
    op.create_index(
        "ix_picture_fingerprint_leaf", "picture_fingerprint", ["algorithm", "leaf_index"]
    )


def _create_repository() -> None:
    op.create_table(
        "manifest_entry",
        _text("manifest_id"),
        _text("record_id"),
        _text("sha256"),
        _text("media_type"),
        _number("at_us"),
        sa.Column("manifest", sa.LargeBinary(), nullable=True),
        _number("withdrawn_at_us", nullable=True),
        sa.PrimaryKeyConstraint("manifest_id", "record_id"),
        sa.CheckConstraint("length(manifest_id) BETWEEN 1 AND 500", name="ck_manifest_entry_id"),
        sa.CheckConstraint(
            "(record_id = '') = (manifest IS NOT NULL)", name="ck_manifest_entry_kept_once"
        ),
    )
    op.create_index("ix_manifest_entry_record", "manifest_entry", ["record_id"])
    op.create_table(
        "soft_binding",
        _number("number"),
        _text("manifest_id"),
        _text("algorithm"),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        _number("at_us"),
        sa.PrimaryKeyConstraint("number"),
        sa.CheckConstraint("length(value) BETWEEN 1 AND 4096", name="ck_soft_binding_value"),
    )
    op.create_index("ix_soft_binding_value", "soft_binding", ["algorithm", "value"])
    op.create_index("ix_soft_binding_manifest", "soft_binding", ["manifest_id"])


def _name_what_is_kept() -> None:
    """Entries for the manifests of records that are there already."""
    connection = op.get_bind()
    first = sa.text(
        "SELECT leaf_index, leaf, record_id, at_us, manifest_sha256 FROM audit_leaf "
        "WHERE manifest_sha256 IS NOT NULL AND leaf_index > :after "
        "ORDER BY leaf_index LIMIT :most"
    )
    add = sa.text(
        "INSERT INTO manifest_entry (manifest_id, record_id, sha256, media_type, at_us) "
        "SELECT :id, :record, :sha256, :type, :at WHERE NOT EXISTS "
        "(SELECT 1 FROM manifest_entry WHERE record_id = :record)"
    )
    after = -1
    while rows := connection.execute(first, {"after": after, "most": _AT_ONCE}).fetchall():
        for row in rows:
            said = json.loads(bytes(row[1]))
            if "manifest_label" in said:
                told = {"id": said["manifest_label"], "type": said.get("media_type", "")}
                told |= {"record": row[2], "at": row[3], "sha256": row[4]}
                connection.execute(add, told)
        after = rows[-1][0]
