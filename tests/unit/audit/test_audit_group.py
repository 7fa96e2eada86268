"""Group commit: who waits, who leads, who is told what."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from guard.audit import group as group_module
from guard.audit.append import Start, Tree
from guard.audit.group import GroupCommit
from guard.audit.log import SqlAuditLog
from guard.audit.record import Leaf
from guard.audit.verify import verify_log
from guard.errors import AuditUnavailable, DuplicateRequest, LogTampered
from guard.stage import run_stage, seconds_left
from guard.store.engine import Store, open_store
from guard.types import Stage
from tests.support.auditing import new_record_id, pictured, started


def job(**facts: Any) -> Start:
    return Start(started(**facts), "a lighthouse", None)


@dataclass
class Odd:
    """A job that does as it is told, and counts how often it ran."""

    work: Callable[[Tree], Any]
    ran: int = 0

    def apply(self, tree: Tree) -> Any:
        self.ran += 1
        return self.work(tree)


def refuse(_tree: Tree) -> None:
    raise DuplicateRequest("no")


def stumble(tree: Tree) -> None:
    """Adds a leaf, then finds that it must not."""
    job().apply(tree)
    raise AuditUnavailable("on second thoughts")


@dataclass
class Crowd:
    """Threads that each run one job; what they were answered, by number."""

    group: GroupCommit
    answers: dict[int, Any] = field(default_factory=dict)
    threads: list[threading.Thread] = field(default_factory=list)

    def add(self, one: Any) -> None:
        number = len(self.threads)

        def work() -> None:
            try:
                self.answers[number] = self.group.run(one)
            except BaseException as error:  # noqa: BLE001
                self.answers[number] = error

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    def done(self) -> list[Any]:
        for thread in self.threads:
            thread.join(30)
        return [self.answers[number] for number in range(len(self.threads))]


@contextmanager
def led(group: GroupCommit, crowd: Crowd, waiting: int) -> Iterator[None]:
    """While somebody leads and does not go on; afterwards ``waiting`` callers are in the queue."""
    inside, leave = threading.Event(), threading.Event()

    def hold(tree: Tree) -> str:
        inside.set()
        assert leave.wait(30)
        return "held"

    crowd.add(Odd(hold))
    assert inside.wait(30)
    yield
    end = time.monotonic() + 30
    while len(group._queue) < waiting and time.monotonic() < end:
        time.sleep(0.001)
    leave.set()


@pytest.fixture
def group(log: SqlAuditLog) -> GroupCommit:
    return log._group


@pytest.fixture
def commits(log: SqlAuditLog) -> list[int]:
    """Grows by one with each transaction that is committed."""
    from sqlalchemy import event

    seen: list[int] = []
    event.listen(log.store._engine, "commit", lambda _: seen.append(1))
    return seen


def test_what_waits_is_written_in_one_transaction(
    log: SqlAuditLog, group: GroupCommit, commits: list[int]
) -> None:
    crowd = Crowd(group)
    with led(group, crowd, 20):
        for _ in range(20):
            crowd.add(job())
    held, *receipts = crowd.done()
    assert held == "held"
    assert sorted(one.index for one in receipts) == list(range(20))
    assert len(commits) == 2
    assert verify_log(log).ok


def test_who_is_refused_fails_alone(log: SqlAuditLog, group: GroupCommit) -> None:
    crowd, refused, stumbled = Crowd(group), Odd(refuse), Odd(stumble)
    record = started(idempotency_key="key")
    again = job(idempotency_key="key")
    with led(group, crowd, 6):
        for one in (job(), refused, stumbled, Start(record, "p", None), again, job()):
            crowd.add(one)
    answers = crowd.done()[1:]
    kinds = [type(one).__name__ for one in answers]
    assert kinds == [
        "AuditReceipt", "DuplicateRequest", "AuditUnavailable", "AuditReceipt", "DuplicateRequest",
        "AuditReceipt",
    ]  # fmt: skip
    assert [answers[at].index for at in (0, 3, 5)] == [0, 1, 2]
    assert (refused.ran, stumbled.ran) in {(2, 1), (2, 2)}, "tried together, then apart"
    assert verify_log(log).records == 3
    assert verify_log(log).ok


def test_database_errors_of_one_job_are_its_own(log: SqlAuditLog, group: GroupCommit) -> None:
    def twice(tree: Tree) -> None:
        tree.writer.add_mark("00" * 8, "a")
        tree.writer.add_mark("00" * 8, "b")

    crowd = Crowd(group)
    with led(group, crowd, 2):
        crowd.add(Odd(twice))
        crowd.add(job())
    _, error, receipt = crowd.done()
    assert isinstance(error, AuditUnavailable)
    assert receipt.index == 0
    with log.store.read() as reader:
        assert reader.mark_owner("00" * 8) is None


def test_a_failed_transaction_fails_all_with_errors_of_their_own(
    log: SqlAuditLog, group: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guard.store.writer import Writer

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    crowd = Crowd(group)
    with led(group, crowd, 3):
        monkeypatch.setattr(Writer, "move_head", broken)
        for _ in range(3):
            crowd.add(job())
    errors = crowd.done()[1:]
    assert [type(one) for one in errors] == [AuditUnavailable] * 3
    assert len({id(one) for one in errors}) == 3
    assert all("space" in one.hint for one in errors)
    monkeypatch.undo()
    assert verify_log(log).records == 0
    assert group.run(job()).index == 0


def test_a_broken_log_is_told_to_everybody(
    group: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_writer: object) -> Tree:
        raise LogTampered("The head does not fit itself.", hint="Look.")

    crowd = Crowd(group)
    with led(group, crowd, 2):
        monkeypatch.setattr(group_module, "Tree", broken)
        for _ in range(2):
            crowd.add(job())
    errors = crowd.done()[1:]
    assert [(type(one), one.hint) for one in errors] == [(LogTampered, "Look.")] * 2


def test_a_full_queue_refuses_at_once(log: SqlAuditLog) -> None:
    group = GroupCommit(log.store, capacity=2)
    crowd = Crowd(group)
    with led(group, crowd, 2):
        crowd.add(job())
        crowd.add(job())
        while len(group._queue) < 2:
            time.sleep(0.001)
        begun = time.monotonic()
        with pytest.raises(AuditUnavailable, match="overloaded") as caught:
            group.run(job())
        assert time.monotonic() - begun < 1
        assert "later" in caught.value.hint
    assert [one.index for one in crowd.done()[1:]] == [0, 1]


def test_more_than_fit_one_transaction_take_several(log: SqlAuditLog, commits: list[int]) -> None:
    group = GroupCommit(log.store, at_once=3)
    crowd = Crowd(group)
    with led(group, crowd, 7):
        for _ in range(7):
            crowd.add(job())
    assert sorted(one.index for one in crowd.done()[1:]) == list(range(7))
    assert len(commits) == 4


def test_who_gave_up_is_never_written(log: SqlAuditLog) -> None:
    impatient = open_store(f"sqlite:///{log.store._place.file}", timeout_seconds=0.2)
    group = GroupCommit(impatient)
    crowd, late = Crowd(group), Odd(lambda tree: job().apply(tree))
    with led(group, crowd, 0):
        with pytest.raises(AuditUnavailable, match="in time") as caught:
            group.run(late)
        assert "Nothing was released" in caught.value.hint
    crowd.done()
    assert group.run(job()).index == 0
    assert late.ran == 0
    assert verify_log(log).records == 1
    impatient.close()


def test_who_gives_up_while_being_written_is_told_nothing_else(log: SqlAuditLog) -> None:
    """It may be durable all the same: recorded and not delivered, never the reverse."""
    impatient = open_store(f"sqlite:///{log.store._place.file}", timeout_seconds=0.3)
    group = GroupCommit(impatient)
    crowd = Crowd(group)

    def dawdle(tree: Tree) -> Any:
        time.sleep(1)
        return job().apply(tree)

    with led(group, crowd, 2):
        crowd.add(job())
        crowd.add(Odd(dawdle))
    assert "AuditUnavailable" in [type(one).__name__ for one in crowd.done()[1:]]
    assert verify_log(log).ok
    assert group.run(job()).index == verify_log(log).records - 1
    impatient.close()


def test_the_time_of_a_stage_is_kept(log: SqlAuditLog, group: GroupCommit) -> None:
    crowd, late, left = Crowd(group), Odd(lambda tree: job().apply(tree)), []

    def work() -> Any:
        left.append(seconds_left())
        return group.run(late)

    with led(group, crowd, 0), pytest.raises(Exception, match=r"in time|longer than"):
        run_stage(Stage.AUDIT, 0.2, work)
    crowd.done()
    time.sleep(0.3)
    assert 0 < left[0] <= 0.2
    assert seconds_left() == float("inf")
    assert late.ran == 0
    assert verify_log(log).records == 0


def test_an_interrupt_of_the_leader_does_not_stop_the_others(
    log: SqlAuditLog, group: GroupCommit
) -> None:
    def interrupted(_tree: Tree) -> None:
        raise KeyboardInterrupt

    crowd = Crowd(group)
    with led(group, crowd, 2):
        crowd.add(Odd(interrupted))
        crowd.add(job())
    _, interrupt, other = crowd.done()
    assert isinstance(interrupt, KeyboardInterrupt) or isinstance(other, KeyboardInterrupt)
    assert group.run(job()).index in {0, 1}
    assert not group._led
    assert verify_log(log).ok


def test_an_interrupt_of_who_waits_hands_its_turn_on(group: GroupCommit) -> None:
    ticket = group_module._Ticket(job(), time.monotonic() + 9)
    assert group._enter(ticket)
    crowd = Crowd(group)
    crowd.add(job())
    while len(group._queue) < 2:
        time.sleep(0.001)
    group._leave(ticket)
    assert crowd.done()[0].index == 0
    other = group_module._Ticket(job(), time.monotonic() + 9)
    group._leave(other)  # one that never queued
    assert group.run(job()).index == 1


def test_who_is_called_to_lead_too_late_leads_all_the_same(log: SqlAuditLog) -> None:
    group = GroupCommit(log.store, at_once=1)
    first = group_module._Ticket(job(), time.monotonic() + 9)
    assert group._enter(first)
    late = group_module._Ticket(job(), time.monotonic())
    assert not group._enter(late)
    group._lead(first)
    assert first.answer is not None
    assert group._awoken(late)
    group._lead(late)
    assert isinstance(late.error, AuditUnavailable)
    assert verify_log(log).records == 1


def test_receipts_come_only_after_the_commit(
    log: SqlAuditLog, database: Any, group: GroupCommit
) -> None:
    import sqlite3

    def count() -> int:
        with sqlite3.connect(database) as raw:
            found = raw.execute("SELECT size FROM audit_head").fetchone()[0]
        raw.close()
        return int(found)

    crowd = Crowd(group)
    with led(group, crowd, 5):
        for _ in range(5):
            crowd.add(job())
    assert max(one.index for one in crowd.done()[1:]) < count() == 5


def _in_child(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        status = 2
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_fork_waits_for_the_transaction_and_begins_with_an_empty_queue(
    log: SqlAuditLog, group: GroupCommit
) -> None:
    """Forked in the midst of 8 busy threads, again and again: each child can write."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            record_id = new_record_id()
            log.start(started(record_id), prompt="p", user=None)
            log.finish(pictured(record_id))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for one in threads:
        one.start()
    try:
        for _ in range(5):
            assert _in_child(lambda: group.run(job())) == 0
    finally:
        stop.set()
        for one in threads:
            one.join(30)
    check = verify_log(log)
    assert check.ok, check.problems


def test_nothing_is_written_when_the_store_is_gone(store_gone: Store) -> None:
    with pytest.raises(AuditUnavailable):
        SqlAuditLog(store_gone).start(started(), prompt="p", user=None)


@pytest.fixture
def store_gone(tmp_path: Any) -> Store:
    store = open_store(f"sqlite:///{tmp_path}/there/audit.sqlite3")
    store.close()
    (tmp_path / "there").rename(tmp_path / "elsewhere")
    return store


def test_who_is_alone_hears_its_own_error(log: SqlAuditLog, group: GroupCommit) -> None:
    refused = Odd(refuse)
    with pytest.raises(DuplicateRequest):
        group.run(refused)
    assert refused.ran == 1
    with pytest.raises(AuditUnavailable, match="second thoughts"):
        group.run(Odd(stumble))
    assert verify_log(log).records == 0


def test_rows_that_the_database_refuses_when_they_are_gathered_are_one_jobs_fault(
    log: SqlAuditLog, group: GroupCommit
) -> None:
    """Leaves are written together at the end; whose leaf was refused shows when jobs are apart."""

    def misplace(tree: Tree) -> None:
        row = tree.add(Leaf(started(), tree.log_id))
        tree.writer.add_leaves([dataclasses.replace(row, index=99)])

    crowd = Crowd(group)
    with led(group, crowd, 3):
        for one in (job(), Odd(misplace), job()):
            crowd.add(one)
    _, first, error, last = crowd.done()
    assert isinstance(error, AuditUnavailable)
    assert [first.index, last.index] == [0, 1]
    assert verify_log(log).ok
    with pytest.raises(AuditUnavailable):
        group.run(Odd(misplace))
    assert verify_log(log).records == 2


def test_what_was_gathered_is_seen_by_whoever_asks(log: SqlAuditLog) -> None:
    record_id = new_record_id()
    with log.store.write() as writer:
        tree = Tree(writer)
        Start(started(record_id), "p", None).apply(tree)
        assert [row.index for row in writer.events(record_id)] == [0]
        assert writer.salts(record_id) is not None, "asking the database writes it first"
        assert [row.index for row in writer.events(record_id)] == [0]


def test_a_child_begins_with_an_empty_queue(group: GroupCommit) -> None:
    ticket = group_module._Ticket(job(), time.monotonic() + 9)
    assert group._enter(ticket)
    group_module._before_fork()
    group_module._after_fork_in_child()
    assert group.run(job()).index == 0
