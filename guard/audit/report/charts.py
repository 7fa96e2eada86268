"""The shapes of a column chart, in the units of its drawing: the template only writes them down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from guard.audit.report.periods import Bucket, Step

WIDTH, HEIGHT = 720, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 6, 10, 26
MOST_COLUMNS = 120
"""More cannot be told apart: neighbours are drawn together."""

LABELS = 7
"""About so many dates under the chart."""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a column: of which event, and where."""

    event: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """The counts of one time, stacked; ``label`` says it in words."""

    x: float
    width: float
    label: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A line or date of an axis: where it is, and what it says."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of WIDTH × HEIGHT. ``events`` are those that it shows, from the bottom up."""

    events: tuple[str, ...]
    columns: tuple[Column, ...]
    lines: tuple[Tick, ...]
    dates: tuple[Tick, ...]


def column_chart(buckets: Sequence[Bucket], events: Sequence[str], step: Step) -> Chart | None:
    """The counts of ``events`` over time; None where there is nothing to draw."""
    shown = tuple(one for one in events if any(bucket.counts.get(one) for bucket in buckets))
    if not shown:
        return None
    each = -(-len(buckets) // MOST_COLUMNS)
    groups = [buckets[start : start + each] for start in range(0, len(buckets), each)]
    counts = [
        {event: sum(bucket.counts.get(event, 0) for bucket in group) for event in shown}
        for group in groups
    ]
    top, lines = _scale(max(sum(one.values()) for one in counts))
    pitch = (WIDTH - LEFT - RIGHT) / len(groups)
    names = [when(group, step) for group in groups]
    columns = [
        Column(
            x=round(LEFT + pitch * place + min(pitch * 0.12, 6), 2),
            width=round(max(pitch - 2 * min(pitch * 0.12, 6), 0.5), 2),
            label=f"{names[place]}: {said(one)}",
            blocks=_stacked(one, top),
        )
        for place, one in enumerate(counts)
    ]
    return Chart(shown, tuple(columns), lines, _dates(groups, step, pitch))


def when(group: Sequence[Bucket], step: Step) -> str:
    """The time of one step, or of several taken together."""
    first, last = _name(group[0], step), _name(group[-1], step)
    return first if first == last else f"{first} – {last}"


def said(counts: Mapping[str, int]) -> str:
    """Counts in words; zeros are left out unless all are."""
    words = [f"{rows:,} {event}" for event, rows in counts.items() if rows]
    return ", ".join(words) or "nothing"


def _name(bucket: Bucket, step: Step) -> str:
    if step is Step.HOUR:
        return f"{bucket.begin:%Y-%m-%d %H:%M}"
    return f"{'week of ' if step is Step.WEEK else ''}{bucket.begin:%Y-%m-%d}"


def _height(rows: float, top: int) -> float:
    return (HEIGHT - TOP - BOTTOM) * rows / top


def _stacked(counts: Mapping[str, int], top: int) -> tuple[Block, ...]:
    blocks: list[Block] = []
    below = 0
    for event, rows in counts.items():
        below += rows
        if rows:
            y = HEIGHT - BOTTOM - _height(below, top)
            blocks.append(Block(event, round(y, 2), round(_height(rows, top), 2)))
    return tuple(blocks)


def _scale(most: int) -> tuple[int, tuple[Tick, ...]]:
    """The top of the axis and its lines: round numbers, two to five of them."""
    steps = (digit * 10**power for power in count() for digit in (1, 2, 5))
    step = next(one for one in steps if most <= 4 * one)
    top = -(-most // step) * step
    values = range(0, top + 1, step)
    return top, tuple(
        Tick(round(HEIGHT - BOTTOM - _height(value, top), 2), f"{value:,}") for value in values
    )


def _dates(groups: Sequence[Sequence[Bucket]], step: Step, pitch: float) -> tuple[Tick, ...]:
    every = -(-len(groups) // LABELS)
    form = "%d %b %H:%M" if step is Step.HOUR else "%d %b %Y" if step is Step.WEEK else "%d %b"
    return tuple(
        Tick(round(LEFT + pitch * (place + 0.5), 2), f"{groups[place][0].begin:{form}}")
        for place in range(0, len(groups), every)
    )
