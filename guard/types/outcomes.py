"""How a request ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from guard.types.decisions import Decision, Finding, Reason, Score, Stage
from guard.types.pictures import SignedAsset
from guard.types.records import AuditReceipt


class Status(StrEnum):
    """How a request ended."""

    RELEASED = "released"
    BLOCKED = "blocked"
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Released:
    """Everything was in order. Cannot be built without an audit receipt."""

    record_id: str
    images: tuple[SignedAsset, ...]
    receipt: AuditReceipt
    decision: Decision
    path: Path | None = None
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.receipt, AuditReceipt):
            raise TypeError("Released needs the receipt of its audit record")

    @property
    def status(self) -> Status:
        """``released``."""
        return Status.RELEASED


@dataclass(frozen=True, slots=True)
class Blocked:
    """The policy said no. ``reasons`` for the user, the rest for the operator."""

    record_id: str
    stage: Stage
    reasons: tuple[Reason, ...]
    receipt: AuditReceipt
    decision: Decision
    findings: tuple[Finding, ...] = ()
    scores: tuple[Score, ...] = ()

    @property
    def status(self) -> Status:
        """``blocked``."""
        return Status.BLOCKED


@dataclass(frozen=True, slots=True)
class Held:
    """The policy said ``flag``: nothing is delivered until a reviewer approves."""

    record_id: str
    stage: Stage
    reasons: tuple[Reason, ...]
    receipt: AuditReceipt
    decision: Decision
    findings: tuple[Finding, ...] = ()
    scores: tuple[Score, ...] = ()

    @property
    def status(self) -> Status:
        """``held``."""
        return Status.HELD


@dataclass(frozen=True, slots=True)
class Failed:
    """A stage was missing, raised, hung or lied: nothing leaves. ``cause`` is for the operator."""

    record_id: str
    stage: Stage
    reasons: tuple[Reason, ...]
    receipt: AuditReceipt
    cause: str = ""
    hint: str = ""

    @property
    def status(self) -> Status:
        """``failed``."""
        return Status.FAILED


Outcome = Released | Blocked | Held | Failed
