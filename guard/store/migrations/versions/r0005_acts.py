"""What acts concern: a record, or a person by pseudonym. Rows of records leave both empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"

_TABLE = "audit_leaf"


def upgrade() -> None:
    for name in ("about", "subject"):
        op.add_column(_TABLE, sa.Column(name, sa.Text(), nullable=True))
        # Few rows are acts: an index of those alone costs the others nothing.
        only = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"ix_audit_leaf_{name}", _TABLE, [name], sqlite_where=only, postgresql_where=only
        )
