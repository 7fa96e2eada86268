"""Unproven labels: what a file says of itself without a signature, or with one we cannot judge.

Anyone can add, copy or remove them, so they never raise a verdict above ``label_only``. That a
prompt is in a file is said, what it says is not repeated: it belongs to whoever wrote it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from html import unescape
from itertools import islice
from typing import TYPE_CHECKING, Any

from guard.provenance.foreign_texts import ForeignText, foreign_texts
from guard.provenance.programs import self_named, traces_of

if TYPE_CHECKING:
    from guard.provenance.read import ManifestReading

MAX_PACKETS = 16
"""So many XMP packets are looked at; files have one or two."""

MAX_PACKET = 1024 * 1024
"""Bytes of a packet; longer ones are cut. Extended XMP may have gigabytes."""

MAX_LABELS = 64
"""So many labels are reported."""

LONGEST = 120
"""Characters of a name that is repeated: a system, a producer."""

AI_SOURCES = frozenset(
    {
        "trainedAlgorithmicMedia",
        "compositeWithTrainedAlgorithmicMedia",
        "algorithmicMedia",
        "algorithmicallyEnhanced",
        "compositeSynthetic",
        "trainedAlgorithmicData",
    }
)
"""IPTC digital source types (and one of C2PA's own) in which an algorithm made or changed it."""

AIGC_SOURCE = "TC260 (GB 45438-2025)"
AIGC_MEANINGS = {"1": "generated", "2": "possibly generated", "3": "suspected to be generated"}
"""What the field ``Label`` says (GB 45438-2025, annex E)."""

_NAMED_SOURCE = re.compile(
    r"DigitalSourceType[^<>]{0,200}?[\"'>]\s{0,99}"
    r"(?:https?://(?:cv\.iptc\.org/newscodes|c2pa\.org)/digitalsourcetype/)?([A-Za-z]{3,60})\b"
)
_AI_FIELD = re.compile(
    r"[\s<](?:[\w-]{1,40}:)?(AISystemUsed|AISystemVersionUsed|AIPromptInformation|AIPromptWriterName)\b"
    r"(?:\s{0,99}=\s{0,99}[\"']([^\"']{0,500})|[^<>]{0,99}>\s{0,99}(?:<[^<>]{1,99}>\s{0,99}){0,4}([^<]{0,500}))?"
)
_TC260 = re.compile(r"http://www\.tc260\.org\.cn/ns/AIGC/|\bTC260:AIGC\b")
_TC260_VALUE = re.compile(
    r"\bTC260:AIGC\b\s{0,9}(?:=\s{0,9}[\"']|[^<>]{0,99}>)\s{0,99}(\{[^{}<>]{0,4000}\})"
)
_AIGC_JSON = re.compile(r"\{[^{}]{0,200}?\"?AIGC\"?\s{0,9}:\s{0,9}(\{[^{}]{0,4000}\})")
_CREATOR = re.compile(r"\b(CreatorTool|Credit|Software)\b(?:=[\"']|>)([^<\"']{1,200})")
_REMOTE = re.compile(r"\bdcterms:provenance\s{0,9}=?\s{0,9}[\"'>]\s{0,9}https?:")
_XMP_TAGS = (("<x:xmpmeta", "</x:xmpmeta>"), ("<rdf:RDF", "</rdf:RDF>"))
_CODINGS = ("utf-8", "utf-16-le", "utf-16-be")


def read_labels(data: bytes, media_type: str = "") -> tuple[dict[str, Any], ...]:
    """The labels in a file, each with ``kind`` and ``source``; never raises, whatever it is fed.

    Where a label stands is not believed to ``media_type``: every place is looked at.
    """
    found: list[dict[str, Any]] = []
    with suppress(Exception):  # a label that cannot be read is no label
        texts = foreign_texts(data)
        packed = [one.text for one in texts if "xmp" in one.key.lower()]
        for packet in (*islice(_xmp_packets(data), MAX_PACKETS), *packed):
            found += _xmp_labels(packet[:MAX_PACKET])
        found += [label for one in texts for label in _aigc_texts(one)]
        found += [
            {"kind": "generator_text", "source": program, "has_prompt": prompt}
            for _, program, prompt in traces_of(texts)
        ]
    return _once(found)


def claimed_labels(reading: ManifestReading | None) -> tuple[dict[str, Any], ...]:
    """What a manifest claims about AI whose signer is in no list: no more than a label.

    Each link of its chain that names an algorithmic source; ``signer`` as the certificate says.
    """
    if reading is None or reading.state == "trusted" or reading.chain is None:
        return ()
    found = []
    for link in reading.chain.walk():
        kind = (link.digital_source_type or "").rpartition("/")[2]
        if kind in AI_SOURCES:
            claim = {"kind": "c2pa_claim", "source": "C2PA manifest", "value": kind}
            named = link.claim_generator or link.signer
            found.append(claim | ({"system": _short(named)} if named else {}))
    return _once(found)


def _once(found: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Each label once; with a prompt, if one of those that are alike has one."""
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in found:
        key = (one["kind"], one["source"], one.get("value"), one.get("system"))
        kept[key] = {**one, **({"has_prompt": True} if _any_prompt(kept.get(key)) else {})}
    return tuple(kept.values())[:MAX_LABELS]


def _any_prompt(label: dict[str, Any] | None) -> bool:
    return bool(label and label.get("has_prompt"))


def _xmp_packets(data: bytes) -> Iterator[str]:
    """XMP is found by its tags, as in every format but packed PNG chunks it stands in the clear."""
    for coding in _CODINGS:
        for opening, closing in _XMP_TAGS:
            first, last = opening.encode(coding), closing.encode(coding)
            start = data.find(first)
            while start >= 0:
                end = data.find(last, start)
                if end < 0:
                    break
                yield data[start : min(end, start + MAX_PACKET)].decode(coding, errors="replace")
                start = data.find(first, end)


def _xmp_labels(packet: str) -> Iterator[dict[str, Any]]:
    named = {one.group(1) for one in islice(_NAMED_SOURCE.finditer(packet), MAX_PACKETS)}
    for value in sorted(named & AI_SOURCES):
        yield {"kind": "digital_source_type", "source": "IPTC", "value": value}
    yield from _ai_fields(packet)
    if _TC260.search(packet):
        value = _TC260_VALUE.search(unescape(packet))
        yield _aigc(value.group(1) if value else "")
    for one in islice(_CREATOR.finditer(packet), MAX_PACKETS):
        program = self_named(unescape(one.group(2)))
        if program:
            yield {"kind": "generator_text", "source": program, "has_prompt": False}
    if _REMOTE.search(packet):
        yield {"kind": "remote_manifest", "source": "C2PA"}


def _ai_fields(packet: str) -> Iterator[dict[str, Any]]:
    """IPTC 2025.1: which system, and whether a prompt or its writer is named."""
    fields: dict[str, str] = {}
    for one in islice(_AI_FIELD.finditer(packet), MAX_PACKETS):
        fields[one.group(1)] = one.group(2) or one.group(3) or fields.get(one.group(1), "")
    if not fields:
        return
    label = {
        "kind": "ai_system",
        "source": "IPTC 2025.1",
        "has_prompt": "AIPromptInformation" in fields,
    }
    system = [fields.get("AISystemUsed", ""), fields.get("AISystemVersionUsed", "")]
    named = " ".join(part for part in (_short(unescape(one)) for one in system) if part)
    yield label | ({"system": named} if named else {})


def _aigc_texts(text: ForeignText) -> Iterator[dict[str, Any]]:
    """The Chinese label as a PNG text of its own, or as JSON in a comment."""
    if text.key == "AIGC":
        yield _aigc(text.text)
        return
    inner = _AIGC_JSON.search(text.text)
    if inner:
        yield _aigc(inner.group(1))


def _aigc(text: str) -> dict[str, Any]:
    label: dict[str, Any] = {"kind": "aigc_label", "source": AIGC_SOURCE}
    with suppress(ValueError, RecursionError):
        fields = json.loads(text[:MAX_PACKET])
        fields = fields.get("AIGC", fields) if isinstance(fields, dict) else {}
        if isinstance(fields, dict):
            meaning = AIGC_MEANINGS.get(str(fields.get("Label")))
            producer = _short(fields.get("ContentProducer"))
            label |= {"value": meaning} if meaning else {}
            label |= {"system": producer} if producer else {}
    return label


def _short(value: Any) -> str:
    """A name on one line, cut; nothing for what is no text."""
    if not isinstance(value, str):
        return ""
    plain = " ".join(value[: 4 * LONGEST].split())
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}…"
