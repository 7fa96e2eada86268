"""Databases of every step of the schema: opened, brought up to date, not a byte of a leaf lost."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.audit.log import SqlAuditLog
from guard.audit.verify import verify_log
from guard.store.engine import Store, open_store
from guard.store.migrate import REVISION
from tests.support import older
from tests.support.auditing import (
    NO_POSTGRES,
    POSTGRES_VARIABLE,
    fresh_postgres,
    started,
    write_released,
)


def _check_golden(store: Store) -> None:
    """Everything is as it was written, what is looked up is found, and the log goes on."""
    facts, log = older.facts(), SqlAuditLog(store)
    with store.read() as reader:
        rows, head = reader.leaves(0, 100), reader.head()
    assert [row.leaf.hex() for row in rows] == facts["leaves"]
    assert (head.log_id, head.root.hex()) == (facts["log_id"], facts["root"])
    check = verify_log(store)
    assert check.ok, check.problems
    assert check.root == facts["root"]
    found = log.find_by_mark("00" * 7 + "01")
    assert found is not None
    assert found.manifest == b"manifest"
    assert log.find_by_manifest("urn:c2pa:golden") == found
    assert found.record.fingerprint is not None
    assert log.find_by_fingerprint(found.record.fingerprint, 0) == (found, 0)
    assert log.confirm(found.record.record_id, prompt="a lighthouse", user="user-1")
    write_released(log)
    assert verify_log(store, expected=(head.size, facts["root"])).ok


@pytest.mark.parametrize("revision", older.GOLDEN_REVISIONS)
def test_golden_databases_on_sqlite(revision: str, tmp_path: Path) -> None:
    database = tmp_path / "audit.sqlite3"
    older.load(revision, database)
    store = open_store(f"sqlite:///{database}", create=False)
    _check_golden(store)
    store.close()
    with sqlite3.connect(database) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISION,)]
    raw.close()


@pytest.fixture
def postgres() -> Iterator[str]:
    if not os.environ.get(POSTGRES_VARIABLE):
        pytest.skip(NO_POSTGRES)
    with fresh_postgres() as url:
        yield url


@pytest.mark.postgres
@pytest.mark.parametrize("revision", older.GOLDEN_REVISIONS)
def test_golden_databases_on_postgresql(revision: str, postgres: str, tmp_path: Path) -> None:
    older.load(revision, tmp_path / "rows.sqlite3")
    older.make(postgres, revision, tmp_path / "rows.sqlite3")
    store = open_store(postgres, create=False)
    _check_golden(store)
    store.close()


def test_there_is_a_golden_database_of_every_step() -> None:
    assert older.GOLDEN_REVISIONS == older.REVISIONS, "run: python -m tests.support.older"


def test_long_logs_get_their_tiles(store: Store, database: Path) -> None:
    from guard.audit.append import Tree
    from guard.audit.record import Leaf
    from guard.audit.tree.tiles import TileReader

    with store.write() as writer:
        tree = Tree(writer)
        for _ in range(600):
            tree.add(Leaf(started(), tree.log_id))
    with store.read() as reader:
        wanted, head = reader.tiles.after((-1, -1), 10), reader.head()
    assert [(one.level, one.index) for one in wanted] == [(0, 0), (0, 1)]
    store.close()
    older.put_back(database, "r0007")
    again = open_store(f"sqlite:///{database}", create=False)
    with again.read() as reader:
        assert reader.tiles.after((-1, -1), 10) == wanted
        assert TileReader(reader).root(600) == head.root
    again.close()
