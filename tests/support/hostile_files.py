"""Signed files, and everything that may be done to them: for tests and benchmarks of the verifier.

``MATRIX`` holds the rows of the tamper matrix, each with the states that it may come out as; the
other functions make files that nobody should ever see: cut anywhere, with boxes of impossible
lengths, in rings, twice, or glued to another format.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from guard.image.decode import decode
from guard.image.encode import encode
from guard.provenance import cbor, jumbf, pki
from guard.provenance.container import (
    PNG_SIGNATURE,
    extract_manifest_store,
    replace_manifest_store,
)
from guard.provenance.cose import ASSERTIONS, CLAIM, active_label, cbor_of

FORMATS = ("image/png", "image/jpeg", "image/webp", "image/avif", "image/tiff")
HARD_BINDING = ("assertion.dataHash.mismatch", "assertion.bmffHash.mismatch")


@dataclass(frozen=True)
class Signed:
    """A signed file, and another one by the same signer."""

    data: bytes
    media_type: str
    other: bytes

    @property
    def store(self) -> bytes:
        return extract_manifest_store(self.data, self.media_type) or b""

    def with_store(self, store: bytes) -> bytes:
        """The same file around another store of the same length."""
        return replace_manifest_store(self.data, self.media_type, store)


@dataclass(frozen=True)
class Row:
    """What is done, and what must come out: the state (None: no manifest), and a code if any."""

    make: Callable[[Signed], bytes]
    state: str | None
    code: tuple[str, ...] = ()
    hard_binding_only: bool = False
    formats: tuple[str, ...] = FORMATS


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def pixel_place(data: bytes, media_type: str) -> int:
    """A byte of the compressed or plain picture, outside the store."""
    at = {
        "image/png": lambda: data.rindex(b"IDAT") + 400,
        "image/jpeg": lambda: len(data) - 200,
        "image/webp": lambda: 400,
        "image/avif": lambda: data.rindex(b"mdat") + 200,
        "image/tiff": lambda: 400,
    }[media_type]()
    store = extract_manifest_store(data, media_type) or b""
    start = data.find(store[:60])
    assert not start <= at < start + len(store)
    return at


def _bit(signed: Signed) -> bytes:
    return flipped(signed.data, pixel_place(signed.data, signed.media_type))


def _xmp_after(signed: Signed) -> bytes:
    """Metadata put in by a tool that knows nothing of manifests."""
    data, kind = signed.data, signed.media_type
    packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>late</x:xmpmeta>"
    if kind == "image/png":
        return data[:-12] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet) + data[-12:]
    if kind == "image/jpeg":
        body = b"http://ns.adobe.com/xap/1.0/\0" + packet
        segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
        at = data.rindex(b"\xff\xda")
        return data[:at] + segment + data[at:]
    if kind == "image/webp":
        extra = b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)
        return data[:4] + struct.pack("<I", len(data) - 8 + len(extra)) + data[8:] + extra
    if kind == "image/avif":
        return data + box(b"uuid", _XMP_UUID + packet)
    return data + packet


_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def _assertion(signed: Signed) -> bytes:
    """One letter of a statement."""
    at = signed.store.index(b"org.genguard.record", signed.store.index(b"record_id") - 200)
    at = signed.store.index(b"Example Images", at)
    return signed.with_store(flipped(signed.store, at))


def _claim(signed: Signed) -> bytes:
    store = signed.store
    box = cbor_of(store, active_label(store), CLAIM)
    return signed.with_store(flipped(store, store.index(b"Generated image", box.body)))


def _signature(signed: Signed) -> bytes:
    store = signed.store
    box = cbor_of(store, active_label(store), "c2pa.signature")
    return signed.with_store(flipped(store, box.end - 10))


def _re_encoded(signed: Signed) -> bytes:
    return encode(decode(signed.data).pixels, signed.media_type)


def _others_manifest(signed: Signed) -> bytes:
    """This picture, under the manifest of another by the same signer."""
    store = extract_manifest_store(signed.other, signed.media_type) or b""
    return grafted(encode(decode(signed.data).pixels, signed.media_type), signed, store)


def _own_on_a_copy(signed: Signed) -> bytes:
    pixels = np.array(decode(signed.data).pixels)
    pixels[:4, :4] ^= 64
    return grafted(encode(pixels, signed.media_type), signed, signed.store)


def grafted(bare: bytes, signed: Signed, store: bytes) -> bytes:
    """A file without a manifest, with ``store`` put where its format keeps one."""
    kind = signed.media_type
    if kind == "image/png":
        return bare[:33] + chunk(b"caBX", store) + bare[33:]
    if kind == "image/jpeg":
        return bare[:2] + app11(store) + bare[2:]
    if kind == "image/webp":
        extra = b"C2PA" + struct.pack("<I", len(store)) + store + b"\0" * (len(store) % 2)
        return bare[:4] + struct.pack("<I", len(bare) - 8 + len(extra)) + bare[8:] + extra
    # AVIF and TIFF keep offsets to what follows: the signed file with other pixels in it.
    place = pixel_place(signed.data, kind)
    changed = signed.data[:place] + bytes(16) + signed.data[place + 16 :]
    old = signed.store
    if len(store) == len(old):
        return replace_manifest_store(changed, kind, store)
    return changed


MATRIX: Mapping[str, Row] = {
    "nothing": Row(lambda one: one.data, "trusted"),
    "one bit of the picture": Row(_bit, "invalid", HARD_BINDING, hard_binding_only=True),
    "trailing bytes": Row(
        # A whole box in AVIF, and not one of those that the standard lets anyone add (free, skip).
        lambda one: one.data + box(b"junk", b"junk"),
        "invalid",
        HARD_BINDING,
        hard_binding_only=True,
    ),
    "XMP added after": Row(_xmp_after, "invalid", HARD_BINDING, hard_binding_only=True),
    "assertion edited": Row(_assertion, "invalid", ("assertion.hashedURI.mismatch",)),
    "claim edited": Row(_claim, "invalid", ("claimSignature.mismatch",)),
    "signature edited": Row(_signature, "invalid", ("claimSignature.mismatch",)),
    "re-encoded": Row(_re_encoded, None),
    "another picture's manifest": Row(
        _others_manifest, "invalid", HARD_BINDING, hard_binding_only=True
    ),
    "its own manifest on a changed copy": Row(
        _own_on_a_copy, "invalid", HARD_BINDING, hard_binding_only=True
    ),
}


# -- files that nobody should ever see -----------------------------------------------------------


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + crc


def app11(store: bytes, instance: int = 1) -> bytes:
    """JPEG XT segments of one box."""
    head, room = store[:8], 65_000
    parts = [store[8:][at : at + room] for at in range(0, max(len(store) - 8, 1), room)]
    return b"".join(
        b"\xff\xeb" + struct.pack(">H2sHI", len(part) + 18, b"JP", instance, number) + head + part
        for number, part in enumerate(parts, 1)
    )


def with_store(store: bytes, media_type: str = "image/png") -> bytes:
    """A small unsigned picture with ``store`` in it."""
    bare = encode(np.full((16, 16, 3), 90, np.uint8), media_type)
    return grafted(bare, Signed(b"", media_type, b""), store)


def superbox(label: str, *content: bytes, uuid: bytes = b"c2pa") -> bytes:
    """A JUMBF superbox with a description box."""
    kind = uuid + bytes.fromhex("00110010800000aa00389b71")
    about = kind + b"\x03" + label.encode() + b"\0"
    return box(b"jumb", box(b"jumd", about) + b"".join(content))


def box(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(content) if length is None else length, kind) + content


def nested(depth: int) -> bytes:
    """Superboxes in superboxes; lengths fit."""
    inner = b""
    for _ in range(depth):
        inner = superbox("c2pa", inner)
    return inner


def bad_boxes(signed: Signed) -> Iterator[tuple[str, bytes]]:
    """The store of a signed PNG with one thing about its boxes made impossible."""
    store = signed.store
    label = active_label(store)
    places = {
        "the store": jumbf.find(store),
        "the manifest": jumbf.find(store, label),
        "the assertions": jumbf.find(store, label, ASSERTIONS),
        "the claim": jumbf.find(store, label, CLAIM),
        "the signature": jumbf.find(store, label, "c2pa.signature"),
        "the claim's content": cbor_of(store, label, CLAIM),
    }
    for name, place in places.items():
        assert place is not None
        for length in (0, 1, 7, 8, 9, 0x7FFFFFFF, 0xFFFFFFFF, len(store) + 1):
            changed = store[: place.start] + struct.pack(">I", length) + store[place.start + 4 :]
            yield f"{name} of length {length}", changed
        twice = store[: place.end] + store[place.start : place.end] + store[place.end :]
        yield f"{name} twice", twice
        yield f"without {name}", store[: place.start] + store[place.end :]
        kind = store[: place.start + 4] + b"junk" + store[place.start + 8 :]
        yield f"{name} of unknown kind", kind
    yield "64-bit length", store[:0] + struct.pack(">I4sQ", 1, b"jumb", 2**63) + store[8:]
    yield "nothing but a head", store[:8]
    yield "nested a hundred times", nested(100)
    yield "nested ten thousand times", nested(10_000)


def polyglots(signed: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Files that are two things at once."""
    for first, data in signed.items():
        for second, other in signed.items():
            if first != second:
                yield f"{first} before {second}", data + other
    png, jpeg = signed["image/png"], signed["image/jpeg"]
    store = extract_manifest_store(jpeg, "image/jpeg") or b""
    yield "two stores in a PNG", png[:33] + chunk(b"caBX", store) + png[33:]
    yield "two stores in a JPEG", jpeg[:2] + app11(store, 9) + jpeg[2:]
    yield "a zip behind a PNG", png + b"PK\x03\x04" + bytes(40) + b"PK\x05\x06" + bytes(18)
    yield "a script in front", b"<script>alert(1)</script>" + png
    yield "a PNG in a PNG", png[:33] + chunk(b"zzZz", png) + png[33:]
    yield "a signature alone", PNG_SIGNATURE


SCRIPT = "<script>alert('x')</script><img src=x onerror=alert(1)>\u202e{{7*7}}"


def with_title(signed: Signed, title: str) -> bytes:
    """A signed PNG with another title in its claim: all boxes fit, the signature does not."""
    store, label = signed.store, active_label(signed.store)
    claim = cbor_of(store, label, CLAIM)
    content = store[claim.body : claim.end]
    changed = content.replace(cbor.text_string("Generated image"), cbor.text_string(title))
    return swapped(signed, (label, CLAIM), b"cbor", changed)


def swapped(signed: Signed, path: tuple[str, ...], kind: bytes, content: bytes) -> bytes:
    """A signed PNG with other content in one box; the lengths of all boxes around it fit."""
    store = signed.store
    around = [jumbf.find(store, *path[:depth]) for depth in range(len(path) + 1)]
    assert around[-1] is not None
    inner = jumbf.content(store, around[-1], kind)
    assert inner is not None
    changed = bytearray(store)
    for place in (inner, *around):
        assert place is not None
        length = place.end - place.start + len(content) - (inner.end - inner.body)
        changed[place.start : place.start + 4] = struct.pack(">I", length)
    changed[inner.body : inner.end] = content
    return _around(signed, bytes(changed))


DEEP = 200_000


def bad_contents(signed: Signed) -> Iterator[tuple[str, bytes]]:
    """CBOR and JSON that exhaust a stack or claim to be larger than memory."""
    label = active_label(signed.store)
    huge = b"\x7f" + b"\xff" * 7
    contents = {
        "arrays in arrays": b"\x81" * DEEP + b"\0",
        "maps in maps": b"\xa1\x61a" * DEEP + b"\0",
        "tags on tags": b"\xc1" * DEEP + b"\0",
        "endless arrays": b"\x9f" * DEEP,
        "a huge array": b"\x9b" + huge,
        "a huge map": b"\xbb" + huge,
        "a huge string": b"\x5b" + huge,
        "nothing": b"",
    }
    places = {
        "claim": (label, CLAIM),
        "signature": (label, "c2pa.signature"),
        "actions": (label, ASSERTIONS, "c2pa.actions.v2"),
    }
    for where, path in places.items():
        for what, content in contents.items():
            yield f"{what} in the {where}", swapped(signed, path, b"cbor", content)
    record = (label, ASSERTIONS, "org.genguard.record")
    yield "JSON arrays in arrays", swapped(signed, record, b"json", b"[" * DEEP)
    yield "JSON objects in objects", swapped(signed, record, b"json", b'{"a":' * DEEP)


def rings(signed: Signed) -> Iterator[tuple[str, bytes]]:
    """The history of a PNG with two forebears, bent back on itself; and one of 1,000 manifests."""
    store = signed.store
    top = jumbf.find(store)
    assert top is not None
    places = [one for one in jumbf.boxes(store, top.body, top.end) if one.kind == b"jumb"]
    labels = [(jumbf.label_of(store, one) or "").encode() for one in places]
    assert len(labels) == 3
    bends = [(2, 0, 2), (2, 1, 2), (1, 0, 2), (1, 0, 1)]  # in which manifest, which name, by which
    for where, old, new in bends:
        place = places[where]
        part = store[place.start : place.end].replace(labels[old], labels[new])
        name = f"manifest {where} made from {new} instead of {old}"
        yield name, _around(signed, store[: place.start] + part + store[place.end :])
    first, label = store[places[0].start : places[0].end], labels[0]
    copies = [first.replace(label, label[:-6] + b"%06x" % number) for number in range(1000)]
    many = store[: places[0].start] + b"".join(copies) + store[places[0].start :]
    yield "a thousand manifests", _around(signed, struct.pack(">I", len(many)) + many[4:])


def _around(signed: Signed, store: bytes) -> bytes:
    """A signed PNG around a store of any length."""
    at = signed.data.index(b"caBX") - 4
    head, tail = signed.data[:at], signed.data[at + 12 + len(signed.store) :]
    return head + chunk(b"caBX", store) + tail


def bad_containers(signed: Mapping[str, Signed]) -> Iterator[tuple[str, bytes]]:
    """Files whose own structure leads in circles or nowhere."""
    store = signed["image/png"].store
    jpeg, webp = signed["image/jpeg"].data, signed["image/webp"].data
    avif, tiff = signed["image/avif"].data, signed["image/tiff"].data
    parts = [app11(store[:40], number % 0xFFFF) for number in range(20_000)]
    yield "JPEG of 20,000 stores", jpeg[:2] + b"".join(parts) + jpeg[2:]
    yield "JPEG of fill bytes", b"\xff\xd8" + b"\xff" * 1_000_000
    at = webp.index(b"C2PA") + 4
    yield "WebP with an endless chunk", webp[:at] + b"\xff" * 4 + webp[at + 4 :]
    yield "WebP of empty chunks", webp[:12] + b"C2PA\0\0\0\0" * 50_000
    yield "AVIF with a box of 2^64", avif[:24] + struct.pack(">I4sQ", 1, b"uuid", 2**64 - 1)
    yield "AVIF with a box of length 0", avif + struct.pack(">I4s", 0, b"uuid")
    empty = struct.pack(">I4s", 8, b"free") * 100_000
    yield "AVIF of empty boxes", avif + empty
    yield "AVIF of empty boxes in a box", avif + box(b"moov", box(b"trak", empty))
    png = signed["image/png"].data
    yield "PNG of empty chunks", png[:-12] + chunk(b"teSt", b"") * 100_000 + png[-12:]
    order = "<" if tiff[:2] == b"II" else ">"
    first = struct.unpack_from(f"{order}I", tiff, 4)[0]
    count = struct.unpack_from(f"{order}H", tiff, first)[0]
    last = first + 2 + 12 * count
    ring = tiff[:last] + struct.pack(f"{order}I", first) + tiff[last + 4 :]
    yield "TIFF whose directories form a ring", ring
    yield "TIFF of 65,535 tags", tiff[:first] + b"\xff\xff" + tiff[first + 2 :]
    yield "TIFF whose directory lies outside", tiff[:4] + b"\xff" * 4 + tiff[8:]
    gif = b"GIF89a\1\0\1\0\0\0\0\x21\xff\x0bC2PA_GIF\1\0\0"
    yield "GIF of endless sub-blocks", gif + (b"\xff" + bytes(255)) * 5000


def signed_with_texts(text: str) -> tuple[bytes, bytes]:
    """A PNG whose every text in manifest, certificate and metadata is ``text``; and its anchor."""
    signer = pki.issue(pki.SIGNER.but(common_name=text[:14], organization=text[:14]), _CA)
    agent = {"name": text[:5000], "version": text[:50]}
    action = {"action": "c2pa.created", "softwareAgent": agent, "description": text[:5000]}
    source = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    stated = {
        "title": text,
        "claim_generator_info": [agent],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {"actions": [action | {"digitalSourceType": source}]},
            },
            {"label": "org.genguard.record", "data": {"record_id": text[:5000]}, "kind": "Json"},
        ],
    }
    packet = f'<x:xmpmeta>{text.replace("<", "&lt;")[:5000]} CreatorTool="ComfyUI"</x:xmpmeta>'
    bare = encode(np.full((64, 64, 3), 70, np.uint8), "image/png", xmp=packet.encode())
    parent = encode(np.full((16, 16, 3), 9, np.uint8), "image/png")
    return _built(stated, bare, parent, signer, text[:5000]), _CA.pem


_CA = pki.issue(pki.ROOT)


def _built(
    stated: dict[str, object], bare: bytes, parent: bytes, signer: pki.Credential, text: str
) -> bytes:
    from c2pa import Builder, C2paSigningAlg, Context, Signer

    native = Signer.from_callback(
        lambda data: raw_es256(signer, data),
        C2paSigningAlg.ES256,
        signer.chain_pem.decode("ascii"),
        None,
    )
    context = Context.from_dict({"builder": {"thumbnail": {"enabled": False}}})
    out = BytesIO()
    with Builder(json.dumps(stated), context=context) as builder:
        told = {"title": text, "relationship": "componentOf"}
        builder.add_ingredient(told, "image/png", BytesIO(parent))
        builder.sign(native, "image/png", BytesIO(bare), out)
    return out.getvalue()


def raw_es256(signer: pki.Credential, data: bytes) -> bytes:
    """r‖s over ``data``."""
    key = signer.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
