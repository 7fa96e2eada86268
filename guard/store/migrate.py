"""Bring a database to the current schema, from an installed wheel as well as from a checkout."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from guard.errors import AuditUnavailable

REVISION = "r0011"
"""The newest step. Kept here so that opening a current database need not load Alembic."""

_ADVISORY_LOCK = 0x67_75_61_72_64
"""Names the migration lock on PostgreSQL: two processes may open a new database at once."""


def current_revision(connection: Connection) -> str | None:
    """The step the database stands at; None when it has no schema of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def migrate(connection: Connection, *, create: bool) -> None:
    """Apply what is missing, within the caller's transaction.

    Raises AuditUnavailable when there is no log and ``create`` is false, or when the database
    was made by a newer genguard.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    found = current_revision(connection)
    if found == REVISION:
        return
    if found is None and not create:
        raise AuditUnavailable(
            "There is no audit log in this database.",
            hint="Check GUARD_DATABASE_URL; a log is made by the first guard generate or protect.",
        )
    _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise AuditUnavailable(
            f"The audit database has a schema that this version does not know: {error}.",
            hint="It was made by a newer genguard. Upgrade genguard.",
        ) from error
