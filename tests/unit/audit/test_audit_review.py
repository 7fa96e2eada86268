"""Quarantine and review: nothing leaves before its release is on record."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
from pathlib import Path

import pytest

from guard.audit.log import SqlAuditLog
from guard.audit.query import show
from guard.audit.review.decisions import HeldPictures, approve, reject
from guard.audit.verify import verify_log
from guard.errors import (
    AuditUnavailable,
    InvalidRequest,
    LogTampered,
    OutputUnwritable,
    RecordNotFound,
)
from guard.types import Action, Event, SignedAsset
from tests.support.auditing import new_record_id, pictured, started

BYTES = b"\x89PNG picture"


def asset(data: bytes = BYTES, media_type: str = "image/png") -> SignedAsset:
    return SignedAsset(data, media_type, hashlib.sha256(data).hexdigest(), "urn:c2pa:x", "ef" * 32)


@pytest.fixture
def held(tmp_path: Path) -> HeldPictures:
    return HeldPictures(tmp_path / "home")


def hold(log: SqlAuditLog, held: HeldPictures, media_type: str = "image/png") -> str:
    """A record that waits for review, with its picture in quarantine."""
    record_id = new_record_id()
    one = asset(media_type=media_type)
    log.start(started(record_id), prompt="x", user=None)
    held.keep(record_id, one)
    log.finish(
        pictured(
            record_id,
            Event.HELD,
            action=Action.FLAG,
            asset_sha256=one.sha256,
            media_type=one.media_type,
            rules=("politicians",),
        ),
        manifest=b"manifest",
    )
    return record_id


def test_pictures_are_kept_privately(held: HeldPictures, tmp_path: Path) -> None:
    record_id = new_record_id()
    path = held.keep(record_id, asset())
    folder = tmp_path / "home" / "held"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert path.parent == folder
    names = sorted(file.name for file in folder.iterdir())
    assert names == [f"{record_id}.json", f"{record_id}.picture"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert held.take(record_id) == BYTES
    assert held.take(record_id) == BYTES  # taking does not remove


def test_a_folder_that_others_could_read_is_closed(held: HeldPictures, tmp_path: Path) -> None:
    (tmp_path / "home" / "held").mkdir(parents=True, mode=0o755)
    held.keep(new_record_id(), asset())
    assert stat.S_IMODE((tmp_path / "home" / "held").stat().st_mode) == 0o700


def test_lists_are_oldest_first(held: HeldPictures) -> None:
    assert held.list() == ()
    ids = [new_record_id() for _ in range(3)]
    for record_id in reversed(ids):
        held.keep(record_id, asset())
    waiting = held.list()
    assert [one.record_id for one in waiting] == ids
    assert str(waiting[0]) == ids[0]
    assert waiting[0].media_type == "image/png"
    held.discard(ids[1])
    held.discard(ids[1])  # nothing to do is fine
    assert [one.record_id for one in held.list()] == [ids[0], ids[2]]


def test_a_record_has_one_picture(held: HeldPictures) -> None:
    record_id = new_record_id()
    held.keep(record_id, asset())
    with pytest.raises(OutputUnwritable, match="already"):
        held.keep(record_id, asset(b"other"))
    assert held.take(record_id) == BYTES


@pytest.mark.parametrize("record_id", ["../../etc/passwd", "", "x", "a/b", None])
def test_only_record_ids_name_pictures(held: HeldPictures, record_id: str) -> None:
    for ask in (held.take, held.find, held.discard):
        with pytest.raises(InvalidRequest, match="not a record id"):
            ask(record_id)


def test_an_unknown_record_has_no_picture(held: HeldPictures) -> None:
    with pytest.raises(RecordNotFound, match="quarantine"):
        held.take(new_record_id())


@pytest.mark.parametrize("spoil", ["bytes", "gone", "json", "fields"])
def test_a_spoilt_picture_is_not_taken(held: HeldPictures, spoil: str) -> None:
    record_id = new_record_id()
    path = held.keep(record_id, asset())
    if spoil == "bytes":
        path.write_bytes(b"other")
    elif spoil == "gone":
        path.unlink()
    else:
        path.with_suffix(".json").write_text("{" if spoil == "json" else '{"x": 1}')
    with pytest.raises(LogTampered, match="not the one"):
        held.take(record_id)


def test_a_crash_while_keeping_leaves_nothing_listed(
    held: HeldPictures, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputUnwritable, match="No space left"):
        held.keep(new_record_id(), asset())
    assert held.list() == ()
    assert list((tmp_path / "home" / "held").iterdir()) == []


def test_approval_releases_the_same_picture(log: SqlAuditLog, held: HeldPictures) -> None:
    record_id = hold(log, held)
    approved = approve(log, held, record_id, "dana")
    assert approved.picture == approved.path.read_bytes() == BYTES
    assert approved.media_type == "image/png"
    assert BYTES.decode("latin-1") not in repr(approved)
    held.discard(record_id)
    assert held.list() == ()
    _, waited, released = show(log, record_id)
    assert released.receipt == approved.receipt
    assert released.record == approved.record
    assert released.record.event is Event.RELEASED
    assert released.record.action is Action.ALLOW
    assert released.record.reviewer == "dana"
    assert waited.record.reviewer is None
    same = dataclasses.replace(
        released.record,
        event=Event.HELD,
        at=waited.record.at,
        action=waited.record.action,
        reviewer=None,
    )
    assert same == waited.record
    assert released.manifest_sha256 == waited.manifest_sha256
    assert released.record.mark is not None
    found = log.find_by_mark(released.record.mark.payload)
    assert found is not None
    assert found.record == released.record
    assert found.manifest == b"manifest"
    assert verify_log(log).ok


def test_rejection_blocks_and_destroys(log: SqlAuditLog, held: HeldPictures) -> None:
    record_id = hold(log, held)
    receipt = reject(log, held, record_id, "dana")
    last = show(log, record_id)[-1]
    assert last.receipt == receipt
    assert last.record.event is Event.BLOCKED
    assert last.record.action is Action.BLOCK
    assert last.record.reviewer == "dana"
    assert held.list() == ()
    assert verify_log(log).ok


@pytest.mark.parametrize("first", ["approve", "reject"])
def test_a_decision_stands(log: SqlAuditLog, held: HeldPictures, first: str) -> None:
    record_id = hold(log, held)
    if first == "approve":
        approve(log, held, record_id, "dana")
        held.discard(record_id)
    else:
        reject(log, held, record_id, "dana")
    with pytest.raises((InvalidRequest, RecordNotFound)):
        approve(log, held, record_id, "erin")
    with pytest.raises(InvalidRequest, match="does not wait"):
        reject(log, held, record_id, "erin")
    assert len(show(log, record_id)) == 3


@pytest.mark.parametrize("reviewer", ["", "  "])
def test_a_review_has_a_reviewer(log: SqlAuditLog, held: HeldPictures, reviewer: str) -> None:
    record_id = hold(log, held)
    with pytest.raises(InvalidRequest, match="reviewer"):
        approve(log, held, record_id, reviewer)
    with pytest.raises(InvalidRequest, match="reviewer"):
        reject(log, held, record_id, reviewer)


def test_only_held_records_can_be_reviewed(log: SqlAuditLog, held: HeldPictures) -> None:
    with pytest.raises(RecordNotFound):
        approve(log, held, new_record_id(), "dana")
    record_id = new_record_id()
    log.start(started(record_id), prompt="x", user=None)
    held.keep(record_id, asset())
    with pytest.raises(InvalidRequest, match="does not wait"):
        approve(log, held, record_id, "dana")


def test_an_exchanged_picture_is_not_released(log: SqlAuditLog, held: HeldPictures) -> None:
    record_id = hold(log, held)
    held.discard(record_id)
    held.keep(record_id, asset(b"another picture, with a description that fits it"))
    with pytest.raises(LogTampered, match="not the one on record"):
        approve(log, held, record_id, "dana")
    reject(log, held, record_id, "dana")


def test_nothing_leaves_when_the_release_cannot_be_recorded(
    log: SqlAuditLog, held: HeldPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_id = hold(log, held)

    def gone(*_: object, **__: object) -> None:
        raise AuditUnavailable("gone")

    monkeypatch.setattr(log, "finish", gone)
    with pytest.raises(AuditUnavailable):
        approve(log, held, record_id, "dana")
    with pytest.raises(AuditUnavailable):
        reject(log, held, record_id, "dana")
    assert len(held.list()) == 1


def test_a_failed_delivery_loses_no_picture(log: SqlAuditLog, held: HeldPictures) -> None:
    record_id = hold(log, held)
    first = approve(log, held, record_id, "dana")
    # The caller could not write the file, and asks again.
    again = approve(log, held, record_id, "erin")
    assert again == first
    assert again.record.reviewer == "dana"
    assert len(show(log, record_id)) == 3  # released once


def test_what_the_policy_released_is_not_reviewed(log: SqlAuditLog, held: HeldPictures) -> None:
    record_id = new_record_id()
    log.start(started(record_id), prompt="x", user=None)
    log.finish(pictured(record_id))
    held.keep(record_id, asset())
    with pytest.raises(InvalidRequest, match="does not wait"):
        approve(log, held, record_id, "dana")
