"""The room's border: what the database raises becomes AuditUnavailable, without secrets."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from guard.errors import AuditUnavailable
from guard.store.url import Place

_HINTS = (
    (("disk is full", "no space left"), "Free some space; nothing is released until it is."),
    (("readonly", "read-only"), "Make the database file and its folder writable for this user."),
    (("unable to open", "permission denied"), "Check that the file exists and is yours to write."),
    (("locked", "busy", "lock timeout"), "Another process holds the database; try again."),
    (
        ("malformed", "not a database"),
        "Restore the file from a backup, then run guard audit verify.",
    ),
    (("password", "authentication"), "Check user and password in GUARD_DATABASE_URL."),
    (("connection", "could not translate", "timeout"), "Check that the database server is up."),
    (("append-only", "only grows", "next leaf"), "Run guard audit verify."),
)
_DEFAULT_HINT = "Check GUARD_DATABASE_URL and run guard doctor."


def unavailable(
    place: Place, error: BaseException, what: str = "audit database"
) -> AuditUnavailable:
    """The typed error for what the database (``what`` it is for people) said."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).strip().splitlines()
    reason = place.redact(lines[0]) if lines else type(cause).__name__
    if isinstance(error, ImportError):
        return AuditUnavailable(
            f"The driver for {place.name} is missing: {reason}.",
            hint="Install it with: pip install 'genguard[postgres]'",
        )
    low = reason.lower()
    hint = next((hint for words, hint in _HINTS if any(w in low for w in words)), _DEFAULT_HINT)
    return AuditUnavailable(f"The {what} {place.name} failed: {reason}.", hint=hint)


@contextmanager
def border(place: Place, what: str = "audit database") -> Iterator[None]:
    """Turn database and file-system errors inside into AuditUnavailable."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
        # A driver may quote connection parameters, so the chain is cut where there are secrets.
        raise unavailable(place, error, what) from (None if place.secrets else error)
