"""Counts over the log, computed by the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select, text

from guard.store.appeals import undecided
from guard.store.rows import Scope
from guard.store.tables import LEAF

FACTS = ("event", "stage", "policy", "policy_digest", "model", "tenant")
"""What endings are counted by, in this order."""

_REVIEWED = ("released", "blocked")


class Figures:
    """Counts within one read transaction, of the rows in a scope."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self.scope = scope

    def freeze(self) -> None:
        """See one moment of the log from here on: SQLite does so anyway."""
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))

    def span(self) -> tuple[int, int] | None:
        """The first and the last time in the scope; None where it holds nothing."""
        # Two look-ups in an index; both in one statement would read the whole of it.
        edges = [self._rows(select(edge(LEAF.c.at_us))).scalar() for edge in (func.min, func.max)]
        return None if edges[0] is None else (int(edges[0]), int(edges[1]))

    def over_time(self, step_us: int, shift_us: int) -> list[tuple[int, str, int]]:
        """(number of the step since 1970, event or act, rows)."""
        step = ((LEAF.c.at_us + shift_us) // step_us).label("step")
        statement = select(LEAF.c.event, step, func.count()).group_by(LEAF.c.event, step)
        return [(int(row[1]), row[0], row[2]) for row in self._rows(statement)]

    def endings(self) -> list[tuple[Any, ...]]:
        """(values of FACTS …, rows): how records ended, those that wait for review included."""
        columns = [LEAF.c[name] for name in FACTS]
        ended = ("released", "blocked", "held", "failed", "abandoned")
        statement = select(*columns, func.count()).where(LEAF.c.event.in_(ended)).group_by(*columns)
        return [tuple(row) for row in self._rows(statement)]

    def lines(self, name: str) -> list[tuple[str, str, int]]:
        """(lines, event, rows) of the column ``rules`` or ``categories``, where it has any."""
        column = LEAF.c[name]
        statement = (
            select(column, LEAF.c.event, func.count())
            .where(literal_column(f"audit_leaf.{name} <> ''"))
            .group_by(column, LEAF.c.event)
        )
        return [(row[0], row[1], row[2]) for row in self._rows(statement)]

    def acts(self, names: tuple[str, ...]) -> list[tuple[str, str, str, int]]:
        """(act, rules, categories, rows): acts, and for what the record they are about was blocked.

        The lines are empty where an act is about no record, or one that was not blocked.
        """
        about = LEAF.alias("ended")
        ended = (
            (about.c.record_id == LEAF.c.about)
            & (about.c.log_id == LEAF.c.log_id)
            & (about.c.event == "blocked")
        )
        columns = [LEAF.c.event, about.c.rules, about.c.categories]
        statement = (
            select(*columns, func.count())
            .select_from(LEAF.outerjoin(about, ended))
            .where(LEAF.c.event.in_(names))
            .group_by(*columns)
        )
        rows = self._connection.execute(self._within(statement, of_records=False))
        return [(row[0], row[1] or "", row[2] or "", row[3]) for row in rows]

    def open_appeals(self) -> int:
        """How many appeals nobody has decided, whenever they were made."""
        statement = select(func.count()).where(undecided())
        if self.scope.tenant is not None:
            statement = statement.where(self._of_tenant(self.scope.tenant, of_records=False))
        return int(self._connection.execute(statement).scalar() or 0)

    def waits(self) -> list[tuple[str, int]]:
        """(event, microseconds it waited) of every review that was decided."""
        held = LEAF.alias("held")
        waited = (held.c.record_id == LEAF.c.record_id) & (held.c.event == "held")
        statement = (
            select(LEAF.c.event, LEAF.c.at_us - held.c.at_us)
            .select_from(LEAF.join(held, waited))
            .where(LEAF.c.event.in_(_REVIEWED), LEAF.c.reviewer.is_not(None))
        )
        return [(row[0], int(row[1])) for row in self._rows(statement)]

    def waiting(self) -> int:
        """How many records wait for review now, whenever they were held."""
        later = LEAF.alias("later")
        decided = select(later.c.leaf_index).where(
            later.c.record_id == LEAF.c.record_id, later.c.event.in_(_REVIEWED)
        )
        statement = select(func.count()).where(LEAF.c.event == "held", ~decided.exists())
        if self.scope.tenant is not None:
            statement = statement.where(LEAF.c.tenant == self.scope.tenant)
        return int(self._connection.execute(statement).scalar() or 0)

    def _rows(self, statement: Select[Any]) -> Any:
        return self._connection.execute(self._within(statement))

    def _within(self, statement: Select[Any], *, of_records: bool = True) -> Select[Any]:
        scope, conditions = self.scope, list[ColumnElement[bool]]()
        if scope.since_us is not None:
            conditions.append(LEAF.c.at_us >= scope.since_us)
        if scope.until_us is not None:
            conditions.append(LEAF.c.at_us < scope.until_us)
        if scope.tenant is not None:
            conditions.append(self._of_tenant(scope.tenant, of_records=of_records))
        return statement.where(*conditions)

    @staticmethod
    def _of_tenant(tenant: str, *, of_records: bool) -> ColumnElement[bool]:
        if of_records:
            return LEAF.c.tenant == tenant
        # An act has no tenant of its own: that of the record it is about is meant.
        begun = LEAF.alias("begun")
        owned = (begun.c.record_id == LEAF.c.about) & (begun.c.tenant == tenant)
        return select(begun.c.leaf_index).where(owned).exists()
