"""What can be asked of the store."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from guard.errors import LogTampered
from guard.store import checks, prepared
from guard.store.appeals import undecided
from guard.store.bank_rows import BankPrints, BankRows
from guard.store.figures import Figures
from guard.store.integrity import Integrity
from guard.store.open_records import OpenRecords
from guard.store.outbox import Outbox
from guard.store.rows import (
    Head,
    LeafColumns,
    LeafRow,
    ListChange,
    ManifestEntry,
    Query,
    Salts,
    Scope,
)
from guard.store.search import Search
from guard.store.subject_blocks import SubjectBlocks
from guard.store.tables import LEAF, table
from guard.store.tiles import Tiles
from guard.store.vault_rows import VaultReader

_LEAF_COLUMNS = prepared.LEAF_COLUMNS

_ENTRY_COLUMNS = [
    table("manifest_entry").c[field.name] for field in dataclasses.fields(ManifestEntry)
]


def to_leaf_row(row: Row[Any]) -> LeafRow:
    """A database row as a value."""
    values: Sequence[Any] = row
    columns = LeafColumns(*values[3:])
    return LeafRow(values[0], bytes(values[1]), bytes(values[2]), columns)


class Reader:
    """Questions within one transaction. Lives only inside ``Store.read()`` or ``write()``."""

    def __init__(self, connection: Connection, log_id: str) -> None:
        self._connection = connection
        self._log_id = log_id

    @property
    def vault(self) -> VaultReader:
        """Questions about what is encrypted, in the same transaction."""
        return VaultReader(self._connection)

    @property
    def outbox(self) -> Outbox:
        """Messages that wait to be sent, or were. Only writers may change them."""
        return Outbox(self._connection)

    @property
    def banks(self) -> BankRows:
        """Banks of known pictures' fingerprints."""
        return BankRows(self._connection)

    def bank_prints(self, bank: str) -> BankPrints:
        """A bank as an index of fingerprints reads it."""
        return BankPrints(self._connection, bank)

    @property
    def subject_blocks(self) -> SubjectBlocks:
        """How often users were blocked lately. Only writers may change it."""
        return SubjectBlocks(self._connection)

    @property
    def tiles(self) -> Tiles:
        """The tree's sealed tiles. Only writers may add to them."""
        return Tiles(self._connection, self._log_id)

    @property
    def integrity(self) -> Integrity:
        """Whether the file is sound, and every row leads to a record."""
        return Integrity(self._connection)

    @property
    def open_records(self) -> OpenRecords:
        """Records that have not ended."""
        return OpenRecords(self._connection)

    def find_log_id(self) -> str | None:
        """The id of the one log in this database, or None when it has none yet."""
        return self._text(select(table("audit_head").c.log_id))

    def has_leaves(self) -> bool:
        """Whether any leaf is stored."""
        return self._connection.execute(select(LEAF.c.leaf_index).limit(1)).first() is not None

    def head_and_count(self) -> tuple[Head, int]:
        """The tree's state, and how many leaves are stored: of one and the same moment."""
        head = table("audit_head")
        count = select(func.count()).select_from(LEAF).scalar_subquery()
        statement = select(head, count).where(head.c.log_id == self._log_id)
        row = self._connection.execute(statement).first()
        if row is None:
            raise _headless()
        return Head(row[0], row[1], bytes(row[2]), bytes(row[3])), int(row[4])

    def head(self) -> Head:
        """The tree's state now. Raises LogTampered when it is gone."""
        head = table("audit_head")
        row = self._connection.execute(select(head).where(head.c.log_id == self._log_id)).first()
        if row is None:
            raise _headless()
        return Head(row.log_id, row.size, bytes(row.root), bytes(row.frontier))

    def leaves(self, start: int, limit: int) -> list[LeafRow]:
        """Up to ``limit`` rows from index ``start`` on, in order."""
        statement = (
            select(*_LEAF_COLUMNS)
            .where(LEAF.c.log_id == self._log_id, LEAF.c.leaf_index >= start)
            .order_by(LEAF.c.leaf_index)
            .limit(limit)
        )
        return [to_leaf_row(row) for row in self._connection.execute(statement)]

    def events(self, record_id: str) -> list[LeafRow]:
        """Every event of a record, in order."""
        named = {"log": self._log_id, "record": record_id}
        return [to_leaf_row(row) for row in self._connection.execute(prepared.EVENTS, named)]

    def event_order(self, after: tuple[str, int], limit: int) -> list[tuple[str, int, str]]:
        """(record id, index, event) sorted by record, then index, from behind ``after`` on."""
        record, index = LEAF.c.record_id, LEAF.c.leaf_index
        statement = (
            select(record, index, LEAF.c.event)
            .where((record > after[0]) | ((record == after[0]) & (index > after[1])))
            .order_by(record, index)
            .limit(limit)
        )
        return [(row[0], row[1], row[2]) for row in self._connection.execute(statement)]

    def unended(self, before_us: int, limit: int) -> list[LeafRow]:
        """Started rows older than ``before_us`` whose record has no later event, oldest first."""
        later = LEAF.alias("later")
        has_later = (
            select(later.c.leaf_index)
            .where(later.c.record_id == LEAF.c.record_id, later.c.event != "started")
            .exists()
        )
        statement = (
            select(*_LEAF_COLUMNS)
            .where(LEAF.c.event == "started", LEAF.c.at_us < before_us, ~has_later)
            .order_by(LEAF.c.leaf_index)
            .limit(limit)
        )
        return [to_leaf_row(row) for row in self._connection.execute(statement)]

    def search(self, query: Query, *, before: int | None, limit: int) -> list[LeafRow]:
        """Rows that match, newest first, below index ``before``."""
        search = Search(self._connection, self._log_id, query)
        indexes = self._connection.execute(search.indexes(before=before, limit=limit)).scalars()
        statement = (
            select(*_LEAF_COLUMNS)
            .where(LEAF.c.log_id == self._log_id, LEAF.c.leaf_index.in_(list(indexes)))
            .order_by(LEAF.c.leaf_index.desc())
        )
        return [to_leaf_row(row) for row in self._connection.execute(statement)]

    def open_appeals(self, after: int, limit: int) -> list[LeafRow]:
        """Appeals that nobody has decided, oldest first, from behind index ``after`` on."""
        statement = (
            select(*_LEAF_COLUMNS)
            .where(undecided(), LEAF.c.leaf_index > after)
            .order_by(LEAF.c.leaf_index)
            .limit(limit)
        )
        return [to_leaf_row(row) for row in self._connection.execute(statement)]

    def figures(self, scope: Scope) -> Figures:
        """Counts over the rows in a scope."""
        return Figures(self._connection, scope)

    def record_ids(self, first: str, last: str, limit: int) -> list[str]:
        """Up to ``limit`` ids of records or acts from ``first`` to ``last``, in order."""
        column = LEAF.c.record_id
        statement = select(column).where(column.between(first, last)).distinct()
        return [row[0] for row in self._connection.execute(statement.order_by(column).limit(limit))]

    def mark_owner(self, payload: str) -> str | None:
        """The record whose picture carries this mark id (hex)."""
        row = self._connection.execute(prepared.MARK_OWNER, {"mark": payload}).first()
        return None if row is None else str(row[0])

    def key_owner(self, tenant: str, key: str) -> str | None:
        """The record that this tenant's idempotency key began."""
        keys = table("idempotency_key")
        statement = select(keys.c.record_id).where(keys.c.tenant == tenant, keys.c.key == key)
        return self._text(statement)

    def manifest(self, record_id: str) -> bytes | None:
        """The manifest store embedded into a record's picture."""
        kept = table("manifest_store")
        statement = select(kept.c.manifest).where(kept.c.record_id == record_id)
        row = self._connection.execute(statement).first()
        return None if row is None else bytes(row[0])

    def manifests(self, after: str) -> list[tuple[str, str, bytes]]:
        """(record id, sha256, manifest) by record id, some at a time, from behind ``after`` on."""
        rows = self._connection.execute(checks.manifests(after))
        return [(row[0], row[1], bytes(row[2])) for row in rows]

    def blocks(self, record_ids: Sequence[str]) -> dict[str, bytes]:
        """What the pictures of these records look like, by record id, where it is kept."""
        kept = table("picture_blocks")
        statement = select(kept.c.record_id, kept.c.blocks).where(kept.c.record_id.in_(record_ids))
        return {row[0]: bytes(row[1]) for row in self._connection.execute(statement)}

    def lookup_gaps(self, size: int, limit: int) -> Iterator[tuple[str, str, int | None]]:
        """(table, record id, leaf index) where a lookup table and the leaves do not agree."""
        dialect = self._connection.dialect.name
        for name in checks.CALLS:
            for statement in (
                checks.missing(name, size, limit, dialect),
                checks.stray(name, limit, dialect),
            ):
                for row in self._connection.execute(statement):
                    yield name, row[0], row[1]

    def salts(self, record_id: str) -> Salts | None:
        """The salts of a record's commitments."""
        kept = table("commitment_salt")
        statement = select(kept.c.prompt_salt, kept.c.user_salt)
        row = self._connection.execute(statement.where(kept.c.record_id == record_id)).first()
        return None if row is None else Salts(bytes(row[0]), bytes(row[1]))

    def fingerprints(self, algorithm: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        """(leaf index, bits) of the fingerprints stored behind leaf ``after``."""
        kept = table("picture_fingerprint")
        statement = (
            select(kept.c.leaf_index, kept.c.bits)
            .where(kept.c.algorithm == algorithm, kept.c.leaf_index > after)
            .order_by(kept.c.leaf_index)
            .limit(limit)
        )
        return [(row[0], bytes(row[1])) for row in self._connection.execute(statement)]

    def fingerprint_count(self, algorithm: str, until: int, size: int) -> int:
        """How many fingerprints of ``size`` bytes are stored up to leaf ``until``."""
        kept = table("picture_fingerprint")
        statement = select(func.count()).where(
            kept.c.algorithm == algorithm,
            kept.c.leaf_index <= until,
            func.length(kept.c.bits) == size,
        )
        return int(self._connection.execute(statement).scalar() or 0)

    def fingerprint_at(self, algorithm: str, index: int) -> tuple[str, bytes] | None:
        """(record id, bits) of the fingerprint that leaf ``index`` brought."""
        kept = table("picture_fingerprint")
        statement = select(kept.c.record_id, kept.c.bits).where(
            kept.c.algorithm == algorithm, kept.c.leaf_index == index
        )
        row = self._connection.execute(statement).first()
        return None if row is None else (row[0], bytes(row[1]))

    def fingerprints_of(self, record_ids: Sequence[str]) -> dict[tuple[str, str], bytes]:
        """(record id, algorithm) → bits of these records' fingerprints."""
        kept = table("picture_fingerprint")
        statement = select(kept.c.record_id, kept.c.algorithm, kept.c.bits)
        rows = self._connection.execute(statement.where(kept.c.record_id.in_(record_ids)))
        return {(row[0], row[1]): bytes(row[2]) for row in rows}

    def entries(self, manifest_id: str) -> list[ManifestEntry]:
        """What is kept under the id of an active manifest, our own records' first."""
        kept = table("manifest_entry")
        statement = select(*_ENTRY_COLUMNS).where(kept.c.manifest_id == manifest_id)
        return self._entries(statement.order_by(kept.c.record_id.desc()))

    def entries_of(self, record_ids: Sequence[str]) -> list[ManifestEntry]:
        """The entries of these records' manifests."""
        kept = table("manifest_entry")
        return self._entries(select(*_ENTRY_COLUMNS).where(kept.c.record_id.in_(record_ids)))

    def _entries(self, statement: Select[Any]) -> list[ManifestEntry]:
        rows = [ManifestEntry(*row) for row in self._connection.execute(statement)]
        return [
            one if one.manifest is None else dataclasses.replace(one, manifest=bytes(one.manifest))
            for one in rows
        ]

    def bound_manifests(self, algorithm: str, value: bytes, limit: int) -> list[str]:
        """Ids of manifests that were handed in with exactly this soft binding, oldest first."""
        kept = table("soft_binding")
        statement = (
            select(kept.c.manifest_id)
            .where(kept.c.algorithm == algorithm, kept.c.value == value, kept.c.manifest_id != "")
            .order_by(kept.c.number)
            .limit(limit)
        )
        return [row[0] for row in self._connection.execute(statement)]

    def binding_at(self, number: int) -> str | None:
        """The manifest that the handed-in soft binding of this number leads to; empty for none."""
        kept = table("soft_binding")
        return self._text(select(kept.c.manifest_id).where(kept.c.number == number))

    def bindings_after(self, algorithm: str, number: int, limit: int) -> list[tuple[int, bytes]]:
        """(number, value) of handed-in soft bindings of an algorithm, from behind ``number``."""
        kept = table("soft_binding")
        statement = (
            select(kept.c.number, kept.c.value)
            .where(kept.c.algorithm == algorithm, kept.c.number > number)
            .order_by(kept.c.number)
            .limit(limit)
        )
        return [(row[0], bytes(row[1])) for row in self._connection.execute(statement)]

    def list_version(self, kind: str, name: str) -> int:
        """The number of the last change of an own list, from an index; 0 when it has none."""
        kept = table("own_list_change")
        last = select(func.max(kept.c.number)).where(kept.c.kind == kind, kept.c.name == name)
        return int(self._connection.execute(last).scalar() or 0)

    def list_changes(self, kind: str, name: str) -> list[ListChange]:
        """Every change of an own list, oldest first."""
        kept = table("own_list_change")
        columns = [kept.c[field.name] for field in dataclasses.fields(ListChange)]
        statement = (
            select(*columns).where(kept.c.kind == kind, kept.c.name == name).order_by(kept.c.number)
        )
        return [ListChange(*row) for row in self._connection.execute(statement)]

    def list_names(self) -> list[tuple[str, str]]:
        """(kind, name) of every own list, sorted."""
        kept = table("own_list_change")
        statement = select(kept.c.kind, kept.c.name).distinct().order_by(kept.c.kind, kept.c.name)
        return [(row[0], row[1]) for row in self._connection.execute(statement)]

    def _text(self, statement: Select[Any]) -> str | None:
        row = self._connection.execute(statement).first()
        return None if row is None else str(row[0])


def _headless() -> LogTampered:
    return LogTampered(
        "The audit log has lost its head row.", hint="Restore the database from a backup."
    )
