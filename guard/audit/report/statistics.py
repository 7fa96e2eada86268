"""Counts over the log: what was decided, why, how fast, and how often that was wrong.

Everything is counted by what the columns beside the leaves say; ``guard audit verify`` says
whether they are what the leaves say. Times are claims of those who wrote them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, TypeVar

from guard.audit.frame import to_us
from guard.audit.log import SqlAuditLog
from guard.audit.report.periods import Bucket, Step, buckets, step_for
from guard.store.rows import Scope
from guard.types import Act, Event

if TYPE_CHECKING:
    from guard.store.figures import Figures
    from guard.store.rows import Head

Counts = Mapping[str, int]
"""How many rows, by event."""


@dataclass(frozen=True, slots=True)
class Disputed:
    """How often something blocked, and how often that was disputed and found wrong or right.

    ``granted`` over ``blocked`` is a lower bound of its false positives: not everybody appeals.
    """

    name: str
    blocked: int = 0
    held: int = 0
    released: int = 0
    appealed: int = 0
    granted: int = 0
    denied: int = 0

    @property
    def wrong(self) -> float | None:
        """The share of blocks that an appeal found wrong; None where nothing was blocked."""
        return self.granted / self.blocked if self.blocked else None


@dataclass(frozen=True, slots=True)
class Reviews:
    """What reviewers decided, and the seconds that pictures waited for it.

    ``waiting`` counts what waits now, whatever the period.
    """

    approved: int
    rejected: int
    waiting: int
    median_s: float | None = None
    p90_s: float | None = None
    longest_s: float | None = None


@dataclass(frozen=True, slots=True)
class PolicyCounts:
    """What was decided under one version of a policy."""

    name: str
    digest: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of one period and tenant, or of all. ``by``: stage, model and tenant."""

    log_id: str
    size: int
    root: str
    since: datetime | None
    until: datetime | None
    tenant: str | None
    step: Step
    events: Counts
    over_time: tuple[Bucket, ...]
    by: Mapping[str, Mapping[str, Counts]]
    policies: tuple[PolicyCounts, ...]
    rules: tuple[Disputed, ...]
    categories: tuple[Disputed, ...]
    acts: Counts
    open_appeals: int
    reviews: Reviews

    @property
    def block_rate(self) -> float | None:
        """Blocked over blocked and released; None where nothing was decided."""
        blocked, released = self.events.get("blocked", 0), self.events.get("released", 0)
        return blocked / (blocked + released) if blocked + released else None


def count(
    log: SqlAuditLog,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    tenant: str | None = None,
    step: Step | None = None,
) -> Statistics:
    """Counts of one moment of the log.

    ``since`` and ``until`` are aware times, ``until`` excluded. Without ``step`` one is chosen
    that fits the period. Raises InvalidRequest for more steps than can be shown.
    """
    scope = Scope(
        None if since is None else to_us(since), None if until is None else to_us(until), tenant
    )
    with log.store.read() as reader:
        figures = reader.figures(scope)
        figures.freeze()
        return _counted(figures, reader.head(), (since, until), step)


def _counted(
    figures: Figures,
    head: Head,
    period: tuple[datetime | None, datetime | None],
    step: Step | None,
) -> Statistics:
    span = figures.span()
    chosen = step or step_for(span, figures.scope)
    over_time = buckets(figures, chosen, span)
    by, policies = _endings(figures)
    acts = _Acts(figures)
    events: Counter[str] = Counter()
    for bucket in over_time:
        events.update(bucket.counts)
    return Statistics(
        log_id=head.log_id,
        size=head.size,
        root=head.root.hex(),
        since=period[0],
        until=period[1],
        tenant=figures.scope.tenant,
        step=chosen,
        events={one.value: events[one.value] for one in Event},
        over_time=over_time,
        by=by,
        policies=policies,
        rules=acts.disputed(figures.lines("rules"), 0),
        categories=acts.disputed(figures.lines("categories"), 1),
        acts={one.value: acts.counts[one.value] for one in Act},
        open_appeals=figures.open_appeals(),
        reviews=_reviews(figures),
    )


def _endings(
    figures: Figures,
) -> tuple[dict[str, dict[str, Counts]], tuple[PolicyCounts, ...]]:
    tables: dict[str, dict[str, Counter[str]]] = {"stage": {}, "model": {}, "tenant": {}}
    policies: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for event, stage, policy, digest, model, tenant, rows in figures.endings():
        for name, value in (("stage", stage), ("model", model), ("tenant", tenant)):
            if value:
                tables[name].setdefault(value, Counter())[event] += rows
        policies[policy, digest][event] += rows
    by: dict[str, dict[str, Counts]] = {
        name: {value: dict(counts) for value, counts in _largest(table)}
        for name, table in tables.items()
    }
    return by, tuple(
        PolicyCounts(name, digest, dict(counts)) for (name, digest), counts in _largest(policies)
    )


K = TypeVar("K", str, tuple[str, str])


def _largest(table: Mapping[K, Counter[str]]) -> list[tuple[K, Counter[str]]]:
    return sorted(table.items(), key=lambda item: (-item[1].total(), item[0]))


class _Acts:
    """Acts of the period, and which rules and categories the disputed blocks were for."""

    def __init__(self, figures: Figures) -> None:
        self.counts: Counter[str] = Counter()
        self._about: tuple[dict[str, Counter[str]], ...] = ({}, {})
        for act, *lines, rows in figures.acts(tuple(one.value for one in Act)):
            self.counts[act] += rows
            for table, text in zip(self._about, lines, strict=True):
                for item in text.split():
                    table.setdefault(item, Counter())[act] += rows

    def disputed(self, found: Iterable[tuple[str, str, int]], which: int) -> tuple[Disputed, ...]:
        """By rule (0) or category (1), what blocked most first."""
        events: dict[str, Counter[str]] = {}
        for lines, event, rows in found:
            for item in lines.split():
                events.setdefault(item, Counter())[event] += rows
        about = self._about[which]
        answer = [
            Disputed(
                name,
                **{one: events.get(name, _NONE)[one] for one in ("blocked", "held", "released")},
                appealed=about.get(name, _NONE)[Act.APPEALED],
                granted=about.get(name, _NONE)[Act.APPEAL_GRANTED],
                denied=about.get(name, _NONE)[Act.APPEAL_DENIED],
            )
            for name in events.keys() | about.keys()
        ]
        return tuple(sorted(answer, key=lambda one: (-one.blocked, -one.held, one.name)))


_NONE: Counter[str] = Counter()


def _reviews(figures: Figures) -> Reviews:
    decided = figures.waits()
    seconds = sorted(waited / 1e6 for _, waited in decided)
    events = Counter(event for event, _ in decided)
    counts = events["released"], events["blocked"], figures.waiting()
    if not seconds:
        return Reviews(*counts)
    p90 = seconds[min(len(seconds) - 1, len(seconds) * 9 // 10)]
    return Reviews(*counts, median(seconds), p90, seconds[-1])
