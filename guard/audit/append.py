"""One addition to the log, within a transaction of the store."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guard.audit.acts import ActLeaf
from guard.audit.commitments import commit, new_salts
from guard.audit.leaf import columns, to_bytes
from guard.audit.record import Leaf, fingerprints, parse
from guard.audit.rules import may_follow
from guard.audit.tree.merkle import Frontier, leaf_hash
from guard.audit.tree.tiles import seal
from guard.audit.vault.vault import Personal
from guard.errors import AuditUnavailable, DuplicateRequest, LogTampered
from guard.store.rows import Head, LeafRow, ManifestEntry
from guard.types import AuditReceipt, AuditRecord, Event

if TYPE_CHECKING:
    from guard.audit.outbox.messages import Told
    from guard.audit.outbox.messenger import Messenger
    from guard.audit.sequel import Sequel
    from guard.audit.vault.vault import Vault
    from guard.store.writer import Writer

_LOOK_UP = "See what became of it with: guard audit show {}"
_WHAT_NOW: dict[str, str] = {
    Event.STARTED: "It is under way, or was cut off and not yet reaped: guard audit show {}",
    Event.ABANDONED: "It was cut off and nothing left. Ask again under a new key; "
    "its record: guard audit show {}",
    Event.FAILED: "It failed and nothing left. Ask again under a new key; "
    "its record: guard audit show {}",
}
"""A key is spent by its first use, however that ended: one key, one record, for ever."""

_FACTS = (
    "mark", "fingerprint", "other_fingerprints", "blocks_sha256", "asset_sha256", "manifest_label",
    "certificate_fingerprint",
)  # fmt: skip
"""What a release after review must repeat from the held event: it is the same picture."""


class Tree:
    """The log's tree within one transaction. Many jobs add to it; the head moves once, at the end.

    ``writer`` is for what must be atomic with the leaves.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._old = writer.lock_head()
        try:
            self._frontier = Frontier(self._old.size, self._old.frontier)
        except ValueError as error:
            raise _head_broken() from error
        if self._frontier.root != self._old.root:
            raise _head_broken()
        self._messenger: Messenger | None = None
        writer.at_end(self._move_head)

    @contextmanager
    def telling(self, messenger: Messenger) -> Iterator[None]:
        """What is added inside is told by ``messenger`` to those who want to hear of it."""
        self._messenger = messenger
        try:
            yield
        finally:
            self._messenger = None

    def tell(self, told: Told) -> None:
        """A message of its own, beside those about leaves."""
        if self._messenger is not None:
            self._messenger.tell(self.writer, told, self.log_id)

    @property
    def log_id(self) -> str:
        """The log's name."""
        return self._old.log_id

    @property
    def size(self) -> int:
        """How many leaves there are by now: the index of the next."""
        return self._frontier.size

    def add(self, leaf: Leaf | ActLeaf) -> LeafRow:
        """Store the next leaf."""
        data = to_bytes(leaf)
        row = LeafRow(self._frontier.size, data, leaf_hash(data), columns(leaf))
        self.writer.add_leaves([row])
        self._frontier.append(row.leaf_hash)
        seal(self.writer, self._frontier.size)
        if self._messenger is not None:
            self._messenger.added(self.writer, row, leaf)
        return row

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What is added inside is taken back when the block raises; the rest of it stays."""
        size, packed = self._frontier.size, self._frontier.packed
        try:
            with self.writer.savepoint():
                yield
        except BaseException:
            self._frontier = Frontier(size, packed)
            raise

    def _move_head(self) -> None:
        grown = self._frontier
        if grown.size > self._old.size:
            self.writer.move_head(
                self._old, Head(self.log_id, grown.size, grown.root, grown.packed)
            )


def _head_broken() -> LogTampered:
    return LogTampered(
        "The head of the audit log does not fit itself.", hint="Run guard audit verify."
    )


@dataclass(frozen=True, slots=True)
class Start:
    """A record to be opened."""

    record: AuditRecord
    prompt: str
    user: str | None
    negative_prompt: str = ""
    vault: Vault | None = None

    def apply(self, tree: Tree) -> AuditReceipt:
        """Add it. Raises DuplicateRequest for a used key, AuditUnavailable for a used record."""
        record, writer = self.record, tree.writer
        _check_order(_last_event(writer.events(record.record_id)), record)
        _check_key(writer, record)
        salts = new_salts()
        committed = dataclasses.replace(
            record,
            prompt_commitment=commit(salts.prompt, self.prompt),
            user_commitment=None if self.user is None else commit(salts.user, self.user),
        )
        row = tree.add(Leaf(committed, tree.log_id))
        if self.vault is None:
            writer.add_salts(record.record_id, salts)
        else:
            said = Personal(self.prompt, self.user, self.negative_prompt)
            self.vault.keep(writer, record, said, salts)
        if record.idempotency_key is not None:
            writer.add_key(record.tenant or "", record.idempotency_key, record.record_id)
        return receipt(tree.log_id, row)


@dataclass(frozen=True, slots=True)
class Finish:
    """A record's next event."""

    record: AuditRecord
    manifest: bytes | None = None
    blocks: bytes | None = None
    sequel: Sequel | None = None

    def apply(self, tree: Tree) -> AuditReceipt:
        """Add it. Raises AuditUnavailable when it may not follow what the log holds."""
        writer = tree.writer
        earlier = writer.events(self.record.record_id)
        _check_order(_last_event(earlier), self.record)
        before = parse(earlier[-1].leaf)
        record = self._with_blocks(before.record)
        if before.record.event is Event.HELD and record.event is Event.RELEASED:
            _check_same_picture(before.record, record)
        manifest_sha256 = self._manifest_digest(before)
        self._claim_mark(writer)
        leaf = Leaf(record, tree.log_id, manifest_sha256)
        row = tree.add(leaf)
        if self.manifest is not None and before.manifest_sha256 is None:
            self._add_manifest(writer, row, self.manifest)
        if not fingerprints(before.record):
            self._add_fingerprints(writer, row)
        if self.blocks is not None and before.record.blocks_sha256 is None:
            writer.add_blocks(record.record_id, self.blocks)
        if self.sequel is not None:
            self.sequel.follow(tree, row, leaf)
        return receipt(tree.log_id, row)

    def _with_blocks(self, before: AuditRecord) -> AuditRecord:
        """The record with the digest of its blocks, which are kept once."""
        named, kept = self.record.blocks_sha256, before.blocks_sha256
        if self.blocks is not None:
            named = hashlib.sha256(self.blocks).hexdigest()
        known = {None, named} if self.blocks is not None else {named}
        if named is not None and kept not in known:
            raise _refused(self.record, "it names other blocks than are kept")
        return dataclasses.replace(self.record, blocks_sha256=named)

    def _manifest_digest(self, before: Leaf) -> str | None:
        if self.manifest is None:
            return before.manifest_sha256
        digest = hashlib.sha256(self.manifest).hexdigest()
        if before.manifest_sha256 not in {None, digest}:
            raise _refused(self.record, "it has another manifest already")
        return digest

    def _claim_mark(self, writer: Writer) -> None:
        if self.record.mark is None:
            return
        owner = writer.mark_owner(self.record.mark.payload)
        if owner is None:
            writer.add_mark(self.record.mark.payload, self.record.record_id)
        elif owner != self.record.record_id:
            raise _refused(self.record, f"its mark belongs to record {owner}")

    def _add_fingerprints(self, writer: Writer, row: LeafRow) -> None:
        for one in fingerprints(self.record):
            bits = bytes.fromhex(one.bits)
            writer.add_fingerprint(self.record.record_id, row.index, one.algorithm, bits)

    def _add_manifest(self, writer: Writer, row: LeafRow, manifest: bytes) -> None:
        writer.add_manifest(self.record.record_id, manifest)
        if self.record.manifest_label is not None:
            entry = ManifestEntry(
                manifest_id=self.record.manifest_label,
                record_id=self.record.record_id,
                sha256=hashlib.sha256(manifest).hexdigest(),
                media_type=self.record.media_type or "",
                at_us=row.columns.at_us,
            )
            writer.add_entry(entry)


def receipt(log_id: str, row: LeafRow) -> AuditReceipt:
    """What proves that a row is in the log."""
    return AuditReceipt(log_id, row.index, row.leaf_hash.hex())


def _last_event(rows: list[LeafRow]) -> str | None:
    return rows[-1].columns.event if rows else None


def _check_order(before: str | None, record: AuditRecord) -> None:
    if not may_follow(before, record.event):
        said = "it never started" if before is None else f"its last event is '{before}'"
        raise _refused(record, said)


def _check_key(writer: Writer, record: AuditRecord) -> None:
    if record.idempotency_key is None:
        return
    owner = writer.key_owner(record.tenant or "", record.idempotency_key)
    if owner is not None:
        outcome = writer.events(owner)[-1].columns.event
        raise DuplicateRequest(
            f"This idempotency key began record {owner} already.",
            hint=_WHAT_NOW.get(outcome, _LOOK_UP).format(owner),
            record_id=owner,
            outcome=outcome,
        )


def _check_same_picture(held: AuditRecord, record: AuditRecord) -> None:
    for name in _FACTS:
        if getattr(held, name) != getattr(record, name):
            raise _refused(record, f"its {name} is not that of the picture that was held")


def _refused(record: AuditRecord, why: str) -> AuditUnavailable:
    return AuditUnavailable(
        f"Record {record.record_id} cannot go on with '{record.event}': {why}.",
        hint=f"See its events with: guard audit show {record.record_id}",
    )
