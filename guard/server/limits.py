"""Bounds that hold before a request is looked at: its size, its pace, and how many wait.

All state is in memory and bounded: it holds addresses of clients for a minute or so, and nothing
of it is written anywhere.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from guard.server.problems import Problem

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

MOST_CLIENTS = 10_000
"""Clients that are remembered; the one that was seen longest ago is forgotten first."""

UPLOAD_SECONDS = 60.0
"""A body that takes longer is cut off: a slow client holds memory, though no thread."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """A token bucket for each client: ``per_minute`` on average, a quarter of it at once."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60
        self._most = max(1.0, per_minute / 4)
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, client: str, cost: float = 1.0) -> None:
        """Count a request. Raises Problem 429 when the client asks too often."""
        now = self._clock()
        with self._lock:
            bucket = self._buckets.pop(client, None) or _Bucket(self._most, now)
            bucket.tokens = min(self._most, bucket.tokens + (now - bucket.at) * self._rate)
            bucket.at = now
            self._buckets[client] = bucket
            if len(self._buckets) > MOST_CLIENTS:
                self._buckets.popitem(last=False)
            cost = min(cost, self._most)
            if bucket.tokens >= cost:
                bucket.tokens -= cost
                return
            wait = (cost - bucket.tokens) / self._rate
        raise Problem(
            429,
            "too_many_requests",
            "Too many requests.",
            f"Wait {wait:.0f} s.",
            Retry_After=str(max(1, round(wait))),
        )


async def read_body(stream: AsyncIterator[bytes], declared: str | None, most: int) -> bytes:
    """The whole body, at most ``most`` bytes, however it is sent and whatever it claims to be.

    Raises Problem 413 when it is longer, 408 when it takes too long.
    """
    too_long = Problem(
        413, "too_large", f"The body is longer than {most:,} bytes.", "Send a smaller file."
    )
    if declared is not None and declared.isdecimal() and int(declared) > most:
        raise too_long
    parts, size = [], 0
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for part in stream:
                size += len(part)
                if size > most:
                    raise too_long
                parts.append(part)
    except TimeoutError:
        raise Problem(408, "too_slow", "The body took too long.", "Try again.") from None
    return b"".join(parts)


class Workers:
    """A few threads for what costs time; whoever would wait behind too many is sent away."""

    def __init__(self, threads: int, waiting: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._pool: ThreadPoolExecutor = ThreadPoolExecutor(threads, "guard-server")
        self._most = threads + waiting
        self._busy = 0

    async def run(self, work: Callable[[], T]) -> T:
        """``work()`` on a thread. Raises Problem 503 when too many wait."""
        if self._busy >= self._most:
            raise Problem(
                503, "busy", "The service is busy.", "Try again in a moment.", Retry_After="5"
            )
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._busy -= 1

    def close(self) -> None:
        """Let what runs finish, and what waits go."""
        self._pool.shutdown(wait=True, cancel_futures=True)
