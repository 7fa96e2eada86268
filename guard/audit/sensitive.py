"""What is kept of a picture that must not exist: hashes, and a legal hold.

Nothing here writes a picture, and nothing returns one. The hashes are what others exchange to find
such pictures again: SHA-256 of the file that was handed in, SHA-256 of the pixels (RGB, row by row,
three bytes a pixel), and PDQ.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from guard.audit.acts import new_act
from guard.audit.sequel import POLICY, Sequel
from guard.types import Act, AuditAct

if TYPE_CHECKING:
    from guard.policy.model import Policy
    from guard.types import AuditRecord, Decision, Pixels


@dataclass(frozen=True, slots=True)
class Shown:
    """The picture that a block is about, in memory only; ``file`` is what was handed in, if any."""

    pixels: Pixels = field(repr=False)
    file: bytes | None = field(default=None, repr=False)


def after_block(
    policy: Policy, record: AuditRecord, decision: Decision, shown: Shown | None
) -> Sequel | None:
    """What follows a block: a count for signals, and for a sensitive one a hold and a report.

    ``shown`` is None where the prompt was blocked: there is no picture then.
    """
    known = {rule.category for rule in policy.rules}
    categories = {reason.code for reason in decision.reasons} & known
    if not categories:
        return None  # a picture that cannot carry a mark says nothing about who asked for it
    hold = (_legal_hold(policy, record, decision, shown),) if decision.sensitive else ()
    return Sequel(hold, decision.sensitive, tuple(sorted(categories)), policy.signals)


def hashes(shown: Shown, *, fingerprint: bool) -> dict[str, str]:
    """``pixels-sha256``, and where there are such ``file-sha256`` and ``pdq``, all in hex."""
    pixels = np.ascontiguousarray(shown.pixels)
    found = {"pixels-sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}
    if shown.file is not None:
        found["file-sha256"] = hashlib.sha256(shown.file).hexdigest()
    if fingerprint:
        with suppress(Exception):  # a picture too odd for PDQ is blocked all the same
            from guard.image.fingerprint import fingerprint as pdq

            found["pdq"] = pdq(shown.pixels).bits
    return found


def _legal_hold(
    policy: Policy, record: AuditRecord, decision: Decision, shown: Shown | None
) -> AuditAct:
    found = {} if shown is None else hashes(shown, fingerprint=policy.sensitive.fingerprint)
    wanted = {reason.code for reason in decision.reasons} & set(policy.sensitive.categories)
    reason = f"sensitive:{sorted(wanted)[0]}" if wanted else "sensitive"
    return new_act(
        Act.HOLD_PLACED,
        POLICY,
        reason,
        about=record.record_id,
        details=tuple(sorted(found.items())),
    )
