"""Work on all cores: items go out to worker processes, results come back in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from guard.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)

IN_FLIGHT = 4
"""Items a worker may have waiting, out or back: enough to never be idle, and all that is held."""

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Every core has a process already: threads inside them would only wait for each other."""


class Job(Protocol[Item_contra, Result_co]):
    """What workers are begun with. It is pickled, so it says how to build and holds nothing."""

    def prepare(self) -> Callable[[Item_contra], Result_co]:
        """Load what the work needs, once a worker; answers the work on one item."""
        ...


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def opened(job: Job[Any, Any], count: int) -> Iterator[ProcessPoolExecutor]:
    """``count`` processes that prepare ``job`` when their first item comes."""
    # Spawned, not forked: a fork would copy locks and connections that threads are holding.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, _begin, (job,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def spread(
    pool: ProcessPoolExecutor,
    items: Iterator[Item],
    most: int,
    waits: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Item, Any]]:
    """Every item with its result, in order; at most ``most`` are under way.

    ``waits`` says whether asking for the next item may take long: then what is done goes first.
    Raises what the work raises, and Unavailable when a worker dies.
    """
    flying: deque[tuple[Item, Future[Any]]] = deque()
    ended = False
    while flying or not ended:
        full = len(flying) >= most
        if flying and (full or ended or flying[0][1].done() or waits()):
            item, future = flying.popleft()
            yield item, _result(future)
            continue
        following = next(items, None)
        if following is None:
            ended = True
            continue
        with _told(), _children_settings():
            flying.append((following, pool.submit(_in_worker, following)))


def _result(future: Future[Result]) -> Result:
    with _told():
        return future.result()


@contextmanager
def _told() -> Iterator[None]:
    """A worker that died is an error that says what to do."""
    try:
        yield
    except BrokenProcessPool as error:
        raise Unavailable(
            "A worker process ended before its work was done; its rows are not written.",
            hint="It may have been killed for memory: try fewer --workers. --resume goes on from "
            "what is written.",
        ) from error


@contextmanager
def _children_settings() -> Iterator[None]:
    """Processes begun inside keep to one thread and do not hear Ctrl-C, which reaches them all."""
    missing = {name: value for name, value in ONE_THREAD.items() if name not in os.environ}
    os.environ.update(missing)
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
        for name in missing:
            del os.environ[name]


# -- in the worker ---------------------------------------------------------------------------------

_kept: dict[str, Callable[[Any], Any]] = {}
"""What a worker keeps between items."""


def _begin(job: Job[Any, Any]) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _kept["work"] = job.prepare()


def _end_with(parent: Any) -> None:
    """A killed parent cannot say that there is no more work: its end is watched."""
    parent.join()
    os._exit(1)


def _in_worker(item: Any) -> Any:
    return _kept["work"](item)  # _begin ran, or the pool is broken
