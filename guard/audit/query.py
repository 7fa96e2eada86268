"""Reading the log: lists, and single records with all that happened to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from string import hexdigits
from uuid import UUID

from guard.audit import acts as act_leaves
from guard.audit.append import receipt
from guard.audit.frame import to_us
from guard.audit.log import SqlAuditLog
from guard.audit.record import Leaf, parse
from guard.errors import InvalidRequest, RecordNotFound
from guard.store.rows import LeafRow, Query
from guard.types import Act, Action, AuditAct, AuditReceipt, AuditRecord, Event, Stage

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
ID_DIGITS = 32


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
    action: Action | str | None = None,
    record_id: str | None = None,
    records: Iterable[str] | None = None,
    stage: Stage | str | None = None,
    rule: str | None = None,
    category: str | None = None,
    tenant: str | None = None,
    model: str | None = None,
    policy: str | None = None,
    mark: str | None = None,
    asset_sha256: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """The newest ``limit`` entries that match all that is given, newest first.

    ``since`` and ``until`` are aware times, ``until`` excluded; ``record_id`` is an id or how one
    begins, ``records`` are ids of which any will do; ``rule`` is an id that acted; ``category`` one
    that was scored over its threshold; ``policy`` a name, or how a digest begins (6 hex digits or
    more); ``mark`` a mark id in hex; ``asset_sha256`` that of a released file. ``before`` an index:
    the next page lies before the last entry of one. Raises InvalidRequest for what is no beginning
    of a record id, LogTampered when a leaf is not what was written.
    """
    query = Query(
        since_us=None if since is None else to_us(since),
        until_us=None if until is None else to_us(until),
        event=event and str(event),
        action=action and str(action),
        between=None if record_id is None else id_bounds(record_id),
        records=None if records is None else tuple(records),
        stage=stage and str(stage),
        rule=rule,
        category=category,
        tenant=tenant,
        model=model,
        policy=policy,
        mark=mark,
        asset_sha256=asset_sha256,
    )
    return list(islice(iterate(log, query, before=before, page=min(limit, PAGE)), limit))


def iterate(
    log: SqlAuditLog, query: Query, *, before: int | None = None, page: int | None = None
) -> Iterator[Entry]:
    """Every entry that matches, newest first, in bounded memory; never an act."""
    records = dataclasses.replace(query, events=query.events or RECORD_EVENTS)
    for row in _rows(log, records, before, page or PAGE):
        yield to_entry(log.log_id, row)


def _rows(log: SqlAuditLog, query: Query, before: int | None, page: int) -> Iterator[LeafRow]:
    while True:
        with log.store.read() as reader:
            rows = reader.search(query, before=before, limit=page)
        yield from rows
        if len(rows) < page:
            return
        before = rows[-1].index


def id_bounds(start: str) -> tuple[str, str]:
    """The first and the last id that begins so, hyphens or not. Raises InvalidRequest."""
    digits = start.strip().lower().replace("-", "")
    if not 1 <= len(digits) <= ID_DIGITS or set(digits) - set(hexdigits):
        raise InvalidRequest(
            f"No record id begins with {start!r}.",
            hint="Ids look like 0199b2c4-9d3a-7c11-8a52-3f0d6c1e2b90; the first digits will do.",
        )
    # Ids of full length compare alike under whatever collation a database has.
    ends = (digits.ljust(ID_DIGITS, fill) for fill in "0f")
    first, last = (str(UUID(hex=one)) for one in ends)
    return first, last


def full_id(log: SqlAuditLog, start: str) -> str:
    """The id of the one record that begins so.

    Raises RecordNotFound when there is none, InvalidRequest when there are several.
    """
    first, last = id_bounds(start)
    if first == last:
        return first
    with log.store.read() as reader:
        found = reader.record_ids(first, last, 2)
    if not found:
        raise _no_record(start)
    if len(found) > 1:
        raise InvalidRequest(
            f"Several ids begin with {start}.",
            hint=f"List them with: guard audit list --record {start}",
        )
    return found[0]


def acts(  # noqa: PLR0913 - one argument for each way to narrow
    log: SqlAuditLog,
    *,
    act: Act | None = None,
    about: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[ActEntry]:
    """The newest ``limit`` acts that match, newest first, below index ``before``.

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
    rows = islice(_rows(log, query, before, min(limit, PAGE)), limit)
    return [to_act_entry(log.log_id, row) for row in rows]


def to_act_entry(log_id: str, row: LeafRow) -> ActEntry:
    """A row as an act. Raises LogTampered when the leaf is not what was written."""
    return ActEntry(row.index, act_leaves.parse(row.leaf).act, receipt(log_id, row))


def show(log: SqlAuditLog, record_id: str) -> tuple[Entry, ...]:
    """Every event of a record, in order. Raises RecordNotFound."""
    with log.store.read() as reader:
        rows = reader.events(record_id)
    if not rows or rows[0].columns.event in act_leaves.NAMES:
        raise _no_record(record_id)
    return tuple(to_entry(log.log_id, row) for row in rows)


def _no_record(asked: str) -> RecordNotFound:
    return RecordNotFound(
        f"The log holds no record {asked}.", hint="List what there is with: guard audit list"
    )
