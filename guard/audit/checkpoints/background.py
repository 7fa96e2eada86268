"""Publishes checkpoints beside the work: by a thread of its own, while and after rows are written.

A writer only says that something was written. The thread asks for the log's size, waits until a
checkpoint is due, publishes it, and tries again later when that fails. When the process ends,
what no checkpoint covers yet gets one.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from guard.errors import CheckpointUnavailable, GuardError

if TYPE_CHECKING:
    from guard.audit.checkpoints.publish import Publisher

_LOGGER = logging.getLogger("guard.audit")

GATHER_SECONDS = 0.1
"""Between two looks at the log's size: writers wake the thread some thousand times a second."""

RETRY_SECONDS = 5.0
MAX_RETRY_SECONDS = 300.0

CLOSE_SECONDS = 10.0
"""A process that ends does not wait longer for the last checkpoint."""


class BackgroundPublisher:
    """Keeps a log's published checkpoints up to date. Thread-safe; survives forking."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._written = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Something was written. Returns at once; never raises."""
        if self._pid != os.getpid():
            self._begin()  # threads do not survive forking
        if not self._written.is_set():
            self._written.set()
            self._ensure_thread()

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._closing or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
            self._thread.start()

    def check_fresh(self) -> None:
        """That no row has waited for a published checkpoint for longer than it may.

        Where one has, publishing is tried here and now. Raises CheckpointUnavailable when that
        fails: then no record may be opened.
        """
        publisher = self.publisher
        most = publisher.rhythm.max_age
        if most is None or publisher.waited(time.time()) <= most:
            return
        try:
            publisher.publish()
        except GuardError as error:
            raise CheckpointUnavailable(
                f"Rows of the audit log have no published checkpoint for more than {most:g} s: "
                f"{error.message}",
                hint=error.hint or "See guard doctor.",
            ) from error

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Publish what is not covered yet, and end the thread."""
        self._closing = True
        thread = self._thread
        if thread is not None and self._pid == os.getpid():
            self._written.set()
            thread.join(seconds)

    def _run(self) -> None:
        failures = 0
        while not self._closing:
            self._written.wait()
            self._written.clear()
            wait: float | None = 0.0
            while wait is not None:
                wait, failures = self._step(failures)
                if wait is not None:
                    self._pause(wait)

    def _step(self, failures: int) -> tuple[float | None, int]:
        """Publish when it is time; answers the seconds until the next look, or None for done."""
        publisher, closing = self.publisher, self._closing
        try:
            size, now = publisher.size(), time.time()
            if size <= publisher.published_size:
                return None, 0
            if not closing and not publisher.due(size, now):
                return publisher.seconds_left(now), 0
            publisher.publish()
        except Exception as error:  # noqa: BLE001  # a dead thread would publish nothing any more
            if not isinstance(error, GuardError):  # those the publisher has logged, and kept
                _LOGGER.warning("No checkpoint was published: %r", error)
            again = min(RETRY_SECONDS * 2.0**failures, MAX_RETRY_SECONDS)
            return (None if closing else again), failures + 1
        return 0.0, 0  # whether more was written meanwhile

    def _pause(self, seconds: float) -> None:
        """Until then, or until more was written, though not for less than a moment."""
        if self._closing:
            return
        time.sleep(min(seconds, GATHER_SECONDS))
        self._written.wait(max(0.0, seconds - GATHER_SECONDS))
        self._written.clear()


_ALL: weakref.WeakSet[BackgroundPublisher] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for one in list(_ALL):
        one.close()
