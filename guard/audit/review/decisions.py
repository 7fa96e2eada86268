"""What a reviewer decides about held pictures, on the record."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from guard.audit.log import SqlAuditLog
from guard.audit.query import Entry, show
from guard.audit.review.held import HeldPicture, HeldPictures
from guard.audit.vault.holds import is_held
from guard.errors import InvalidRequest, LogTampered
from guard.types import Action, AuditReceipt, AuditRecord, Event

__all__ = ["Approved", "HeldPicture", "HeldPictures", "approve", "reject"]


@dataclass(frozen=True, slots=True)
class Approved:
    """A picture that may leave now.

    It stays at ``path`` in quarantine until the caller, having delivered it, calls
    ``held.discard``: a crash in between loses nothing.
    """

    receipt: AuditReceipt
    record: AuditRecord
    picture: bytes = field(repr=False)
    media_type: str
    path: Path


def approve(log: SqlAuditLog, held: HeldPictures, record_id: str, reviewer: str) -> Approved:
    """Release a held picture; on return the release is durable, and the picture may leave.

    The released event repeats the facts of the held one. A picture whose release is on record
    already but which is still in quarantine (its delivery failed) is handed out again under its
    first receipt.

    Raises RecordNotFound when nothing is in quarantine, InvalidRequest when the record does not
    wait for review, LogTampered when the picture is not the recorded one, and AuditUnavailable
    when the release could not be recorded: then nothing may leave.
    """
    last = _last(log, record_id, reviewer)
    undelivered = last.record.event is Event.RELEASED and last.record.reviewer is not None
    if not undelivered:
        _check_waiting(last.record)
    about, picture = held.find(record_id), held.take(record_id)
    if about.sha256 != last.record.asset_sha256:
        raise LogTampered(
            f"The quarantined picture of record {record_id} is not the one on record.",
            hint=f"Reject it: guard review reject {record_id}",
        )
    record, receipt = last.record, last.receipt
    if not undelivered:
        record = _decided(last.record, Event.RELEASED, reviewer)
        receipt = log.finish(record)
    return Approved(receipt, record, picture, about.media_type, about.path)


def reject(log: SqlAuditLog, held: HeldPictures, record_id: str, reviewer: str) -> AuditReceipt:
    """Block a held picture and, once that is on record, remove it from quarantine.

    Under legal hold the picture stays, blocked, until ``guard audit reap`` finds the hold lifted.
    Works for damaged and missing pictures too. Raises RecordNotFound, InvalidRequest when the
    record does not wait for review, AuditUnavailable when the block could not be recorded.
    """
    last = _last(log, record_id, reviewer)
    _check_waiting(last.record)
    receipt = log.finish(_decided(last.record, Event.BLOCKED, reviewer))
    with log.store.read() as reader:
        kept = is_held(reader.vault, record_id)
    if not kept:
        held.discard(record_id)
    return receipt


def _last(log: SqlAuditLog, record_id: str, reviewer: str) -> Entry:
    if not reviewer.strip():
        raise InvalidRequest(
            "A review needs the name of its reviewer.", hint="Say who decides: --reviewer NAME"
        )
    return show(log, record_id)[-1]


def _check_waiting(record: AuditRecord) -> None:
    if record.event is not Event.HELD:
        raise InvalidRequest(
            f"Record {record.record_id} does not wait for review: "
            f"its last event is '{record.event}'.",
            hint="List what waits with: guard review list",
        )


def _decided(record: AuditRecord, event: Event, reviewer: str) -> AuditRecord:
    action = Action.ALLOW if event is Event.RELEASED else Action.BLOCK
    return dataclasses.replace(
        record, event=event, at=datetime.now(UTC), action=action, reviewer=reviewer
    )
