"""Own lists in the store: changes are only ever added."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from guard.store.engine import Store
from guard.store.rows import ListChange
from tests.support.older import put_back


@pytest.fixture
def kept(store: Store) -> Store:
    changes = [
        ListChange("deny", "main", "add", "foo", who="dana", at_us=1),
        ListChange("allow", "main", "add", "bar", who="dana", at_us=2),
        ListChange("deny", "main", "remove", "foo", who="eve", at_us=3),
    ]
    with store.write() as writer:
        assert writer.add_list_changes(changes) == 3
        assert writer.add_list_changes([]) == 3
    return store


def test_changes_are_numbered_and_found_by_list(kept: Store) -> None:
    with kept.read() as reader:
        assert [one.number for one in reader.list_changes("deny", "main")] == [1, 3]
        assert reader.list_version("deny", "main") == 3
        assert reader.list_version("deny", "other") == 0
        assert reader.list_names() == [("allow", "main"), ("deny", "main")]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE own_list_change SET note = 'x'",
        "DELETE FROM own_list_change",
        "INSERT OR REPLACE INTO own_list_change SELECT * FROM own_list_change WHERE number = 1",
        "INSERT INTO own_list_change VALUES (9, 'ban', 'm', 'add', 't', '', '', 'w', 1)",
        "INSERT INTO own_list_change VALUES (9, 'deny', 'm', 'drop', 't', '', '', 'w', 1)",
        "INSERT INTO own_list_change VALUES (9, 'deny', 'm', 'add', '', '', '', 'w', 1)",
    ],
)
def test_the_database_refuses(kept: Store, database: Path, sql: str) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    before = connection.execute("SELECT * FROM own_list_change").fetchall()
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(sql)
    assert connection.execute("SELECT * FROM own_list_change").fetchall() == before
    connection.close()


def test_the_version_comes_from_an_index(kept: Store, database: Path) -> None:
    connection = sqlite3.connect(database)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT MAX(number) FROM own_list_change WHERE kind = 'x' AND name = 'y'"
    ).fetchall()
    connection.close()
    assert all("INDEX" in step[3] for step in plan if "SEARCH" in step[3] or "SCAN" in step[3])


def test_a_log_of_the_first_schema_gets_the_tables(store: Store, database: Path) -> None:
    from guard.store.engine import open_store

    store.close()
    put_back(database, "r0001")
    again = open_store(f"sqlite:///{database}", create=False)
    with again.read() as reader:
        assert reader.list_names() == []
        assert reader.blocks(["r"]) == {}
    again.close()
