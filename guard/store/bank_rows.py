"""Banks of fingerprints in the database. What a bank holds is the sum of its changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, func, select

from guard.store import prepared
from guard.store.tables import table

AT_ONCE = 10_000
"""Rows written in one statement."""

_KEPT = table("bank_change")


@dataclass(frozen=True, slots=True)
class BankChange:
    """One change: ``change`` is ``add`` or ``remove``, ``bits`` 32 bytes, ``at_us`` since 1970.

    ``number`` orders all changes of a database, and is 0 before the change is stored.
    """

    bank: str
    change: str
    bits: bytes
    label: str = ""
    note: str = ""
    who: str = ""
    at_us: int = 0
    number: int = 0


_COLUMNS = [_KEPT.c[one.name] for one in dataclasses.fields(BankChange)]


class BankRows:
    """The banks, within one transaction of the store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def banks(self) -> list[str]:
        """Every bank that ever had an entry, sorted."""
        statement = select(_KEPT.c.bank).distinct().order_by(_KEPT.c.bank)
        return [str(row[0]) for row in self._connection.execute(statement)]

    def version(self, bank: str) -> int:
        """The number of a bank's last change, from an index; 0 when it never had one."""
        last = select(func.max(_KEPT.c.number)).where(_KEPT.c.bank == bank)
        return int(self._connection.execute(last).scalar() or 0)

    def latest(self, bank: str, bits: bytes) -> BankChange | None:
        """The last change of one fingerprint in a bank: in force when it is an addition."""
        # Sorted here: asked for the last by number, SQLite would walk the whole bank by number.
        statement = select(*_COLUMNS).where(_KEPT.c.bits == bits, _KEPT.c.bank == bank)
        changes = [BankChange(*row) for row in self._connection.execute(statement)]
        return max(changes, key=lambda one: one.number, default=None)

    def in_force(self, bank: str) -> set[bytes]:
        """Every fingerprint that a bank holds; about 100 bytes of memory each."""
        statement = select(_KEPT.c.bits, _KEPT.c.change).where(_KEPT.c.bank == bank)
        held: set[bytes] = set()
        for bits, change in self._connection.execute(statement.order_by(_KEPT.c.number)):
            (held.add if change == "add" else held.discard)(bytes(bits))
        return held

    def add(self, changes: Iterable[BankChange]) -> int:
        """Keep changes, numbered on from the last; the caller holds the head. How many."""
        last = int(self._connection.execute(select(func.max(_KEPT.c.number))).scalar() or 0)
        numbered = _numbered(changes, last)
        written = 0
        while rows := list(islice(numbered, AT_ONCE)):
            prepared.add(self._connection, "bank_change", rows)
            written += len(rows)
        return written


class BankPrints:
    """A bank's additions as :class:`guard.store.fingerprint_index.FingerprintIndex` reads them."""

    def __init__(self, connection: Connection, bank: str) -> None:
        self._connection = connection
        self._added = (_KEPT.c.bank == bank, _KEPT.c.change == "add")

    def fingerprints(self, algorithm: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        """(number, bits) of what was added behind ``after``."""
        statement = select(_KEPT.c.number, _KEPT.c.bits).where(*self._added, _KEPT.c.number > after)
        rows = self._connection.execute(statement.order_by(_KEPT.c.number).limit(limit))
        return [(int(number), bytes(bits)) for number, bits in rows]

    def fingerprint_count(self, algorithm: str, until: int, size: int) -> int:
        """How many were added up to ``until``; all have 32 bytes."""
        statement = select(func.count()).where(*self._added, _KEPT.c.number <= until)
        return int(self._connection.execute(statement).scalar_one())

    def fingerprint_at(self, algorithm: str, index: int) -> tuple[str, bytes] | None:
        """(bits in hex, bits) of what was added under ``index``."""
        statement = select(_KEPT.c.bits).where(*self._added, _KEPT.c.number == index)
        found = self._connection.execute(statement).scalar()
        return None if found is None else (bytes(found).hex(), bytes(found))


def _numbered(changes: Iterable[BankChange], last: int) -> Iterator[dict[str, object]]:
    for number, one in enumerate(changes, last + 1):
        yield dataclasses.asdict(dataclasses.replace(one, number=number))
