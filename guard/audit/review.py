"""What a reviewer decides about held pictures, on the record."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from guard.audit.held import HeldPicture, HeldPictures
from guard.audit.log import SqlAuditLog
from guard.audit.query import show
from guard.errors import InvalidRequest, LogTampered
from guard.types import Action, AuditReceipt, AuditRecord, Event

__all__ = ["Approved", "HeldPicture", "HeldPictures", "approve", "reject"]


@dataclass(frozen=True, slots=True)
class Approved:
    """A picture that may leave now.

    It stays at ``path`` until the caller, having delivered it, calls ``held.discard``: a crash
    in between loses nothing.
    """

    receipt: AuditReceipt
    record: AuditRecord
    picture: bytes = field(repr=False)
    media_type: str
    path: Path


def approve(log: SqlAuditLog, held: HeldPictures, record_id: str, reviewer: str) -> Approved:
    """Release a held picture. The released event repeats the facts of the held one.

    Raises RecordNotFound, InvalidRequest when the record does not wait for review, LogTampered
    when the quarantined picture is not the recorded one, AuditUnavailable when the release could
    not be recorded.
    """
    record = _waiting(log, held, record_id, reviewer)
    picture, about = held.take(record_id), held.find(record_id)
    if about.sha256 != record.asset_sha256:
        raise LogTampered(
            f"The quarantined picture of record {record_id} is not the one on record.",
            hint=f"Reject it: guard review reject {record_id}",
        )
    released = _decided(record, Event.RELEASED, reviewer)
    return Approved(log.finish(released), released, picture, about.media_type, about.path)


def reject(log: SqlAuditLog, held: HeldPictures, record_id: str, reviewer: str) -> AuditReceipt:
    """Block a held picture and, once that is on record, remove it from quarantine.

    Raises as :func:`approve` does, but takes a damaged picture.
    """
    record = _waiting(log, held, record_id, reviewer)
    receipt = log.finish(_decided(record, Event.BLOCKED, reviewer))
    held.discard(record_id)
    return receipt


def _waiting(log: SqlAuditLog, held: HeldPictures, record_id: str, reviewer: str) -> AuditRecord:
    if not reviewer.strip():
        raise InvalidRequest("A review needs the name of its reviewer.")
    last = show(log, record_id)[-1].record
    if last.event is not Event.HELD:
        kept = [one.path for one in held.list() if one.record_id == record_id]
        raise InvalidRequest(
            f"Record {record_id} does not wait for review: its last event is '{last.event}'.",
            hint=f"Its picture lies at {kept[0]}." if kept else "See: guard review list",
        )
    return last


def _decided(record: AuditRecord, event: Event, reviewer: str) -> AuditRecord:
    action = Action.ALLOW if event is Event.RELEASED else Action.BLOCK
    return dataclasses.replace(
        record, event=event, at=datetime.now(UTC), action=action, reviewer=reviewer
    )
