"""Verification reports as one HTML page that stands alone: for a person, on screen or paper.

The page loads nothing, runs nothing and shows no picture, so it can be passed on without passing
on what it is about. Whatever a manifest or a label says was written by somebody else: it is
escaped, isolated from the page's own writing direction, and cut to a bounded length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guard.types import VerdictName, VerificationReport
from guard.version import __version__

if TYPE_CHECKING:
    from jinja2 import Template

LONGEST = 400
"""Characters of one foreign text that are shown: a manifest may hold megabytes."""

MOST_ROWS = 24
"""Facts of one part that are shown, for the same reason."""


@dataclass(frozen=True, slots=True)
class Face:
    """How a verdict looks: its title, a tone for the colour, and a sign for those who see none."""

    title: str
    tone: str
    sign: str


FACES = {
    VerdictName.ALTERED: Face("Altered", "bad", "✕"),
    VerdictName.TRUSTED: Face("Trusted", "good", "✓"),
    VerdictName.UNKNOWN_SIGNER: Face("Unknown signer", "warn", "?"),
    VerdictName.RECOVERED: Face("Recovered", "good", "↺"),
    VerdictName.MARKED: Face("Marked", "info", "≈"),
    VerdictName.LABEL_ONLY: Face("Label only", "warn", "!"),
    VerdictName.NOTHING_FOUND: Face("Nothing found", "none", "–"),
}

Fact = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of evidence: a ``summary``, and ``facts`` when something was found."""

    name: str
    summary: str
    facts: tuple[Fact, ...] = ()
    found: bool = True


@dataclass(frozen=True, slots=True)
class Card:
    """What the page says of one picture."""

    name: str
    folder: str
    face: Face
    verdict: str
    explanation: str
    parts: tuple[Part, ...]


def page(reports: Sequence[tuple[Path, VerificationReport]]) -> str:
    """The reports as one HTML document, encodable as UTF-8 whatever the file names hold."""
    cards = [_card(path, report) for path, report in reports]
    tally = Counter(report.verdict for _, report in reports)
    text = _template().render(
        cards=cards,
        tally=[(FACES[verdict], tally[verdict]) for verdict in VerdictName if tally[verdict]],
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        software=f"genguard {__version__}",
    )
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    source = (files("guard.verify") / "page.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)


def _card(path: Path, report: VerificationReport) -> Card:
    return Card(
        name=_cut(path.name or str(path)),
        folder=_cut(str(path.parent)),
        face=FACES[report.verdict],
        verdict=report.verdict.value,
        explanation=report.explanation,
        parts=tuple(_parts(report)),
    )


def _parts(report: VerificationReport) -> Iterator[Part]:
    yield _manifest(report.provenance)
    yield _watermark(report.watermark)
    yield _fingerprint(report.fingerprint)
    yield _record(report.record)
    yield _labels(report.labels)


def _manifest(found: Mapping[str, Any] | None) -> Part:
    if found is None:
        return Part("Manifest", "none in the file, none on record", found=False)
    stored = found.get("source") == "repository"
    if stored and found.get("hard_binding_only"):
        # A kept manifest is checked without its file: that it fits no other is no fault of it.
        found = {**found, "problems": []}
    bindings = [f"{one.get('alg')}: {one.get('value')}" for one in found.get("soft_bindings") or ()]
    where = "from the record" if stored else "in the file"
    names = {
        "signer": "signer",
        "issuer": "issuer",
        "trust_list": "trust list",
        "when": "signed at",
        "claim_generator": "made with",
        "digital_source_type": "source type",
        "problems": "problems",
        "soft_bindings": "soft bindings",
        "record_id": "record",
        "label": "label",
    }
    return Part(
        "Manifest",
        f"{found.get('state', 'there')}, {where}",
        _facts({**found, "soft_bindings": bindings}, names),
    )


def _watermark(found: Mapping[str, Any] | None) -> Part:
    if found is None:
        return Part("Watermark", "no mark of a known key", found=False)
    chance = f"p = {found['p_value']:.1e}" if "p_value" in found else "p unknown"
    names = {"payload": "mark", "method": "method", "geometry": "geometry", "key_id": "key"}
    return Part("Watermark", f"detected, {chance}", _facts(found, names))


def _fingerprint(found: Mapping[str, Any] | None) -> Part:
    if found is None:
        return Part("Fingerprint", "not computed", found=False)
    apart = found.get("bits_apart")
    summary = "no similar picture on record" if apart is None else f"{apart} bits from the record's"
    names = {"algorithm": "algorithm", "bits": "value"}
    return Part("Fingerprint", summary, _facts(found, names), found=apart is not None)


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
    return Part("Record", summary, _facts(found, names))


def _labels(labels: Sequence[Mapping[str, Any]]) -> Part:
    if not labels:
        return Part("Labels", "none", found=False)
    facts = [
        (
            str(label.get("source", "unknown source")),
            ", ".join(f"{key}: {_text(value)}" for key, value in label.items() if key != "source"),
        )
        for label in labels[:MOST_ROWS]
    ]
    count = f"{len(labels)} unproven" if len(labels) > 1 else "one, unproven"
    return Part("Labels", count, tuple((_cut(name), _cut(text)) for name, text in facts))


def _facts(found: Mapping[str, Any], names: Mapping[str, str]) -> tuple[Fact, ...]:
    given = ((title, found.get(key)) for key, title in names.items())
    return tuple(
        (title, _cut(_text(value))) for title, value in given if value not in (None, "", [])
    )


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_text(one) for one in value[:MOST_ROWS])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
