"""Byte strings in soft bindings, the claim signed again, and what a second reader says of it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import StageMisbehaved
from guard.image.encode import EXTENSIONS, encode
from guard.provenance import cbor, jumbf
from guard.provenance import sign as sign_module
from guard.provenance.claim import bind_values, placeholder
from guard.provenance.container import (
    extract_manifest_store,
    replace_manifest_store,
)
from guard.provenance.cose import (
    ASSERTIONS,
    active_label,
    cbor_of,
    signature_parts,
    signer_certificate,
)
from guard.provenance.keys import load_signing_keys
from guard.provenance.manifest import soft_bindings
from guard.provenance.read import read_manifest
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import TrustList, anchors_of, may_sign_claims
from guard.types import Origin

from .authority import Authority, ec, ed25519, rsa
from .kit import PAYLOAD, facts, picture, sign

KEYS: list[Any] = [
    ec.generate_private_key(ec.SECP256R1()),
    ec.generate_private_key(ec.SECP384R1()),
    ec.generate_private_key(ec.SECP521R1()),
    rsa.generate_private_key(65537, 2048),
    ed25519.Ed25519PrivateKey.generate(),
]


def store_of(data: bytes, media_type: str = "image/png") -> bytes:
    store = extract_manifest_store(data, media_type)
    assert store is not None
    return store


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_values_are_byte_strings(signer: C2paSigner, media_type: str) -> None:
    store = store_of(sign(signer, media_type), media_type)
    label = active_label(store)
    for number, (algorithm, value) in enumerate(soft_bindings(facts())):
        name = f"c2pa.soft-binding{'__1' if number else ''}"
        box = cbor_of(store, label, ASSERTIONS, name)
        told = cbor.decode(store[box.body : box.end])
        assert told["alg"] == algorithm
        assert told["blocks"] == [{"scope": {}, "value": value}]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: type(key).__name__)
def test_every_algorithm_signs_again(tmp_path: Path, key: Any) -> None:
    authority = Authority()
    trust = TrustList((anchors_of("test", authority.pem, date="", uri="urn:test"),))
    data = sign(C2paSigner(load_signing_keys(tmp_path, *authority.issue(tmp_path, key))))
    reading = read_manifest(data, "image/png", trust)
    assert reading is not None
    assert reading.state == "trusted"
    assert reading.soft_bindings[0] == ("org.genguard.pilot-1", PAYLOAD)


def test_a_manifest_over_several_jpeg_segments(signer: C2paSigner, trust: TrustList) -> None:
    data = sign(signer, "image/jpeg", title="t" * 90_000)
    assert data.count(b"JP\x02\x11") > 1, "the library numbers its box instance 0x211"
    reading = read_manifest(data, "image/jpeg", trust)
    assert reading is not None
    assert reading.state == "trusted"
    assert reading.soft_bindings[0] == ("org.genguard.pilot-1", PAYLOAD)


@pytest.fixture
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second reader keeps an answer about telemetry where settings lie: not in the user's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.mark.usefixtures("own_settings")
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("origin", list(Origin))
def test_a_second_reader_agrees(
    signer: C2paSigner, home: Path, origin: Origin, strict: bool
) -> None:
    """encypher-c2pa shares no code with c2pa; strictly it also wants what CA and TSA add."""
    import encypher_c2pa

    parent = None if origin is Origin.GENERATED else encode(picture(), "image/png")
    missing = {"revocationInformationMissing", "trustedTimeStampMissing"} if strict else set()
    for media_type in EXTENSIONS:
        report = encypher_c2pa.verify(
            sign(signer, media_type, origin=origin, parent=parent),
            media_type,
            trust_pem=(home / "keys" / "ca.pem").read_text(),
            telemetry=False,
            online=False,
            strict_conformance=strict,
        )
        codes = {one["code"] for one in report["validation_results"]["failure"]}
        assert codes == {f"com.encypher.conformance.{name}" for name in missing}
        assert report["validation_state"] == ("Invalid" if strict else "Trusted")
        assert (report["integrity"], report["hard_binding"]) == ("valid", "match")


@given(length=st.integers(1, 300))
def test_placeholders_have_the_length_of_the_value(length: int) -> None:
    assert len(placeholder(length)) == length
    assert placeholder(length).isascii()


def test_placeholders_must_be_there_once(signer: C2paSigner) -> None:
    store = store_of(sign(signer))
    label = active_label(store)
    with pytest.raises(ValueError, match="0 assertions"):
        bind_values(store, label, {"not there": b"012345678"})
    with pytest.raises(ValueError, match="0 assertions"):
        bind_values(store, "urn:none", {"x": b"y"})
    with pytest.raises(ValueError, match="assertions hold"):
        bind_values(store, label, {"genguard": b"01234567"})
    with pytest.raises(ValueError, match="another length"):
        bind_values(store, label, {"Example Images": b"short"})
    with pytest.raises(ValueError, match="exactly once"):
        bind_values(store, label, {"xample Image": b"012345678901"})


def test_what_cannot_be_completed_is_not_handed_out(
    signer: C2paSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_module, "placeholder", lambda length: "e" * length)
    with pytest.raises(StageMisbehaved, match="cannot be completed"):
        sign(signer, fingerprint=None, title="eeeeeeeee", provider="eeeeeeeee")


def test_without_bindings_nothing_is_bound(signer: C2paSigner, trust: TrustList) -> None:
    reading = read_manifest(sign(signer, mark=None, fingerprint=None), "image/png", trust)
    assert reading is not None
    assert reading.state == "trusted"
    assert reading.soft_bindings == ()


# -- where the store lies --------------------------------------------------------------------------


def test_a_store_is_replaced_by_one_of_its_length_only(signer: C2paSigner) -> None:
    data = sign(signer)
    store = store_of(data)
    assert replace_manifest_store(data, "image/png", store) == data
    for other, where in ((store + b"x", data), (store, encode(picture(), "image/png"))):
        with pytest.raises(ValueError, match="same length"):
            replace_manifest_store(where, "image/png", other)


# -- boxes -----------------------------------------------------------------------------------------


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def labelled(label: str, *inner: bytes, toggles: int = 3) -> bytes:
    about = b"\0" * 16 + bytes([toggles]) + label.encode() + b"\0"
    return box(b"jumb", box(b"jumd", about) + b"".join(inner))


def test_boxes_are_found_by_label() -> None:
    store = labelled("c2pa", labelled("a", labelled("b", box(b"cbor", b"\x01"))), labelled("c"))
    found = jumbf.find(store, "a", "b")
    assert found is not None
    inner = jumbf.content(store, found, b"cbor")
    assert inner is not None
    assert store[inner.body : inner.end] == b"\x01"
    assert jumbf.content(store, found, b"json") is None
    assert jumbf.find(store, "a", "x") is None
    assert jumbf.find(store, "x", "b") is None
    assert jumbf.find(b"") is None
    assert active_label(store) == "c"


def test_a_label_twice_is_found_never() -> None:
    """Readers differ in which they take: one could be shown to us, the other be checked."""
    assert jumbf.find(labelled("c2pa", labelled("a"), labelled("a")), "a") is None


def test_boxes_of_every_length_form() -> None:
    long = struct.pack(">I4sQ", 1, b"free", 17) + b"x"
    rest = struct.pack(">I4s", 0, b"free") + b"tail"
    found = list(jumbf.boxes(long + rest, 0, len(long + rest)))
    assert [(one.kind, one.end - one.body) for one in found] == [(b"free", 1), (b"free", 4)]
    for broken in (struct.pack(">I4s", 4, b"free"), struct.pack(">I4s", 99, b"free") + b"x"):
        assert not list(jumbf.boxes(broken, 0, len(broken)))


@pytest.mark.parametrize(
    "superbox",
    [
        box(b"jumb", b""),
        box(b"jumb", box(b"cbor", b"")),
        box(b"jumb", box(b"jumd", b"short")),
        labelled("x", toggles=1),
        box(b"jumb", box(b"jumd", b"\0" * 16 + b"\3no end")),
    ],
)
def test_what_has_no_label(superbox: bytes) -> None:
    (found,) = jumbf.boxes(superbox, 0, len(superbox))
    assert jumbf.label_of(superbox, found) is None


@pytest.mark.parametrize("store", [b"", box(b"jumb", b""), labelled("c2pa"), b"\0" * 40])
def test_a_store_without_manifest(store: bytes) -> None:
    with pytest.raises(ValueError, match="no manifest"):
        active_label(store)
    with pytest.raises(ValueError, match="no CBOR"):
        signature_parts(store, "x")
    assert signer_certificate(store, "x") is None


# -- the signer's certificate ----------------------------------------------------------------------


def signature_store(content: bytes) -> bytes:
    return labelled("c2pa", labelled("m", labelled("c2pa.signature", box(b"cbor", content))))


def test_the_signers_certificate(signer: C2paSigner) -> None:
    store = store_of(sign(signer))
    found = signer_certificate(store, active_label(store))
    assert found is not None
    assert found.fingerprint(hashes.SHA256()).hex() == signer.certificate_fingerprint


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        b"\x81\x01",
        b"\x84\x01\x01\x01\x01",
        b"\x84\x40\xa0\xf6\x40",
        b"\x84\x41\xa0\xa0\xf6\x40",
        b"\x84\x45\xa1\x18\x21\x41x\xa0\xf6\x40",
        b"\x84\x44\xa1\x18\x21\x80\xa0\xf6\x40",
    ],
)
def test_a_certificate_that_is_not_there_beyond_doubt(content: bytes) -> None:
    assert signer_certificate(signature_store(content), "m") is None
    assert not may_sign_claims(None)


@pytest.mark.parametrize("name", [cbor.head(0, 33), cbor.text_string("x5chain")])
def test_older_places_of_the_chain(name: bytes) -> None:
    der = Authority().certificate.public_bytes(Encoding.DER)
    headers = b"\xa1" + name + cbor.byte_string(der)
    for protected, unprotected in ((headers, b"\xa0"), (b"\xa0", headers)):
        content = b"\x84" + cbor.byte_string(protected) + unprotected + b"\xf6\x40"
        found = signer_certificate(signature_store(content), "m")
        assert found is not None
        assert not may_sign_claims(found), "an authority has no usage for claims"


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_store_never_raises(data: st.DataObject, signer: C2paSigner) -> None:
    if "store" not in SAMPLE:
        SAMPLE["store"] = store_of(sign(signer))
    damaged = bytearray(SAMPLE["store"])
    label = active_label(bytes(damaged))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    signer_certificate(bytes(damaged), label)


SAMPLE: dict[str, bytes] = {}
