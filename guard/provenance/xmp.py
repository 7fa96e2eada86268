"""The XMP packet of a generated picture, written before signing so that the hash covers it.

IPTC Photo Metadata 2025.1 (DigitalSourceType, AISystemUsed, AISystemVersionUsed,
AIPromptInformation) and the implicit label of GB 45438-2025 (TC260 AIGC). Labels are not proof:
anyone can write or remove them. They are for software that reads nothing else.
"""

from __future__ import annotations

import json
import re
from xml.sax.saxutils import quoteattr

from guard.provenance.base import ManifestFacts
from guard.provenance.manifest import (
    COMPOSITE,
    TRAINED,
    software_version,
    system_of,
    timestamp,
    title_of,
)
from guard.types import Origin

IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"

PROMPT_CHARS = 4000
VALUE_CHARS = 500
"""More of a prompt or of any other value is cut: the packet must fit one JPEG segment."""

_NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpExt": IPTC,
    "TC260": TC260,
}
_SOURCES = {Origin.GENERATED: TRAINED, Origin.EDITED: COMPOSITE}
"""Origin → IPTC's word for it. Of an unknown picture nothing is said."""

_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'  # fixed by the XMP standard
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def xmp_packet(facts: ManifestFacts) -> bytes | None:
    """The packet (UTF-8), or None for a picture that is declared neither generated nor edited."""
    if facts.origin not in _SOURCES:
        return None
    spaces = " ".join(f"xmlns:{name}={quoteattr(uri)}" for name, uri in _NAMESPACES.items())
    values = "\n  ".join(f"{name}={_attribute(value)}" for name, value in _values(facts).items())
    return (
        f'{_BEGIN}\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n<rdf:RDF {spaces}>\n'
        f'<rdf:Description rdf:about=""\n  {values}>\n'
        f"<dc:title><rdf:Alt><rdf:li xml:lang={quoteattr('x-default')}>"
        f"{_text(title_of(facts)[:VALUE_CHARS])}</rdf:li></rdf:Alt></dc:title>\n"
        '</rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="r"?>'
    ).encode()


def _values(facts: ManifestFacts) -> dict[str, str]:
    system, system_version = system_of(facts)
    values = {
        "dc:identifier": f"urn:uuid:{facts.record_id}",
        "xmp:CreatorTool": f"genguard {software_version()}",
        "xmp:CreateDate": timestamp(facts.when),
        "photoshop:Credit": facts.provider[:VALUE_CHARS],
        "Iptc4xmpExt:DigitalSourceType": _SOURCES[facts.origin],
        "Iptc4xmpExt:AISystemUsed": system[:VALUE_CHARS],
        "Iptc4xmpExt:AISystemVersionUsed": system_version[:VALUE_CHARS],
        "Iptc4xmpExt:AIPromptInformation": (facts.prompt or "")[:PROMPT_CHARS],
        "TC260:AIGC": _aigc(facts),
    }
    return {name: value for name, value in values.items() if value}


def _aigc(facts: ManifestFacts) -> str:
    """The seven fields of GB 45438-2025, annex E; label 1 says: made or changed by AI."""
    fields = {
        "Label": "1",
        "ContentProducer": facts.provider[:VALUE_CHARS],
        "ProduceID": facts.record_id,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    return json.dumps(fields, ensure_ascii=False)


def _attribute(value: str) -> str:
    return quoteattr(_NOT_XML.sub("", value))


def _text(value: str) -> str:
    plain = _NOT_XML.sub("", value)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
