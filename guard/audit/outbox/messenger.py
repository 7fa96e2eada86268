"""Puts messages into the outbox, in the transaction of the leaf that they tell of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from uuid6 import uuid7

from guard.audit.outbox import messages
from guard.audit.outbox.messages import Told
from guard.store.outbox import Message
from guard.types import Act

if TYPE_CHECKING:
    from guard.audit.acts import ActLeaf
    from guard.audit.append import Tree
    from guard.audit.group import Job
    from guard.audit.outbox.endpoints import Subscription
    from guard.audit.record import Leaf
    from guard.store.outbox import Outbox
    from guard.store.rows import LeafRow
    from guard.store.writer import Writer

NOBODY = ""
"""The endpoint of messages that must be kept and that nobody wants yet."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Telling(Generic[T]):
    """A change of the log, told to those who want to hear of it."""

    job: Job[T]
    messenger: Messenger

    def apply(self, tree: Tree) -> T:
        """Make the change. Raises what the job raises."""
        with tree.telling(self.messenger):
            return self.job.apply(tree)


class Messenger:
    """Knows who wants to be told what."""

    def __init__(self, subscriptions: Sequence[Subscription] = ()) -> None:
        self._subscriptions = tuple(subscriptions)

    def added(self, writer: Writer, row: LeafRow, leaf: Leaf | ActLeaf) -> None:
        """Tell of a leaf that was just added."""
        if not self._subscriptions and row.columns.event != Act.SIGNALLED:
            return  # most logs tell nobody: their appends need not find out each time
        self.tell(writer, messages.of_leaf(row, leaf), leaf.log_id)

    def tell(self, writer: Writer, told: Told, log_id: str) -> None:
        """A message to each who wants it; they are sent once the transaction is durable."""
        names = self._wanting(told)
        if not names and told.kind in messages.ALWAYS:
            names = [NOBODY]
        if not names:
            return
        data, now = messages.payload(told, log_id), writer.outbox.now_us()
        writer.outbox.add([_new(name, told.kind, told.about, data, now) for name in names])

    def adoptable(self, outbox: Outbox) -> bool:
        """Whether somebody wants a message by now that nobody wanted before."""
        return any(self._wanting(_told(message)) for message in _unwanted(outbox))

    def adopt(self, outbox: Outbox) -> None:
        """Address messages that nobody wanted before and somebody wants now."""
        for message in _unwanted(outbox):
            first, *others = self._wanting(_told(message)) or [NOBODY]
            # Another sender may be doing the same: who addresses it adds the copies.
            if first != NOBODY and outbox.address(message.message_id, first):
                now = outbox.now_us()
                outbox.add(
                    [
                        _new(name, message.kind, message.about, message.payload, now)
                        for name in others
                    ]
                )

    def _wanting(self, told: Told) -> list[str]:
        return [one.name for one in self._subscriptions if one.wants(told)]


def _unwanted(outbox: Outbox) -> Iterator[Message]:
    after = ""
    while page := outbox.list(state="pending", endpoint=NOBODY, after=after):
        yield from page
        after = page[-1].message_id


def _new(endpoint: str, kind: str, about: str, payload: bytes, now_us: int) -> Message:
    return Message(str(uuid7()), endpoint, kind, about, payload, created_us=now_us, next_us=now_us)


def _told(message: Message) -> Told:
    """As much of what was told as subscriptions ask about."""
    event = json.loads(message.payload)
    data, at = event.get("data", {}), datetime.fromisoformat(event["time"])
    tenant = data.get("tenant") or data.get("details", {}).get("tenant")
    return Told(
        message.kind,
        message.about,
        at,
        tenant=tenant,
        categories=tuple(data.get("reasons", ())),
    )
