"""One POST of one message: bounded in time, to where settings say and nowhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from guard.audit.outbox.endpoints import Endpoint
from guard.audit.outbox.signatures import sign
from guard.version import __version__

if TYPE_CHECKING:
    import ssl

    import httpx

    from guard.store.outbox import Message

GONE = 410
"""An endpoint's word that it wants no more (Standard Webhooks)."""

LONGEST_PAUSE = 24 * 3600.0
"""Seconds; an endpoint that asks for more is asked again after a day."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a POST ended: ``status`` of HTTP, or 0 and an ``error``; ``pause`` asked for, in s."""

    status: int
    error: str = ""
    pause: float = 0.0

    @property
    def accepted(self) -> bool:
        """Whether the endpoint took it: 2xx, nothing else. A redirect is no acceptance."""
        return 200 <= self.status < 300


def post(endpoint: Endpoint, message: Message, seconds: float) -> Answer:
    """Send ``message``, signed anew; returns within twice ``seconds``, whatever the endpoint does.

    Follows no redirect, uses no proxy of the environment, and reads nothing of the answer but its
    status and ``Retry-After``.
    """
    import httpx

    now = int(time.time())
    headers = {
        "content-type": "application/cloudevents+json; charset=utf-8",
        "user-agent": f"genguard/{__version__}",
        "webhook-id": message.message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(message.message_id, now, message.payload, endpoint.secrets),
    }
    client = httpx.Client(timeout=seconds, follow_redirects=False, trust_env=False, verify=_tls())
    try:
        with (
            _closed_after(client, seconds),
            client.stream("POST", endpoint.url, content=message.payload, headers=headers) as reply,
        ):
            return _answer(reply)
    except Exception as error:  # noqa: BLE001 - a client that is closed under way raises anything
        return Answer(0, type(error).__name__)
    finally:
        with suppress(Exception):
            client.close()


def _answer(reply: httpx.Response) -> Answer:
    try:
        pause = min(max(0.0, float(reply.headers.get("retry-after", "0"))), LONGEST_PAUSE)
    except ValueError:  # a date, or nonsense: our own back-off will do
        pause = 0.0
    accepted = 200 <= reply.status_code < 300
    return Answer(reply.status_code, "" if accepted else f"HTTP {reply.status_code}", pause)


@contextmanager
def _closed_after(client: httpx.Client, seconds: float) -> Iterator[None]:
    """Limits of httpx are for each piece of an answer; one that trickles in must end, too."""
    timer = threading.Timer(seconds, client.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@cache  # reading the certificates of the world's authorities takes longer than most answers
def _tls() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()
