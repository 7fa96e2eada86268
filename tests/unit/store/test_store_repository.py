"""The manifest repository's tables: how older logs get them, and what can be asked and changed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from guard.audit.log import SqlAuditLog
from guard.audit.verify import verify_log
from guard.errors import AuditUnavailable, LogTampered
from guard.store.engine import Store, open_store
from guard.store.rows import ManifestEntry
from guard.types import Fingerprint
from tests.support.auditing import write_released
from tests.support.older import put_back

_ONE_MORE = (
    "INSERT INTO picture_fingerprint SELECT record_id, leaf_index, 'x', zeroblob(32) "
    "FROM picture_fingerprint LIMIT 1"
)
ISCC = Fingerprint("io.iscc.v0", "5a" * 32)


def test_older_logs_get_entries_for_what_they_hold(store: Store, database: Path) -> None:
    log = SqlAuditLog(store)
    records = [write_released(log, manifest_label=f"urn:c2pa:{n}")[0] for n in range(3)]
    write_released(log, manifest_label=None)
    store.close()
    put_back(database, "r0003")
    again = SqlAuditLog(open_store(f"sqlite:///{database}", create=False))
    for record in records:
        found = again.find_by_manifest(record.manifest_label or "")
        assert found is not None
        assert found.record == record
        assert found.manifest == b"manifest of " + record.record_id.encode()
        assert found.registered_at == record.at
        assert record.fingerprint is not None
        assert again.find_by_fingerprint(record.fingerprint, 0) is not None
    assert verify_log(again).ok
    assert write_released(again, other_fingerprints=(ISCC,))
    assert verify_log(again).ok
    again.store.close()


def test_several_fingerprints_lead_to_a_record(store: Store) -> None:
    log = SqlAuditLog(store)
    record, _ = write_released(log, other_fingerprints=(ISCC,))
    other, _ = write_released(log)
    assert record.fingerprint is not None
    assert other.fingerprint is not None
    asked = [ISCC, record.fingerprint, other.fingerprint, Fingerprint("none", "00" * 32)]
    found = log.find_similar(asked, 0, 5)
    assert [(one.stored.record.record_id, one.asked) for one in found] == sorted(
        [(record.record_id, 0), (other.record_id, 2)]
    )
    assert len(log.find_similar(asked, 0, 1)) == 1
    assert verify_log(log).ok


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM picture_fingerprint WHERE algorithm = 'io.iscc.v0'", "io.iscc.v0"),
        ("UPDATE picture_fingerprint SET bits = zeroblob(32) WHERE algorithm LIKE 'io%'", "io"),
        ("UPDATE picture_fingerprint SET algorithm = 'x' WHERE algorithm LIKE 'io%'", "io.iscc"),
        (_ONE_MORE, "picture_fingerprint"),
        ("DELETE FROM manifest_entry", "entry of the manifest"),
        ("UPDATE manifest_entry SET manifest_id = 'urn:c2pa:other'", "entry of the manifest"),
        ("UPDATE manifest_entry SET sha256 = 'x'", "entry of the manifest"),
    ],
)
def test_changed_lookups_are_noticed(store: Store, database: Path, sql: str, said: str) -> None:
    log = SqlAuditLog(store)
    write_released(log, other_fingerprints=(ISCC,))
    assert verify_log(log).ok
    with sqlite3.connect(database) as raw:
        raw.execute(sql)
    raw.close()
    check = verify_log(log)
    assert not check.ok
    assert any(said in problem for problem in check.problems)


def test_lookups_that_lie_are_not_followed(store: Store, database: Path) -> None:
    log = SqlAuditLog(store)
    record, _ = write_released(log, manifest_label="urn:c2pa:mine")
    with sqlite3.connect(database) as raw:
        raw.execute("UPDATE manifest_entry SET manifest_id = 'urn:c2pa:theirs'")
        raw.execute("UPDATE picture_fingerprint SET bits = zeroblob(32)")
    raw.close()
    assert log.find_by_manifest("urn:c2pa:mine") is None
    with pytest.raises(LogTampered, match="manifest"):
        log.find_by_manifest("urn:c2pa:theirs")
    with pytest.raises(LogTampered, match="fingerprint"):
        log.find_by_fingerprint(Fingerprint("pdq", "00" * 32), 0)
    assert record.fingerprint is not None


def test_a_manifest_that_no_leaf_names_is_not_handed_out(store: Store, database: Path) -> None:
    log = SqlAuditLog(store)
    record, _ = write_released(log)
    assert record.mark is not None
    with sqlite3.connect(database) as raw:
        raw.execute("UPDATE manifest_store SET manifest = x'00'")
    raw.close()
    with pytest.raises(LogTampered, match="manifest"):
        log.find_by_mark(record.mark.payload)


def test_entries_and_bindings_of_others(store: Store) -> None:
    entry = ManifestEntry("urn:c2pa:a", "", "00" * 32, "", 5, b"store")
    with store.write() as writer:
        writer.add_entry(entry)
        for number, value in enumerate((b"x", b"y"), 1):
            writer.add_binding("urn:c2pa:a", "alg", value, number)
        writer.add_binding("urn:c2pa:b", "alg", b"x", 3)
    with store.read() as reader:
        assert reader.entries("urn:c2pa:a") == [entry]
        assert reader.entries("urn:c2pa:b") == []
        assert reader.bound_manifests("alg", b"x", 10) == ["urn:c2pa:a", "urn:c2pa:b"]
        assert reader.bound_manifests("alg", b"x", 1) == ["urn:c2pa:a"]
        assert reader.bindings_after("alg", 1, 10) == [(2, b"y"), (3, b"x")]
    with store.write() as writer:
        assert writer.withdraw("urn:c2pa:a", 9) == 1
        assert writer.withdraw("urn:c2pa:a", 10) == 0
        writer.remove_bindings("alg", b"x")
        writer.add_binding("urn:c2pa:c", "alg", b"x", 4)
    with store.read() as reader:
        assert reader.entries("urn:c2pa:a")[0].withdrawn_at_us == 9
        assert reader.bound_manifests("alg", b"x", 10) == ["urn:c2pa:c"]
        assert [reader.binding_at(number) for number in (1, 2, 4, 5)] == [
            "",
            "urn:c2pa:a",
            "urn:c2pa:c",
            None,
        ]


@pytest.mark.parametrize(
    "entry",
    [
        ManifestEntry("", "", "x", "", 1, b"store"),
        ManifestEntry("x" * 501, "", "x", "", 1, b"store"),
        ManifestEntry("a", "", "x", "", 1, None),
        ManifestEntry("a", "record", "x", "", 1, b"store"),
    ],
)
def test_entries_that_cannot_be(store: Store, entry: ManifestEntry) -> None:
    with pytest.raises(AuditUnavailable), store.write() as writer:
        writer.add_entry(entry)
