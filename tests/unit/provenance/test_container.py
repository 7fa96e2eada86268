from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.image.encode import EXTENSIONS, encode
from guard.provenance.container import (
    MOST_BOXES,
    MOST_CHUNKS,
    extract_manifest_store,
    holds_manifest_store,
    overfull,
    png_chunks,
)
from guard.provenance.manifest import definition
from guard.provenance.read import read_manifest
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import TrustList, context_for

from .kit import chunk, facts, library_signer, picture, sign

BOX = struct.pack(">I4s", 40, b"jumb") + struct.pack(">I4s", 24, b"jumd") + b"c2pa" + b"\0" * 20


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
@pytest.mark.parametrize("long_title", [False, True])
def test_it_is_the_store_that_was_embedded(
    home: Path, trust: TrustList, media_type: str, long_title: bool
) -> None:
    """A long title pushes the store over 64 kB, so that JPEG has to split it."""
    from c2pa import Builder

    stated = facts(title="t" * (90_000 if long_title else 10))
    out = BytesIO()
    with Builder(definition(stated, media_type), context=context_for(trust)) as builder:
        source = BytesIO(encode(picture(), media_type))
        store = builder.sign(library_signer(home), media_type, source, out)
    assert extract_manifest_store(out.getvalue(), media_type) == store
    assert holds_manifest_store(out.getvalue(), media_type)


def test_a_gif_that_someone_signed(home: Path, trust: TrustList) -> None:
    from c2pa import Builder
    from PIL import Image

    plain, out = BytesIO(), BytesIO()
    Image.fromarray(picture()).save(plain, "GIF")
    assert not holds_manifest_store(plain.getvalue(), "image/gif")
    with Builder(definition(facts(), "image/gif"), context=context_for(trust)) as builder:
        store = builder.sign(library_signer(home), "image/gif", plain, out)
    assert extract_manifest_store(out.getvalue(), "image/gif") == store
    reading = read_manifest(out.getvalue(), "image/gif", trust)
    assert reading is not None
    assert reading.state == "trusted"


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_an_unsigned_picture_has_none(media_type: str) -> None:
    data = encode(picture(), media_type, xmp=b"<x/>")
    assert extract_manifest_store(data, media_type) is None
    assert not holds_manifest_store(data, media_type)


@pytest.mark.parametrize("media_type", [*EXTENSIONS, "image/gif", "text/plain", ""])
@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"])
def test_nonsense_has_none(media_type: str, data: bytes) -> None:
    assert extract_manifest_store(data, media_type) is None


def test_a_store_cut_short_is_there_and_not_handed_out() -> None:
    head = b"\x89PNG\r\n\x1a\n"
    for content in (b"xxxx", BOX[:30], b"\0" * 40, struct.pack(">I4s", 8, b"jumb") + b"\0" * 8):
        data = head + struct.pack(">I4s", len(content), b"caBX") + content + b"\0" * 4
        assert extract_manifest_store(data, "image/png") is None
        assert holds_manifest_store(data, "image/png")


def test_padding_is_cut_off() -> None:
    content = BOX + b"\0" * 9
    data = b"RIFF\0\0\0\0WEBP" + struct.pack("<4sI", b"VP8 ", 3) + b"abc\0"
    data += struct.pack("<4sI", b"C2PA", len(content)) + content
    assert extract_manifest_store(data, "image/webp") == BOX


def test_png_chunks_stop_at_a_cut() -> None:
    data = encode(picture(), "image/png")
    assert [kind for kind, _ in png_chunks(data)][:1] == [b"IHDR"]
    assert b"IEND" not in [kind for kind, _ in png_chunks(data[:-3])]
    assert list(png_chunks(b"GIF")) == []


def test_jpeg_markers_without_length_and_fill_bytes() -> None:
    segment = b"\xff\xeb" + struct.pack(">H", 10 + len(BOX)) + b"JP\0\1\0\0\0\1" + BOX
    other = b"\xff\xeb\0\x08other!"
    data = b"\xff\xd8\xff\x01\xff\xff\xe0\0\x04ab" + other + segment + b"\xff\xda\0\2"
    assert extract_manifest_store(data, "image/jpeg") == BOX
    assert extract_manifest_store(b"\xff\xd8\xff\xda" + segment, "image/jpeg") is None


def test_avif_boxes_of_every_length_form() -> None:
    uuid = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
    body = uuid + b"\0" * 4 + b"manifest\0" + b"\0" * 8 + BOX
    long = struct.pack(">I4sQ", 1, b"free", 16)
    last = struct.pack(">I4s", 0, b"uuid") + body
    assert extract_manifest_store(long + last, "image/avif") == BOX
    sized = struct.pack(">I4s", 8 + len(body), b"uuid") + body
    assert extract_manifest_store(sized + b"\0" * 3, "image/avif") == BOX
    assert extract_manifest_store(struct.pack(">I4s", 4, b"free") + sized, "image/avif") is None
    merkle = last.replace(b"manifest", b"merkle\0\0")
    assert extract_manifest_store(merkle, "image/avif") is None


def test_big_endian_tiff() -> None:
    entries = struct.pack(">HHII", 0x0100, 3, 1, 0) + struct.pack(">HHII", 0xCD41, 7, len(BOX), 40)
    data = b"MM\0*" + struct.pack(">I", 8) + struct.pack(">H", 2) + entries
    assert extract_manifest_store(data.ljust(40, b"\0") + BOX, "image/tiff") == BOX


@settings(max_examples=200, deadline=None)
@given(media_type=st.sampled_from(list(EXTENSIONS)), data=st.data())
def test_damage_never_raises(media_type: str, data: st.DataObject) -> None:
    damaged = bytearray(SAMPLES[media_type])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(damaged) - 1, 6000)))
        damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    extract_manifest_store(bytes(damaged[:cut]), media_type)


SAMPLES = {media_type: encode(picture(), media_type) for media_type in EXTENSIONS}


def test_fuzzing_starts_from_files_with_stores(signer: C2paSigner) -> None:
    for media_type in EXTENSIONS:
        data = bytearray(sign(signer, media_type))
        for at in range(0, min(len(data), 3000), 7):
            old, data[at] = data[at], 255
            extract_manifest_store(bytes(data), media_type)
            data[at] = old


# -- too many parts --------------------------------------------------------------------------------


def test_files_of_too_many_parts_are_told_at_once() -> None:
    png, avif = (encode(picture(), kind) for kind in ("image/png", "image/avif"))
    free = struct.pack(">I4s", 8, b"free")
    wide = struct.pack(">I4sQ", 1, b"moov", 16 + 8 * MOST_BOXES) + free * MOST_BOXES
    meta = struct.pack(">I4sI", 12 + 8 * MOST_BOXES, b"meta", 0) + free * MOST_BOXES
    for data in (avif + free * MOST_BOXES, avif + wide, avif + meta):
        assert overfull(data)
    for data in (png, avif, avif + free * (MOST_BOXES - 200), b"", b"\xff\xd8", avif[:20]):
        assert not overfull(data)
    many = png[:-12] + chunk(b"teSt", b"") * MOST_CHUNKS + png[-12:]
    assert overfull(many)
    assert not overfull(png[:-12] + chunk(b"teSt", b"") * (MOST_CHUNKS - 200) + png[-12:])


def test_boxes_that_nest_without_end() -> None:
    avif = encode(picture(), "image/avif")
    data = avif + struct.pack(">I4s", 0, b"moov") * 5000
    assert not overfull(data)
    assert not overfull(avif + struct.pack(">I4s", 4, b"moov"))
