"""A log on a fresh SQLite file."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guard.audit.log import SqlAuditLog
from guard.store.engine import open_store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log without rows, made once: migrating takes longer than copying."""
    file = tmp_path_factory.mktemp("empty") / "audit.sqlite3"
    open_store(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Path:
    return shutil.copy(empty_database, tmp_path / "audit.sqlite3")


@pytest.fixture
def log(database: Path) -> Iterator[SqlAuditLog]:
    store = open_store(f"sqlite:///{database}")
    yield SqlAuditLog(store)
    store.close()


@pytest.fixture
def vandal(database: Path, log: SqlAuditLog) -> Iterator[Callable[..., None]]:
    """Runs SQL as someone with write access to the file, who first removes the triggers."""
    connection = sqlite3.connect(database, isolation_level=None)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in names:
        connection.execute(f'DROP TRIGGER "{name}"')
    yield lambda sql, *values: connection.execute(sql, values)
    connection.close()
