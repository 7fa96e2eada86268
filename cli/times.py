"""Times given on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from guard.errors import InvalidRequest

_AGO = re.compile(r"(\d{1,6})(h|d|w)")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="From then on: ISO 8601, or how long ago: 24h, 7d, 4w."
    ),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Before that time; as --since.")
]


def parse_time(name: str, text: str | None) -> datetime | None:
    """The option ``--name`` as an aware time, UTC where it names no zone.

    ISO 8601, or how long ago: hours, days or weeks as ``24h``, ``7d``, ``4w``. Raises
    InvalidRequest.
    """
    if text is None:
        return None
    try:
        ago = _AGO.fullmatch(text.strip())
        if ago is not None:
            return datetime.now(UTC) - int(ago[1]) * _UNITS[ago[2]]
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            f"--{name} {text!r} is no time.",
            hint="For example 2026-11-24, 2026-11-24T08:00+00:00, 24h, 7d or 4w ago.",
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
