"""What all leaves have in common: RFC 8785 JSON with ``"v":1`` and the id of their log.

Fields that are None or empty are left out. The format of version 1 is frozen: a test holds
golden bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from guard.audit.canonical import canonical_json
from guard.errors import AuditUnavailable, LogTampered

T = TypeVar("T")

VERSION = 1
MAX_LEAF_BYTES = 64 * 1024
"""A leaf stays a message, not a file: proofs carry it, and auditors read it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, AuditUnavailable)


def frame(log_id: str, plain: Callable[[], dict[str, Any]]) -> bytes:
    """The canonical bytes of what ``plain()`` answers, at most 64 KiB.

    Raises AuditUnavailable when it cannot be recorded as it is: nothing may leave then.
    """
    try:
        said = {"v": VERSION, "log": log_id} | plain()
        data = canonical_json({key: value for key, value in said.items() if value or value == 0})
    except (ValueError, TypeError, AttributeError) as error:
        raise AuditUnavailable(
            f"The record cannot be written: {error}.",
            hint="This is a bug in the caller; nothing was recorded, and nothing may be released.",
        ) from error
    if len(data) > MAX_LEAF_BYTES:
        raise AuditUnavailable(
            f"The record has {len(data):,} bytes; the limit is {MAX_LEAF_BYTES:,}.",
            hint="Fewer scores or rules; texts do not belong into the record.",
        )
    return data


def unframe(
    data: bytes, read: Callable[[str, dict[str, Any]], T], write: Callable[[T], bytes]
) -> T:
    """What ``read(log id, fields)`` makes of a leaf.

    Raises LogTampered unless ``data`` is exactly what ``write`` makes of the answer.
    """
    try:
        plain = json.loads(data)
        if plain.pop("v") != VERSION:
            raise ValueError("unknown version")
        value = read(plain.pop("log"), plain)
        again = write(value)
    except _UNREADABLE as error:
        raise _broken() from error
    if again != data:
        raise _broken()
    return value


def _broken() -> LogTampered:
    return LogTampered(
        "A record of the audit log is not what was written.",
        hint="Run guard audit verify to learn which, and compare with a backup.",
    )


def to_us(at: datetime) -> int:
    """Microseconds since 1970 UTC. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError("the time has no zone")
    return (at - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """The aware UTC time."""
    return _EPOCH + at_us * _MICROSECOND


def time_text(at: datetime) -> str:
    """As leaves write times: ISO 8601 in UTC with six digits of a second."""
    return from_us(to_us(at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
