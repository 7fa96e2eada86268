"""Reading the log: lists, single records, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from guard.audit import acts as act_leaves
from guard.audit.append import receipt
from guard.audit.frame import from_us, to_us
from guard.audit.log import SqlAuditLog
from guard.audit.record import Leaf, parse
from guard.errors import RecordNotFound
from guard.store.rows import LeafRow, Query
from guard.types import Act, AuditAct, AuditReceipt, AuditRecord, Event, Stage

PAGE = 500
"""Rows fetched at once: bounds memory and the time a read transaction lives."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as the log holds it."""

    index: int
    record: AuditRecord
    receipt: AuditReceipt
    manifest_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class ActEntry:
    """One act as the log holds it."""

    index: int
    act: AuditAct
    receipt: AuditReceipt


RECORD_EVENTS = tuple(one.value for one in Event)


def to_entry(log_id: str, row: LeafRow) -> Entry:
    """A row as an entry. Raises LogTampered when the leaf is not what was written."""
    leaf: Leaf = parse(row.leaf)
    return Entry(row.index, leaf.record, receipt(log_id, row), leaf.manifest_sha256)


def list_records(  # noqa: PLR0913 - one argument for each way to narrow
    log: SqlAuditLog,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    event: Event | str | None = None,
    record_id: str | None = None,
    stage: Stage | str | None = None,
    rule: str | None = None,
    category: str | None = None,
    tenant: str | None = None,
    limit: int = 100,
) -> list[Entry]:
    """The newest ``limit`` entries that match, newest first.

    ``since`` and ``until`` are aware times, ``until`` excluded; ``rule`` is an id that acted;
    ``category`` one that was scored over its threshold. Raises LogTampered when a leaf is not
    what was written.
    """
    query = Query(
        since_us=None if since is None else to_us(since),
        until_us=None if until is None else to_us(until),
        event=event and str(event),
        record_id=record_id,
        stage=stage and str(stage),
        rule=rule,
        category=category,
        tenant=tenant,
        events=RECORD_EVENTS,
    )
    return list(islice(iterate(log, query), limit))


def iterate(log: SqlAuditLog, query: Query) -> Iterator[Entry]:
    """Every entry that matches, newest first, in bounded memory."""
    for row in _rows(log, query):
        yield to_entry(log.log_id, row)


def _rows(log: SqlAuditLog, query: Query) -> Iterator[LeafRow]:
    before: int | None = None
    while True:
        with log.store.read() as reader:
            rows = reader.search(query, before=before, limit=PAGE)
        yield from rows
        if len(rows) < PAGE:
            return
        before = rows[-1].index


def acts(  # noqa: PLR0913 - one argument for each way to narrow
    log: SqlAuditLog,
    *,
    act: Act | None = None,
    about: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
) -> list[ActEntry]:
    """The newest ``limit`` acts that match, newest first.

    ``about`` is a record's id, ``subject`` a person's pseudonym. Raises LogTampered when a leaf is
    not what was written.
    """
    query = Query(
        since_us=None if since is None else to_us(since),
        until_us=None if until is None else to_us(until),
        about=about,
        subject=subject,
        events=tuple(one.value for one in Act) if act is None else (act.value,),
    )
    rows = islice(_rows(log, query), limit)
    return [
        ActEntry(row.index, act_leaves.parse(row.leaf).act, receipt(log.log_id, row))
        for row in rows
    ]


def show(log: SqlAuditLog, record_id: str) -> tuple[Entry, ...]:
    """Every event of a record, in order. Raises RecordNotFound."""
    with log.store.read() as reader:
        rows = reader.events(record_id)
    if not rows or rows[0].columns.event in act_leaves.NAMES:
        raise RecordNotFound(
            f"The log holds no record {record_id}.",
            hint="List what there is with: guard audit list",
        )
    return tuple(to_entry(log.log_id, row) for row in rows)


def stats(log: SqlAuditLog) -> dict[str, Any]:
    """Counts of events: in all, by event, stage, rule, policy, model and day (UTC)."""
    with log.store.read() as reader:
        events = {name: count for name, count in reader.counts("event") if name in RECORD_EVENTS}
        by = {name: _named(reader.counts(name)) for name in ("stage", "policy", "model", "tenant")}
        rules: Counter[str] = Counter()
        for lines, count in reader.counts("rules"):
            for rule in lines.split():
                rules[rule] += count
        days = reader.counts_by_day()
    return {
        "events": sum(events.values()),
        "records": events.get("started", 0),
        "by_event": events,
        **{f"by_{name}": counts for name, counts in by.items()},
        "by_rule": dict(rules.most_common()),
        "by_day": _days(days),
    }


def _named(counts: Iterator[tuple[Any, ...]]) -> dict[str, int]:
    return {name: count for name, count in counts if name}


def _days(days: list[tuple[int, str, int]]) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for day, event, count in days:
        date = from_us(0) + timedelta(days=day)
        table.setdefault(date.date().isoformat(), {})[event] = count
    return table
