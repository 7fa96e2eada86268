"""Checkpoints, proofs, exports and what they find, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import create_engine, text

from guard.audit.acts import new_act
from guard.audit.checkpoints.bundle import export_bundle
from guard.audit.checkpoints.checkpoint import open_checkpoint
from guard.audit.checkpoints.evidence import prove_growth, prove_record
from guard.audit.checkpoints.places import open_place
from guard.audit.fsck import check_everything
from guard.audit.log import SqlAuditLog
from guard.audit.tree.merkle import Frontier
from guard.audit.verify import verify_log
from guard.types import Act
from tests.support.auditing import write_released
from tests.support.publishing import fill, publisher

ROWS = 260


def cut(url: str, log: SqlAuditLog, size: int) -> None:
    """What the database's owner can do: remove the last rows, and make everything fit again."""
    with log.store.read() as reader:
        hashes = [row.leaf_hash for row in reader.leaves(0, size)]
    frontier = Frontier()
    for one in hashes:
        frontier.append(one)
    engine = create_engine(url)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            found = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            )
            for (name,) in found.fetchall():
                connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        else:
            for name in ("audit_leaf", "audit_tile", "audit_head"):
                connection.exec_driver_sql(f"ALTER TABLE {name} DISABLE TRIGGER USER")
        at = {"size": size}
        connection.execute(
            text("DELETE FROM commitment_salt WHERE record_id IN "
                 "(SELECT record_id FROM audit_leaf WHERE leaf_index >= :size)"), at,
        )  # fmt: skip
        connection.execute(text("DELETE FROM audit_leaf WHERE leaf_index >= :size"), at)
        connection.execute(text("DELETE FROM audit_tile"))
        connection.execute(
            text("UPDATE audit_head SET size = :size, root = :root, frontier = :frontier"),
            at | {"root": frontier.root, "frontier": frontier.packed},
        )
    engine.dispose()


def test_what_was_published_finds_what_the_owner_did(
    log: SqlAuditLog, log_url: str, tmp_path: Path
) -> None:
    fill(log, ROWS)
    ours = publisher(log.store, tmp_path / "home", str(tmp_path / "outside"))
    ours.publish()
    assert all(part.ok for part in check_everything(log, ours))
    cut(log_url, log, 100)
    assert verify_log(log).ok
    check = verify_log(log, known=ours.known_roots())
    assert (check.ok, check.first_bad) == (False, 100)
    bad = [part.name for part in check_everything(log, ours) if not part.ok]
    assert bad == ["rows", "published tiles"]


def test_records_and_acts_are_proven_alike(log: SqlAuditLog, tmp_path: Path) -> None:
    record, receipt = write_released(log)
    act = new_act(Act.VIEWED, "dana", "case-1", about=record.record_id)
    log.act(act)
    ours = publisher(log.store, tmp_path / "home", str(tmp_path / "outside"))
    first = ours.publish()
    fill(log, ROWS)
    for number, name in ((receipt.index, record.record_id), (2, act.act_id)):
        proof = prove_record(log, ours, name)
        assert proof.index == number
        assert proof.verify(ours.keys.verifiers(log.log_id), origin=log.log_id) == first
    growth = prove_growth(log, ours, str(first).encode())
    new = growth.verify(first, ours.keys.verifiers(log.log_id))
    assert new.size == ROWS + 3
    for form in ("jsonl", "csv", "tiles"):
        done = export_bundle(log, ours, tmp_path / f"log.{form}", form)
        assert (done.rows, done.root) == (new.size, new.root.hex())


def test_many_publish_at_once_while_rows_are_written(log: SqlAuditLog, tmp_path: Path) -> None:
    home, place = tmp_path / "home", str(tmp_path / "outside")
    fill(log, 1)
    publisher(log.store, home, place).publish()
    errors: list[BaseException] = []

    def work(*, writes: bool) -> None:
        try:
            ours = publisher(log.store, home, place)
            for _ in range(5):
                if writes:
                    fill(log, 3)
                else:
                    ours.publish()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [
        threading.Thread(target=work, kwargs={"writes": number % 2 == 0}) for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    ours = publisher(log.store, home, place)
    assert ours.publish().size == 46
    notes = list(open_place(place).history())
    signed = [open_checkpoint(note, ours.keys.verifiers(log.log_id)) for note in notes]
    assert [one.size for one in signed] == sorted({one.size for one in signed})
    assert verify_log(log, known=ours.known_roots(whole=True)).ok
