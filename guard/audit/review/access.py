"""Who looked at what, on the record: the act is durable before anything is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.audit.acts import new_act
from guard.audit.query import show
from guard.errors import InvalidRequest, LogTampered
from guard.types import Act, AuditReceipt, Event

if TYPE_CHECKING:
    from guard.audit.log import SqlAuditLog
    from guard.audit.review.held import HeldPictures


@dataclass(frozen=True, slots=True)
class Viewed:
    """A held picture that somebody looks at, and the receipt of that."""

    receipt: AuditReceipt
    picture: bytes = field(repr=False)
    media_type: str


def record_view(log: SqlAuditLog, record_id: str, who: str, reason: str = "review") -> AuditReceipt:
    """Record that ``who`` looks at what is kept of a record; durable on return.

    Raises InvalidRequest without a name, RecordNotFound, AuditUnavailable.
    """
    _check_named(who)
    return log.act(new_act(Act.VIEWED, who, reason, about=record_id))


def record_export(log: SqlAuditLog, who: str, what: str) -> AuditReceipt:
    """Record that ``who`` takes the log out; durable on return, and before the first byte.

    ``what`` is an identifier such as ``jsonl`` or ``tiles``. Raises InvalidRequest without a name,
    AuditUnavailable.
    """
    _check_named(who)
    return log.act(new_act(Act.EXPORTED, who, f"export:{what}"))


def record_report(log: SqlAuditLog, record_id: str, who: str, reason: str) -> AuditReceipt:
    """Record that the platform reported a record, under the number of the report.

    Raises InvalidRequest without a name, RecordNotFound, AuditUnavailable.
    """
    _check_named(who)
    show(log, record_id)
    return log.act(new_act(Act.REPORTED, who, reason, about=record_id))


def view(log: SqlAuditLog, held: HeldPictures, record_id: str, who: str) -> Viewed:
    """The picture of a record that waits for review, once it is recorded that ``who`` sees it.

    Raises RecordNotFound, InvalidRequest when the record does not wait for review or nobody is
    named, LogTampered when the picture is not the recorded one, AuditUnavailable.
    """
    _check_named(who)
    last = show(log, record_id)[-1].record
    if last.event is not Event.HELD:
        raise InvalidRequest(
            f"Record {record_id} does not wait for review: its last event is '{last.event}'.",
            hint="List what waits with: guard review list",
        )
    about, picture = held.find(record_id), held.take(record_id)
    if about.sha256 != last.asset_sha256:
        raise LogTampered(
            f"The quarantined picture of record {record_id} is not the one on record.",
            hint=f"Reject it: guard review reject {record_id}",
        )
    return Viewed(record_view(log, record_id, who), picture, about.media_type)


def _check_named(who: str) -> None:
    if not who.strip():
        raise InvalidRequest(
            "Looking needs a name: it is recorded who did.", hint="Say who: --who or --reviewer."
        )
