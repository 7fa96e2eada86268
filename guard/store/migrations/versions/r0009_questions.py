"""Indexes for what is asked of a long log: by rule, by category, by the released file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0009"
down_revision = "r0008"

_TABLE = "audit_leaf"
# Most rows name no rule and bring no file: an index of the others alone costs those nothing.
_INDEXES = {
    "rules": (["leaf_index", "rules"], "rules <> ''"),
    "categories": (["leaf_index", "categories"], "categories <> ''"),
    "asset": (["asset_sha256"], "asset_sha256 IS NOT NULL"),
}


def upgrade() -> None:
    for name, (columns, condition) in _INDEXES.items():
        only = sa.text(condition)
        op.create_index(
            f"ix_audit_leaf_{name}", _TABLE, columns, sqlite_where=only, postgresql_where=only
        )
