"""Finding rows of the log, newest first, without reading all of it where an index leads there.

PostgreSQL chooses indexes by its statistics. SQLite has none, and guesses badly: "one of the six
events of a record" is every row, yet it would gather and sort them all. So on SQLite we choose:
what names few rows by nature (an id, a mark, a digest, a rule) leads; else whatever matches few
rows when they are counted, up to a limit; else rows are read in order until there are enough.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, or_, select

from guard.store.rows import Query
from guard.store.tables import LEAF, table

FEW = 20_000
"""So many rows are looked up and sorted in less time than a person notices."""

_KEYS = ("record_id", "asset_sha256", "about", "subject")
_EQUAL = (*_KEYS, "event", "tenant", "stage", "action", "model")
_LEADS = ("tenant", "event", "at_us")
"""What has an index, together with the time, but may match any number of rows."""

_DIGEST_START = re.compile(r"[0-9a-f]{6,64}")

Conditions = list[ColumnElement[bool]]


class Search:
    """One question, within a read transaction."""

    def __init__(self, connection: Connection, log_id: str, query: Query) -> None:
        self._connection = connection
        self._log_id = log_id
        self._query = query

    def indexes(self, *, before: int | None, limit: int) -> Select[Any]:
        """Selects the indexes of the newest ``limit`` rows that match, below ``before``."""
        conditions = _keyed(self._query) + _lines(self._query)
        lead = None if conditions else self._lead()
        if not conditions and lead is None:
            # In the log's order; where something leads, this index would win against its.
            conditions.append(LEAF.c.log_id == self._log_id)
        conditions += self._others(lead)
        if before is not None:
            conditions.append(LEAF.c.leaf_index < before)
        statement = select(LEAF.c.leaf_index).where(*conditions)
        return statement.order_by(LEAF.c.leaf_index.desc()).limit(limit)

    def _lead(self) -> str | None:
        """What matches few rows. PostgreSQL need not be told."""
        if self._connection.dialect.name != "sqlite":
            return None
        asked = [name for name in _LEADS if name == "at_us" or getattr(self._query, name)]
        return next((name for name in asked if self._matches_few(name)), None)

    def _matches_few(self, name: str) -> bool:
        """Counts in the index alone, and stops counting in time."""
        conditions = _times(self._query, LEAF.c.at_us)
        if name != "at_us":
            conditions.append(LEAF.c[name] == getattr(self._query, name))
        if not conditions:
            return False
        first = select(LEAF.c.at_us).where(*conditions).limit(FEW + 1).subquery()
        found = self._connection.execute(select(func.count()).select_from(first)).scalar()
        return int(found or 0) <= FEW

    def _others(self, lead: str | None) -> Conditions:
        query = self._query
        names = [name for name in _EQUAL if name not in _KEYS and getattr(query, name) is not None]
        found: Conditions = [self._column(name, lead) == getattr(query, name) for name in names]
        found += _times(query, LEAF.c.at_us if lead else self._column("at_us", None))
        if query.events:
            found.append(self._column("event", None).in_(query.events))
        if query.policy is not None:
            found.append(_policy(query.policy))
        if query.mark is not None:
            found.append(LEAF.c.mark == query.mark)
        return found

    def _column(self, name: str, lead: str | None) -> ColumnElement[Any]:
        """A column, on SQLite such that no index on it is used unless it leads."""
        if name == lead or name not in _LEADS or self._connection.dialect.name != "sqlite":
            return LEAF.c[name]
        return literal_column(f"+audit_leaf.{name}", LEAF.c[name].type)


def _keyed(query: Query) -> Conditions:
    """What names few rows by nature; all of it has an index."""
    found: Conditions = [
        LEAF.c[name] == getattr(query, name) for name in _KEYS if getattr(query, name) is not None
    ]
    if query.records is not None:
        found.append(LEAF.c.record_id.in_(query.records))
    if query.between is not None:
        found.append(LEAF.c.record_id.between(*query.between))
    if query.mark is not None:
        marks = table("mark_id")
        # Through the lookup table: the column itself has no index, and needs none.
        owner = select(marks.c.record_id).where(marks.c.payload == query.mark)
        found.append(LEAF.c.record_id.in_(owner))
    return found


def _lines(query: Query) -> Conditions:
    """An item among the lines of a column.

    What few rows have is indexed for those alone; databases use such an index only where the
    statement repeats its condition word for word.
    """
    found: Conditions = []
    for name, item in (("rules", query.rule), ("categories", query.category)):
        if item is not None:
            found.append(literal_column(f"audit_leaf.{name} <> ''"))
            found.append(LEAF.c[name].contains(f"\n{item}\n", autoescape=True))
    return found


def _times(query: Query, column: ColumnElement[Any]) -> Conditions:
    found: Conditions = []
    if query.since_us is not None:
        found.append(column >= query.since_us)
    if query.until_us is not None:
        found.append(column < query.until_us)
    return found


def _policy(asked: str) -> ColumnElement[bool]:
    named = LEAF.c.policy == asked
    if _DIGEST_START.fullmatch(asked):
        return or_(named, LEAF.c.policy_digest.startswith(asked, autoescape=True))
    return named
