"""Which URLs are accepted, and that none is ever shown with its secrets."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from guard.errors import AuditUnavailable, GuardError, SettingsInvalid
from guard.store.border import border, unavailable
from guard.store.engine import open_store
from guard.store.url import parse_url, same_place

SECRET = "p4ss/w:rd@x"
QUOTED = "p4ss%2Fw%3Ard%40x"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            f"postgresql://guard:{QUOTED}@db.example:5433/audit",
            "postgresql://db.example:5433/audit",
        ),
        (f"postgres://guard:{QUOTED}@db.example/audit", "postgresql://db.example/audit"),
        ("postgresql+psycopg://db.example/audit", "postgresql://db.example/audit"),
        ("postgresql://guard@/audit?host=/run/pg", "postgresql:///run/pg/audit"),
        (f"postgresql:///audit?password={QUOTED}", "postgresql://local socket/audit"),
        ("sqlite:////var/lib/audit.sqlite3", "sqlite:////var/lib/audit.sqlite3"),
        ("sqlite:///audit.sqlite3", "sqlite:///audit.sqlite3"),
        ("sqlite+pysqlite:///audit.sqlite3", "sqlite:///audit.sqlite3"),
    ],
)
def test_urls_are_named_without_user_and_password(text: str, name: str) -> None:
    place = parse_url(text)
    assert place.name == name
    assert place.redact(f"no entry for {SECRET}") in {
        "no entry for ***",
        f"no entry for {SECRET}",
    }
    assert (SECRET in place.redact(SECRET)) == ("p4ss" not in text)


def test_postgresql_goes_through_psycopg_3() -> None:
    assert parse_url("postgresql://h/d").url.drivername == "postgresql+psycopg"


def test_a_home_folder_is_expanded() -> None:
    assert parse_url("sqlite:///~/audit.sqlite3").file == Path.home() / "audit.sqlite3"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "audit.sqlite3",
        "/var/lib/audit.sqlite3",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite:///x.sqlite3?mode=ro",
        "sqlite://host/x.sqlite3",
        "postgresql://host",
        "postgresql+psycopg2://host/db",
        "mysql://u:p4ss@host/db",
        "postgresql://u:p4ss@host:port/db",
        "://p4ss",
        7,
    ],
)
def test_other_urls_are_refused(text: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        open_store(text)
    assert caught.value.hint
    shown = "".join(traceback.format_exception(caught.value))
    assert "p4ss" not in shown


def test_a_server_that_is_not_there() -> None:
    url = "postgresql://guard:p4ssword@127.0.0.1:9/audit"  # nothing listens on "discard"
    with pytest.raises(AuditUnavailable) as caught:
        open_store(url, timeout_seconds=2)
    assert "postgresql://127.0.0.1:9/audit" in caught.value.message
    assert "server is up" in caught.value.hint
    assert "p4ssword" not in "".join(traceback.format_exception(caught.value))


def test_a_missing_driver_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(AuditUnavailable) as caught:
        open_store("postgresql://127.0.0.1:9/audit")
    assert "genguard[postgres]" in caught.value.hint


def test_secrets_are_cut_from_what_a_driver_says() -> None:
    place = parse_url(f"postgresql://guard:{QUOTED}@db/audit")
    with pytest.raises(AuditUnavailable) as caught, border(place):
        raise OSError(f"cannot use password {SECRET} at db")
    assert "***" in caught.value.message
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("database or disk is full", "space"),
        ("attempt to write a readonly database", "writable"),
        ("unable to open database file", "yours to write"),
        ("database is locked", "try again"),
        ("database disk image is malformed", "backup"),
        ("file is not a database", "backup"),
        ('password authentication failed for user "x"', "user and password"),
        ("audit_leaf is append-only", "audit verify"),
        ("something else", "guard doctor"),
        ("", "guard doctor"),
    ],
)
def test_hints_say_what_to_do(said: str, hint: str) -> None:
    error: GuardError = unavailable(parse_url("sqlite:///x"), OSError(said))
    assert hint in error.hint
    assert error.message.startswith("The audit database sqlite:///x failed: ")


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("sqlite:////a/b.sqlite3", "sqlite:////a/c/../b.sqlite3", True),
        ("sqlite:////a/b.sqlite3", "sqlite:////a/keys.sqlite3", False),
        ("postgres://u@h/log", "postgresql+psycopg://u@h/log", True),
        ("postgresql://u@h/log", "postgresql://u@h/keys", False),
        ("sqlite:////a/b.sqlite3", "postgresql://u@h/log", False),
    ],
)
def test_one_database_is_known_however_it_is_written(one: str, two: str, same: bool) -> None:
    assert same_place(one, two) is same
