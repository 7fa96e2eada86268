"""Time in equal steps: hours, days and weeks of UTC, without gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from guard.audit.frame import from_us
from guard.errors import InvalidRequest
from guard.types import Event

if TYPE_CHECKING:
    from guard.store.figures import Figures
    from guard.store.rows import Scope

MOST_STEPS = 2_000
"""More than this nobody can look at: about 83 days of hours."""

_MICROSECOND = timedelta(microseconds=1)
_EVENTS = frozenset(one.value for one in Event)


class Step(StrEnum):
    """How long a step is. Weeks begin on Mondays."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"

    @property
    def length_us(self) -> int:
        """Microseconds."""
        return _LENGTHS[self] // _MICROSECOND

    @property
    def shift_us(self) -> int:
        """What is added to a time so that steps begin where they should: 1970 began a Thursday."""
        return timedelta(days=3) // _MICROSECOND if self is Step.WEEK else 0

    def number(self, at_us: int) -> int:
        """Which step a time falls into."""
        return (at_us + self.shift_us) // self.length_us

    def begin(self, number: int) -> datetime:
        """When a step begins."""
        return from_us(number * self.length_us - self.shift_us)


_LENGTHS = {
    Step.HOUR: timedelta(hours=1),
    Step.DAY: timedelta(days=1),
    Step.WEEK: timedelta(weeks=1),
}

Span = tuple[int, int] | None
"""The first and the last time of what is counted, in microseconds; None where there is nothing."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One step: when it begins, and how many rows of records there were by event; no acts."""

    begin: datetime
    counts: Mapping[str, int]


def step_for(span: Span, scope: Scope) -> Step:
    """The step that makes a readable picture of a period: at most 72 hours, or 120 days."""
    edges = _edges(span, scope)
    length = timedelta(0) if edges is None else (edges[1] - edges[0]) * _MICROSECOND
    if length <= timedelta(days=3):
        return Step.HOUR
    return Step.DAY if length <= timedelta(days=120) else Step.WEEK


def buckets(figures: Figures, step: Step, span: Span) -> tuple[Bucket, ...]:
    """Every step of the period, also those without a row.

    Raises InvalidRequest when there are more than can be shown.
    """
    edges = _edges(span, figures.scope)
    if edges is None:
        return ()
    first, last = step.number(edges[0]), step.number(edges[1])
    if last - first >= MOST_STEPS:
        raise InvalidRequest(
            f"From {from_us(edges[0]):%Y-%m-%d} to {from_us(edges[1]):%Y-%m-%d} there are "
            f"{last - first + 1:,} steps of one {step}; at most {MOST_STEPS:,} can be shown.",
            hint="Choose longer ones with --by, or a shorter period with --since and --until.",
        )
    counts: dict[int, Counter[str]] = {number: Counter() for number in range(first, last + 1)}
    for number, event, rows in figures.over_time(step.length_us, step.shift_us):
        if event in _EVENTS:
            counts[number][event] += rows
    return tuple(Bucket(step.begin(number), dict(one)) for number, one in counts.items())


def _edges(span: Span, scope: Scope) -> Span:
    """The period that was asked for; where it is open, as far as there is something."""
    if span is None:
        return None
    since = span[0] if scope.since_us is None else scope.since_us
    until = span[1] if scope.until_us is None else scope.until_us - 1
    return since, until
