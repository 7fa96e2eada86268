"""A verdict in a few sentences for a person: what was found, and what that does not mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from guard.provenance.read import ManifestReading
from guard.types import Event, VerdictName
from guard.verify.words import because, label_kind, revoked_on, since, who

if TYPE_CHECKING:
    from guard.verify.suspect import Evidence

NOTHING = (
    "No manifest, no readable mark of a known key, no similar picture on record and no label was "
    "found. That does not mean that the picture is not AI-made: all of these can be removed."
)
ANYONE = "anyone can make such a certificate"

TRACE = 1e-9
"""Chance below which a pilot is spoken of whose payload cannot be read."""


def explain(verdict: VerdictName, evidence: Evidence) -> str:
    """The explanation that goes with ``verdict``."""
    parts = [_SENTENCES[verdict](evidence), _agreement(verdict, evidence), _engines(evidence)]
    parts.append(_trace(verdict, evidence))
    return " ".join(part for part in parts if part)


def _altered(evidence: Evidence) -> str:
    reading = evidence.reading
    compared = _compared(evidence)
    if reading is None or reading.state != "invalid":
        return compared or _copied(evidence)
    if reading.hard_binding_only:
        means = (
            f"Its content does not match its manifest, signed by {who(reading)}{since(reading)}: "
            "it was changed after it was signed, or the manifest is another picture's."
        )
        unknown = "Who changed it, and how much, the manifest cannot say."
        return f"{means} {compared or unknown}"
    return f"Its manifest does not verify: {because(reading)}. {compared}".rstrip()


def _copied(evidence: Evidence) -> str:
    """An intact manifest, or none: then it is the mark that tells of another record."""
    reading, stored = evidence.reading, evidence.stored
    claimed = getattr(evidence, "claimed", None)
    named = claimed.record.record_id if claimed is not None else reading and reading.record_id
    if stored is not None and named and named != stored.record.record_id:
        return (
            f"Its manifest names record {named} and its invisible mark record "
            f"{stored.record.record_id}: one of them was copied here from another picture."
        )
    return (
        "The mark in this picture belongs to a record of a different picture: the mark was "
        "copied here, or the picture was painted over."
    )


def _compared(evidence: Evidence) -> str:
    """What lying beside the picture on record showed; nothing where they were not compared."""
    comparison, stored = getattr(evidence, "comparison", None), evidence.stored
    if comparison is None or stored is None:
        return ""
    means = _MEANS.get(evidence.found_by or "", "fingerprint")
    leads = f"Its {means} leads to record {stored.record.record_id}"
    if comparison.result == "other_picture":
        return (
            f"{leads}, which is of another picture: the {means} was copied here, or nearly all of "
            "the picture was replaced."
        )
    if comparison.result == "altered":
        count = len(comparison.regions)
        parts = "one part of it was" if count == 1 else f"{count} parts of it were"
        return (
            f"{leads}, whose picture this is, but {parts} changed "
            f"({_percent(comparison.share)} of what can be compared)."
        )
    if comparison.result == "agrees":
        return f"{leads}, and it looks like the picture recorded there: no part was replaced."
    return ""


_MEANS = {"watermark": "invisible mark", "fingerprint": "fingerprint", "manifest": "manifest"}


def _percent(share: float) -> str:
    """In whole per cent; never rounded to nothing."""
    return f"{share:.0%}" if share >= 0.01 else "less than 1%"


def _trusted(evidence: Evidence) -> str:
    reading = _reading(evidence)
    made = f" It says that the picture was made {_source(reading)}." if _source(reading) else ""
    return (
        f"Its manifest is intact and signed by {who(reading)}{since(reading)}, whom "
        f"{reading.trust_list} vouches for.{made}"
    )


def _unknown_signer(evidence: Evidence) -> str:
    reading = _reading(evidence)
    intact = f"Its manifest is intact: nothing was changed since {who(reading)} signed it."
    if reading.revoked is not None:
        return (
            f"{intact} But the certificate was revoked on {revoked_on(reading)}: its key may be in "
            "other hands, so the name proves nothing."
        )
    if "signingCredential.expired" in reading.problems:
        return (
            f"{intact} But the certificate is outside its time, and no trusted time-stamp shows "
            "that it was in force when it signed, so the name is not certain."
        )
    if "signingCredential.invalid" in reading.problems:
        return (
            f"{intact} But that certificate is not one that may sign pictures, so the name "
            "proves nothing."
        )
    return f"{intact} But that signer is in no trust list here: {ANYONE}."


def _recovered(evidence: Evidence) -> str:
    assert evidence.stored is not None  # noqa: S101  # judge() looked
    means = _MEANS.get(evidence.found_by or "", "fingerprint")
    seen = getattr(evidence, "comparison", None)
    same = seen is not None and seen.result == "agrees"
    return (
        f"It carries no manifest, but its {means} leads to record "
        f"{evidence.stored.record.record_id} here, whose stored manifest verifies."
        + (" It looks like the picture recorded there, with no part replaced." if same else "")
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
    named = sorted({_labelled(label) for label in evidence.labels})
    return f"Only unproven labels were found ({'; '.join(named)}): anyone can add or copy them."


def _labelled(label: Mapping[str, Any]) -> str:
    kind = label_kind(label)
    return f"{kind}, {label['source']}" if label.get("source") else kind


def _agreement(verdict: VerdictName, evidence: Evidence) -> str:
    """Beside an intact manifest: whether the mark tells the same story."""
    if verdict not in {VerdictName.TRUSTED, VerdictName.UNKNOWN_SIGNER}:
        return ""
    if not evidence.detection.detected:
        return ""
    record = evidence.stored.record.record_id if evidence.stored is not None else None
    if record is None:
        return "It also carries a mark of a key of ours."
    return f"Its invisible mark leads to record {record} here."


def has_trace(evidence: Evidence) -> bool:
    """Whether a key's pilot is there, although no payload reads.

    That is no verdict: a pilot without its payload leads to no record, so nothing would show
    whether it was copied here from another picture.
    """
    return not evidence.detection.detected and evidence.detection.p_value < TRACE


def _trace(verdict: VerdictName, evidence: Evidence) -> str:
    silent = verdict in {VerdictName.NOTHING_FOUND, VerdictName.LABEL_ONLY}
    if not silent or not has_trace(evidence):
        return ""
    return (
        "There are traces of a mark of a key of ours "
        f"(chance of error {evidence.detection.p_value:.1e}), too faint to read which: nothing "
        "shows whether it was made for this picture. A better copy may tell."
    )


def _engines(evidence: Evidence) -> str:
    """Where two engines read the manifest differently, or one could not read it at all."""
    reading = evidence.reading
    if reading is None or reading.agreement is True or not reading.engines:
        return ""
    if reading.agreement is False:
        said = ", ".join(f"{one.engine} says {one.state}" for one in reading.engines if one.state)
        return f"The engines that read manifests disagree ({said}): the stricter answer counts."
    silent = ", ".join(one.engine for one in reading.engines if one.state is None)
    return f"One of the engines that read manifests has no voice here ({silent})."


def _source(reading: ManifestReading) -> str:
    kind = (reading.digital_source_type or "").rpartition("/")[2]
    return _SOURCES.get(kind, "")


_SOURCES = {
    "trainedAlgorithmicMedia": "by a trained algorithm (AI)",
    "compositeWithTrainedAlgorithmicMedia": "in part by a trained algorithm (AI)",
    "algorithmicMedia": "by an algorithm",
    "compositeSynthetic": "with synthetic parts",
    "digitalCapture": "with a camera",
}


def _reading(evidence: Evidence) -> ManifestReading:
    assert evidence.reading is not None  # noqa: S101  # judge() looked
    return evidence.reading


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
