"""What verification answers, and values as plain JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any


class VerdictName(StrEnum):
    """What ``verify`` answers, in the order in which they are tried."""

    ALTERED = "altered"
    TRUSTED = "trusted"
    UNKNOWN_SIGNER = "unknown_signer"
    RECOVERED = "recovered"
    MARKED = "marked"
    LABEL_ONLY = "label_only"
    NOTHING_FOUND = "nothing_found"


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What a suspect picture is. A part that found nothing is None; never means "not AI".

    ``comparison`` with the recorded picture, where both are there: ``result`` is ``agrees``,
    ``altered``, ``other_picture`` or ``not_compared``; ``regions`` are the altered parts and
    ``frame`` the recorded picture's corners, (x, y) as fractions of the suspect's sides.
    """

    verdict: VerdictName
    explanation: str
    provenance: Mapping[str, Any] | None = None
    watermark: Mapping[str, Any] | None = None
    fingerprint: Mapping[str, Any] | None = None
    record: Mapping[str, Any] | None = None
    labels: tuple[Mapping[str, Any], ...] = ()
    comparison: Mapping[str, Any] | None = None


def as_dict(value: Any) -> dict[str, Any]:
    """A border dataclass as a JSON-ready dict: enums as text, times as ISO 8601, bytes left out."""
    plain: dict[str, Any] = {}
    for f in dataclasses.fields(value):
        item = getattr(value, f.name)
        if not isinstance(item, bytes):
            plain[f.name] = _plain(item)
    return plain


def _plain(item: Any) -> Any:
    match item:
        case StrEnum() | Path():
            plain: Any = str(item)
        case datetime():
            plain = item.isoformat()
        case list() | tuple():
            plain = [_plain(one) for one in item]
        case Mapping():
            plain = {key: _plain(one) for key, one in item.items()}
        case _:
            plain = as_dict(item) if dataclasses.is_dataclass(item) else item
    return plain
