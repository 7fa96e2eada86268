"""What an operator does with the outbox: look, try again, take out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from guard.audit.outbox.messages import REPORT
from guard.errors import InvalidRequest, RecordNotFound
from guard.store.outbox import DELIVERED, Message
from guard.types import Act

if TYPE_CHECKING:
    from guard.audit.log import SqlAuditLog

PAGE = 200


def messages(log: SqlAuditLog, state: str | None = None) -> Iterator[Message]:
    """Messages, the oldest first, in bounded memory."""
    after = ""
    while True:
        with log.store.read() as reader:
            page = reader.outbox.list(state=state, after=after, limit=PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].message_id


def retry(log: SqlAuditLog, message_id: str) -> Message:
    """Make a dead or waiting message due now. Raises RecordNotFound, InvalidRequest."""
    with log.store.write() as writer:
        found = _found(writer.outbox.find(message_id), message_id)
        if not writer.outbox.revive(message_id):
            raise _not_now(found)
    return found


def drop(log: SqlAuditLog, message_id: str) -> Message:
    """Take a message out of the outbox.

    A report that is required and was neither delivered nor recorded as made stays. Raises
    RecordNotFound, InvalidRequest.
    """
    from guard.audit.query import acts

    with log.store.read() as reader:
        found = _found(reader.outbox.find(message_id), message_id)
    owed = found.kind == REPORT and found.state != DELIVERED
    if owed and not acts(log, act=Act.REPORTED, about=found.about, limit=1):
        raise InvalidRequest(
            f"Message {message_id} says that record {found.about} must be reported, and "
            "nobody recorded that it was.",
            hint=f"When it was: guard audit reported {found.about} --reason NUMBER",
        )
    with log.store.write() as writer:
        if not writer.outbox.remove(message_id):
            raise _not_now(found)
    return found


def clear(log: SqlAuditLog, older_than: timedelta) -> int:
    """Take out what was delivered and written so long ago; answers how many messages."""
    with log.store.write() as writer:
        before = writer.outbox.now_us() - older_than // timedelta(microseconds=1)
        return writer.outbox.remove_delivered(before)


def _found(message: Message | None, message_id: str) -> Message:
    if message is None:
        raise RecordNotFound(
            f"There is no message {message_id}.", hint="List them: guard audit outbox list"
        )
    return message


def _not_now(message: Message) -> InvalidRequest:
    said = "was delivered" if message.state == DELIVERED else "is being sent right now"
    return InvalidRequest(
        f"Message {message.message_id} {said}.", hint="See: guard audit outbox list"
    )
