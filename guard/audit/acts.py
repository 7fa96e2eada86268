"""Acts: what somebody did about the log's records, as leaves of the same tree.

A record says what became of a picture; an act says who looked at it, decrypted, disputed, held or
erased what belongs to it. Acts stand alone: nothing follows one under its own id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from uuid6 import uuid7

from guard.audit.frame import frame, time_text, to_us, unframe
from guard.audit.shapes import DIGEST, check_identifier, check_shape, check_text
from guard.errors import RecordNotFound
from guard.store.rows import LeafColumns
from guard.types import Act, AuditAct, AuditReceipt

if TYPE_CHECKING:
    from guard.audit.append import Tree

NAMES = frozenset(Act)


@dataclass(frozen=True, slots=True)
class ActLeaf:
    """What the leaf of an act says: the act, and the log it belongs to."""

    act: AuditAct
    log_id: str


def new_act(act: Act, who: str, reason: str, **facts: Any) -> AuditAct:
    """An act of now with an id of its own; ``facts`` are ``about``, ``subject``, ``details``."""
    return AuditAct(str(uuid7()), act, datetime.now(UTC), who, reason, **facts)


def to_leaf(leaf: ActLeaf) -> bytes:
    """The canonical bytes. Raises AuditUnavailable when it cannot be recorded as it is."""

    def plain() -> dict[str, Any]:
        _check(leaf.act)
        act = leaf.act
        said: dict[str, Any] = {"act_id": act.act_id, "act": act.act.value}
        said |= {"at": time_text(act.at), "who": act.who, "reason": act.reason}
        return said | {"about": act.about, "subject": act.subject, "details": dict(act.details)}

    return frame(leaf.log_id, plain)


def parse(data: bytes) -> ActLeaf:
    """What the leaf of an act says. Raises LogTampered unless it is exactly what was written."""

    def read(log_id: str, plain: dict[str, Any]) -> ActLeaf:
        plain["act"] = Act(plain["act"])
        plain["at"] = datetime.fromisoformat(plain["at"])
        plain["details"] = tuple(plain.get("details", {}).items())
        return ActLeaf(AuditAct(**plain), log_id)

    return unframe(data, read, to_leaf)


def columns(leaf: ActLeaf) -> LeafColumns:
    """What is stored beside the leaf of an act to be searched for."""
    act = leaf.act
    nothing: dict[str, Any] = dict.fromkeys(_OF_RECORDS) | dict.fromkeys(_NEVER_NULL, "")
    return LeafColumns(
        record_id=act.act_id,
        event=act.act.value,
        at_us=to_us(act.at),
        reviewer=act.who,
        about=act.about,
        subject=act.subject,
        **nothing,
    )


_NEVER_NULL = ("origin", "rules", "categories", "policy", "policy_digest")
_OF_RECORDS = (
    "tenant", "action", "stage", "model", "mark", "fingerprint", "asset_sha256", "manifest_sha256",
    "idempotency_key",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Acted:
    """An act to be recorded."""

    act: AuditAct

    def apply(self, tree: Tree) -> AuditReceipt:
        """Add it. Raises RecordNotFound when it is about a record that the log does not hold."""
        about = self.act.about
        if about is not None and not tree.writer.events(about):
            raise RecordNotFound(
                f"The log holds no record {about}.",
                hint="List what there is with: guard audit list",
            )
        row = tree.add(ActLeaf(self.act, tree.log_id))
        return AuditReceipt(tree.log_id, row.index, row.leaf_hash.hex())


def _check(act: AuditAct) -> None:
    for name, text in (("act id", act.act_id), ("record id", act.about)):
        if text is not None and str(UUID(text)) != text:
            raise ValueError(f"the {name} is not a UUID in its usual form")
    if not act.who.strip():
        raise ValueError("an act needs the name of who did it")
    check_text("name of who did it", act.who)
    check_identifier("reason", act.reason)
    check_shape("subject", act.subject, DIGEST, "64 hex digits")
    for pair in act.details:
        for text in pair:
            check_identifier("detail", text)
    if [name for name, _ in act.details] != sorted({name for name, _ in act.details}):
        raise ValueError("the details are not sorted, or one is named twice")
