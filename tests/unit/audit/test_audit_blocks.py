"""What pictures look like is kept beside the log, and proven by it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import pytest

from guard.audit import verify
from guard.audit.log import SqlAuditLog
from guard.audit.query import show
from guard.audit.verify import verify_log
from guard.errors import AuditUnavailable, LogTampered
from guard.types import AuditRecord, Event
from tests.support.auditing import new_record_id, pictured, started

BLOCKS = b"sky above, sea below"
DIGEST = hashlib.sha256(BLOCKS).hexdigest()


def write(log: SqlAuditLog, event: Event = Event.RELEASED) -> AuditRecord:
    record = pictured(new_record_id(), event)
    log.start(started(record.record_id), prompt="x", user=None)
    log.finish(record, blocks=BLOCKS)
    return record


def payload(record: AuditRecord) -> str:
    assert record.mark is not None
    return record.mark.payload


def test_blocks_come_back_with_their_record(log: SqlAuditLog) -> None:
    found = log.find_by_mark(payload(write(log)))
    assert found is not None
    assert (found.blocks, found.record.blocks_sha256) == (BLOCKS, DIGEST)
    assert verify_log(log).ok


def test_a_record_without_blocks_has_none(log: SqlAuditLog) -> None:
    record = pictured(new_record_id())
    log.start(started(record.record_id), prompt="x", user=None)
    log.finish(record)
    found = log.find_by_mark(payload(record))
    assert found is not None
    assert (found.blocks, found.record.blocks_sha256) == (None, None)


def test_a_release_after_review_keeps_the_blocks(log: SqlAuditLog) -> None:
    record = write(log, Event.HELD)
    held = show(log, record.record_id)[-1].record
    log.finish(dataclasses.replace(held, event=Event.RELEASED))
    found = log.find_by_mark(payload(record))
    assert found is not None
    assert (found.record.event, found.blocks) == (Event.RELEASED, BLOCKS)


@pytest.mark.parametrize("stated", [{"blocks_sha256": "00" * 32}, {"blocks_sha256": None}])
def test_a_release_after_review_names_the_same_blocks(
    log: SqlAuditLog, stated: dict[str, str | None]
) -> None:
    record = write(log, Event.HELD)
    with pytest.raises(AuditUnavailable, match="blocks"):
        log.finish(dataclasses.replace(record, event=Event.RELEASED, **stated))
    with pytest.raises(AuditUnavailable, match="blocks"):
        log.finish(dataclasses.replace(record, event=Event.RELEASED), blocks=b"other")


def test_blocks_that_were_never_handed_over_cannot_be_named(log: SqlAuditLog) -> None:
    record = pictured(new_record_id(), blocks_sha256=DIGEST)
    log.start(started(record.record_id), prompt="x", user=None)
    with pytest.raises(AuditUnavailable, match="blocks"):
        log.finish(record)


@pytest.mark.parametrize(
    "sql", ["UPDATE picture_blocks SET blocks = x'00'", "DELETE FROM picture_blocks"]
)
def test_swapped_and_lost_blocks_are_found(
    log: SqlAuditLog, vandal: Callable[..., object], monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.setattr(verify, "BLOCKS_AT_ONCE", 2)
    records = [write(log) for _ in range(3)]
    vandal(f"{sql} WHERE record_id = ?", records[1].record_id)
    with pytest.raises(LogTampered, match="blocks"):
        log.find_by_mark(payload(records[1]))
    check = verify_log(log)
    assert check.first_bad == 3
    assert check.problems == (
        f"The blocks of record {records[1].record_id} are not the recorded ones.",
    )
