"""What the vault keeps in the log's database: ciphertext, and whose key is which.

Everything here may be removed for a person's sake; the log's leaves stand without it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, Select, bindparam, delete, func, literal, select, update

from guard.store import prepared
from guard.store.tables import LEAF, table

AT_ONCE = 500
"""Rows named in one statement: databases take so many parameters."""

SEALED = ("prompt", "negative_prompt", "user_id", "salts")
"""The columns that hold ciphertext."""


@dataclass(frozen=True, slots=True)
class VaultEntry:
    """What is kept of one record: nonce, ciphertext and tag a field, or None where nothing is."""

    record_id: str
    key_id: bytes
    at_us: int
    prompt: bytes | None
    negative_prompt: bytes | None
    user_id: bytes | None
    salts: bytes | None

    def values(self) -> dict[str, Any]:
        """By column."""
        return {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}


@dataclass(frozen=True, slots=True)
class Owner:
    """A person by pseudonym (32 random bytes), and the key of a period, once there is one."""

    subject: bytes
    key_id: bytes | None


@dataclass(frozen=True, slots=True)
class Pending:
    """An erasure under way: its rows are gone, its keys may not be.

    ``act`` is what will be recorded when they are.
    """

    erasure_id: str
    act: str
    who: str
    reason: str
    at_us: int
    records: int


_ENTRY_COLUMNS = [table("vault_entry").c[one.name] for one in dataclasses.fields(VaultEntry)]
_PENDING_COLUMNS = [table("vault_erasure").c[one.name] for one in dataclasses.fields(Pending)]


def _owner() -> Select[Any]:
    who, key = table("vault_subject"), table("vault_key")
    is_key = (key.c.subject == who.c.subject) & (key.c.period == bindparam("period"))
    both = who.outerjoin(key, is_key)
    statement = select(who.c.subject, key.c.key_id).select_from(both)
    return statement.where(who.c.lookup == bindparam("lookup"))


@cache
def _owner_text(dialect: Dialect) -> tuple[str, tuple[str, ...] | None]:
    """Built and compiled once, since every record begins with it; see :mod:`prepared`."""
    made = _owner().compile(dialect=dialect)
    return str(made), tuple(made.positiontup) if made.positiontup is not None else None


class VaultReader:
    """Questions about the vault within one transaction of the log's database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def owner(self, lookup: bytes, period: str) -> Owner | None:
        """Who stands behind a look-up hash, with the key of ``period``."""
        text, order = _owner_text(self._connection.dialect)
        asked: Any = {"lookup": lookup, "period": period}
        if order is not None:
            asked = tuple(asked[name] for name in order)
        row = self._connection.exec_driver_sql(text, asked).first()
        if row is None:
            return None
        return Owner(bytes(row[0]), None if row[1] is None else bytes(row[1]))

    def is_empty(self) -> bool:
        """Whether nothing was ever put away, or all of it is gone."""
        first = [
            select(table(name).c[column]).limit(1)
            for name, column in (("vault_entry", "record_id"), ("vault_subject", "lookup"))
        ]
        return all(self._connection.execute(one).first() is None for one in first)

    def entry(self, record_id: str) -> VaultEntry | None:
        """What is kept of a record."""
        kept = table("vault_entry")
        statement = select(*_ENTRY_COLUMNS).where(kept.c.record_id == record_id)
        row = self._connection.execute(statement).first()
        return None if row is None else _entry(row)

    def newest(self) -> VaultEntry | None:
        """What is kept of the latest record."""
        kept = table("vault_entry")
        latest = select(*_ENTRY_COLUMNS).order_by(kept.c.at_us.desc(), kept.c.record_id.desc())
        row = self._connection.execute(latest.limit(1)).first()
        return None if row is None else _entry(row)

    def subject_of(self, record_id: str) -> bytes | None:
        """The pseudonym of who asked for a record; None for nobody known."""
        kept, key = table("vault_entry"), table("vault_key")
        statement = select(key.c.subject).join(kept, kept.c.key_id == key.c.key_id)
        row = self._connection.execute(statement.where(kept.c.record_id == record_id)).first()
        return None if row is None else bytes(row[0])

    def keys_of(self, subject: bytes) -> list[bytes]:
        """The ids of a person's keys, of all periods."""
        key = table("vault_key")
        statement = select(key.c.key_id).where(key.c.subject == subject)
        return [bytes(row[0]) for row in self._connection.execute(statement)]

    def records_of(self, subject: bytes) -> list[str]:
        """The ids of a person's records, oldest first."""
        kept, key = table("vault_entry"), table("vault_key")
        statement = (
            select(kept.c.record_id)
            .join(key, kept.c.key_id == key.c.key_id)
            .where(key.c.subject == subject)
            .order_by(kept.c.at_us, kept.c.record_id)
        )
        return [row[0] for row in self._connection.execute(statement)]

    def older(
        self, before_us: int, after: tuple[int, str], limit: int
    ) -> list[tuple[str, int, bytes | None]]:
        """(record, time, key) of what is kept from before a time, oldest first.

        From behind ``after`` (time, record) on; without a key: salts from before there was a vault.
        """
        kept, salts = table("vault_entry"), table("commitment_salt")
        begun = (LEAF.c.record_id == salts.c.record_id) & (LEAF.c.event == "started")
        found: list[tuple[str, int, bytes | None]] = []
        for statement, at, record in (
            (select(kept.c.record_id, kept.c.at_us, kept.c.key_id), kept.c.at_us, kept.c.record_id),
            (
                select(salts.c.record_id, LEAF.c.at_us, literal(None)).join(LEAF, begun),
                LEAF.c.at_us,
                salts.c.record_id,
            ),
        ):
            rows = self._connection.execute(
                statement.where(
                    at < before_us, (at > after[0]) | ((at == after[0]) & (record > after[1]))
                )
                .order_by(at, record)
                .limit(limit)
            )
            found += [(row[0], row[1], None if row[2] is None else bytes(row[2])) for row in rows]
        return sorted(found, key=lambda one: (one[1], one[0]))[:limit]

    def subjects(self, key_ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """Whose these keys are: key id → pseudonym."""
        key = table("vault_key")
        statement = select(key.c.key_id, key.c.subject)
        found: dict[bytes, bytes] = {}
        for some in _slices(key_ids):
            rows = self._connection.execute(statement.where(key.c.key_id.in_(some)))
            found |= {bytes(row[0]): bytes(row[1]) for row in rows}
        return found

    def encrypting(self, key_ids: Sequence[bytes], besides: str = "") -> set[bytes]:
        """Which of these keys something is encrypted under, ``besides`` a record."""
        kept = table("vault_entry")
        found: set[bytes] = set()
        for some in _slices(key_ids):
            statement = select(kept.c.key_id).where(
                kept.c.key_id.in_(some), kept.c.record_id != besides
            )
            rows = self._connection.execute(statement.distinct())
            found |= {bytes(row[0]) for row in rows}
        return found

    def pending(self) -> list[Pending]:
        """Erasures that were begun and are not recorded yet, oldest first."""
        kept = table("vault_erasure")
        statement = select(*_PENDING_COLUMNS).order_by(kept.c.erasure_id)
        return [Pending(*row) for row in self._connection.execute(statement)]

    def doomed(self, erasure_id: str) -> tuple[list[bytes], list[str]]:
        """The keys that an erasure destroys, and the records whose pictures go with them."""
        kept = table("vault_doomed")
        statement = select(kept.c.kind, kept.c.item).where(kept.c.erasure_id == erasure_id)
        rows = self._connection.execute(statement.order_by(kept.c.item)).fetchall()
        keys = [bytes.fromhex(row[1]) for row in rows if row[0] == "key"]
        return keys, [row[1] for row in rows if row[0] == "record"]

    def old_salts(self, after: str, limit: int) -> list[tuple[str, bytes, bytes]]:
        """(record id, user salt, first leaf) of records from before there was a vault."""
        kept = table("commitment_salt")
        statement = (
            select(kept.c.record_id, kept.c.user_salt, LEAF.c.leaf)
            .join(LEAF, (LEAF.c.record_id == kept.c.record_id) & (LEAF.c.event == "started"))
            .where(kept.c.record_id > after)
            .order_by(kept.c.record_id)
            .limit(limit)
        )
        return [
            (row[0], bytes(row[1]), bytes(row[2])) for row in self._connection.execute(statement)
        ]

    def holds(self) -> list[tuple[str, str | None, str | None, bytes]]:
        """(act, record, subject, leaf) of every hold that was placed or lifted, in order."""
        statement = (
            select(LEAF.c.event, LEAF.c.about, LEAF.c.subject, LEAF.c.leaf)
            .where(LEAF.c.event.in_(("hold_placed", "hold_lifted")))
            .order_by(LEAF.c.leaf_index)
        )
        rows = self._connection.execute(statement)
        return [(row[0], row[1], row[2], bytes(row[3])) for row in rows]

    def count(self) -> int:
        """How many records something is kept of."""
        kept = table("vault_entry")
        found = self._connection.execute(select(func.count()).select_from(kept))
        return int(found.scalar() or 0)


class VaultWriter(VaultReader):
    """Changes of the vault within one write transaction of the log's database."""

    def add_subject(self, lookup: bytes, subject: bytes) -> None:
        """Give a person a pseudonym."""
        self._insert("vault_subject", [{"lookup": lookup, "subject": subject}])

    def remove_entries(self, record_ids: Sequence[str]) -> int:
        """Remove what is kept of these records, and their salts from before there was a vault."""
        gone = 0
        for some in _slices(record_ids):
            for name in ("vault_entry", "commitment_salt"):
                kept = table(name)
                done = self._connection.execute(delete(kept).where(kept.c.record_id.in_(some)))
                gone += done.rowcount
        return gone

    def remove_keys(self, key_ids: Sequence[bytes]) -> None:
        """Forget whose these keys were."""
        key = table("vault_key")
        for some in _slices(key_ids):
            self._connection.execute(delete(key).where(key.c.key_id.in_(some)))

    def remove_subject(self, subject: bytes) -> None:
        """Forget who stands behind a pseudonym."""
        who = table("vault_subject")
        self._connection.execute(delete(who).where(who.c.subject == subject))

    def remove_idle_subjects(self, subjects: Sequence[bytes]) -> None:
        """Forget those of these people who have no key any more."""
        who, key = table("vault_subject"), table("vault_key")
        has_key = select(key.c.key_id).where(key.c.subject == who.c.subject).exists()
        for some in _slices(subjects):
            self._connection.execute(delete(who).where(who.c.subject.in_(some), ~has_key))

    def begin_erasure(
        self, pending: Pending, key_ids: Sequence[bytes], record_ids: Sequence[str]
    ) -> None:
        """Note what is to be destroyed outside this database, until it is done."""
        self._insert("vault_erasure", [dataclasses.asdict(pending)])
        self._doom(pending.erasure_id, "key", [one.hex() for one in key_ids])
        self._doom(pending.erasure_id, "record", record_ids)

    def extend_erasure(self, erasure_id: str, records: int, key_ids: Sequence[bytes]) -> bool:
        """Add to an erasure that was begun; False when it was ended meanwhile."""
        kept = table("vault_erasure")
        done = self._connection.execute(
            update(kept)
            .where(kept.c.erasure_id == erasure_id)
            .values(records=kept.c.records + records)
        )
        if done.rowcount == 0:
            return False
        self._doom(erasure_id, "key", [one.hex() for one in key_ids])
        return True

    def _doom(self, erasure_id: str, kind: str, items: Sequence[str]) -> None:
        what = {"erasure_id": erasure_id, "kind": kind}
        for some in _slices(items):
            self._insert("vault_doomed", [{**what, "item": item} for item in some])

    def end_erasure(self, erasure_id: str) -> None:
        """Forget an erasure that is done."""
        for name in ("vault_doomed", "vault_erasure"):
            kept = table(name)
            self._connection.execute(delete(kept).where(kept.c.erasure_id == erasure_id))

    def _insert(self, name: str, values: list[dict[str, Any]]) -> None:
        prepared.add(self._connection, name, values)


def _entry(row: Any) -> VaultEntry:
    sealed = [None if one is None else bytes(one) for one in row[3:]]
    return VaultEntry(row[0], bytes(row[1]), row[2], *sealed)


def _slices(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE)]
