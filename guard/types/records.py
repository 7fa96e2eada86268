"""What the audit log holds: events of records, and acts about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from guard.types.decisions import Action, Score, Stage
from guard.types.pictures import Fingerprint, Mark, Origin


class Event(StrEnum):
    """What an audit row says happened to a record."""

    STARTED = "started"
    RELEASED = "released"
    BLOCKED = "blocked"
    HELD = "held"
    FAILED = "failed"
    ABANDONED = "abandoned"


class Act(StrEnum):
    """What somebody did about the log's records."""

    ERASED = "erased"
    EXPIRED = "expired"
    DECRYPTED = "decrypted"
    VIEWED = "viewed"
    EXPORTED = "exported"
    HOLD_PLACED = "hold_placed"
    HOLD_LIFTED = "hold_lifted"
    APPEALED = "appealed"
    APPEAL_GRANTED = "appeal_granted"
    APPEAL_DENIED = "appeal_denied"
    SIGNALLED = "signalled"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class AuditReceipt:
    """Proof that a row is in the log: which log, which leaf, its RFC 6962 leaf hash in hex."""

    log_id: str
    index: int
    leaf_hash: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One event of one record, as it goes into the log: no personal data.

    ``record_id`` is a UUIDv7; ``at`` is an aware UTC time; ``prompt_commitment`` and
    ``user_commitment`` are ``HMAC-SHA256(salt, text)`` in hex; digests are SHA-256 in hex:
    ``blocks_sha256`` that of the coarse description kept beside the log. ``derived_from`` names
    the record of an earlier mark that the picture came with, or ``mark:`` and its id.
    ``other_fingerprints`` are of other algorithms than ``fingerprint``, and of one another.
    """

    record_id: str
    event: Event
    at: datetime
    origin: Origin = Origin.GENERATED
    tenant: str | None = None
    policy: str = ""
    policy_digest: str = ""
    action: Action | None = None
    stage: Stage | None = None
    rules: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    model: str | None = None
    seed: int | None = None
    mark: Mark | None = None
    fingerprint: Fingerprint | None = None
    other_fingerprints: tuple[Fingerprint, ...] = ()
    blocks_sha256: str | None = None
    derived_from: str | None = None
    asset_sha256: str | None = None
    media_type: str | None = None
    manifest_label: str | None = None
    certificate_fingerprint: str | None = None
    prompt_commitment: str | None = None
    user_commitment: str | None = None
    idempotency_key: str | None = None
    reviewer: str | None = None
    software: str = ""


@dataclass(frozen=True, slots=True)
class AuditAct:
    """Something done about records, as it goes into the log beside them: no personal data.

    ``act_id`` is a UUIDv7; ``who`` a line of text; ``reason`` an identifier such as
    ``case-4711``; ``about`` the id of a record, ``subject`` a keyed pseudonym of a person (64 hex
    digits); ``details`` are pairs of identifiers with sorted, distinct names.
    """

    act_id: str
    act: Act
    at: datetime
    who: str
    reason: str
    about: str | None = None
    subject: str | None = None
    details: tuple[tuple[str, str], ...] = ()
