"""The leaf: an audit record as canonical bytes, and back.

What is not an identifier does not fit: rules, reasons, stages and categories are checked for their
shape, so that no sentence, and with it no prompt, can slip in.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from guard.audit.frame import frame, time_text, to_us, unframe
from guard.audit.shapes import DIGEST, HEX, check_identifier, check_shape, check_text
from guard.store.rows import LeafColumns
from guard.types import Action, AuditRecord, Event, Fingerprint, Mark, Origin, Score, Stage

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

    def plain() -> dict[str, Any]:
        _check(leaf.record)
        return {"manifest_sha256": leaf.manifest_sha256} | _plain(leaf.record)

    return frame(leaf.log_id, plain)


def parse(data: bytes) -> Leaf:
    """What a leaf says.

    Raises LogTampered unless ``data`` is exactly what :func:`to_leaf` would have written.
    """

    def read(log_id: str, plain: dict[str, Any]) -> Leaf:
        manifest_sha256 = plain.pop("manifest_sha256", None)
        return Leaf(_record(plain), log_id, manifest_sha256)

    return unframe(data, read, to_leaf)


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
    plain |= {"at": time_text(record.at)}
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
        check_text(name, getattr(record, name))
    for name in _DIGESTS:
        check_shape(name, getattr(record, name), DIGEST, "a SHA-256 in hex")
    for name in ("rules", "reasons"):
        for item in getattr(record, name):
            check_identifier(name, item)
    for score in record.scores:
        check_identifier("category", score.category)
        check_text("detector", score.detector)
        check_text("model digest", score.model_digest)
    if record.mark is not None:
        check_text("mark method", record.mark.method)
        check_shape("mark", record.mark.payload, HEX, "lower-case hex")
        for item in record.mark.survived:
            check_identifier("survived damage", item)
    _check_fingerprints(fingerprints(record))


def _check_fingerprints(prints: tuple[Fingerprint, ...]) -> None:
    for one in prints:
        check_text("fingerprint algorithm", one.algorithm)
        check_shape("fingerprint", one.bits, HEX, "lower-case hex")
    if len({one.algorithm for one in prints}) < len(prints):
        raise ValueError("two fingerprints are of one algorithm")
