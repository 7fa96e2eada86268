"""Screening on all cores: chunks go out to worker processes and come back in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from guard.errors import InvalidRequest
from guard.policy.model import Policy

from .exits import Exit, worst
from .lines import MAX_LINE_BYTES, Chunk, Lines, parse_line
from .output import error_row
from .pool import IN_FLIGHT, cores, opened, spread
from .verdicts import Judge, dumps, safe_row

ALONE_LINES = 512
"""Lines that this process screens before it asks for help: starting a worker takes a second."""


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

    def prepare(self) -> Callable[[Chunk], Results]:
        """The work of a worker: a chunk's rows."""
        judge = self.judge()
        return lambda chunk: screen_lines(judge, chunk.first, chunk.lines, self.negative)


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
        yield from spread(pool, iter(lines), count * IN_FLIGHT, lines.waits)


@contextmanager
def _pool(recipe: Recipe, count: int) -> Iterator[ProcessPoolExecutor]:
    with opened(recipe, count) as pool:
        yield pool
