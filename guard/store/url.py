"""Database URLs: which are accepted, and how they are named without their secrets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from guard.errors import SettingsInvalid

EXAMPLES = "Use sqlite:////absolute/path/audit.sqlite3 or postgresql://user@host/database."
_POSTGRESQL = {"postgresql", "postgres", "postgresql+psycopg"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a log is kept. ``name`` is safe to show; ``secrets`` must never be shown."""

    url: URL
    name: str
    file: Path | None
    secrets: tuple[str, ...]

    def redact(self, text: str) -> str:
        """``text`` without any part of the URL that is secret."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def parse_url(text: str) -> Place:
    """The place that a ``GUARD_DATABASE_URL`` names.

    SQLite in memory is refused: it forgets. Raises SettingsInvalid, which never repeats the URL.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError, TypeError, AttributeError):
        # `from None`: the parser's own message may quote the URL with its password.
        raise SettingsInvalid("The database URL cannot be read.", hint=EXAMPLES) from None
    if url.drivername in _POSTGRESQL:
        return _postgresql(url)
    if url.drivername in {"sqlite", "sqlite+pysqlite"}:
        return _sqlite(url)
    raise SettingsInvalid(
        f"The database URL names '{url.drivername}', which is not supported.", hint=EXAMPLES
    )


def same_place(one: str, two: str) -> bool:
    """Whether two URLs name one database, however they are written. Raises SettingsInvalid."""
    first, second = parse_url(one), parse_url(two)
    if first.file is not None and second.file is not None:
        return first.file.resolve() == second.file.resolve()
    return first.url == second.url


def _sqlite(url: URL) -> Place:
    if url.query or url.host or not url.database or url.database.startswith((":", "file:")):
        raise SettingsInvalid(
            "A SQLite URL must name a plain file, without options.", hint=EXAMPLES
        )
    file = Path(url.database).expanduser()
    return Place(url.set(database=str(file)), f"sqlite:///{file}", file, ())


def _postgresql(url: URL) -> Place:
    if not url.database:
        raise SettingsInvalid("The PostgreSQL URL names no database.", hint=EXAMPLES)
    host = url.host or _first(url.query.get("host")) or "local socket"
    port = f":{url.port}" if url.port else ""
    shown = f"postgresql://{host}{port}/{url.database}"
    password = url.password
    hidden = [password if password is None else str(password)]
    hidden += [_first(value) for key, value in url.query.items() if "pass" in key.lower()]
    secrets = tuple(secret for secret in hidden if secret)
    return Place(url.set(drivername="postgresql+psycopg"), shown, None, secrets)


def _first(value: str | tuple[str, ...] | None) -> str | None:
    return value[0] if isinstance(value, tuple) else value
