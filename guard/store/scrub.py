"""Leave no bytes of deleted rows in a database's own files.

Deleting is not erasing. SQLite overwrites deleted bytes in the file (``secure_delete``), but its
write-ahead log keeps pages as they were until it is emptied. PostgreSQL keeps deleted rows until
the table is vacuumed, and their bytes in free space until it is used again or the table rebuilt.

What no program inside the database can reach: PostgreSQL's write-ahead log and its archive,
backups, replicas, and blocks that the file system or the drive set free.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from guard.errors import AuditUnavailable
from guard.store.url import Place

PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Scrubber:
    """Cleans one database after rows were deleted. ``seconds`` bounds the wait for readers."""

    connect: Callable[[], Connection]
    place: Place
    seconds: float

    def clean(self, tables: str) -> None:
        """Empty the write-ahead log (SQLite) or vacuum ``tables`` (PostgreSQL).

        Raises AuditUnavailable when a reader stands in the way for too long.
        """
        if self.place.file is None:
            self._vacuum(tables)
        else:
            self._on_sqlite()

    def rebuild(self, table: str) -> None:
        """Write the file (SQLite) or the table (PostgreSQL) anew. Raises AuditUnavailable."""
        if self.place.file is None:
            self._vacuum(f"(FULL) {table}")
        else:
            self._on_sqlite("VACUUM")

    def _vacuum(self, what: str) -> None:
        with self.connect() as bare:
            connection = bare.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text(f"VACUUM {what}"))

    def _on_sqlite(self, *statements: str) -> None:
        with self.connect() as connection:
            # Past SQLAlchemy, which would begin a transaction: neither statement may be in one.
            cursor = connection.connection.cursor()
            try:
                for statement in statements:
                    cursor.execute(statement)
                self._empty_log(cursor)
            finally:
                cursor.close()

    def _empty_log(self, cursor: Any) -> None:
        deadline = time.monotonic() + self.seconds
        while True:
            busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if not busy:
                return
            if time.monotonic() >= deadline:
                raise AuditUnavailable(
                    f"The write-ahead log of {self.place.name} could not be emptied: "
                    "a reader holds it.",
                    hint="End long reads, such as an open sqlite3 shell, and try again.",
                )
            time.sleep(PAUSE_SECONDS)
