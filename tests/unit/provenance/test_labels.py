from __future__ import annotations

import json
import time
import zlib
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from guard.image.encode import EXTENSIONS, encode
from guard.provenance import foreign_texts
from guard.provenance import labels as module
from guard.provenance.chain import Link
from guard.provenance.labels import AIGC_SOURCE, claimed_labels, read_labels
from guard.provenance.read import ManifestReading
from guard.provenance.xmp import xmp_packet

from .kit import chunk, facts, picture

PROMPT = "secret heron"
A1111 = f"{PROMPT}\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
COMFY = f'{{"3": {{"class_type": "KSampler", "inputs": {{"text": "{PROMPT}"}}}}}}'
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ELEMENT = (
    f">\n<Iptc4xmpExt:DigitalSourceType>{SOURCE}compositeWithTrainedAlgorithmicMedia"
    "</Iptc4xmpExt:DigitalSourceType>"
)


def png(texts: dict[str, str], *, packed: bool = False, international: bool = False) -> bytes:
    info = PngInfo()
    for key, text in texts.items():
        if international:
            info.add_itxt(key, text, zip=packed)
        else:
            info.add_text(key, text, zip=packed)
    out = BytesIO()
    Image.fromarray(picture()).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def xmp(inner: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-'
        f'rdf-syntax-ns#"><rdf:Description {inner}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def kinds(data: bytes, media_type: str = "image/png") -> list[str]:
    return [one["kind"] for one in read_labels(data, media_type)]


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_our_own_labels_are_read_in_every_format(media_type: str) -> None:
    data = encode(picture(), media_type, xmp=xmp_packet(facts()))
    source, system, aigc = read_labels(data, media_type)
    assert source == {
        "kind": "digital_source_type", "source": "IPTC", "value": "trainedAlgorithmicMedia"
    }  # fmt: skip
    assert system == {
        "kind": "ai_system", "source": "IPTC 2025.1", "has_prompt": False, "system": "demo 1f2e3d"
    }  # fmt: skip
    assert aigc == {
        "kind": "aigc_label",
        "source": AIGC_SOURCE,
        "value": "generated",
        "system": "Example Images",
    }


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_an_unlabelled_picture_has_none(media_type: str) -> None:
    assert read_labels(encode(picture(), media_type), media_type) == ()


@pytest.mark.parametrize(
    ("inner", "value"),
    [
        (
            f'Iptc4xmpExt:DigitalSourceType="{SOURCE}trainedAlgorithmicMedia">',
            "trainedAlgorithmicMedia",
        ),
        (
            ELEMENT,
            "compositeWithTrainedAlgorithmicMedia",
        ),
        (f"iptcExt:DigitalSourceType = '{SOURCE}algorithmicMedia'>", "algorithmicMedia"),
        (f'Iptc4xmpExt:DigitalSourceType="{SOURCE}compositeSynthetic">', "compositeSynthetic"),
        (
            f'>\n<Iptc4xmpExt:DigitalSourceType rdf:resource="{SOURCE}trainedAlgorithmicMedia"/>',
            "trainedAlgorithmicMedia",
        ),
        (
            'a:DigitalSourceType="http://c2pa.org/digitalsourcetype/trainedAlgorithmicData">',
            "trainedAlgorithmicData",
        ),
        (f'Iptc4xmpExt:DigitalSourceType="{SOURCE}digitalCapture">', None),
        (f'Iptc4xmpExt:DigitalSourceType="{SOURCE}notAlgorithmicMedia">', None),
        ('Iptc4xmpExt:DigitalSourceType="">', None),
        (f'dc:source="{SOURCE}trainedAlgorithmicMedia">', None),
    ],
)
def test_digital_source_types(inner: str, value: str | None) -> None:
    found = read_labels(encode(picture(), "image/jpeg", xmp=xmp(inner)), "image/jpeg")
    assert [one.get("value") for one in found] == ([value] if value else [])


def test_that_there_is_a_prompt_is_said_and_the_prompt_is_not() -> None:
    packet = xmp_packet(facts(prompt=PROMPT))
    found = read_labels(encode(picture(), "image/webp", xmp=packet), "image/webp")
    assert [one["has_prompt"] for one in found if one["kind"] == "ai_system"] == [True]
    assert PROMPT not in str(found)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("international", [False, True])
@pytest.mark.parametrize(
    ("key", "text", "program"),
    [
        ("parameters", A1111, "Stable Diffusion web UI"),
        ("prompt", COMFY, "ComfyUI"),
        ("workflow", f'{{"nodes": ["{PROMPT}"]}}', "ComfyUI"),
        ("invokeai_metadata", PROMPT, "InvokeAI"),
        ("sd-metadata", PROMPT, "InvokeAI"),
        ("Dream", PROMPT, "InvokeAI"),
        ("invokeai_graph", PROMPT, "InvokeAI"),
        ("fooocus_scheme", PROMPT, "Fooocus"),
        ("parameters", f'{{"sui_image_params": {{"prompt": "{PROMPT}"}}}}', "SwarmUI"),
        ("parameters", f"{PROMPT}\nSteps: 4, Sampler: x, Version: Fooocus v2.5", "Fooocus"),
        ("Comment", f'{{"prompt": "{PROMPT}", "request_type": 1, "signed_hash": 2}}', "NovelAI"),
        (
            "Description",
            f"{PROMPT} --v 6 Job ID: 0a1b2c3d-0000-4000-8000-0123456789ab",
            "Midjourney",
        ),
        ("Comment", f'{{"c": "{PROMPT}", "seed": 1, "sampler": "x", "v2": {{}}}}', "Draw Things"),
        ("Comment", A1111, "Stable Diffusion web UI"),
    ],
)
def test_texts_of_generators(
    key: str, text: str, program: str, packed: bool, international: bool
) -> None:
    found = read_labels(png({key: text}, packed=packed, international=international), "image/png")
    assert found == ({"kind": "generator_text", "source": program, "has_prompt": True},)
    assert PROMPT not in str(found)


def test_a_program_that_names_itself() -> None:
    (found,) = read_labels(png({"Software": "NovelAI"}), "image/png")
    assert found == {"kind": "generator_text", "source": "NovelAI", "has_prompt": False}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("parameters", "exposure 1/60"),
        ("prompt", "please describe"),
        ("Software", "GIMP"),
        ("Author", A1111),
        ("Title", COMFY),
        ("Comment", "Steps: 1. Look. 2. Leap."),
        ("Comment", '{"request_type": "GET"}'),
        ("Software", "Imagenes 3" + "x" * 300),
        ("Description", "Job ID: 7"),
    ],
)
def test_near_misses(key: str, text: str) -> None:
    assert read_labels(png({key: text}), "image/png") == ()


@pytest.mark.parametrize("name", ["Adobe Firefly 3", "made by DALL·E", "ComfyUI", "gpt-image-1"])
def test_generators_that_name_themselves(name: str) -> None:
    (found,) = read_labels(png({"Software": name}), "image/png")
    assert found["source"].lower() in name.lower()
    packet = xmp(f'xmp:CreatorTool="{name}">')
    (found,) = read_labels(encode(picture(), "image/jpeg", xmp=packet), "image/jpeg")
    assert found["source"].lower() in name.lower()


def test_google_credits_its_generator() -> None:
    packet = xmp('photoshop:Credit="Made with Google AI">')
    (found,) = read_labels(encode(picture(), "image/png", xmp=packet), "image/png")
    assert (found["kind"], found["source"]) == ("generator_text", "Google AI")


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("1", "generated"),
        ("2", "possibly generated"),
        ("3", "suspected to be generated"),
        ("9", None),
    ],
)
def test_the_chinese_label_as_png_text(label: str, value: str | None) -> None:
    (found,) = read_labels(png({"AIGC": json.dumps({"Label": label})}), "image/png")
    assert (found["kind"], found.get("value")) == ("aigc_label", value)


@pytest.mark.parametrize(
    "text", ["", "7", "[]", '{"AIGC": 7}', "{" * 9000, '{"Label": {}}', '{"ContentProducer": 7}']
)
def test_a_chinese_label_that_says_nothing(text: str) -> None:
    assert kinds(png({"AIGC": text})) == ["aigc_label"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_chinese_label_in_exif(kind: str) -> None:
    fields = {"AIGC": {"Label": "1", "ContentProducer": "P" * 999}}
    (found,) = read_labels(
        with_exif(kind, user_comment=b"ASCII\0\0\0" + json.dumps(fields).encode())
    )
    assert found["value"] == "generated"
    assert found["system"].startswith("PPP")
    assert len(found["system"]) < 200


def test_xmp_in_a_packed_text_chunk() -> None:
    packet = (xmp_packet(facts()) or b"").decode()
    data = png({"XML:com.adobe.xmp": packet}, packed=True, international=True)
    assert kinds(data) == ["digital_source_type", "ai_system", "aigc_label"]


def with_exif(kind: str, *, user_comment: bytes | None = None, **fields: str) -> bytes:
    exif = Image.Exif()
    exif[0x013B] = "A person"  # without any field of its own Pillow writes no Exif at all
    if user_comment is not None:
        exif.get_ifd(0x8769)[0x9286] = user_comment
    tags = {"make": 0x010F, "software": 0x0131, "description": 0x010E}
    for name, value in fields.items():
        exif[tags[name]] = value
    out = BytesIO()
    Image.fromarray(picture()).save(out, kind, exif=exif)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "AVIF"])
@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + A1111.encode("utf-16-be"),
        b"UNICODE\0" + A1111.encode("utf-16-le"),
        b"ASCII\0\0\0" + A1111.encode(),
        b"\0\0\0\0\0\0\0\0" + A1111.encode(),
        b"JIS\0\0\0\0\0" + A1111.encode("iso2022_jp"),
    ],
)
def test_parameters_in_exif(kind: str, comment: bytes) -> None:
    (found,) = read_labels(with_exif(kind, user_comment=comment), "?")
    assert found == {
        "kind": "generator_text", "source": "Stable Diffusion web UI", "has_prompt": True
    }  # fmt: skip
    assert PROMPT not in str(found)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "AVIF", "TIFF"])
def test_parameters_in_a_description(kind: str) -> None:
    (found,) = read_labels(with_exif(kind, description=A1111), "?")
    assert found["source"] == "Stable Diffusion web UI"


def test_comfy_in_webp() -> None:
    (found,) = read_labels(with_exif("WEBP", make=f"prompt:{COMFY}"), "image/webp")
    assert (found["source"], found["has_prompt"]) == ("ComfyUI", True)


def test_a_comment_in_a_jpeg() -> None:
    out = BytesIO()
    Image.fromarray(picture()).save(out, "JPEG", comment=A1111)
    assert kinds(out.getvalue(), "image/jpeg") == ["generator_text"]


def test_windows_comments() -> None:
    exif = Image.Exif()
    exif[0x9C9C] = A1111.encode("utf-16-le") + b"\0\0"
    out = BytesIO()
    Image.fromarray(picture()).save(out, "JPEG", exif=exif)
    assert kinds(out.getvalue(), "image/jpeg") == ["generator_text"]


def test_a_camera_is_no_generator() -> None:
    data = with_exif("JPEG", make="FUJIFILM", software="Digital Camera 1.0", description="A boat")
    assert read_labels(data, "image/jpeg") == ()


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be"])
def test_xmp_in_utf_16(coding: str) -> None:
    packet = (xmp_packet(facts()) or b"").decode().encode(coding)
    assert kinds(b"\xff\xd8" + packet, "image/jpeg") == [
        "digital_source_type", "ai_system", "aigc_label"
    ]  # fmt: skip


def test_iptc_fields_as_elements() -> None:
    inner = (
        ">\n<Iptc4xmpExt:AISystemUsed>Painter &amp; Co</Iptc4xmpExt:AISystemUsed>"
        "<Iptc4xmpExt:AIPromptWriterName><rdf:Seq><rdf:li>Dana</rdf:li></rdf:Seq>"
        "</Iptc4xmpExt:AIPromptWriterName>"
    )
    (found,) = read_labels(encode(picture(), "image/jpeg", xmp=xmp(inner)), "image/jpeg")
    assert found["system"] == "Painter & Co"
    assert found["has_prompt"] is False
    assert "Dana" not in str(found)


# -- what a manifest claims ------------------------------------------------------------------------


def test_a_manifest_of_an_unknown_signer_is_a_claim() -> None:
    below = Link(
        "b", signed=True, digital_source_type=SOURCE + "algorithmicMedia", signer="S" * 999
    )
    camera = Link("c", signed=False, digital_source_type=SOURCE + "digitalCapture")
    chain = Link(
        "a",
        signed=True,
        digital_source_type=SOURCE + "trainedAlgorithmicMedia",
        claim_generator="Other/1",
        ingredients=(below, below, camera),
    )
    claims = claimed_labels(ManifestReading("valid", chain=chain))
    assert [(one["value"], one["system"][:7]) for one in claims] == [
        ("trainedAlgorithmicMedia", "Other/1"), ("algorithmicMedia", "SSSSSSS")
    ]  # fmt: skip
    assert claimed_labels(ManifestReading("invalid", chain=chain)) == claims
    assert claimed_labels(ManifestReading("trusted", chain=chain)) == ()
    assert claimed_labels(ManifestReading("valid")) == ()
    assert claimed_labels(None) == ()


# -- hostile files ---------------------------------------------------------------------------------


def test_a_link_to_a_remote_manifest() -> None:
    packet = xmp('dcterms:provenance="https://example.org/m.c2pa">')
    assert kinds(encode(picture(), "image/png", xmp=packet)) == ["remote_manifest"]
    here = xmp('dcterms:provenance="self#jumbf=/c2pa/urn:c2pa:1">')
    assert kinds(encode(picture(), "image/png", xmp=here)) == []


def test_the_same_label_twice_is_one() -> None:
    packet = xmp_packet(facts()) or b""
    data = encode(picture(), "image/jpeg", xmp=packet)
    assert read_labels(data + packet, "image/jpeg") == read_labels(data, "image/jpeg")


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_texts, "MAX_TEXT", 1000)
    assert len(foreign_texts.unpacked(zlib.compress(b"x" * 100_000))) == 1000
    assert foreign_texts.unpacked(b"nonsense") == b""


def test_hostile_files_are_read_in_time() -> None:
    """Megabytes of openings without an end, far too many texts, and texts made to be slow."""
    start = time.monotonic()
    read_labels(b"<rdf:RDF <x:xmpmeta " * 500_000, "image/jpeg")
    read_labels(b"<rdf:RDF></rdf:RDF>" * 500_000, "image/webp")
    head = b"\x89PNG\r\n\x1a\n"
    read_labels(head + chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 10**7)) * 1000, "image/png")
    slow = [
        "Steps: 1, " * 100_000,
        '"seed":' * 140_000,
        "{AIGC:{" * 140_000,
        "DigitalSourceType " * 50_000,
        "AISystemUsed" * 80_000,
        "AISystemUsed><a>" * 60_000,
        "CreatorTool=" * 80_000,
        "TC260:AIGC={" * 80_000,
        "http" * 250_000,
    ]
    for text in slow:
        read_labels(png({"parameters": text}), "image/png")
        read_labels(f"<x:xmpmeta {text}</x:xmpmeta>".encode(), "image/jpeg")
    assert time.monotonic() - start < 10


def test_far_too_many_labels_are_cut() -> None:
    packets = b"".join(xmp(f'a:AISystemUsed="S{n}">') for n in range(99))
    assert len(read_labels(b"\xff\xd8" + packets, "image/jpeg")) <= module.MAX_LABELS


def test_whatever_goes_wrong_is_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(module, "_xmp_labels", fail)
    assert read_labels(encode(picture(), "image/png", xmp=xmp(">")), "image/png") == ()


@given(data=st.binary(max_size=300), media_type=st.sampled_from([*EXTENSIONS, "image/gif", ""]))
def test_never_raises(data: bytes, media_type: str) -> None:
    assert read_labels(data, media_type) == ()
    read_labels(b"\x89PNG\r\n\x1a\n" + data, "image/png")
    read_labels(b"<x:xmpmeta >" + data + b"</x:xmpmeta>", media_type)
