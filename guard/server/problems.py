"""What goes wrong, as HTTP says it: a status, and the same code, message and hint as elsewhere."""

from __future__ import annotations

from typing import Any

from guard.errors import (
    GuardError,
    InvalidConfiguration,
    InvalidInput,
    LogTampered,
    RecordNotFound,
    Unavailable,
)

STATUSES: tuple[tuple[type[GuardError], int], ...] = (
    (RecordNotFound, 404),
    (InvalidInput, 400),
    (Unavailable, 503),
    (LogTampered, 500),
    (InvalidConfiguration, 500),
)

HIDDEN = "The service cannot answer now."
"""What a client is told of troubles that are the operator's: no path, host or database name."""


class Problem(Exception):
    """An answer that is no success. ``headers`` go with it."""

    def __init__(
        self, status: int, code: str, message: str, hint: str = "", **headers: str
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def body(self) -> dict[str, Any]:
        """The JSON that a client reads."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}


def problem_of(error: GuardError) -> Problem:
    """How HTTP says a GuardError: the client's own faults in full, the operator's not."""
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
    if status >= 500:
        return Problem(status, error.code, HIDDEN, "Try again later.")
    return Problem(status, error.code, error.message, error.hint)


def bad_request(message: str, hint: str = "") -> Problem:
    """400."""
    return Problem(400, "invalid_request", message, hint)


def not_found(message: str) -> Problem:
    """404."""
    return Problem(404, "not_found", message, "Ask /v1/matches for the ids of manifests.")
