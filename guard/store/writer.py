"""What can be added to the store.

Nothing here changes or removes what the log rests on; only the soft bindings of manifests that
others handed in can be replaced, and a manifest withdrawn.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from guard.errors import AuditUnavailable
from guard.store import prepared
from guard.store.reader import Reader, to_leaf_row
from guard.store.rows import COLUMN_NAMES, Head, LeafRow, ListChange, ManifestEntry, Salts
from guard.store.tables import table
from guard.store.vault_rows import Owner, VaultEntry, VaultWriter

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves (RFC 6962, section 2.1)."""


def plant_head(connection: Connection, log_id: str) -> str:
    """Begin the log of this database; answers its id."""
    values = {"log_id": log_id, "size": 0, "root": EMPTY_ROOT, "frontier": b""}
    connection.execute(insert(table("audit_head")), values)
    return log_id


class Writer(Reader):
    """Additions within one transaction. Lives only inside ``Store.write()``.

    Leaves, salts and what is encrypted are gathered, and written together before anything else is
    asked or changed: one statement for many rows costs little more than for one.
    """

    def __init__(self, connection: Connection, log_id: str) -> None:
        self._gathered: dict[str, list[dict[str, Any]]] = {}
        self._gathered_leaves: dict[str, list[LeafRow]] = {}
        self._gathered_owners: dict[tuple[bytes, str], Owner] = {}
        super().__init__(connection, log_id)
        self._endings: list[Callable[[], None]] = []

    @property
    def _connection(self) -> Connection:
        """The connection, on which everything that was added can be seen."""
        self.flush()
        return self._bare

    @_connection.setter
    def _connection(self, connection: Connection) -> None:
        self._bare = connection

    def flush(self) -> None:
        """Write what was gathered."""
        if self._gathered:
            gathered = self._gathered
            self._forget()
            for name, rows in gathered.items():
                prepared.add(self._bare, name, rows)

    def _forget(self) -> None:
        self._gathered, self._gathered_leaves, self._gathered_owners = {}, {}, {}

    def events(self, record_id: str) -> list[LeafRow]:
        """Every event of a record, in order."""
        named = {"log": self._log_id, "record": record_id}
        written = [to_leaf_row(row) for row in self._bare.execute(prepared.EVENTS, named)]
        return written + self._gathered_leaves.get(record_id, [])

    def at_end(self, work: Callable[[], None]) -> None:
        """Have ``work`` done when everything else is, just before the transaction is committed."""
        self._endings.append(work)

    def complete(self) -> None:
        """Do what was left for the end. Called once, by the store."""
        for work in self._endings:
            work()
        self.flush()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What is written inside is taken back when the block raises; the transaction goes on."""
        try:
            with self._connection.begin_nested():
                yield
                self.flush()
        except BaseException:
            self._forget()
            raise

    @property
    def vault(self) -> VaultWriter:
        """Changes of what is encrypted, in the same transaction."""
        return VaultWriter(self._connection)

    def owner(self, lookup: bytes, period: str) -> Owner | None:
        """Who stands behind a look-up hash, with the key of ``period``."""
        gathered = self._gathered_owners.get((lookup, period))
        if gathered is not None:
            return gathered
        written = VaultWriter(self._bare).owner(lookup, period)
        return written or self._gathered_owners.get((lookup, ""))

    def add_owner(self, lookup: bytes, period: str, owner: Owner, *, new: bool) -> None:
        """Say whose key this is, and of which period; ``new``: nothing was known of them."""
        if new:
            self._gather("vault_subject", [{"lookup": lookup, "subject": owner.subject}])
            self._gathered_owners[lookup, ""] = Owner(owner.subject, None)
        row = {"key_id": owner.key_id, "subject": owner.subject, "period": period}
        self._gather("vault_key", [row])
        self._gathered_owners[lookup, period] = owner

    def add_sealed(self, entry: VaultEntry) -> None:
        """Put away what is encrypted of a record."""
        self._gather("vault_entry", [entry.values()])

    def lock_head(self) -> Head:
        """The tree's state, held until the transaction ends.

        On SQLite ``BEGIN IMMEDIATE`` holds the whole database already.
        """
        row = self._connection.execute(prepared.HELD_HEAD, {"log": self._log_id}).first()
        if row is None:
            raise AuditUnavailable(
                "The audit log has lost its head row.", hint="Run guard audit verify."
            )
        return Head(row.log_id, row.size, bytes(row.root), bytes(row.frontier))

    def append(self, rows: list[LeafRow], old: Head, new: Head) -> None:
        """Add leaves, and move the head from ``old`` to ``new`` (compare-and-swap)."""
        self.add_leaves(rows)
        self.move_head(old, new)

    def add_leaves(self, rows: Sequence[LeafRow]) -> None:
        """Add the next leaves. The head must follow within this transaction."""
        self._gather("audit_leaf", [self._leaf_values(row) for row in rows])
        for row in rows:
            self._gathered_leaves.setdefault(row.columns.record_id, []).append(row)

    def move_head(self, old: Head, new: Head) -> None:
        """Move the head from ``old`` to ``new`` (compare-and-swap)."""
        values = {"log": old.log_id, "old_size": old.size, "old_root": old.root}
        values |= {"new_size": new.size, "new_root": new.root, "new_frontier": new.frontier}
        moved = self._connection.execute(prepared.MOVE_HEAD, values)
        if moved.rowcount != 1:
            raise AuditUnavailable(
                "The head of the audit log moved while it was held.", hint="Try again."
            )

    def _leaf_values(self, row: LeafRow) -> dict[str, Any]:
        values: dict[str, Any] = {name: getattr(row.columns, name) for name in COLUMN_NAMES}
        values |= {"log_id": self._log_id, "leaf_index": row.index}
        values |= {"leaf": row.leaf, "leaf_hash": row.leaf_hash}
        return values

    def add_salts(self, record_id: str, salts: Salts) -> None:
        """Keep the salts of a record's commitments."""
        values = {"prompt_salt": salts.prompt, "user_salt": salts.user}
        self._gather("commitment_salt", [{"record_id": record_id, **values}])

    def add_key(self, tenant: str, key: str, record_id: str) -> None:
        """Keep an idempotency key."""
        values = {"tenant": tenant, "key": key, "record_id": record_id}
        self._insert("idempotency_key", [values])

    def add_mark(self, payload: str, record_id: str) -> None:
        """Say which record carries a mark id."""
        self._insert("mark_id", [{"payload": payload, "record_id": record_id}])

    def add_manifest(self, record_id: str, manifest: bytes) -> None:
        """Keep the manifest store of a record's picture."""
        digest = hashlib.sha256(manifest).hexdigest()
        values = {"record_id": record_id, "sha256": digest, "manifest": manifest}
        self._insert("manifest_store", [values])

    def add_blocks(self, record_id: str, blocks: bytes) -> None:
        """Keep what a record's picture looks like."""
        digest = hashlib.sha256(blocks).hexdigest()
        values = {"record_id": record_id, "sha256": digest, "blocks": blocks}
        self._insert("picture_blocks", [values])

    def add_fingerprint(self, record_id: str, index: int, algorithm: str, bits: bytes) -> None:
        """Keep the fingerprint of a record's picture, said by leaf ``index``."""
        values = {"leaf_index": index, "algorithm": algorithm, "bits": bits}
        self._insert("picture_fingerprint", [{"record_id": record_id, **values}])

    def add_entry(self, entry: ManifestEntry) -> None:
        """Make a manifest known by its id."""
        self._insert("manifest_entry", [dataclasses.asdict(entry)])

    def withdraw(self, manifest_id: str, at_us: int) -> int:
        """Stop serving a manifest; answers how many entries there were to withdraw."""
        kept = table("manifest_entry")
        done = self._connection.execute(
            update(kept)
            .where(kept.c.manifest_id == manifest_id, kept.c.withdrawn_at_us.is_(None))
            .values(withdrawn_at_us=at_us)
        )
        return done.rowcount

    def add_binding(self, manifest_id: str, algorithm: str, value: bytes, at_us: int) -> None:
        """Keep a soft binding of a manifest that was handed in."""
        self.lock_head()  # one writer at a time: numbers have no gaps and grow with time
        kept = table("soft_binding")
        last = int(self._connection.execute(select(func.max(kept.c.number))).scalar() or 0)
        values = {"number": last + 1, "manifest_id": manifest_id, "algorithm": algorithm}
        self._insert("soft_binding", [values | {"value": value, "at_us": at_us}])

    def remove_bindings(self, algorithm: str, value: bytes) -> None:
        """Let a value lead to no manifest any more. Rows stay: their numbers are used once."""
        kept = table("soft_binding")
        self._connection.execute(
            update(kept)
            .where(kept.c.algorithm == algorithm, kept.c.value == value)
            .values(manifest_id="")
        )

    def add_list_changes(self, changes: Sequence[ListChange]) -> int:
        """Keep changes of own lists, numbered on from the last; answers the new last number."""
        self.lock_head()  # one writer at a time: numbers have no gaps and grow with time
        kept = table("own_list_change")
        last = int(self._connection.execute(select(func.max(kept.c.number))).scalar() or 0)
        numbered = [
            dataclasses.asdict(dataclasses.replace(one, number=number))
            for number, one in enumerate(changes, last + 1)
        ]
        if numbered:
            self._insert("own_list_change", numbered)
        return last + len(numbered)

    def _gather(self, name: str, values: list[dict[str, Any]]) -> None:
        self._gathered.setdefault(name, []).extend(values)

    def _insert(self, name: str, values: list[dict[str, Any]]) -> None:
        prepared.add(self._connection, name, values)
