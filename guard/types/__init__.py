"""The values that cross borders between rooms: frozen, slotted, standard library and numpy only.

No ORM row and no tensor crosses a border. Pixels are always ``uint8`` arrays of shape
``(height, width, 3)``, RGB, read-only.
"""

from __future__ import annotations

from guard.types.decisions import Action, Decision, Finding, Reason, Score, Stage, worst
from guard.types.outcomes import Blocked, Failed, Held, Outcome, Released, Status
from guard.types.pictures import (
    Detection,
    Fingerprint,
    Mark,
    MarkedImage,
    Origin,
    Pixels,
    Placement,
    Point,
    RawImage,
    SignedAsset,
)
from guard.types.records import Act, AuditAct, AuditReceipt, AuditRecord, Event
from guard.types.reports import VerdictName, VerificationReport, as_dict
from guard.types.requests import (
    MAX_IMAGES,
    MAX_NAME_CHARS,
    MAX_PROMPT_CHARS,
    MAX_SIDE,
    GenerationRequest,
    check_length,
    check_name,
)

__all__ = [
    "MAX_IMAGES",
    "MAX_NAME_CHARS",
    "MAX_PROMPT_CHARS",
    "MAX_SIDE",
    "Act",
    "Action",
    "AuditAct",
    "AuditReceipt",
    "AuditRecord",
    "Blocked",
    "Decision",
    "Detection",
    "Event",
    "Failed",
    "Finding",
    "Fingerprint",
    "GenerationRequest",
    "Held",
    "Mark",
    "MarkedImage",
    "Origin",
    "Outcome",
    "Pixels",
    "Placement",
    "Point",
    "RawImage",
    "Reason",
    "Released",
    "Score",
    "SignedAsset",
    "Stage",
    "Status",
    "VerdictName",
    "VerificationReport",
    "as_dict",
    "check_length",
    "check_name",
    "worst",
]
