"""``guard audit stats``: counts over the log, for people as bars and lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from .charts import bar, sparkline
from .command import Run
from .exits import Exit
from .rows import COLOURS, coloured
from .times import SinceOption, UntilOption, parse_time

if TYPE_CHECKING:
    from guard.audit.report.statistics import Disputed, Reviews, Statistics

BAR = 16
"""Columns of the longest bar: a table fits a terminal of 80."""

LINE = 48
"""Columns of a sparkline."""

MOST = 10
"""Rows of a table for people; scripts get all."""


class StepName(StrEnum):
    """How counts over time are taken together."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


def stats(
    run: Run,
    since: SinceOption = None,
    until: UntilOption = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    by: Annotated[
        StepName | None, typer.Option("--by", help="Steps of time; chosen by itself.")
    ] = None,
) -> Exit:
    """Counts over time, by rule, category, stage, policy, model and tenant; appeals and reviews.

    The share of wrong blocks counts granted appeals: it is a lower bound, not everybody appeals.
    """
    from guard.audit.report.periods import Step
    from guard.audit.report.statistics import count

    found = count(
        run.log,
        since=parse_time("since", since),
        until=parse_time("until", until),
        tenant=tenant,
        step=None if by is None else Step(by),
    )
    run.out.emit(stats_row(found), *_head(found), *_over_time(found))
    if not run.out.as_json:
        for table in _tables(found):
            run.out.show("")
            run.out.table(table)
        run.out.show(*_after(found))
    return Exit.DONE


def stats_row(found: Statistics) -> dict[str, Any]:
    """The counts as scripts read them."""
    return {
        "log": {"log_id": found.log_id, "size": found.size, "root": found.root},
        "since": _iso(found.since),
        "until": _iso(found.until),
        "tenant": found.tenant,
        "events": sum(found.events.values()),
        "records": found.events["started"],
        "by_event": {name: rows for name, rows in found.events.items() if rows},
        "block_rate": found.block_rate,
        "step": found.step.value,
        "over_time": [{"begin": _iso(one.begin), **one.counts} for one in found.over_time],
        **{f"by_{name}": _plain(table) for name, table in found.by.items()},
        "by_policy": [
            {"name": one.name, "digest": one.digest, **one.counts} for one in found.policies
        ],
        "by_rule": [_disputed_row(one) for one in found.rules],
        "by_category": [_disputed_row(one) for one in found.categories],
        "acts": {name: count for name, count in found.acts.items() if count},
        "appeals": appeals_row(found),
        "reviews": dataclasses.asdict(found.reviews),
    }


def appeals_row(found: Statistics) -> dict[str, int]:
    """How many appeals were made and decided in the period, and how many are open now."""
    names = ("appealed", "appeal_granted", "appeal_denied")
    made, granted, denied = (found.acts[name] for name in names)
    return {"made": made, "granted": granted, "denied": denied, "open": found.open_appeals}


def _disputed_row(one: Disputed) -> dict[str, Any]:
    return {**dataclasses.asdict(one), "wrong": one.wrong}


def _plain(table: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {name: dict(counts) for name, counts in table.items()}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _head(found: Statistics) -> list[str]:
    events = found.events
    period = f"{_day(found.since) or 'the beginning'} – {_day(found.until) or 'now'}"
    of_tenant = "" if found.tenant is None else f" · tenant {escape(found.tenant)}"
    rate = "" if found.block_rate is None else f" [dim]({percent(found.block_rate)} of decided)[/]"
    counts = [
        f"[bold]{events['started']:,}[/] started",
        f"[green]{events['released']:,} released[/]",
        f"[red]{events['blocked']:,} blocked[/]{rate}",
    ]
    counts += [f"{events[name]:,} {name}" for name in ("failed", "abandoned") if events[name]]
    return [f"[dim]{period} (UTC){of_tenant}[/]", " · ".join(counts)]


def _day(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}".removesuffix(" 00:00")


def percent(share: float) -> str:
    """A share as people read it."""
    return f"{100 * share:.1f} %"


def _over_time(found: Statistics) -> list[str]:
    if not found.over_time:
        return []
    lines = ["", f"[bold]By {found.step}[/]"]
    for name in ("started", "released", "blocked", "held", "failed", "abandoned"):
        values = [one.counts.get(name, 0) for one in found.over_time]
        if any(values):
            colour = COLOURS.get(name, "cyan")
            most = max(values)
            peak = found.over_time[values.index(most)].begin
            drawn = f"[{colour}]{sparkline(values, LINE)}[/]"
            lines.append(f"  {name:<9} {drawn}  [dim]most {most:,}: {_day(peak)}[/]")
    return lines


def _tables(found: Statistics) -> list[Table]:
    tables = [
        _disputes("rule", found.rules),
        _disputes("category", found.categories),
        *(_counts(name, counts) for name, counts in found.by.items()),
        _counts("policy", {f"{one.name} {one.digest[:12]}": one.counts for one in found.policies}),
    ]
    return [one for one in tables if one.row_count]


def _new(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(f"[bold not dim]By {first}[/]", overflow="fold", min_width=20)
    table.add_column("", width=BAR, min_width=BAR, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    return table


def _disputes(name: str, found: Sequence[Disputed]) -> Table:
    table = _new(name, "blocked", "held", "appealed", "granted", "wrong")
    most = max((one.blocked + one.held for one in found), default=0)
    for one in found[:MOST]:
        wrong = percent(one.wrong) if one.granted and one.wrong is not None else ""
        shown = (one.blocked, one.held, one.appealed, one.granted)
        drawn = f"[red]{bar(one.blocked + one.held, most, BAR)}[/]"
        table.add_row(escape(one.name), drawn, *map(_number, shown), wrong)
    return _cut(table, len(found))


def _counts(name: str, found: Mapping[str, Mapping[str, int]]) -> Table:
    table = _new(name, "released", "blocked", "held", "failed")
    most = max((sum(counts.values()) for counts in found.values()), default=0)
    for value, counts in list(found.items())[:MOST]:
        shown = [counts.get(event, 0) for event in ("released", "blocked", "held", "failed")]
        drawn = f"[cyan]{bar(sum(counts.values()), most, BAR)}[/]"
        table.add_row(escape(value), drawn, *map(_number, shown))
    return _cut(table, len(found))


def _cut(table: Table, rows: int) -> Table:
    if rows > MOST:
        table.add_row(f"[dim]and {rows - MOST:,} more: --json[/]")
    return table


def _number(value: int) -> str:
    return f"{value:,}" if value else "[dim]·[/]"


def _after(found: Statistics) -> list[str]:
    appeals, reviews = appeals_row(found), found.reviews
    lines: list[str] = []
    if any(appeals.values()):
        shown = ", ".join(f"{count:,} {name}" for name, count in appeals.items())
        lines += ["", f"[bold]Appeals[/]  {shown}"]
    if reviews.approved or reviews.rejected or reviews.waiting:
        lines += ["", f"[bold]Reviews[/]  {_reviewed(reviews)}"]
    acts = {name: count for name, count in found.acts.items() if count}
    if acts:
        shown = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in acts.items())
        lines += ["", f"[bold]Acts[/]     {shown}"]
    return [*lines, "", f"[dim]log {found.log_id} · {found.size:,} rows · root {found.root}[/]"]


def _reviewed(reviews: Reviews) -> str:
    text = f"{reviews.approved:,} approved, {reviews.rejected:,} rejected, "
    text += f"{reviews.waiting:,} {coloured('held') if reviews.waiting else 'held'} now"
    if reviews.median_s is None or reviews.p90_s is None:
        return text
    return f"{text} · decided in {duration(reviews.median_s)}, 90 % in {duration(reviews.p90_s)}"


def duration(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 3.5 h, 2.0 d."""
    for unit, length, digits in (("d", 86_400, 1), ("h", 3_600, 1), ("min", 60, 0)):
        if seconds >= length:
            return f"{seconds / length:.{digits}f} {unit}"
    return f"{seconds:.0f} s"
