"""What a reviewer decides about held pictures, on the record."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

from guard.audit.files import put_in_place, writable, write_private
from guard.audit.held import HeldPicture, HeldPictures
from guard.audit.log import SqlAuditLog
from guard.audit.query import Entry, show
from guard.errors import InvalidRequest, LogTampered
from guard.types import Action, AuditReceipt, AuditRecord, Event

__all__ = ["HeldPicture", "HeldPictures", "approve", "reject"]

_ENDINGS = {"image/jpeg": "jpg", "image/svg+xml": "svg"}
"""Media types whose usual file ending is not their subtype."""


def approve(
    log: SqlAuditLog, held: HeldPictures, record_id: str, reviewer: str, out: Path
) -> tuple[AuditReceipt, Path]:
    """Release a held picture into the folder ``out``; answers the receipt and the file.

    The file is written under a temporary name, the release recorded, the file renamed, and only
    then the quarantine emptied. The released event repeats the facts of the held one. Where a
    crash left a released picture behind in quarantine, it is delivered under its first receipt.

    Raises RecordNotFound when nothing is in quarantine, InvalidRequest when the record does not
    wait for review, LogTampered when the picture is not the recorded one, OutputUnwritable,
    and AuditUnavailable when the release could not be recorded: then nothing has left.
    """
    last = _last(log, record_id, reviewer)
    delivered_before = last.record.event is Event.RELEASED and last.record.reviewer is not None
    if not delivered_before:
        _check_waiting(last.record)
    about, picture = held.find(record_id), held.take(record_id)
    if about.sha256 != last.record.asset_sha256:
        raise LogTampered(
            f"The quarantined picture of record {record_id} is not the one on record.",
            hint=f"Reject it: guard review reject {record_id}",
        )
    target = out / f"{record_id}.{_ending(about.media_type)}"
    with writable(out):
        out.mkdir(parents=True, exist_ok=True)
        temporary = write_private(target, picture)
        try:
            receipt = (
                last.receipt
                if delivered_before
                else log.finish(_decided(last.record, Event.RELEASED, reviewer))
            )
            put_in_place(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    held.discard(record_id)
    return receipt, target


def reject(log: SqlAuditLog, held: HeldPictures, record_id: str, reviewer: str) -> AuditReceipt:
    """Block a held picture and, once that is on record, remove it from quarantine.

    Works for damaged and missing pictures too. Raises RecordNotFound, InvalidRequest when the
    record does not wait for review, AuditUnavailable when the block could not be recorded.
    """
    last = _last(log, record_id, reviewer)
    _check_waiting(last.record)
    receipt = log.finish(_decided(last.record, Event.BLOCKED, reviewer))
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


def _ending(media_type: str) -> str:
    return _ENDINGS.get(media_type, media_type.rpartition("/")[2])
