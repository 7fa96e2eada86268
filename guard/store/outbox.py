"""Messages that wait to be sent, in the log's database: written with what they tell of, or not.

A sender leases one message at a time. On PostgreSQL it skips rows that another is just taking;
on SQLite writers queue anyway. Either way the lease is a compare-and-swap, and only its holder can
settle the message.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from guard.store.tables import table

PENDING, DELIVERED, DEAD = "pending", "delivered", "dead"

_OUTBOX = table("outbox_message")


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one endpoint. Times in microseconds since 1970 UTC.

    ``endpoint`` is a name, empty while nobody wants the message. ``attempts`` counts the one that
    is under way. ``about`` is the id of a record or act.
    """

    message_id: str
    endpoint: str
    kind: str
    about: str
    payload: bytes
    created_us: int
    next_us: int
    attempts: int = 0
    state: str = PENDING
    lease_until_us: int | None = None
    lease_owner: str | None = None
    last_error: str | None = None


_COLUMNS = [_OUTBOX.c[field.name] for field in dataclasses.fields(Message)]


def _to_message(row: Row[Any]) -> Message:
    values: Sequence[Any] = row
    return dataclasses.replace(Message(*values), payload=bytes(values[4]))


class Outbox:
    """The messages, within one transaction of the store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def now_us(self) -> int:
        """The database's clock where it has one: senders on several hosts must agree."""
        if self._connection.dialect.name == "sqlite":
            return time.time_ns() // 1000
        seconds = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        return int(self._connection.execute(seconds).scalar_one())

    def add(self, messages: Sequence[Message]) -> None:
        """Keep new messages."""
        if messages:
            self._connection.execute(
                insert(_OUTBOX), [dataclasses.asdict(message) for message in messages]
            )

    def lease(self, endpoint: str, owner: str, seconds: float) -> Message | None:
        """The message to ``endpoint`` that is due longest, now leased to ``owner``; or None.

        Its attempt is counted already: one that kills its sender does not live for ever.
        """
        now = self.now_us()
        free = or_(_OUTBOX.c.lease_until_us.is_(None), _OUTBOX.c.lease_until_us <= now)
        due = (
            select(_OUTBOX.c.message_id)
            .where(_OUTBOX.c.state == PENDING, _OUTBOX.c.endpoint == endpoint)
            .where(_OUTBOX.c.next_us <= now, free)
            .order_by(_OUTBOX.c.next_us, _OUTBOX.c.message_id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        found = self._connection.execute(due).scalar()
        if found is None:
            return None
        taken = self._connection.execute(
            update(_OUTBOX)
            .where(_OUTBOX.c.message_id == found, _OUTBOX.c.state == PENDING, free)
            .values(
                lease_owner=owner,
                lease_until_us=now + round(seconds * 1e6),
                attempts=_OUTBOX.c.attempts + 1,
            )
        )
        return self.find(found) if taken.rowcount == 1 else None

    def settle(
        self, message: Message, state: str, *, error: str | None = None, wait: float = 0.0
    ) -> bool:
        """End the lease of ``message``; answers False when it was no longer its holder's.

        ``wait``: seconds until a pending one is due again.
        """
        done = self._connection.execute(
            update(_OUTBOX)
            .where(_OUTBOX.c.message_id == message.message_id, _OUTBOX.c.state == PENDING)
            .where(_OUTBOX.c.lease_owner == message.lease_owner)
            .values(
                state=state,
                last_error=error,
                next_us=self.now_us() + round(wait * 1e6),
                lease_owner=None,
                lease_until_us=None,
            )
        )
        return done.rowcount == 1

    def find(self, message_id: str) -> Message | None:
        """A message by its id."""
        statement = select(*_COLUMNS).where(_OUTBOX.c.message_id == message_id)
        row = self._connection.execute(statement).first()
        return None if row is None else _to_message(row)

    def list(
        self,
        *,
        state: str | None = None,
        endpoint: str | None = None,
        after: str = "",
        limit: int = 100,
    ) -> list[Message]:
        """Messages by id, which is by age, from behind ``after`` on.

        ``endpoint`` "" are those that nobody wants yet.
        """
        statement = select(*_COLUMNS).where(_OUTBOX.c.message_id > after)
        for column, value in ((_OUTBOX.c.state, state), (_OUTBOX.c.endpoint, endpoint)):
            if value is not None:
                statement = statement.where(column == value)
        statement = statement.order_by(_OUTBOX.c.message_id).limit(limit)
        return [_to_message(row) for row in self._connection.execute(statement)]

    def is_due(self, endpoint: str) -> bool:
        """Whether :meth:`lease` might find something: to be asked without holding up writers."""
        now = self.now_us()
        statement = (
            select(_OUTBOX.c.message_id)
            .where(_OUTBOX.c.state == PENDING, _OUTBOX.c.endpoint == endpoint)
            .where(_OUTBOX.c.next_us <= now, self._unleased())
            .limit(1)
        )
        return self._connection.execute(statement).first() is not None

    def counts(self) -> dict[tuple[str, str], int]:
        """How many messages there are, by (state, endpoint)."""
        columns = (_OUTBOX.c.state, _OUTBOX.c.endpoint)
        rows = self._connection.execute(select(*columns, func.count()).group_by(*columns))
        return {(state, endpoint): count for state, endpoint, count in rows}

    def address(self, message_id: str, endpoint: str) -> bool:
        """Send what nobody wanted to ``endpoint``; False when it was addressed already."""
        done = self._connection.execute(
            update(_OUTBOX)
            .where(_OUTBOX.c.message_id == message_id, _OUTBOX.c.endpoint == "")
            .values(endpoint=endpoint, next_us=self.now_us())
        )
        return done.rowcount == 1

    def revive(self, message_id: str) -> bool:
        """Make a dead message, or one that waits, due now, with all its attempts before it."""
        done = self._connection.execute(
            update(_OUTBOX)
            .where(_OUTBOX.c.message_id == message_id, _OUTBOX.c.state.in_((PENDING, DEAD)))
            .where(self._unleased())
            .values(state=PENDING, attempts=0, next_us=self.now_us())
        )
        return done.rowcount == 1

    def remove(self, message_id: str) -> bool:
        """Take a message out that is not being sent; answers whether it did."""
        statement = delete(_OUTBOX).where(_OUTBOX.c.message_id == message_id, self._unleased())
        return self._connection.execute(statement).rowcount == 1

    def remove_delivered(self, before_us: int) -> int:
        """Take out what was delivered and written before; answers how many."""
        statement = delete(_OUTBOX).where(
            _OUTBOX.c.state == DELIVERED, _OUTBOX.c.created_us < before_us
        )
        return self._connection.execute(statement).rowcount

    def _unleased(self) -> ColumnElement[bool]:
        until = _OUTBOX.c.lease_until_us
        return or_(until.is_(None), until <= self.now_us())
