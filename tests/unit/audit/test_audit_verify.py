"""Every way to tamper with a log that we could think of, and what the check says to it."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.audit import verify
from guard.audit.log import SqlAuditLog
from guard.audit.record import columns, parse, to_leaf
from guard.audit.tree.merkle import Frontier, leaf_hash
from guard.audit.verify import verify_log
from guard.errors import AuditUnavailable, LogTampered
from guard.store.engine import open_store
from guard.types import Event
from tests.support.auditing import new_record_id, pictured, started, write_released

Vandal = Callable[..., object]


@pytest.fixture(scope="module")
def template(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows 0 to 9: five records from start to release."""
    file = tmp_path_factory.mktemp("filled") / "audit.sqlite3"
    shutil.copy(empty_database, file)
    store = open_store(f"sqlite:///{file}")
    for _ in range(5):
        write_released(SqlAuditLog(store))
    store.close()
    return file


@pytest.fixture
def database(template: Path, tmp_path: Path) -> Path:
    return shutil.copy(template, tmp_path / "audit.sqlite3")


@pytest.fixture
def filled(log: SqlAuditLog) -> SqlAuditLog:
    return log


def rewrite(database: Path, index: int, **facts: object) -> None:
    """Change a record as a clever vandal does: leaf, leaf hash and columns all fit again."""
    connection = sqlite3.connect(database, isolation_level=None)
    found = connection.execute("SELECT leaf FROM audit_leaf WHERE leaf_index = ?", [index])
    leaf = parse(found.fetchone()[0])
    leaf = dataclasses.replace(leaf, record=dataclasses.replace(leaf.record, **facts))  # type: ignore[arg-type]
    data = to_leaf(leaf)
    values = dataclasses.asdict(columns(leaf)) | {"leaf": data, "leaf_hash": leaf_hash(data)}
    sets = ", ".join(f"{name} = :{name}" for name in values)
    connection.execute(
        f"UPDATE audit_leaf SET {sets} WHERE leaf_index = :place",  # noqa: S608
        values | {"place": index},
    )
    connection.close()


def rewrite_head(database: Path) -> None:
    """Make the head fit whatever rows there are."""
    connection = sqlite3.connect(database, isolation_level=None)
    frontier = Frontier()
    for (hashed,) in connection.execute("SELECT leaf_hash FROM audit_leaf ORDER BY leaf_index"):
        frontier.append(hashed)
    connection.execute(
        "UPDATE audit_head SET size = ?, root = ?, frontier = ?",
        [frontier.size, frontier.root, frontier.packed],
    )
    connection.close()


def test_a_good_log_is_good(filled: SqlAuditLog) -> None:
    check = verify_log(filled)
    assert check.ok
    assert check.records == 10
    assert check.first_bad is None
    assert check.problems == ()
    with filled.store.read() as reader:
        assert check.root == reader.head().root.hex()


def test_progress_is_told(filled: SqlAuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "CHUNK", 4)
    told: list[tuple[int, int]] = []
    assert verify_log(filled, progress=lambda done, total: told.append((done, total))).ok
    assert told == [(4, 10), (8, 10), (10, 10)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("record_id", "0199b2c4-0000-7000-8000-000000000009"),
        ("event", "blocked"),
        ("at_us", 7),
        ("origin", "edited"),
        ("tenant", "other"),
        ("action", "block"),
        ("stage", "prompt"),
        ("rules", "\nmade-up\n"),
        ("categories", "\nmade-up\n"),
        ("policy", "permissive"),
        ("policy_digest", "00" * 32),
        ("model", "other"),
        ("mark", "00" * 8),
        ("fingerprint", "00" * 32),
        ("asset_sha256", "00" * 32),
        ("manifest_sha256", "00" * 32),
        ("idempotency_key", "k"),
        ("reviewer", "nobody"),
        ("mark", None),
        ("fingerprint", None),
    ],
)
def test_a_changed_column_is_found(
    filled: SqlAuditLog, vandal: Vandal, column: str, value: object
) -> None:
    vandal(f"UPDATE audit_leaf SET {column} = ? WHERE leaf_index = 3", value)  # noqa: S608
    check = verify_log(filled)
    assert not check.ok
    assert check.first_bad == 3
    assert any(column in problem for problem in check.problems)


def test_a_changed_leaf_is_found(filled: SqlAuditLog, vandal: Vandal) -> None:
    vandal(
        "UPDATE audit_leaf SET leaf = CAST(REPLACE(CAST(leaf AS TEXT), 'demo-1', 'demo-2') AS BLOB)"
        " WHERE leaf_index = 5"
    )
    check = verify_log(filled)
    assert check.first_bad == 5
    assert "Row 5: the leaf does not have its hash." in check.problems


def test_a_changed_hash_is_found(filled: SqlAuditLog, vandal: Vandal) -> None:
    vandal("UPDATE audit_leaf SET leaf_hash = zeroblob(32) WHERE leaf_index = 4")
    check = verify_log(filled)
    assert check.first_bad == 4
    assert check.problems == ("Row 4: the leaf does not have its hash.",)


def test_garbage_in_place_of_a_leaf_is_found(filled: SqlAuditLog, vandal: Vandal) -> None:
    vandal("UPDATE audit_leaf SET leaf = x'00' WHERE leaf_index = 4")
    assert "Row 4: the leaf is not a record." in verify_log(filled).problems


def test_a_removed_row_is_found(filled: SqlAuditLog, vandal: Vandal) -> None:
    vandal("DELETE FROM audit_leaf WHERE leaf_index = 2")
    check = verify_log(filled)
    assert check.first_bad == 2
    assert "Row 3 stands where row 2 should." in check.problems


def test_a_removed_row_is_found_when_the_others_close_ranks(
    filled: SqlAuditLog, vandal: Vandal
) -> None:
    vandal("DELETE FROM audit_leaf WHERE leaf_index = 3")
    vandal("UPDATE audit_leaf SET leaf_index = leaf_index - 1 WHERE leaf_index > 3")
    check = verify_log(filled)
    assert not check.ok
    assert check.problems[0] == "The head says 10 rows, the table has 9."


def test_swapped_rows_are_found(filled: SqlAuditLog, vandal: Vandal) -> None:
    for old, new in ((2, 99), (4, 2), (99, 4)):
        vandal("UPDATE audit_leaf SET leaf_index = ? WHERE leaf_index = ?", new, old)
    check = verify_log(filled)
    assert not check.ok
    assert "The root over all rows is not that of the head." in check.problems


def test_a_cut_tail_is_found(filled: SqlAuditLog, vandal: Vandal) -> None:
    vandal("DELETE FROM audit_leaf WHERE leaf_index >= 8")
    check = verify_log(filled)
    assert check.first_bad == 8
    assert check.problems[0] == "The head says 10 rows, the table has 8."


def test_rows_beyond_the_head_are_found(filled: SqlAuditLog, vandal: Vandal) -> None:
    vandal(
        "INSERT INTO audit_leaf SELECT log_id, 10, leaf, leaf_hash, record_id, 'failed', at_us, "
        "origin, tenant, action, stage, rules, categories, policy, policy_digest, model, mark, "
        "fingerprint, asset_sha256, manifest_sha256, idempotency_key, reviewer, about, subject "
        "FROM audit_leaf WHERE leaf_index = 9"
    )
    check = verify_log(filled)
    assert check.first_bad == 10
    assert check.problems[0] == "The head says 10 rows, the table has 11."


def test_a_rewritten_record_is_found_although_its_row_fits(
    filled: SqlAuditLog, vandal: Vandal, database: Path
) -> None:
    rewrite(database, 5, model="another")
    check = verify_log(filled)
    assert not check.ok
    assert check.problems == ("The root over all rows is not that of the head.",)
    assert check.first_bad is None  # every row fits itself; only the tree tells


@pytest.mark.parametrize("column", ["root", "frontier"])
def test_a_changed_head_is_found(filled: SqlAuditLog, vandal: Vandal, column: str) -> None:
    vandal(f"UPDATE audit_head SET {column} = zeroblob(length({column}))")  # noqa: S608
    check = verify_log(filled)
    assert not check.ok
    assert "head" in check.problems[0]


def test_a_writer_stops_at_a_broken_head(filled: SqlAuditLog, vandal: Vandal) -> None:
    vandal("UPDATE audit_head SET root = zeroblob(32)")
    with pytest.raises(LogTampered, match="does not fit itself"):
        filled.start(started(), prompt="x", user=None)
    vandal("UPDATE audit_head SET frontier = x'00'")
    with pytest.raises(LogTampered, match="does not fit itself"):
        filled.start(started(), prompt="x", user=None)
    vandal("DELETE FROM audit_head")
    with pytest.raises(AuditUnavailable, match="lost its head"):
        filled.start(started(), prompt="x", user=None)
    with pytest.raises(LogTampered, match="lost its head"):
        verify_log(filled)


def test_a_replaced_log_id_is_found(filled: SqlAuditLog, vandal: Vandal, database: Path) -> None:
    rows = sqlite3.connect(database).execute("SELECT leaf FROM audit_leaf WHERE leaf_index = 6")
    leaf = dataclasses.replace(parse(rows.fetchone()[0]), log_id="genguard-elsewhere")
    data = to_leaf(leaf)
    vandal(
        "UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE leaf_index = 6", data, leaf_hash(data)
    )
    assert verify_log(filled).problems[0] == "Row 6: the leaf belongs to log genguard-elsewhere."


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("DELETE FROM mark_id WHERE rowid = 1", "mark_id"),
        ("UPDATE mark_id SET record_id = 'x' WHERE rowid = 1", "mark_id"),
        ("INSERT INTO mark_id VALUES ('ffffffffffffffff', 'x')", "mark_id"),
        ("DELETE FROM manifest_store WHERE rowid = 2", "manifest_store"),
        ("UPDATE manifest_store SET sha256 = 'x' WHERE rowid = 2", "manifest_store"),
        ("UPDATE manifest_store SET manifest = x'00' WHERE rowid = 2", "manifest of record"),
        ("UPDATE picture_fingerprint SET bits = zeroblob(32) WHERE rowid = 1", "fingerprint"),
        ("DELETE FROM picture_fingerprint WHERE rowid = 1", "picture_fingerprint"),
        ("INSERT INTO idempotency_key VALUES ('', 'k', 'x')", "idempotency_key"),
    ],
)
def test_lookup_tables_must_follow_the_rows(
    filled: SqlAuditLog, vandal: Vandal, sql: str, what: str
) -> None:
    vandal(sql)
    check = verify_log(filled)
    assert not check.ok
    assert any(what in problem for problem in check.problems)


def test_lookups_that_lead_elsewhere_raise(filled: SqlAuditLog, vandal: Vandal) -> None:
    first, _ = write_released(filled)
    second, _ = write_released(filled)
    assert first.mark is not None
    assert second.fingerprint is not None
    vandal(
        "UPDATE mark_id SET record_id = ? WHERE payload = ?", second.record_id, first.mark.payload
    )
    with pytest.raises(LogTampered, match="leads to record"):
        filled.find_by_mark(first.mark.payload)
    vandal("DELETE FROM audit_leaf WHERE record_id = ?", second.record_id)
    with pytest.raises(LogTampered, match="leads to record"):
        filled.find_by_fingerprint(second.fingerprint, 0)


def test_events_out_of_order_are_found(filled: SqlAuditLog, vandal: Vandal, database: Path) -> None:
    # Row 4 starts a record that row 5 releases: turn the start into a second ending.
    rewrite(database, 4, event=Event.FAILED)
    rewrite_head(database)
    check = verify_log(filled)
    assert not check.ok
    assert check.first_bad == 4
    assert "Row 4: 'failed' cannot follow 'None'." in check.problems
    assert "Row 5: 'released' cannot follow 'failed'." in check.problems


def test_an_unknown_event_is_found(filled: SqlAuditLog, vandal: Vandal) -> None:
    vandal("UPDATE audit_leaf SET event = 'forgiven' WHERE leaf_index = 5")
    assert "Row 5: 'forgiven' cannot follow 'started'." in verify_log(filled).problems


def test_whoever_rewrites_everything_is_found_only_by_a_root_kept_elsewhere(
    filled: SqlAuditLog, vandal: Vandal, database: Path
) -> None:
    noted = (10, verify_log(filled).root)
    rewrite(database, 5, model="another")
    rewrite_head(database)
    assert verify_log(filled).ok  # honest about its limit: the database alone cannot tell
    check = verify_log(filled, expected=noted)
    assert check.problems == ("The first 10 rows are not those noted earlier.",)


def test_an_old_copy_put_back_is_found_by_a_root_kept_elsewhere(filled: SqlAuditLog) -> None:
    root = verify_log(filled).root
    assert verify_log(filled, expected=(10, root)).ok
    check = verify_log(filled, expected=(12, root))
    assert check.problems == ("The log once had 12 rows.",)
    assert check.first_bad == 10


def test_an_earlier_root_still_holds_after_more_rows(filled: SqlAuditLog) -> None:
    noted = (10, verify_log(filled).root)
    write_released(filled)
    assert verify_log(filled, expected=noted).ok
    assert not verify_log(filled, expected=(9, noted[1])).ok
    assert verify_log(filled, expected=(0, hashlib.sha256(b"").hexdigest())).ok
    assert not verify_log(filled, expected=(0, noted[1])).ok


def test_the_list_of_problems_is_bounded(
    filled: SqlAuditLog, vandal: Vandal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "MAX_PROBLEMS", 3)
    vandal("UPDATE audit_leaf SET model = 'x'")
    check = verify_log(filled)
    assert len(check.problems) == 4
    assert check.problems[-1].startswith("and ")
    assert check.first_bad == 0


def test_chunks_do_not_change_the_answer(
    filled: SqlAuditLog, vandal: Vandal, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = verify_log(filled)
    monkeypatch.setattr(verify, "CHUNK", 1)
    assert verify_log(filled) == good
    vandal("DELETE FROM audit_leaf WHERE leaf_index IN (3, 4, 5)")
    assert verify_log(filled).first_bad == 3


def test_an_index_that_hides_rows_is_found(
    filled: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guard.store.reader import Reader

    real = Reader.event_order
    monkeypatch.setattr(
        Reader, "event_order", lambda self, after, limit: real(self, after, limit)[:-2]
    )
    assert verify_log(filled).problems == ("The index over the records does not hold every row.",)


def test_a_held_record_that_was_reviewed_is_in_order(log: SqlAuditLog) -> None:
    record_id = new_record_id()
    log.start(started(record_id), prompt="x", user=None)
    held = pictured(record_id, Event.HELD)
    log.finish(held, manifest=b"m")
    log.finish(dataclasses.replace(held, event=Event.RELEASED, reviewer="dana"))
    assert verify_log(log).ok
