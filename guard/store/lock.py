"""A lock in front of SQLite's own.

SQLite's busy handler polls with growing pauses, which starves: with 16 writers the longest wait
was measured at 9 s. Queueing on a file lock first keeps it to a fraction of a second. The lock
gives fairness only; ``BEGIN IMMEDIATE`` behind it gives safety, also against writers that do
not know this lock.

One lock alone is not fair either: who lets it go is the first to be back, while the others sleep.
So there are two, as in a turnstile. Who wants to write takes the turn first, keeps it while waiting
for the lock, and gives it on once it holds that: nobody writes twice while another waits. And who
has waited longer looks more often.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guard.errors import AuditUnavailable

POLL_SECONDS = 0.001
"""Between tries: short beside an fsync (about 4 ms), long enough to leave the CPU alone."""

AGE_SECONDS = 0.05
"""Who has waited so long looks twice as often, who has waited twice as long three times."""

MOST_OFTEN = 16


class FileLock:
    """Exclusive among threads and processes; survives forking (each process opens its own)."""

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        self._path = path
        self._timeout = timeout_seconds
        self._fresh()

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._fds: list[int] = []
        self._threads = threading.Lock()
        # Whoever forgets to close gives the handles back when the lock is gone.
        weakref.finalize(self, _close_all, self._fds, self._pid)

    @contextmanager
    def held(self, until: float | None = None) -> Iterator[None]:
        """Hold the lock. Raises AuditUnavailable when it is not free in time.

        ``until``: by ``time.monotonic()``, when that is sooner than the time limit.
        """
        if self._pid != os.getpid():
            self._fresh()
        now = time.monotonic()
        deadline = now + self._timeout if until is None else min(now + self._timeout, until)
        if not self._threads.acquire(timeout=max(0.0, deadline - now)):
            raise self._late()
        try:
            turn, lock = self._open()
            with self._taken(turn, now, deadline):
                self._wait(lock, now, deadline)
            try:
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def _open(self) -> list[int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        turn = self._path.with_name(self._path.name + "-turn")
        for path in (turn, self._path)[len(self._fds) :]:
            self._fds.append(os.open(path, flags, 0o600))
        return self._fds

    @contextmanager
    def _taken(self, fd: int, since: float, deadline: float) -> Iterator[None]:
        self._wait(fd, since, deadline)
        try:
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)

    def _wait(self, fd: int, since: float, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                now = time.monotonic()
                if now >= deadline:
                    raise self._late() from None
                time.sleep(POLL_SECONDS / min(MOST_OFTEN, 1 + (now - since) / AGE_SECONDS))
            else:
                return

    def _late(self) -> AuditUnavailable:
        return AuditUnavailable(
            f"The audit log is busy: its lock was not free within {self._timeout:g} s.",
            hint="Another process holds it. See which with: lsof " + str(self._path),
        )

    def close(self) -> None:
        """Give the file handles back."""
        _close_all(self._fds, self._pid)


def _close_all(fds: list[int], pid: int) -> None:
    # A forked child has numbers of handles that may be others' by now.
    while fds and pid == os.getpid():
        os.close(fds.pop())
