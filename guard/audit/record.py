"""The leaf: an audit record as canonical bytes, and back.

A leaf is RFC 8785 JSON with ``"v":1`` and the id of its log. Fields that are None or empty are
left out. The format of version 1 is frozen: a test holds golden bytes. What is not an identifier
does not fit: rules, reasons, stages and categories are checked for their shape, so that no
sentence, and with it no prompt, can slip in.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from guard.audit.canonical import canonical_json
from guard.errors import AuditUnavailable, LogTampered
from guard.store.rows import LeafColumns
from guard.types import Action, AuditRecord, Event, Fingerprint, Mark, Origin, Score, Stage

VERSION = 1
MAX_LEAF_BYTES = 64 * 1024
"""A leaf stays a message, not a file: proofs carry it, and auditors read it."""

MAX_TEXT = 500
"""For names that others choose (model, tenant, reviewer, key): longer ones are no names."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+@-]{0,199}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, AuditUnavailable)

_TEXTS = ("tenant", "policy", "policy_digest", "model", "media_type", "manifest_label")
_MORE_TEXTS = (
    "certificate_fingerprint", "derived_from", "idempotency_key", "reviewer", "software",
)  # fmt: skip
_DIGESTS = ("asset_sha256", "blocks_sha256", "prompt_commitment", "user_commitment")


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a leaf says: the record, the log it belongs to, and the digest of the manifest."""

    record: AuditRecord
    log_id: str
    manifest_sha256: str | None = None


def to_leaf(leaf: Leaf) -> bytes:
    """The canonical bytes, at most 64 KiB.

    Raises AuditUnavailable when the record cannot be recorded as it is: nothing may leave then.
    """
    record = leaf.record
    try:
        _check(record)
        plain = {"v": VERSION, "log": leaf.log_id, "manifest_sha256": leaf.manifest_sha256}
        plain |= _plain(record)
        data = canonical_json({key: value for key, value in plain.items() if value or value == 0})
    except (ValueError, TypeError, AttributeError) as error:
        raise AuditUnavailable(
            f"The record cannot be written: {error}.",
            hint="This is a bug in the caller; nothing was recorded, and nothing may be released.",
        ) from error
    if len(data) > MAX_LEAF_BYTES:
        raise AuditUnavailable(
            f"The record has {len(data):,} bytes; the limit is {MAX_LEAF_BYTES:,}.",
            hint="Fewer scores or rules; texts do not belong into the record.",
        )
    return data


def parse(data: bytes) -> Leaf:
    """What a leaf says.

    Raises LogTampered unless ``data`` is exactly what :func:`to_leaf` would have written.
    """
    try:
        plain = json.loads(data)
        if plain.pop("v") != VERSION:
            raise ValueError("unknown version")
        leaf = Leaf(
            manifest_sha256=plain.pop("manifest_sha256", None),
            log_id=plain.pop("log"),
            record=_record(plain),
        )
        again = to_leaf(leaf)
    except _UNREADABLE as error:
        raise _broken() from error
    if again != data:
        raise _broken()
    return leaf


def _broken() -> LogTampered:
    return LogTampered(
        "A record of the audit log is not what was written.",
        hint="Run guard audit verify to learn which, and compare with a backup.",
    )


def to_us(at: datetime) -> int:
    """Microseconds since 1970 UTC. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError("the time has no zone")
    return (at - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """The aware UTC time."""
    return _EPOCH + at_us * _MICROSECOND


def fingerprints(record: AuditRecord) -> tuple[Fingerprint, ...]:
    """All fingerprints of a record's picture."""
    first = () if record.fingerprint is None else (record.fingerprint,)
    return first + record.other_fingerprints


def columns(leaf: Leaf) -> LeafColumns:
    """What is stored beside the leaf to be searched for."""
    record = leaf.record
    over = {score.category for score in record.scores if score.value >= score.threshold}
    return LeafColumns(
        record_id=record.record_id,
        event=record.event.value,
        at_us=to_us(record.at),
        origin=record.origin.value,
        tenant=record.tenant,
        action=record.action and record.action.value,
        stage=record.stage and record.stage.value,
        rules=_lines(record.rules),
        categories=_lines(sorted(over)),
        policy=record.policy,
        policy_digest=record.policy_digest,
        model=record.model,
        mark=record.mark.payload if record.mark else None,
        fingerprint=record.fingerprint.bits if record.fingerprint else None,
        asset_sha256=record.asset_sha256,
        manifest_sha256=leaf.manifest_sha256,
        idempotency_key=record.idempotency_key,
        reviewer=record.reviewer,
    )


def _lines(items: tuple[str, ...] | list[str]) -> str:
    return "\n" + "".join(f"{item}\n" for item in items) if items else ""


def _plain(record: AuditRecord) -> dict[str, Any]:
    plain: dict[str, Any] = {name: getattr(record, name) for name in (*_TEXTS, *_MORE_TEXTS)}
    plain |= {name: getattr(record, name) for name in _DIGESTS}
    plain |= {"record_id": record.record_id, "event": record.event.value}
    plain |= {"at": from_us(to_us(record.at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    plain |= {"origin": record.origin.value, "action": record.action and record.action.value}
    plain |= {"stage": record.stage and record.stage.value}
    plain |= {"rules": list(record.rules), "reasons": list(record.reasons)}
    plain["scores"] = [_score(score) for score in record.scores]
    # A seed may be larger than a JSON number can carry exactly.
    plain["seed"] = None if record.seed is None else str(int(record.seed))
    if record.mark is not None:
        plain["mark"] = {
            "method": record.mark.method,
            "payload": record.mark.payload,
            "psnr_db": float(record.mark.psnr_db),
            # Absent from records of marks that were not tried: their bytes stay as they were.
            **({"survived": list(record.mark.survived)} if record.mark.survived else {}),
        }
    if record.fingerprint is not None:
        plain["fingerprint"] = {
            "algorithm": record.fingerprint.algorithm,
            "bits": record.fingerprint.bits,
        }
    plain["other_fingerprints"] = [
        {"algorithm": one.algorithm, "bits": one.bits} for one in record.other_fingerprints
    ]
    return plain


def _score(score: Score) -> dict[str, Any]:
    return {
        "category": score.category,
        "value": float(score.value),
        "threshold": float(score.threshold),
        "detector": score.detector,
        "model_digest": score.model_digest,
    }


def _record(plain: dict[str, Any]) -> AuditRecord:
    known = {field.name for field in dataclasses.fields(AuditRecord)}
    if not set(plain) <= known:
        raise ValueError("unknown fields")
    values = dict(plain)
    values["event"] = Event(plain["event"])
    values["at"] = datetime.fromisoformat(plain["at"])
    values["origin"] = Origin(plain["origin"])
    for name, make in (("action", Action), ("stage", Stage), ("seed", int)):
        if name in plain:
            values[name] = make(plain[name])
    for name in ("rules", "reasons"):
        values[name] = tuple(plain.get(name, ()))
    values["scores"] = tuple(_read_score(score) for score in plain.get("scores", ()))
    if "mark" in plain:
        mark = Mark(**plain["mark"])
        values["mark"] = dataclasses.replace(
            mark, psnr_db=float(mark.psnr_db), survived=tuple(mark.survived)
        )
    if "fingerprint" in plain:
        values["fingerprint"] = Fingerprint(**plain["fingerprint"])
    others = plain.get("other_fingerprints", ())
    values["other_fingerprints"] = tuple(Fingerprint(**one) for one in others)
    return AuditRecord(**values)


def _read_score(plain: dict[str, Any]) -> Score:
    score = Score(**plain)
    # JSON has one kind of number: 1.0 comes back as 1.
    return dataclasses.replace(score, value=float(score.value), threshold=float(score.threshold))


def _check(record: AuditRecord) -> None:
    if str(UUID(record.record_id)) != record.record_id:
        raise ValueError("the record id is not a UUID in its usual form")
    for name in (*_TEXTS, *_MORE_TEXTS):
        _check_text(name, getattr(record, name))
    for name in _DIGESTS:
        _check_shape(name, getattr(record, name), _DIGEST, "a SHA-256 in hex")
    for name in ("rules", "reasons"):
        for item in getattr(record, name):
            _check_shape(name, item, _IDENTIFIER, "an identifier")
    for score in record.scores:
        _check_shape("category", score.category, _IDENTIFIER, "an identifier")
        _check_text("detector", score.detector)
        _check_text("model digest", score.model_digest)
    if record.mark is not None:
        _check_text("mark method", record.mark.method)
        _check_shape("mark", record.mark.payload, _HEX, "lower-case hex")
        for item in record.mark.survived:
            _check_shape("survived damage", item, _IDENTIFIER, "an identifier")
    _check_fingerprints(fingerprints(record))


def _check_fingerprints(prints: tuple[Fingerprint, ...]) -> None:
    for one in prints:
        _check_text("fingerprint algorithm", one.algorithm)
        _check_shape("fingerprint", one.bits, _HEX, "lower-case hex")
    if len({one.algorithm for one in prints}) < len(prints):
        raise ValueError("two fingerprints are of one algorithm")


def _check_text(name: str, text: str | None) -> None:
    if text is None:
        return
    if not isinstance(text, str) or len(text) > MAX_TEXT or _CONTROL.search(text):
        raise ValueError(f"the {name} is not a line of at most {MAX_TEXT} characters")


def _check_shape(name: str, text: str | None, shape: re.Pattern[str], what: str) -> None:
    # The value itself stays out of the message: it may be the very text that must not be kept.
    if text is not None and (not isinstance(text, str) or not shape.fullmatch(text)):
        raise ValueError(f"the {name} is not {what}")
