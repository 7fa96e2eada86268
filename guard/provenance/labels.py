"""Unproven labels: what a file says of itself without a signature.

Anyone can add, copy or remove them, so they never raise a verdict above ``label_only``. That a
prompt is in a file is said, what it says is not repeated: it belongs to whoever wrote it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from guard.provenance.container import png_chunks

MAX_TEXT = 1024 * 1024
"""A compressed text chunk is unpacked no further: a few kilobytes can hold gigabytes."""

MAX_TEXTS = 64
"""So many text chunks of a PNG are looked at; generators write fewer than ten."""

MAX_PACKETS = 64
"""So many XMP packets are looked at; files have one or two."""

_AI_SOURCE = re.compile(
    rb"DigitalSourceType[^<>]{0,200}?[\"'>]\s*(?:https?://cv\.iptc\.org/newscodes/digitalsourcetype/)?"
    rb"([A-Za-z]*[Aa]lgorithmic[A-Za-z]*)"
)
_IPTC_AI = re.compile(rb"\bAI(?:SystemUsed|SystemVersionUsed|PromptInformation|PromptWriterName)\b")
_TC260 = re.compile(rb"http://www\.tc260\.org\.cn/ns/AIGC/|\bTC260:AIGC\b")
_REMOTE = re.compile(rb"\bdcterms:provenance\s*=?\s*[\"'>]")
_XMP_TAGS = ((b"<x:xmpmeta", b"</x:xmpmeta>"), (b"<rdf:RDF", b"</rdf:RDF>"))

_PNG_TEXTS = {
    b"parameters": ("Stable Diffusion web UI", rb"Steps: \d"),
    b"prompt": ("ComfyUI", rb"class_type"),
    b"workflow": ("ComfyUI", rb"\"nodes\"|class_type"),
    b"invokeai_metadata": ("InvokeAI", rb""),
    b"invokeai_graph": ("InvokeAI", rb""),
    b"sd-metadata": ("InvokeAI", rb""),
    b"Dream": ("InvokeAI", rb""),
    b"fooocus_scheme": ("Fooocus", rb""),
    b"Software": ("NovelAI", rb"NovelAI"),
}
"""PNG text keyword → program, and what the text must contain."""

_EXIF_PROMPT = tuple("Steps: ".encode(coding) for coding in ("ascii", "utf-16-le", "utf-16-be"))
_EXIF_SAMPLER = tuple("Sampler: ".encode(coding) for coding in ("ascii", "utf-16-le", "utf-16-be"))


def read_labels(data: bytes, media_type: str) -> tuple[dict[str, Any], ...]:
    """The labels in a file, each with ``kind`` and ``source``; never raises, whatever it is fed."""
    found: list[dict[str, Any]] = []
    with suppress(Exception):  # a label that cannot be read is no label
        texts = list(islice(_png_texts(data), MAX_TEXTS)) if media_type == "image/png" else []
        packed = (text for key, text in texts if b"xmp" in key)
        for packet in (*islice(_xmp_packets(data), MAX_PACKETS), *packed):
            found += _xmp_labels(packet)
        found += [label for key, text in texts for label in _text_labels(key, text)]
        if media_type != "image/png":
            found += _exif_labels(data)
    return tuple({tuple(sorted(one.items())): one for one in found}.values())


def _xmp_packets(data: bytes) -> Iterator[bytes]:
    """XMP is found by its tags, as in every format but packed PNG chunks it stands in the clear."""
    for opening, closing in _XMP_TAGS:
        start = data.find(opening)
        while start >= 0:
            end = data.find(closing, start)
            if end < 0:
                break
            yield data[start:end]
            start = data.find(opening, end)


def _xmp_labels(packet: bytes) -> Iterator[dict[str, Any]]:
    source = _AI_SOURCE.search(packet)
    if source:
        value = source.group(1).decode("ascii")
        yield {"kind": "digital_source_type", "source": "IPTC", "value": value}
    if _IPTC_AI.search(packet):
        prompt = b"AIPromptInformation" in packet
        yield {"kind": "ai_system", "source": "IPTC 2025.1", "has_prompt": prompt}
    if _TC260.search(packet):
        yield {"kind": "aigc_label", "source": "TC260 (GB 45438-2025)"}
    if _REMOTE.search(packet):
        yield {"kind": "remote_manifest", "source": "C2PA"}


def _text_labels(key: bytes, text: bytes) -> Iterator[dict[str, Any]]:
    if key == b"AIGC":
        yield {"kind": "aigc_label", "source": "TC260 (GB 45438-2025)"}
    if key in _PNG_TEXTS:
        program, pattern = _PNG_TEXTS[key]
        if re.search(pattern, text):
            yield {"kind": "generator_text", "source": program, "has_prompt": key != b"Software"}


def _exif_labels(data: bytes) -> Iterator[dict[str, Any]]:
    """The web UI's parameters in Exif's UserComment (JPEG, WebP, AVIF)."""
    pairs = zip(_EXIF_PROMPT, _EXIF_SAMPLER, strict=True)
    if any(steps in data and sampler in data for steps, sampler in pairs):
        yield {"kind": "generator_text", "source": "Stable Diffusion web UI", "has_prompt": True}


def _png_texts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(keyword, text) of tEXt, zTXt and iTXt chunks (PNG 3rd edition, 11.3.3)."""
    for kind, content in png_chunks(data):
        key, _, rest = content.partition(b"\0")
        if kind == b"tEXt":
            yield key, rest
        elif kind == b"zTXt":
            yield key, _unpacked(rest[1:])
        elif kind == b"iTXt":
            text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
            yield key, _unpacked(text) if rest[:1] == b"\x01" else text


def _unpacked(packed: bytes) -> bytes:
    with suppress(zlib.error):
        return zlib.decompressobj().decompress(packed, MAX_TEXT)
    return b""
