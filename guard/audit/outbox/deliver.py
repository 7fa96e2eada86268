"""Sends what waits in the outbox: at least once, and no message by two senders at a time.

A message is leased before it is sent and settled after. Who dies in between leaves a lease that
ends, and the message is sent again under the same ``webhook-id``: receivers must expect that.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from guard.audit.outbox.messenger import Messenger
from guard.audit.outbox.sender import GONE, Answer, post
from guard.errors import GuardError
from guard.store.outbox import DEAD, DELIVERED, PENDING, Message

if TYPE_CHECKING:
    from guard.audit.outbox.endpoints import Endpoint
    from guard.store.engine import Store

FIRST_WAIT, FACTOR, LONGEST_WAIT = 5.0, 4.0, 24 * 3600.0
"""Seconds: 5 s, 20 s, 80 s, 5 min, 21 min, 85 min, 6 h, and then a day each."""

PATIENCE = 3
"""Failures in a row after which an endpoint is left alone until the next pass."""

POLL_SECONDS = 2.0

Post = Callable[["Endpoint", Message, float], Answer]


def back_off(attempts: int, chance: float) -> float:
    """Seconds to wait after so many failed ``attempts``; ``chance`` (0–1) spreads by a quarter."""
    wait = min(LONGEST_WAIT, FIRST_WAIT * FACTOR ** min(attempts - 1, 20))
    return wait * (0.75 + 0.5 * chance)


@dataclass
class Deliverer:
    """Sends the messages of one store. Several may run at once, in any number of processes.

    ``seconds`` limits one POST; ``attempts`` a message, before it is dead.
    """

    store: Store
    endpoints: Sequence[Endpoint]
    seconds: float = 10.0
    attempts: int = 12
    send: Post = post
    owner: str = field(default_factory=lambda: str(uuid4()))

    def deliver(self, stop: threading.Event | None = None) -> Counter[str]:
        """Send what is due now; counts of ``delivered``, ``pending`` (again later) and ``dead``.

        Endpoints do not wait for one another. Raises AuditUnavailable.
        """
        self._adopt()
        stop = stop or threading.Event()
        with ThreadPoolExecutor(max(1, len(self.endpoints)), "guard-outbox") as pool:
            parts = list(pool.map(lambda one: self._deliver_to(one, stop), self.endpoints))
        return sum(parts, Counter())

    def watch(
        self,
        stop: threading.Event,
        told: Callable[[Counter[str]], None] = lambda _: None,
        every: float = POLL_SECONDS,
    ) -> None:
        """Deliver until ``stop`` is set; ``told`` hears of each pass that did something.

        A database that is gone for a while is asked again.
        """
        while not stop.is_set():
            try:
                done = self.deliver(stop)
            except GuardError as error:
                done = Counter({error.code: 1})
            if done:
                told(done)
            stop.wait(every)

    @property
    def lease_seconds(self) -> float:
        """Longer than a POST can take, and the database to be told."""
        return 3 * self.seconds + 30.0

    def _adopt(self) -> None:
        messenger = Messenger([one.subscription for one in self.endpoints])
        with self.store.read() as reader:
            if not messenger.adoptable(reader.outbox):
                return
        with self.store.write() as writer:
            messenger.adopt(writer.outbox)

    def _deliver_to(self, endpoint: Endpoint, stop: threading.Event) -> Counter[str]:
        done: Counter[str] = Counter()
        failed = 0
        while failed < PATIENCE and not stop.is_set():
            message = self._lease(endpoint.name)
            if message is None:
                break
            answer = self.send(endpoint, message, self.seconds)
            state = self._settle(message, answer)
            if state is not None:
                done[state] += 1
            failed = 0 if answer.accepted else failed + 1
        return done

    def _lease(self, name: str) -> Message | None:
        with self.store.read() as reader:
            if not reader.outbox.is_due(name):
                return None
        with self.store.write() as writer:
            return writer.outbox.lease(name, self.owner, self.lease_seconds)

    def _settle(self, message: Message, answer: Answer) -> str | None:
        """What became of it; None when the lease had ended and another has it now."""
        state, wait = DELIVERED, 0.0
        if not answer.accepted:
            over = message.attempts >= self.attempts or answer.status == GONE
            state = DEAD if over else PENDING
            wait = max(answer.pause, back_off(message.attempts, random.random()))  # noqa: S311 - spread
        with self.store.write() as writer:
            ours = writer.outbox.settle(message, state, error=answer.error or None, wait=wait)
        return state if ours else None
