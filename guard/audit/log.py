"""The audit log on a database."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from guard.audit.acts import Acted
from guard.audit.append import Finish, Start
from guard.audit.base import Similar, StoredRecord
from guard.audit.commitments import confirms
from guard.audit.group import GroupCommit, Job
from guard.audit.outbox.messenger import Messenger, Telling
from guard.audit.record import fingerprints, parse
from guard.audit.tree.merkle import leaf_hash
from guard.errors import AuditUnavailable, InvalidRequest, LogTampered, RecordNotFound
from guard.store.fingerprint_index import FingerprintIndex
from guard.types import AuditAct, AuditReceipt, AuditRecord, Event, Fingerprint

if TYPE_CHECKING:
    from guard.audit.checkpoints.background import BackgroundPublisher
    from guard.audit.sequel import Sequel
    from guard.audit.vault.vault import Vault
    from guard.store.engine import Store
    from guard.store.reader import Reader
    from guard.store.rows import LeafRow, Salts

T = TypeVar("T")

MARK_BYTES = 8


class SqlAuditLog:
    """An append-only, tamper-evident log (see :class:`guard.audit.base.AuditLog`).

    Thread-safe. Several processes may write to the same database.
    """

    def __init__(
        self,
        store: Store,
        index_folder: Path | None = None,
        vault: Vault | None = None,
        messenger: Messenger | None = None,
    ) -> None:
        """``index_folder``: where the index over fingerprints lives on; None: in memory.

        ``vault``: keeps what is personal, encrypted; None: only commitments are kept.
        ``messenger``: puts messages about what is recorded into the outbox.
        """
        self.store = store
        self.vault = vault
        self._index_folder = index_folder
        self._indexes: dict[str, FingerprintIndex] = {}
        self._indexes_lock = threading.Lock()
        self._group = GroupCommit(store)
        self._messenger = messenger or Messenger()
        self.publishing: BackgroundPublisher | None = None
        """Told of every write; publishes checkpoints beside it."""

    @property
    def log_id(self) -> str:
        """Names this log; stands in every receipt."""
        return self.store.log_id

    def new_mark_id(self) -> bytes:
        """Eight random bytes that no picture of this log carries yet.

        Nothing is reserved: two callers meet with a probability of 2⁻⁶⁴, and then the second
        ``finish`` is refused.
        """
        with self.store.read() as reader:
            while True:
                candidate = secrets.token_bytes(MARK_BYTES)
                if reader.mark_owner(candidate.hex()) is None:
                    return candidate

    def start(
        self, record: AuditRecord, *, prompt: str, user: str | None, negative_prompt: str = ""
    ) -> AuditReceipt:
        """Open a record; durable on return.

        ``prompt`` and ``user`` stand in the record as salted commitments only, which replace what
        it says of them; the vault keeps what the policy says, encrypted. Raises DuplicateRequest
        when the tenant used the idempotency key before, AuditUnavailable when nothing could be
        recorded, CheckpointUnavailable when checkpoints are published too late (see settings).
        """
        if self.publishing is not None:
            self.publishing.check_fresh()
        if self.vault is not None:
            self.vault.prepare(record, user)
        start = Start(record, prompt, user, negative_prompt, self.vault)
        return self._apply(start, {Event.STARTED})

    def finish(
        self,
        record: AuditRecord,
        *,
        manifest: bytes | None = None,
        blocks: bytes | None = None,
        sequel: Sequel | None = None,
    ) -> AuditReceipt:
        """Add the record's next event; durable on return.

        ``blocks`` says what the picture looks like: it is kept beside the log, and its digest
        replaces what the record says of it. ``sequel`` is what follows in the same transaction.

        Raises AuditUnavailable when it may not follow what the log holds (a record that never
        started, or has ended), when the mark belongs to another record, or when nothing could
        be recorded.
        """
        job = Finish(record, manifest, blocks, sequel)
        return self._apply(job, set(Event) - {Event.STARTED})

    def act(self, act: AuditAct) -> AuditReceipt:
        """Record what somebody did about the log's records; durable on return.

        Raises RecordNotFound when it is about a record that the log does not hold,
        AuditUnavailable when nothing could be recorded.
        """
        return self.run(Acted(act))

    def run(self, job: Job[T]) -> T:
        """Apply a change of the log together with those of other callers; durable on return.

        Raises what the job raises, and AuditUnavailable when it could not be written in time.
        """
        answer = self._group.run(Telling(job, self._messenger))
        if self.publishing is not None:
            self.publishing.wake()
        return answer

    def _apply(self, job: Start | Finish, allowed: set[Event]) -> AuditReceipt:
        if job.record.event not in allowed:
            raise AuditUnavailable(
                f"'{job.record.event}' is not an event for {type(job).__name__.lower()}().",
                hint="Records begin with start() and go on with finish().",
            )
        return self.run(job)

    def reap(self, older_than: timedelta) -> tuple[AuditReceipt, ...]:
        """Close as abandoned every record that started so long ago and never ended.

        Choose more than the longest run can take (:func:`guard.audit.reap.longest_run`): a run
        that is reaped while it lives cannot be released.
        """
        from guard.audit.reap import reap

        return reap(self, older_than)

    def find_by_mark(self, payload: str) -> StoredRecord | None:
        """The record whose picture carries this mark id (hex)."""
        with self.store.read() as reader:
            owner = reader.mark_owner(payload.lower())
            if owner is None:
                return None
            found = self._stored(reader, owner)
        if found.record.mark is None or found.record.mark.payload != payload.lower():
            raise _lookup_tampered("mark", owner)
        return found

    def find_by_fingerprint(
        self, fingerprint: Fingerprint, max_distance: int
    ) -> tuple[StoredRecord, int] | None:
        """The nearest record within ``max_distance`` bits (Hamming), with its distance.

        Fingerprints of another algorithm or length never match. Raises InvalidRequest when
        the bits are not hex.
        """
        found = self.find_similar([fingerprint], max_distance)
        return (found[0].stored, found[0].distance) if found else None

    def find_similar(
        self, prints: Sequence[Fingerprint], max_distance: int, limit: int = 1
    ) -> tuple[Similar, ...]:
        """The ``limit`` records nearest to any of ``prints``, within ``max_distance`` bits.

        ``prints`` may be of several algorithms (a picture's variants, say); a record is answered
        once, by its nearest. Raises InvalidRequest when bits are not hex, LogTampered when a
        record does not say what led to it.
        """
        asked = [_bits(one) for one in prints]
        found: list[tuple[int, str, int]] = []
        with self.store.read() as reader:
            for algorithm in dict.fromkeys(one.algorithm for one in prints):
                places = [at for at, one in enumerate(prints) if one.algorithm == algorithm]
                near = self._index(algorithm).nearest(
                    reader, [asked[at] for at in places], max_distance, limit
                )
                found += [(one.distance, one.record_id, places[one.question]) for one in near]
            nearest: dict[str, Similar] = {}
            for apart, record_id, at in sorted(found):
                if record_id not in nearest and len(nearest) < limit:
                    stored = self._stored(reader, record_id)
                    _check_said(stored.record, prints[at], apart)
                    nearest[record_id] = Similar(stored, apart, at)
            return tuple(nearest.values())

    def find_by_manifest(self, manifest_id: str) -> StoredRecord | None:
        """The record whose picture was signed with the active manifest of this id (its label)."""
        with self.store.read() as reader:
            owners = [one.record_id for one in reader.entries(manifest_id) if one.record_id]
            if not owners:
                return None
            found = self._stored(reader, owners[0])
        if found.record.manifest_label != manifest_id:
            raise _lookup_tampered("manifest", owners[0])
        return found

    def _index(self, algorithm: str) -> FingerprintIndex:
        with self._indexes_lock:
            if algorithm not in self._indexes:
                self._indexes[algorithm] = FingerprintIndex(
                    algorithm, self.log_id, self._index_folder
                )
            return self._indexes[algorithm]

    def _stored(self, reader: Reader, record_id: str) -> StoredRecord:
        rows = reader.events(record_id)
        if not rows:
            raise _lookup_tampered("record", record_id)
        record = parse(rows[-1].leaf).record
        manifest, at = self._manifest(reader, record_id, rows)
        return StoredRecord(record, manifest, _blocks(reader, record), at)

    def _manifest(
        self, reader: Reader, record_id: str, rows: list[LeafRow]
    ) -> tuple[bytes | None, datetime | None]:
        """The manifest and when it came. Raises LogTampered unless a leaf of this log says so."""
        manifest = reader.manifest(record_id)
        if manifest is None:
            return None, None
        digest = hashlib.sha256(manifest).hexdigest()
        for row in rows:
            leaf = parse(row.leaf)
            intact = leaf_hash(row.leaf) == row.leaf_hash and leaf.log_id == self.log_id
            if intact and leaf.manifest_sha256 == digest:
                return manifest, leaf.record.at
        raise _lookup_tampered("manifest", record_id)

    def salts(self, reader: Reader, record_id: str) -> Salts | None:
        """The salts of a record's commitments; None when they were never kept, or destroyed.

        Raises VaultUnavailable when they cannot be decrypted.
        """
        kept = reader.salts(record_id)
        if kept is None and self.vault is not None:
            kept = self.vault.salts(reader, record_id)
        return kept

    def confirm(
        self, record_id: str, *, prompt: str | None = None, user: str | None = None
    ) -> bool:
        """Whether the record was begun with exactly this prompt and user (those that are given).

        Raises RecordNotFound.
        """
        with self.store.read() as reader:
            rows, salts = reader.events(record_id), self.salts(reader, record_id)
        if not rows or salts is None:
            raise RecordNotFound(f"The log holds no commitments of record {record_id}.")
        begun = parse(rows[0].leaf).record
        return (
            prompt is None or confirms(salts.prompt, prompt, begun.prompt_commitment or "")
        ) and (user is None or confirms(salts.user, user, begun.user_commitment or ""))


def _blocks(reader: Reader, record: AuditRecord) -> bytes | None:
    """What the record's picture looks like. Raises LogTampered when it is not what it says."""
    if record.blocks_sha256 is None:
        return None
    blocks = reader.blocks([record.record_id]).get(record.record_id)
    if blocks is None or hashlib.sha256(blocks).hexdigest() != record.blocks_sha256:
        raise _lookup_tampered("blocks", record.record_id)
    return blocks


def _check_said(record: AuditRecord, asked: Fingerprint, apart: int) -> None:
    """Raises LogTampered unless the record has a fingerprint that is so far from ``asked``."""
    said = next((one for one in fingerprints(record) if one.algorithm == asked.algorithm), None)
    if said is None or (int(said.bits, 16) ^ int(asked.bits, 16)).bit_count() != apart:
        raise _lookup_tampered("fingerprint", record.record_id)


def _bits(fingerprint: Fingerprint) -> bytes:
    try:
        return bytes.fromhex(fingerprint.bits)
    except ValueError:
        raise InvalidRequest(f"The {fingerprint.algorithm} fingerprint is not hex.") from None


def _lookup_tampered(what: str, record_id: str) -> LogTampered:
    return LogTampered(
        f"The {what} table leads to record {record_id}, which says otherwise.",
        hint="Run guard audit verify.",
    )
