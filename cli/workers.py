"""Screening on all cores: chunks go out to worker processes and come back in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from guard.errors import InvalidRequest, Unavailable
from guard.policy.model import Policy

from .exits import Exit, worst
from .lines import MAX_LINE_BYTES, Chunk, Lines, parse_line
from .output import error_row
from .verdicts import Judge, dumps, safe_row

ALONE_LINES = 512
"""Lines that this process screens before it asks for help: starting a worker takes a second."""

IN_FLIGHT = 4
"""Chunks a worker may have waiting, out or back: enough to never be idle, and all that is held."""


@dataclass(frozen=True, slots=True)
class Results:
    """The rows of one chunk as JSON lines, what they come to, and where the input stood then."""

    text: str
    rows: int
    code: Exit
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a worker builds its screener from."""

    policy: Policy
    settings: dict[str, Any]
    lines: dict[str, str]
    negative: str

    def judge(self) -> Judge:
        """A judge with its lists loaded. Raises InvalidConfiguration or Unavailable."""
        from guard.assemble import build_screener
        from guard.settings import Settings

        screener = build_screener(self.policy, Settings.load(**self.settings))
        return Judge(self.policy, screener, self.lines)


def screen_lines(
    judge: Judge, chunk_first: int, lines: tuple[bytes | None, ...], negative: str
) -> Results:
    """The rows of some lines; blank ones have none."""
    rows: list[str] = []
    codes = {Exit.DONE}
    counts: Counter[str] = Counter()
    for number, line in enumerate(lines, chunk_first):
        if line is not None and not line.strip():
            continue
        row, code = _row(judge, line, negative)
        row["line"] = number
        codes.add(code)
        counts[row.get("action", "error")] += 1
        rows.append(dumps(row) + "\n")
    return Results("".join(rows), len(rows), worst(codes), dict(counts))


def _row(judge: Judge, line: bytes | None, negative: str) -> tuple[dict[str, Any], Exit]:
    if line is None:
        error = InvalidRequest(
            f"The line has more than {MAX_LINE_BYTES:,} bytes.", hint="A prompt a line, please."
        )
        return {"prompt": "", "error": error_row(error)}, Exit.FINDING
    return safe_row(judge, *parse_line(line, negative))


def in_order(
    recipe: Recipe, judge: Judge, lines: Lines, workers: int | None
) -> Iterator[tuple[Chunk, Results]]:
    """Every chunk with its results, in the order of the input, at constant memory.

    ``workers`` None: this process for a short input, every core for a long one; 1: this process.
    Raises whatever the screening raises, and Unavailable when a worker dies.
    """
    count = workers or cores()
    alone = ALONE_LINES if workers is None else 0
    while count == 1 or alone > 0:
        chunk = lines.next()
        if chunk is None:
            return
        yield chunk, screen_lines(judge, chunk.first, chunk.lines, recipe.negative)
        alone -= len(chunk.lines)
    with _pool(recipe, count) as pool:
        yield from _spread(pool, lines, count * IN_FLIGHT)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _spread(pool: ProcessPoolExecutor, lines: Lines, most: int) -> Iterator[tuple[Chunk, Results]]:
    flying: deque[tuple[Chunk, Future[Results]]] = deque()
    ended = False
    while flying or not ended:
        full = len(flying) >= most
        if flying and (full or ended or flying[0][1].done() or lines.waits()):
            chunk, future = flying.popleft()
            yield chunk, _result(future)
            continue
        following = lines.next()
        if following is None:
            ended = True
            continue
        with _children_deaf():
            flying.append((following, pool.submit(_in_worker, following.first, following.lines)))


def _result(future: Future[Results]) -> Results:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise Unavailable(
            "A worker process ended before its work was done; its rows are not written.",
            hint="It may have been killed for memory: try fewer --workers. With --output, "
            "--resume goes on from the last row written.",
        ) from error


# -- in the worker ---------------------------------------------------------------------------------

_judge: Judge | None = None
_recipe: Recipe | None = None


@contextmanager
def _pool(recipe: Recipe, count: int) -> Iterator[ProcessPoolExecutor]:
    # Spawned, not forked: a fork would copy locks and connections that threads are holding.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, _begin, (recipe,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _children_deaf() -> Iterator[None]:
    """Processes begun inside do not hear Ctrl-C, which a terminal sends to all of them."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def _begin(recipe: Recipe) -> None:
    global _judge, _recipe  # what a worker keeps between chunks
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _recipe, _judge = recipe, recipe.judge()


def _end_with(parent: Any) -> None:
    """A killed parent cannot say that there is no more work: its end is watched."""
    parent.join()
    os._exit(1)


def _in_worker(first: int, lines: tuple[bytes | None, ...]) -> Results:
    assert _judge is not None  # noqa: S101  # _begin ran, or the pool is broken
    assert _recipe is not None  # noqa: S101
    return screen_lines(_judge, first, lines, _recipe.negative)
