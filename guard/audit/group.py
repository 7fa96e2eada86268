"""Group commit: whoever comes while others write is written together with them.

A commit costs a sync of the disk, however many rows it holds. So callers queue, one of them leads,
and the leader writes what waits in one transaction and wakes the rest. The next leader is the
first who came meanwhile: nobody leads twice in a row, so nobody waits on others' behalf for longer
than one transaction. There is no thread of our own that could die, hang at exit or be missing after
a fork; a caller who is alone pays nothing for the queue.

What holds, whatever happens:

- A caller is answered only when its row is durable. One who gave up (see ``seconds``) gets
  AuditUnavailable and is never told otherwise; what has not been begun by then is never written.
- A job that is refused fails alone. When the transaction fails, all its jobs do.
- No more than ``capacity`` callers wait: the next is refused at once (back-pressure).
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from guard.audit.append import Tree
from guard.errors import AuditUnavailable, GuardError
from guard.stage import seconds_left

if TYPE_CHECKING:
    from guard.store.engine import Store
    from guard.store.writer import Writer

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

CAPACITY = 1_024
"""Callers that may wait; at some thousand rows a second, none of them for longer than a second."""

AT_ONCE = 128
"""Jobs in one transaction: other processes wait meanwhile."""

_Answer: TypeAlias = tuple[Any, BaseException | None]


class Job(Protocol[T_co]):
    """A change of the log, made within one transaction.

    ``apply`` may run more than once (a transaction that failed because of another job is tried
    again without it): it changes nothing but the database, through ``tree`` and ``tree.writer``.
    """

    def apply(self, tree: Tree) -> T_co:
        """Make the change. Raises a GuardError to refuse it."""
        ...


class _State(Enum):
    WAITING = auto()
    LEADING = auto()
    TAKEN = auto()
    ANSWERED = auto()
    GIVEN_UP = auto()


class _Ticket(Generic[T]):
    """One caller's place in the queue. ``state`` changes under the queue's lock only."""

    __slots__ = ("answer", "bell", "deadline", "error", "job", "state")

    def __init__(self, job: Job[T], deadline: float) -> None:
        self.job = job
        self.deadline = deadline
        self.state = _State.WAITING
        self.answer: T | None = None
        self.error: BaseException | None = None
        self.bell = threading.Lock()  # the cheapest thing that can be waited for, with a limit
        self.bell.acquire()

    @property
    def late(self) -> bool:
        return time.monotonic() >= self.deadline


class GroupCommit:
    """The queue in front of a store. Thread-safe; a forked child begins with an empty one."""

    def __init__(self, store: Store, *, capacity: int = CAPACITY, at_once: int = AT_ONCE) -> None:
        self._store = store
        self._capacity = capacity
        self._at_once = at_once
        self.forget()
        _GROUPS.add(self)

    def forget(self) -> None:
        """Begin with an empty queue: in a forked child, where those who waited do not exist."""
        self._lock = threading.Lock()
        self._gate = threading.RLock()  # held while a transaction is under way
        self._queue: deque[_Ticket[Any]] = deque()
        self._led = False

    def run(self, job: Job[T]) -> T:
        """Apply ``job``; durable on return.

        Waits no longer than the store's time limit, nor than the stage has left whose work this
        is. Raises whatever the job raises, and AuditUnavailable when the queue is full, the time
        is up, or the transaction failed.
        """
        limit = max(0.0, min(self._store.timeout_seconds, seconds_left()))
        ticket = _Ticket(job, time.monotonic() + limit)
        try:
            leads = self._enter(ticket)
            if not leads:
                ticket.bell.acquire(timeout=limit)
                leads = self._awoken(ticket)
            if leads:
                self._lead(ticket)
        except BaseException:  # also Ctrl-C: the others must not wait for who is gone
            self._leave(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error
        return ticket.answer  # type: ignore[return-value]  # set together with ANSWERED

    def _enter(self, ticket: _Ticket[T]) -> bool:
        """Queue; answers whether this caller leads, because nobody does."""
        with self._lock:
            if len(self._queue) >= self._capacity:
                raise AuditUnavailable(
                    f"The audit log is overloaded: {self._capacity:,} callers wait already.",
                    hint="Try again later, or send fewer requests at once.",
                )
            leads, self._led = not self._led, True
            ticket.state = _State.LEADING if leads else _State.WAITING
            self._queue.append(ticket)
            return leads

    def _awoken(self, ticket: _Ticket[T]) -> bool:
        """Whether this caller was told to lead. Raises AuditUnavailable when its time is up."""
        with self._lock:
            if ticket.state in {_State.LEADING, _State.ANSWERED}:
                return ticket.state is _State.LEADING
        raise _too_late(self._store)

    def _leave(self, ticket: _Ticket[T]) -> None:
        """Nobody waits for this ticket's answer any more."""
        with self._lock:
            led, queued = ticket.state is _State.LEADING, ticket in self._queue
            if queued:
                self._queue.remove(ticket)
            ticket.state = _State.GIVEN_UP
        if led:
            self._hand_over()

    def _lead(self, own: _Ticket[T]) -> None:
        batch: list[_Ticket[Any]] = []
        try:
            with self._gate:
                batch = self._take()
                self._commit(batch)
        except BaseException as error:
            self._fail(batch, error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._hand_over()
            for ticket in batch:
                if ticket is not own:
                    ticket.bell.release()

    def _take(self) -> list[_Ticket[Any]]:
        """The tickets of the next transaction. The leader's own is the first in the queue."""
        with self._lock:
            count = min(len(self._queue), self._at_once)
            batch = [self._queue.popleft() for _ in range(count)]
            for ticket in batch:
                ticket.state = _State.TAKEN
            return batch

    def _commit(self, batch: list[_Ticket[Any]]) -> None:
        """All in one; if a job fails, all again in one, each behind a savepoint of its own."""
        try:
            answers = self._transaction(batch, apart=False)
        except _JobFailedError as failed:
            if len(batch) == 1:
                raise failed.error from None
            answers = self._transaction(batch, apart=True)
        with self._lock:
            for ticket, (answer, error) in zip(batch, answers, strict=True):
                if ticket.state is _State.TAKEN:
                    ticket.answer, ticket.error = answer, error
                    ticket.state = _State.ANSWERED

    def _transaction(self, batch: list[_Ticket[Any]], *, apart: bool) -> list[_Answer]:
        """What each job answered or raised; durable on return.

        Raises _JobFailedError when a job did and they are not ``apart``. Whatever else is raised
        leaves open what became of the transaction, so it must not be tried again.
        """
        with self._store.write(until=max(one.deadline for one in batch)) as writer:
            tree = Tree(writer)
            attempt = self._apart if apart else self._together
            answers = [
                (None, _too_late(self._store))
                if ticket.state is _State.GIVEN_UP or ticket.late
                else attempt(tree, ticket)
                for ticket in batch
            ]
            self._flush(writer)
            return answers

    def _flush(self, writer: Writer) -> None:
        """What the database refuses of what was gathered is some job's fault."""
        try:
            with self._store.border():
                writer.flush()
        except Exception as error:  # noqa: BLE001  # whose fault it is shows when they are apart
            raise _JobFailedError(error) from None

    def _together(self, tree: Tree, ticket: _Ticket[Any]) -> _Answer:
        try:
            with self._store.border():
                return ticket.job.apply(tree), None
        except Exception as error:  # noqa: BLE001  # whose fault it is shows when they are apart
            raise _JobFailedError(error) from None

    def _apart(self, tree: Tree, ticket: _Ticket[Any]) -> _Answer:
        try:
            with self._store.border(), tree.savepoint():
                return ticket.job.apply(tree), None
        except Exception as error:  # noqa: BLE001  # its caller hears it
            return None, error

    def _fail(self, batch: list[_Ticket[Any]], error: BaseException) -> None:
        with self._lock:
            for ticket in batch:
                if ticket.state is _State.TAKEN:
                    ticket.error = error if len(batch) == 1 else _for_one(error)
                    ticket.state = _State.ANSWERED

    def _hand_over(self) -> None:
        """The first who waits leads next."""
        with self._lock:
            self._led = bool(self._queue)
            if self._led:
                self._queue[0].state = _State.LEADING
                self._queue[0].bell.release()

    def pause(self) -> bool:
        """Wait until no transaction is under way, and begin none; answers whether it worked."""
        return self._gate.acquire(timeout=self._store.timeout_seconds)

    def resume(self) -> None:
        """Go on after ``pause``."""
        self._gate.release()


class _JobFailedError(Exception):
    """A job raised ``error``: nothing was written, and it is known that nothing was."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _too_late(store: Store) -> AuditUnavailable:
    return AuditUnavailable(
        f"The audit log {store.name} did not take the record in time.",
        hint="Nothing was released. See whether its disk or server is slow or full: guard doctor.",
    )


def _for_one(error: BaseException) -> GuardError:
    """An error of its own for each: one that is raised in many threads gathers all their traces."""
    if isinstance(error, GuardError):
        return type(error)(error.message, hint=error.hint)
    return AuditUnavailable(
        f"The transaction that held this record failed: {type(error).__name__}.",
        hint="Nothing was released. Try again.",
    )


_GROUPS: weakref.WeakSet[GroupCommit] = weakref.WeakSet()
_paused: list[GroupCommit] = []


def _before_fork() -> None:
    _paused.extend(group for group in list(_GROUPS) if group.pause())


def _after_fork_in_parent() -> None:
    while _paused:
        _paused.pop().resume()


def _after_fork_in_child() -> None:
    _paused.clear()
    for group in list(_GROUPS):
        group.forget()


# Registered after the store's own, so it runs before: idle connections are closed once the writer
# that used them is done.
os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
