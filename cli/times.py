"""Times given on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from guard.errors import InvalidRequest


def parse_time(name: str, text: str | None) -> datetime | None:
    """The option ``--name`` as an aware time, UTC where it names no zone. Raises InvalidRequest."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest(
            f"--{name} {text!r} is no time.",
            hint="For example 2026-11-24 or 2026-11-24T08:00+00:00.",
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
