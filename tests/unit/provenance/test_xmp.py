from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from guard.image.encode import XMP_LIMIT
from guard.provenance.manifest import COMPOSITE, TRAINED
from guard.provenance.xmp import IPTC, TC260, xmp_packet
from guard.types import Origin

from .kit import RECORD_ID, facts

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def description(packet: bytes) -> ET.Element:
    text = packet.decode("utf-8")
    assert text.startswith("<?xpacket begin=")
    assert text.endswith('<?xpacket end="r"?>')
    found = ET.fromstring(text[text.index("<x:xmpmeta") : text.rindex("<?xpacket")]).find(  # noqa: S314
        f"{RDF}RDF/{RDF}Description"
    )
    assert found is not None
    return found


def test_iptc_and_tc260_labels() -> None:
    packet = xmp_packet(facts())
    assert packet is not None
    found = description(packet)
    assert found.get(f"{{{IPTC}}}DigitalSourceType") == TRAINED
    assert found.get(f"{{{IPTC}}}AISystemUsed") == "demo"
    assert found.get(f"{{{IPTC}}}AISystemVersionUsed") == "1f2e3d"
    assert found.get(f"{{{IPTC}}}AIPromptInformation") is None
    aigc = json.loads(found.get(f"{{{TC260}}}AIGC") or "")
    assert list(aigc) == [
        "Label",
        "ContentProducer",
        "ProduceID",
        "ReservedCode1",
        "ContentPropagator",
        "PropagateID",
        "ReservedCode2",
    ]
    assert (aigc["Label"], aigc["ProduceID"]) == ("1", RECORD_ID)


def test_empty_values_are_left_out() -> None:
    packet = xmp_packet(facts(model=None))
    assert packet is not None
    assert b"AISystem" not in packet


def test_an_edited_picture_is_a_composite() -> None:
    packet = xmp_packet(facts(Origin.EDITED, parent=b"x"))
    assert packet is not None
    found = description(packet)
    assert found.get(f"{{{IPTC}}}DigitalSourceType") == COMPOSITE
    assert json.loads(found.get(f"{{{TC260}}}AIGC") or "")["Label"] == "1"


def test_of_an_unknown_picture_nothing_is_said() -> None:
    assert xmp_packet(facts(Origin.UNKNOWN, parent=b"x")) is None


@given(
    text=st.text(max_size=200),
    prompt=st.none() | st.text(alphabet=st.sampled_from("a&<>\"'\0\n\ud800𝔘"), max_size=6000),
)
def test_any_text_gives_wellformed_xml_that_fits(text: str, prompt: str | None) -> None:
    packet = xmp_packet(facts(provider=text, model=text, title=text, prompt=prompt))
    assert packet is not None
    assert len(packet) <= XMP_LIMIT
    description(packet)


def test_endless_values_are_cut() -> None:
    long = "&" * 100_000
    packet = xmp_packet(facts(provider=long, model=f"{long}@{long}", title=long, prompt=long))
    assert packet is not None
    assert len(packet) <= XMP_LIMIT
    description(packet)


def test_a_prompt_when_it_is_given() -> None:
    packet = xmp_packet(facts(prompt='a "boat" & <sails>'))
    assert packet is not None
    assert description(packet).get(f"{{{IPTC}}}AIPromptInformation") == 'a "boat" & <sails>'
