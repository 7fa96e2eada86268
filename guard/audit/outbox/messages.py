"""What is told to others about the log: kinds of messages, and their payload.

A payload is a CloudEvent 1.0 in structured JSON (cloudevents.io), written as RFC 8785 canonical
JSON. It says what a leaf says, without commitments, keys and names of reviewers: enough to look
the record up, and nothing about a person but the pseudonym that a signal is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from uuid6 import uuid7

from guard.audit.acts import ActLeaf
from guard.audit.canonical import canonical_json
from guard.audit.frame import time_text
from guard.audit.record import Leaf
from guard.store.rows import LeafRow
from guard.types import Act, AuditAct, AuditRecord, Event

REPORT = "report.required"
"""A sensitive decision: whoever runs the platform may have to report it."""

SIGNAL = "signal.raised"
"""One user was blocked too often."""

ALWAYS = frozenset({REPORT, SIGNAL})
"""Kept in the outbox also while nobody wants them: a duty does not end because of a setting."""

KINDS = (
    *(f"record.{event}" for event in Event),
    *(f"act.{act}" for act in Act if act is not Act.SIGNALLED),
    REPORT,
    SIGNAL,
)
"""Everything that can be subscribed to."""

TYPE = "genguard."
"""Before a kind in a CloudEvent's ``type``."""


@dataclass(frozen=True, slots=True)
class Told:
    """One thing to be told. ``about`` is the id of the record or act; ``data`` is JSON-ready.

    ``tenant`` and ``categories`` are what subscriptions can be narrowed by.
    """

    kind: str
    about: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)
    tenant: str | None = None
    categories: tuple[str, ...] = ()


def of_leaf(row: LeafRow, leaf: Leaf | ActLeaf) -> Told:
    """What a new leaf tells."""
    place = {"index": row.index, "leaf_hash": row.leaf_hash.hex()}
    if isinstance(leaf, ActLeaf):
        act = leaf.act
        kind = SIGNAL if act.act is Act.SIGNALLED else f"act.{act.act}"
        details = dict(act.details)
        return Told(kind, act.act_id, act.at, _act(act) | place, details.get("tenant"))
    record = leaf.record
    data = _record(record) | place
    kind = f"record.{record.event}"
    return Told(kind, record.record_id, record.at, data, record.tenant, record.reasons)


def of_report(row: LeafRow, leaf: Leaf, holds: tuple[AuditAct, ...]) -> Told:
    """The message that a sensitive block must be reported; ``holds`` have the hashes."""
    hashes = {name: value for hold in holds for name, value in hold.details}
    data = of_leaf(row, leaf).data | {
        "hashes": hashes,
        "holds": [hold.act_id for hold in holds],
    }
    record = leaf.record
    return Told(REPORT, record.record_id, record.at, data, record.tenant, record.reasons)


def payload(told: Told, log_id: str) -> bytes:
    """The CloudEvent, at most some kilobytes. Each call gives it a new ``id``."""
    return canonical_json(
        {
            "specversion": "1.0",
            "id": str(uuid7()),
            "source": f"urn:genguard:log:{log_id}",
            "type": f"{TYPE}{told.kind}",
            "subject": told.about,
            "time": time_text(told.at),
            "datacontenttype": "application/json",
            "data": dict(_said(told.data)),
        }
    )


def _said(data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is there: fields that are None or empty are left out, as in leaves."""
    for name, value in data.items():
        if value or value == 0:
            yield name, value


def _record(record: AuditRecord) -> dict[str, Any]:
    names = ("record_id", "tenant", "policy", "policy_digest", "model", "asset_sha256")
    plain: dict[str, Any] = {name: getattr(record, name) for name in names}
    plain |= {"event": record.event.value, "origin": record.origin.value}
    plain |= {"action": record.action and record.action.value}
    plain |= {"stage": record.stage and record.stage.value}
    return plain | {"rules": list(record.rules), "reasons": list(record.reasons)}


def _act(act: AuditAct) -> dict[str, Any]:
    plain: dict[str, Any] = {"act_id": act.act_id, "act": act.act.value, "reason": act.reason}
    return plain | {"about": act.about, "subject": act.subject, "details": dict(act.details)}
