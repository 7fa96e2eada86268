"""Proofs and exports of a log, at their edges."""

from __future__ import annotations

from pathlib import Path

import pytest

from guard.audit.checkpoints import bundle
from guard.audit.checkpoints.bundle import export_bundle
from guard.audit.checkpoints.evidence import prove_growth, prove_record
from guard.audit.checkpoints.publish import Publisher
from guard.audit.export import leaf_rows
from guard.audit.log import SqlAuditLog
from guard.audit.tree.merkle import EMPTY_ROOT
from guard.errors import InvalidRequest, LogTampered, OutputUnwritable, ProofInvalid
from tests.support.publishing import fill, publisher


@pytest.fixture
def ours(log: SqlAuditLog, tmp_path: Path) -> Publisher:
    fill(log, 3)
    made = publisher(log.store, tmp_path / "home")
    made.publish()
    return made


def test_every_log_grew_from_nothing(log: SqlAuditLog, ours: Publisher) -> None:
    key = ours.keys.signer(log.log_id, first=False)
    empty = key.sign(0, EMPTY_ROOT)
    proof = prove_growth(log, ours, str(empty).encode())
    assert (proof.old_size, proof.hashes) == (0, ())
    assert proof.verify(empty, [key.verifier]).size == 3


def test_no_growth_from_a_larger_log_or_another(log: SqlAuditLog, ours: Publisher) -> None:
    key = ours.keys.signer(log.log_id, first=False)
    with pytest.raises(LogTampered, match="once had 9 rows, and has 3"):
        prove_growth(log, ours, str(key.sign(9, bytes(32))).encode())
    with pytest.raises(ProofInvalid, match="does not show"):
        prove_growth(log, ours, str(key.sign(2, bytes(32))).encode())


def test_no_proof_of_a_row_that_was_changed_since(
    log: SqlAuditLog, ours: Publisher, database: Path
) -> None:
    import sqlite3

    with log.store.read() as reader:
        record_id = reader.leaves(1, 1)[0].columns.record_id
    assert prove_record(log, ours, record_id).index == 1
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("DROP TRIGGER audit_leaf_update")
    connection.execute("UPDATE audit_leaf SET leaf_hash = zeroblob(32) WHERE leaf_index = 0")
    connection.close()
    with pytest.raises(ProofInvalid, match="does not lead"):
        prove_record(log, ours, record_id)


def test_a_row_too_long_for_tiles_is_named(
    log: SqlAuditLog, ours: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MAX_ENTRY_BYTES", 10)
    with pytest.raises(InvalidRequest, match="Row 0 has") as caught:
        export_bundle(log, ours, tmp_path / "tiles", "tiles")
    assert "jsonl" in caught.value.hint


def test_rows_end_where_the_log_does(log: SqlAuditLog, ours: Publisher) -> None:
    assert ours.size() == 3
    assert [row.index for row in leaf_rows(log, 2)] == [0, 1]
    assert [row.index for row in leaf_rows(log, 9)] == [0, 1, 2]


def test_an_export_that_cannot_be_written(
    log: SqlAuditLog, ours: Publisher, tmp_path: Path
) -> None:
    (tmp_path / "log.jsonl.manifest.json").mkdir()
    with pytest.raises(OutputUnwritable):
        export_bundle(log, ours, tmp_path / "log.jsonl")
