"""PostgreSQL: nobody but the owner may change what was written, whatever the defaults grant."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0011"
down_revision = "r0010"

_APPEND_ONLY = "audit_leaf, audit_tile, mark_id, picture_blocks, own_list_change, bank_change"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text(f"REVOKE UPDATE, DELETE, TRUNCATE ON {_APPEND_ONLY} FROM PUBLIC"))
        op.execute(sa.text("REVOKE DELETE, TRUNCATE ON audit_head FROM PUBLIC"))
