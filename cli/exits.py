"""Exit codes, and which one an outcome, an error or several of them come to."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from guard.errors import (
    GuardError,
    InvalidConfiguration,
    InvalidInput,
    LegalHold,
    LogTampered,
    MarkRejected,
    Unavailable,
)
from guard.types import Action, Outcome, Status, VerdictName


class Exit(IntEnum):
    """What the process answers to the shell."""

    DONE = 0
    FINDING = 1
    USAGE = 2
    REVIEW = 3
    CONFIGURATION = 4
    TAMPERED = 5
    UNAVAILABLE = 6
    BUG = 70


URGENCY = (
    Exit.BUG,
    Exit.TAMPERED,
    Exit.UNAVAILABLE,
    Exit.CONFIGURATION,
    Exit.USAGE,
    Exit.REVIEW,
    Exit.FINDING,
    Exit.DONE,
)
"""With several inputs the most urgent code wins."""

OF_ERROR: tuple[tuple[type[GuardError], Exit], ...] = (
    (LogTampered, Exit.TAMPERED),
    (Unavailable, Exit.UNAVAILABLE),
    (InvalidConfiguration, Exit.CONFIGURATION),
    (MarkRejected, Exit.FINDING),
    (LegalHold, Exit.FINDING),
    (InvalidInput, Exit.USAGE),
)

OF_STATUS = {
    Status.RELEASED: Exit.DONE,
    Status.BLOCKED: Exit.FINDING,
    Status.HELD: Exit.REVIEW,
    Status.FAILED: Exit.UNAVAILABLE,
}

OF_ACTION = {
    Action.ALLOW: Exit.DONE,
    Action.FLAG: Exit.REVIEW,
    Action.BLOCK: Exit.FINDING,
}

OF_VERDICT = {
    VerdictName.ALTERED: Exit.FINDING,
    VerdictName.UNKNOWN_SIGNER: Exit.REVIEW,
}


def of_error(error: GuardError) -> Exit:
    """The exit code of an error that ended a command."""
    return next((code for kind, code in OF_ERROR if isinstance(error, kind)), Exit.BUG)


def of_row_error(error: GuardError) -> Exit:
    """The exit code of an error about one input among several: an unusable input is a finding."""
    code = of_error(error)
    return Exit.FINDING if code is Exit.USAGE else code


def of_outcome(outcome: Outcome) -> Exit:
    """The exit code of a generation or protection."""
    return OF_STATUS[outcome.status]


def of_verdict(verdict: VerdictName) -> Exit:
    """The exit code of a verification."""
    return OF_VERDICT.get(verdict, Exit.DONE)


def worst(codes: Iterable[Exit]) -> Exit:
    """The most urgent of ``codes``; 0 for none."""
    return min(codes, key=URGENCY.index, default=Exit.DONE)
