"""The evidence of a report, part by part: what the page shows of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guard.types import VerificationReport
from guard.verify.words import label_kind, meaning

LONGEST = 400
"""Characters of one foreign text that are shown: a manifest may hold megabytes."""

MOST_ROWS = 24
"""Facts of one part that are shown, for the same reason."""

Fact = tuple[str, str]

_RESULTS = {
    "agrees": ("looks like the picture on record, with no part replaced", "good"),
    "altered": ("differs from the picture on record", "bad"),
    "other_picture": ("another picture than the one on record", "bad"),
    "not_compared": ("could not be compared with the picture on record", "none"),
}
_NAMED = ("kind", "source", "has_prompt")
_TONES = {"trusted": "good", "valid": "warn", "invalid": "bad"}
_STATES = {
    "trusted": "intact, from a trusted signer",
    "valid": "intact, from a signer that is in no list",
    "invalid": "does not verify",
}
_SIGNS = {"good": "✓", "bad": "✕", "warn": "!", "info": "≈", "none": "–"}


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of evidence: a ``summary``, and ``facts`` when something was found."""

    name: str
    summary: str
    facts: tuple[Fact, ...] = ()
    found: bool = True
    tone: str = "info"

    @property
    def sign(self) -> str:
        """The tone, for those who see no colours."""
        return _SIGNS[self.tone if self.found else "none"]


def parts_of(report: VerificationReport) -> Iterator[Part]:
    """Every kind of evidence, found or not."""
    yield _manifest(report.provenance)
    yield _watermark(report.watermark)
    yield _fingerprint(report.fingerprint)
    yield _record(report.record)
    comparison = getattr(report, "comparison", None)
    if isinstance(comparison, Mapping):
        yield _comparison(comparison)
    yield _labels(report.labels)


def _manifest(found: Mapping[str, Any] | None) -> Part:
    if found is None:
        return Part("Manifest", "none in the file, none on record", found=False)
    stored = found.get("source") == "repository"
    problems = [str(one) for one in found.get("problems") or ()]
    if stored and found.get("hard_binding_only"):
        # A kept manifest is checked without its file: that it fits no other is no fault of it.
        problems = []
    bindings = [f"{one.get('alg')}: {one.get('value')}" for one in found.get("soft_bindings") or ()]
    names = {
        "signer": "signer",
        "issuer": "issuer",
        "trust_list": "trust list",
        "revoked": "revoked since",
        "when": "signed at",
        "claim_generator": "made with",
        "digital_source_type": "source type",
        "problems": "problems",
        "engines": "read by",
        "soft_bindings": "soft bindings",
        "record_id": "record",
        "label": "label",
    }
    told = [_problem(one) for one in problems[:MOST_ROWS]]
    shown = {**found, "problems": told, "soft_bindings": bindings, "engines": _engines(found)}
    shown["digital_source_type"] = str(found.get("digital_source_type") or "").rpartition("/")[2]
    state = str(found.get("state", "there"))
    return Part(
        "Manifest",
        f"{_STATES.get(state, state)}, {'from the record' if stored else 'in the file'}",
        facts_of(shown, names),
        # One from the record says how the picture left, not how it came back.
        tone="info" if stored else _TONES.get(state, "info"),
    )


def _problem(code: str) -> str:
    said = meaning(code)
    return code if said == code else f"{said} ({code})"


def _engines(found: Mapping[str, Any]) -> str:
    engines = found.get("engines")
    if not isinstance(engines, Mapping) or not engines:
        return ""
    said = "; ".join(
        _voice(str(name), one) for name, one in engines.items() if isinstance(one, Mapping)
    )
    agreement = {True: " – they agree", False: " – they disagree, the stricter counts"}
    return said + agreement.get(found.get("agreement"), "")  # type: ignore[arg-type]


def _voice(name: str, said: Mapping[str, Any]) -> str:
    why = f" ({said['note'].rstrip('.')})" if isinstance(said.get("note"), str) else ""
    return f"{name} {said.get('version', '')}: {said.get('state') or f'no voice{why}'}"


def _watermark(found: Mapping[str, Any] | None) -> Part:
    if found is None:
        return Part("Watermark", "no mark of a known key", found=False)
    chance = f"p = {found['p_value']:.1e}" if "p_value" in found else "p unknown"
    names = {"payload": "mark", "method": "method", "geometry": "geometry", "key_id": "key"}
    said = "detected" if found.get("detected", True) else "traces, its number cannot be read"
    return Part("Watermark", f"{said}, {chance}", facts_of(found, names), tone="good")


def _fingerprint(found: Mapping[str, Any] | None) -> Part:
    if found is None:
        return Part("Fingerprint", "not computed", found=False)
    apart = found.get("bits_apart")
    summary = "no similar picture on record" if apart is None else f"{apart} bits from the record's"
    names = {"algorithm": "algorithm", "bits": "value"}
    return Part("Fingerprint", summary, facts_of(found, names), found=apart is not None)


def _record(found: Mapping[str, Any] | None) -> Part:
    if found is None:
        return Part("Record", "none here leads to this picture", found=False)
    summary = f"{found.get('event', 'found')}, found by its {found.get('found_by', 'mark')}"
    names = {
        "record_id": "record",
        "at": "time",
        "origin": "origin",
        "model": "model",
        "policy": "policy",
        "policy_digest": "policy digest",
        "software": "software",
    }
    tone = "good" if found.get("event") == "released" else "warn"
    return Part("Record", summary, facts_of(found, names), tone=tone)


def _comparison(found: Mapping[str, Any]) -> Part:
    """The picture beside the one on record, place by place."""
    result, places = str(found.get("result", "")), len(found.get("regions") or ())
    shares = {
        "shown of it": found.get("overlap"),
        "changed of that": found.get("share"),
        "likeness": found.get("likeness"),
    }
    facts = tuple(
        (name, f"{value:.1%}" if name != "likeness" else f"{value:.2f}")
        for name, value in shares.items()
        if isinstance(value, float) and result != "not_compared"
    )
    if places:
        count = f"differs from the picture on record in {places} place{'s'[: places > 1]}"
        return Part("Comparison", count, facts, tone="bad")
    said, tone = _RESULTS.get(result, (cut(result) or "compared", "info"))
    return Part("Comparison", said, facts, found=result != "not_compared", tone=tone)


def _labels(labels: Sequence[Mapping[str, Any]]) -> Part:
    if not labels:
        return Part("Labels", "none", found=False)
    facts = [
        (str(label.get("source") or label.get("method") or "unknown source"), _label(label))
        for label in labels[:MOST_ROWS]
    ]
    count = f"{len(labels)} unproven" if len(labels) > 1 else "one, unproven"
    shown = tuple((cut(name), cut(text)) for name, text in facts)
    return Part("Labels", count, shown, tone="warn")


def _label(label: Mapping[str, Any]) -> str:
    words = [label_kind(label), *(["with a prompt"] if label.get("has_prompt") else [])]
    rest = {key: value for key, value in label.items() if key not in _NAMED}
    return ", ".join([*words, *(f"{key}: {_text(value)}" for key, value in rest.items())])


def facts_of(found: Mapping[str, Any], names: Mapping[str, str]) -> tuple[Fact, ...]:
    """The values under ``names``, as texts of bounded length."""
    given = ((title, found.get(key)) for key, title in names.items())
    return tuple(
        (title, cut(_text(value))) for title, value in given if value not in (None, "", [], ())
    )


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_text(one) for one in value[:MOST_ROWS])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def cut(text: str) -> str:
    """``text``, shortened to what fits a page."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
