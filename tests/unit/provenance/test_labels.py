from __future__ import annotations

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
from guard.provenance import labels as module
from guard.provenance.labels import read_labels
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
    assert read_labels(data, media_type) == (
        {"kind": "digital_source_type", "source": "IPTC", "value": "trainedAlgorithmicMedia"},
        {"kind": "ai_system", "source": "IPTC 2025.1", "has_prompt": False},
        {"kind": "aigc_label", "source": "TC260 (GB 45438-2025)"},
    )


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
        (f'Iptc4xmpExt:DigitalSourceType="{SOURCE}digitalCapture">', None),
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
    assert {"kind": "ai_system", "source": "IPTC 2025.1", "has_prompt": True} in found
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
        ("Comment", A1111),
        ("Title", COMFY),
    ],
)
def test_near_misses(key: str, text: str) -> None:
    assert read_labels(png({key: text}), "image/png") == ()


def test_the_chinese_label_as_png_text() -> None:
    assert kinds(png({"AIGC": '{"Label": "1"}'})) == ["aigc_label"]


def test_xmp_in_a_packed_text_chunk() -> None:
    packet = (xmp_packet(facts()) or b"").decode()
    data = png({"XML:com.adobe.xmp": packet}, packed=True, international=True)
    assert kinds(data) == ["digital_source_type", "ai_system", "aigc_label"]


@pytest.mark.parametrize("coding", ["ascii", "utf-16-le", "utf-16-be"])
def test_parameters_in_exif(coding: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + A1111.encode(coding)
    out = BytesIO()
    Image.fromarray(picture()).save(out, "JPEG", exif=exif)
    (found,) = read_labels(out.getvalue(), "image/jpeg")
    assert found["kind"] == "generator_text"
    assert PROMPT not in str(found)


def test_a_link_to_a_remote_manifest() -> None:
    packet = xmp('dcterms:provenance="https://example.org/m.c2pa">')
    assert kinds(encode(picture(), "image/png", xmp=packet)) == ["remote_manifest"]


def test_the_same_label_twice_is_one() -> None:
    packet = xmp_packet(facts()) or b""
    data = encode(picture(), "image/jpeg", xmp=packet)
    assert read_labels(data + packet, "image/jpeg") == read_labels(data, "image/jpeg")


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TEXT", 1000)
    assert len(module._unpacked(zlib.compress(b"x" * 100_000))) == 1000
    assert module._unpacked(b"nonsense") == b""


def test_hostile_files_are_read_in_time() -> None:
    """Ten megabytes of openings without an end, and far too many texts."""
    start = time.monotonic()
    read_labels(b"<rdf:RDF <x:xmpmeta " * 500_000, "image/jpeg")
    read_labels(b"<rdf:RDF></rdf:RDF>" * 500_000, "image/webp")
    head = b"\x89PNG\r\n\x1a\n"
    read_labels(head + chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 10**7)) * 1000, "image/png")
    assert time.monotonic() - start < 10


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
