"""Many writers, killed writers, and databases that fail: nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import select
import signal
import threading
import time
from collections.abc import Callable

import pytest

from guard.audit.log import SqlAuditLog
from guard.audit.query import iterate, show
from guard.audit.verify import verify_log
from guard.errors import AuditUnavailable
from guard.store.engine import open_store
from guard.store.rows import Query
from guard.types import Event
from tests.support.auditing import new_record_id, pictured, started

THREADS = 8
PROCESSES = 4
RECORDS = 6
"""A writer's: each is two rows."""

KILLS = 20


def write_some(log: SqlAuditLog, count: int, told: Callable[[int], object]) -> None:
    """Write records from start to release, telling the index of every row that was confirmed."""
    for _ in range(count):
        record_id = new_record_id()
        told(log.start(started(record_id), prompt="x", user="y").index)
        told(log.finish(pictured(record_id), manifest=b"m").index)


def fork_writer(url: str, count: int) -> tuple[int, int]:
    """A process of its own with a log of its own; answers its pid and the pipe it tells to."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        os.close(reading)
        log = SqlAuditLog(open_store(url))
        write_some(log, count, lambda index: os.write(writing, f"{index}\n".encode()))
        os._exit(0)
    finally:
        os._exit(1)


def confirmed(pipe: int) -> list[int]:
    with os.fdopen(pipe, "rb") as told:
        # The last line of a killed writer may be cut.
        return [int(line) for line in told.read().split(b"\n")[:-1]]


def test_threads_and_processes_together(log: SqlAuditLog, log_url: str) -> None:
    children = [fork_writer(log_url, RECORDS) for _ in range(PROCESSES)]
    mine: list[int] = []
    threads = [
        threading.Thread(target=write_some, args=(log, RECORDS, mine.append))
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    theirs = [index for _, pipe in children for index in confirmed(pipe)]
    assert [os.waitpid(child, 0)[1] for child, _ in children] == [0] * PROCESSES
    # Contiguous, nothing twice, nothing lost.
    assert sorted(mine + theirs) == list(range(2 * RECORDS * (THREADS + PROCESSES)))
    check = verify_log(log)
    assert check.ok, check.problems
    assert check.records == 2 * RECORDS * (THREADS + PROCESSES)


def test_first_openings_at_once_make_one_log(log_url: str) -> None:
    children = [fork_writer(log_url, 1) for _ in range(PROCESSES)]
    indexes = [index for _, pipe in children for index in confirmed(pipe)]
    assert [os.waitpid(child, 0)[1] for child, _ in children] == [0] * PROCESSES
    assert sorted(indexes) == list(range(2 * PROCESSES))


def test_a_killed_writer_loses_nothing_confirmed(log: SqlAuditLog, log_url: str) -> None:
    pause = random.Random(7)  # noqa: S311 - where the kill falls, not a secret
    told: list[int] = []
    for _ in range(KILLS):
        child, pipe = fork_writer(log_url, 1_000)
        begun = select.poll()  # takes any file descriptor, which select() does not
        begun.register(pipe, select.POLLIN)
        assert begun.poll(60_000)
        time.sleep(pause.random() * 0.1)
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        told += confirmed(pipe)
    assert len(told) == len(set(told))
    assert len(told) >= KILLS  # the kills fell among writes
    check = verify_log(log)
    assert check.ok, check.problems
    stored = {entry.index for entry in iterate(log, Query())}
    assert set(told) <= stored
    assert stored == set(range(check.records))
    # At most one write a kill can be durable and unconfirmed.
    assert len(stored) - len(told) <= KILLS
    write_some(log, 1, told.append)
    assert told[-1] == check.records + 1


def test_a_slow_writer_does_not_stop_readers(log: SqlAuditLog) -> None:
    write_some(log, 1, lambda _: None)
    with log.store.write() as writer:
        writer.lock_head()
        assert verify_log(log).ok
        assert log.new_mark_id()


def test_a_writer_waits_no_longer_than_its_limit(log_url: str, log: SqlAuditLog) -> None:
    impatient = SqlAuditLog(open_store(log_url, timeout_seconds=0.3))
    with log.store.write() as writer:
        writer.lock_head()
        before = time.monotonic()
        with pytest.raises(AuditUnavailable):
            impatient.start(started(), prompt="x", user=None)
        assert time.monotonic() - before < 10
    assert impatient.start(started(), prompt="x", user=None).index == 0
    impatient.store.close()


def test_two_processes_cannot_both_end_a_record(log: SqlAuditLog, log_url: str) -> None:
    other = SqlAuditLog(open_store(log_url))
    record_id = new_record_id()
    log.start(started(record_id), prompt="x", user=None)
    ends: list[str] = []
    together = threading.Barrier(2)

    def end(one: SqlAuditLog, event: Event) -> None:
        together.wait()
        try:
            one.finish(started(record_id, event=event))
            ends.append("done")
        except AuditUnavailable:
            ends.append("refused")

    threads = [
        threading.Thread(target=end, args=(log, Event.FAILED)),
        threading.Thread(target=end, args=(other, Event.BLOCKED)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["done", "refused"]
    assert len(show(log, record_id)) == 2
    other.store.close()


def test_a_connection_that_was_cut_is_replaced(log: SqlAuditLog) -> None:
    if log.store.dialect != "postgresql":
        assert log.store.dialect == "sqlite"  # which has no connection that could be cut
        return
    from sqlalchemy import text

    write_some(log, 1, lambda _: None)
    with log.store.write() as writer:
        writer._connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND usename = current_user"
            )
        )
    write_some(log, 1, lambda _: None)
    with pytest.raises(AuditUnavailable), log.store.write() as writer:
        writer._connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    write_some(log, 1, lambda _: None)
    assert verify_log(log).records == 6
