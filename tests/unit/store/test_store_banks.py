"""Banks of fingerprints in the store: changes are only ever added."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from guard.store.bank_rows import BankChange
from guard.store.engine import Store
from guard.store.fingerprint_index import FingerprintIndex

A, B, C = (bytes([n]) * 32 for n in (1, 2, 255))


@pytest.fixture
def kept(store: Store) -> Store:
    changes = [
        BankChange("known", "add", A, label="1", who="dana", at_us=1),
        BankChange("other", "add", C, who="dana", at_us=2),
        BankChange("known", "add", B, who="dana", at_us=3),
        BankChange("known", "remove", A, who="eve", at_us=4),
    ]
    with store.write() as writer:
        writer.lock_head()
        assert writer.banks.add(changes) == 4
        assert writer.banks.add([]) == 0
    return store


def test_what_a_bank_holds(kept: Store) -> None:
    with kept.read() as reader:
        assert reader.banks.banks() == ["known", "other"]
        assert [reader.banks.version(one) for one in ("known", "other", "none")] == [4, 2, 0]
        assert reader.banks.in_force("known") == {B}
        assert reader.banks.in_force("none") == set()
        latest = reader.banks.latest("known", A)
        assert latest is not None
        assert (latest.change, latest.who, latest.number) == ("remove", "eve", 4)
        assert reader.banks.latest("known", C) is None


def test_an_index_over_a_bank(kept: Store, tmp_path: Path) -> None:
    index = FingerprintIndex("bank-known", "log", tmp_path / "index")
    with kept.read() as reader:
        prints = reader.bank_prints("known")
        near = index.nearest(prints, [A], 256, 8)
        assert [(one.record_id, one.distance) for one in near] == [(A.hex(), 0), (B.hex(), 64)]
        assert prints.fingerprint_at("", 4) is None
        assert prints.fingerprint_count("", 3, 32) == 2


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE bank_change SET note = 'x'",
        "DELETE FROM bank_change",
        "INSERT OR REPLACE INTO bank_change SELECT * FROM bank_change WHERE number = 1",
        "INSERT INTO bank_change VALUES (9, 'b', 'drop', zeroblob(32), '', '', 'w', 1)",
        "INSERT INTO bank_change VALUES (9, 'b', 'add', zeroblob(31), '', '', 'w', 1)",
    ],
)
def test_the_database_refuses(kept: Store, database: Path, sql: str) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    before = connection.execute("SELECT * FROM bank_change").fetchall()
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(sql)
    assert connection.execute("SELECT * FROM bank_change").fetchall() == before
    connection.close()


def test_one_fingerprint_is_found_by_an_index(kept: Store, database: Path) -> None:
    connection = sqlite3.connect(database)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT * FROM bank_change WHERE bits = x'01' AND bank = 'known'"
    ).fetchall()
    connection.close()
    assert "ix_bank_change_bits" in plan[0][-1]
