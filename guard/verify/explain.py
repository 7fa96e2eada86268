"""A verdict in a sentence or two for a person: what was found, and what that does not mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.types import Event, VerdictName

if TYPE_CHECKING:
    from guard.verify.suspect import Evidence

HARD_BINDING = "It was changed after it was signed: its content no longer matches its manifest."
NOTHING = (
    "No manifest, no mark of a known key, no similar picture on record and no label was found. "
    "That does not mean that the picture is not AI-made: all of these can be removed."
)


def explain(verdict: VerdictName, evidence: Evidence) -> str:
    """The explanation that goes with ``verdict``."""
    return _SENTENCES[verdict](evidence) + _agreement(verdict, evidence)


def _altered(evidence: Evidence) -> str:
    if evidence.reading is None or evidence.reading.state != "invalid":
        return (
            "The mark in this picture belongs to a record of a different picture: the mark was "
            "copied here, or the picture was painted over."
        )
    if evidence.reading.hard_binding_only:
        return HARD_BINDING
    return f"Its manifest does not verify ({', '.join(evidence.reading.problems) or 'invalid'})."


def _trusted(evidence: Evidence) -> str:
    assert evidence.reading is not None  # noqa: S101  # judge() looked
    reading = evidence.reading
    return f"Its manifest is intact and signed by {reading.signer}, who is in {reading.trust_list}."


def _unknown_signer(evidence: Evidence) -> str:
    assert evidence.reading is not None  # noqa: S101  # judge() looked
    return (
        f"Its manifest is intact, but its signer ({evidence.reading.signer}) is in no trust list "
        "here: anyone can make such a certificate."
    )


def _recovered(evidence: Evidence) -> str:
    assert evidence.stored is not None  # noqa: S101  # judge() looked
    means = "invisible mark" if evidence.found_by == "watermark" else "fingerprint"
    return (
        f"It carries no manifest, but its {means} leads to record "
        f"{evidence.stored.record.record_id} here, whose stored manifest verifies."
    )


def _marked(evidence: Evidence) -> str:
    chance = f"chance of error {evidence.detection.p_value:.1e}"
    if evidence.stored is None:
        return f"It carries a mark of a key of ours ({chance}), but no record here has that mark."
    record = evidence.stored.record
    never = record.event is not Event.RELEASED
    which = f"was never released ({record.event})" if never else "has no manifest that verifies"
    return (
        f"It carries a mark of a key of ours ({chance}) and leads to record {record.record_id}, "
        f"which {which}."
    )


def _label_only(evidence: Evidence) -> str:
    kinds = sorted({str(label.get("kind", "label")) for label in evidence.labels})
    return f"Only unproven labels were found ({', '.join(kinds)}): anyone can add or copy them."


def _agreement(verdict: VerdictName, evidence: Evidence) -> str:
    """Beside an intact manifest: whether the mark tells the same story."""
    if verdict not in {VerdictName.TRUSTED, VerdictName.UNKNOWN_SIGNER}:
        return ""
    if not evidence.detection.detected:
        return ""
    record = evidence.stored.record.record_id if evidence.stored is not None else None
    if record is None:
        return " It also carries a mark of a key of ours."
    return f" Its invisible mark leads to record {record} here."


def _nothing(_evidence: Evidence) -> str:
    return NOTHING


_SENTENCES = {
    VerdictName.ALTERED: _altered,
    VerdictName.TRUSTED: _trusted,
    VerdictName.UNKNOWN_SIGNER: _unknown_signer,
    VerdictName.RECOVERED: _recovered,
    VerdictName.MARKED: _marked,
    VerdictName.LABEL_ONLY: _label_only,
    VerdictName.NOTHING_FOUND: _nothing,
}
