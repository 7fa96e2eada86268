"""The transparency report: one HTML page that stands alone, on screen and on paper.

It loads nothing and runs nothing. Names in it (rules, models, tenants) were chosen by others: they
are escaped and isolated from the page's own writing direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from guard.audit.report.charts import HEIGHT, LEFT, RIGHT, WIDTH, column_chart, when
from guard.audit.report.suppress import Shown, hide_small
from guard.version import __version__

if TYPE_CHECKING:
    from jinja2 import Template

    from guard.audit.report.statistics import Disputed, Statistics

EVENTS = ("released", "blocked", "held", "failed", "abandoned")
MOST_ROWS = 100
"""Of a table: a page is for people."""

ACTS = {
    "erased": "Erasures of personal data on request",
    "expired": "Data destroyed because their time was over",
    "decrypted": "Times that personal data were decrypted",
    "viewed": "Times that somebody looked at a picture or record",
    "exported": "Exports of the log",
    "hold_placed": "Legal holds placed",
    "hold_lifted": "Legal holds lifted",
    "signalled": "Signals of repeated blocks",
    "reported": "Reports passed on",
}
"""What acts are called; appeals have a section of their own."""


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What the page says beside the counts.

    ``tenants``: whether each tenant is named with its counts; those below ``fewest`` are hidden.
    ``checkpoint`` is the last one that was published, as its note says it.
    """

    title: str = "Transparency report"
    tenants: bool = False
    fewest: int = 5
    checkpoint: str | None = None
    made: datetime = field(default_factory=lambda: datetime.now(UTC))


def report_page(found: Statistics, options: ReportOptions | None = None) -> str:
    """The page, encodable as UTF-8 whatever the names hold."""
    chosen = options or ReportOptions()
    text = _template().render(
        options=chosen,
        found=found,
        period=period(found),
        software=f"genguard {__version__}",
        made=f"{chosen.made:%Y-%m-%d %H:%M} UTC",
        events=[one for one in EVENTS if found.events.get(one)],
        charts=_charts(found),
        drawing={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT},
        over_time=[(when([one], found.step), one.counts) for one in found.over_time],
        disputes=[("category", _cut(found.categories)), ("rule", _cut(found.rules))],
        tables=_tables(found, chosen),
        acts=[(words, found.acts.get(name, 0)) for name, words in ACTS.items()],
        appeals=_appeals(found),
        most=MOST_ROWS,
    )
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def period(found: Statistics) -> str:
    """The period in words, its last day included."""
    since = found.since or (found.over_time[0].begin if found.over_time else None)
    until = found.until
    if since is None:
        return "the whole log, which is empty" if until is None else f"until {_day(until)}"
    return f"{_day(since)} to {'now' if until is None else _last(until)}"


def tenants_shown(found: Statistics, fewest: int) -> dict[str, dict[str, Shown]]:
    """The counts of each tenant, small ones hidden."""
    return hide_small(found.by["tenant"], fewest)


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}".removesuffix(" 00:00")


def _last(until: datetime) -> str:
    before = until - timedelta(microseconds=1)
    return f"{before:%Y-%m-%d}" if f"{until:%H:%M:%S}" == "00:00:00" else f"{until:%Y-%m-%d %H:%M}"


def _charts(found: Statistics) -> list[tuple[str, Any]]:
    drawn = [
        ("Decisions", column_chart(found.over_time, EVENTS, found.step)),
        ("What was not released", column_chart(found.over_time, EVENTS[1:], found.step)),
    ]
    return [(title, chart) for title, chart in drawn if chart is not None]


def _tables(
    found: Statistics, options: ReportOptions
) -> list[tuple[str, list[str], list[tuple[str, dict[str, Shown], float]]]]:
    """(heading, events, rows of (name, counts, share of the largest))."""
    policies = {f"{one.name} {one.digest[:12]}": one.counts for one in found.policies}
    tables: list[tuple[str, Mapping[str, Mapping[str, int]], int]] = [
        ("stage", found.by["stage"], 0), ("model", found.by["model"], 0), ("policy", policies, 0),
    ]  # fmt: skip
    if options.tenants:
        tables.append(("tenant", found.by["tenant"], options.fewest))
    answer = []
    for heading, table, fewest in tables:
        if table:
            shown = hide_small(table, fewest)
            sums = {name: sum(counts.values()) for name, counts in table.items()}
            most = max(sums.values())
            # A bar would say what a hidden number does not.
            bars = {name: 0.0 if fewest > 1 else sums[name] / most for name in table}
            names = list(table)[:MOST_ROWS]
            present = [one for one in EVENTS if any(one in counts for counts in table.values())]
            answer.append((heading, present, [(one, shown[one], bars[one]) for one in names]))
    return answer


def _cut(found: Sequence[Disputed]) -> list[tuple[Disputed, float]]:
    """Those that blocked or held something, with their share of the largest."""
    some = [one for one in found if one.blocked or one.held or one.appealed]
    most = max((one.blocked + one.held for one in some), default=0) or 1
    return [(one, (one.blocked + one.held) / most) for one in some[:MOST_ROWS]]


def _appeals(found: Statistics) -> dict[str, int]:
    names = {"made": "appealed", "granted": "appeal_granted", "denied": "appeal_denied"}
    return {name: found.acts.get(act, 0) for name, act in names.items()} | {
        "open": found.open_appeals
    }


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for unit, length, digits in (("days", 86_400, 1), ("hours", 3_600, 1), ("minutes", 60, 0)):
        if seconds >= length:
            return f"{seconds / length:.{digits}f} {unit}"
    return f"{seconds:.0f} seconds"


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    source = (files("guard.audit.report") / "report.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": _percent,
        "duration": _duration,
        "number": lambda value: f"{value:,}" if isinstance(value, int) else str(value),
    }
    return environment.from_string(source)
