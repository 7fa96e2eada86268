"""What an audit log is, as the pipeline and the verifier see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from guard.types import AuditReceipt, AuditRecord, Fingerprint

if TYPE_CHECKING:
    from guard.audit.sequel import Sequel


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record found again: its last event, and the manifest store that was embedded, if any.

    ``blocks``: what its picture looked like (:mod:`guard.image.blocks`), proven by the record.
    ``registered_at``: the time of the event that brought the manifest, which is proven to be the
    one of that event.
    """

    record: AuditRecord
    manifest: bytes | None
    blocks: bytes | None = None
    registered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Similar:
    """A record near one of the fingerprints that were asked for: ``asked`` is its place there."""

    stored: StoredRecord
    distance: int
    asked: int


class AuditLog(Protocol):
    """An append-only, tamper-evident log.

    Every method that writes returns only when the row is durable, and raises AuditUnavailable
    when it cannot be. A record starts once and ends in one terminal event; ``held`` is not
    terminal: a reviewer ends it as ``released`` or ``blocked``.
    """

    @property
    def log_id(self) -> str:
        """Names this log; stands in every receipt."""
        ...

    def new_mark_id(self) -> bytes:
        """Eight random bytes that no picture of this log carries yet."""
        ...

    def start(
        self, record: AuditRecord, *, prompt: str, user: str | None, negative_prompt: str = ""
    ) -> AuditReceipt:
        """Open a record. ``prompt`` and ``user`` stand in it as salted commitments only.

        Raises DuplicateRequest when the idempotency key was used before.
        """
        ...

    def finish(
        self,
        record: AuditRecord,
        *,
        manifest: bytes | None = None,
        blocks: bytes | None = None,
        sequel: Sequel | None = None,
    ) -> AuditReceipt:
        """Add the record's next event (released, blocked, held, failed, abandoned).

        The digest of ``blocks`` replaces what the record says of it. ``sequel`` is what must
        follow in the same transaction; it is given for blocks only.
        """
        ...

    def find_by_mark(self, payload: str) -> StoredRecord | None:
        """The record whose picture carries this mark id (hex)."""
        ...

    def find_by_fingerprint(
        self, fingerprint: Fingerprint, max_distance: int
    ) -> tuple[StoredRecord, int] | None:
        """The nearest record within ``max_distance`` bits (Hamming), with its distance."""
        ...

    def find_similar(
        self, prints: Sequence[Fingerprint], max_distance: int, limit: int = 1
    ) -> tuple[Similar, ...]:
        """Records near any of several fingerprints, of whatever algorithms; nearest first."""
        ...
