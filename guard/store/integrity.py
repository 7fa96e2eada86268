"""What only a check of everything asks: damage of the file, and rows that lead to no record."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, literal, select

from guard.store.tables import LEAF, table

REFERENCES = {
    "commitment_salt": "record_id",
    "vault_entry": "record_id",
    "subject_block": "record_id",
    "outbox_message": "about",
    "picture_blocks": "record_id",
}
"""Which column of a table beside the log names a record; the log's own lookups are in checks."""

_GOOD = "ok"


class Integrity:
    """Questions within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def damage(self, limit: int) -> list[str]:
        """What SQLite says is wrong with its file; nothing on PostgreSQL, which checks pages."""
        if self._connection.dialect.name != "sqlite":
            return []
        rows = self._connection.exec_driver_sql(f"PRAGMA integrity_check({int(limit)})")
        return [str(row[0]) for row in rows if row[0] != _GOOD]

    def dangling(self, limit: int) -> Iterator[tuple[str, str]]:
        """(table, record id) of rows that belong to a record which the log does not hold."""
        for name, column in REFERENCES.items():
            named = table(name).c[column]
            known = select(literal(1)).where(LEAF.c.record_id == named).exists()
            statement = select(named).where(named != "", ~known).limit(limit)
            for row in self._connection.execute(statement):
                yield name, row[0]
