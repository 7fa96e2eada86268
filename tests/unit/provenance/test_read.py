"""The tamper matrix: what a reader answers to everything that can be done to a signed file."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from guard.image.decode import decode
from guard.image.encode import EXTENSIONS, encode
from guard.provenance import read as module
from guard.provenance.keys import load_signing_keys
from guard.provenance.read import (
    UNREADABLE,
    ManifestReading,
    extract_manifest_store,
    read_manifest,
    verify_stored,
)
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import DEVELOPMENT_NAME, TrustList, anchors_of
from guard.types import Origin

from .authority import CLAIMS, DOCUMENTS, EMAIL, TIME_STAMPING, Authority
from .kit import (
    PAYLOAD,
    RECORD_ID,
    chunk,
    picture,
    sign,
    signed_by_the_library,
    with_store,
)

DATA_HASH = ("assertion.dataHash.mismatch",)
BMFF_HASH = ("assertion.bmffHash.mismatch",)


def must_read(data: bytes, media_type: str, trust: TrustList) -> ManifestReading:
    reading = read_manifest(data, media_type, trust)
    assert reading is not None
    return reading


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_untouched(signer: C2paSigner, trust: TrustList, media_type: str) -> None:
    reading = must_read(sign(signer, media_type), media_type, trust)
    assert reading.state == "trusted"
    assert reading.trust_list == DEVELOPMENT_NAME
    assert reading.signer == "genguard signer (DEVELOPMENT ONLY)"
    assert reading.issuer == "genguard DEVELOPMENT ONLY"
    assert reading.problems == ()
    assert reading.record_id == RECORD_ID
    assert reading.label is not None
    assert reading.label.startswith("urn:c2pa:")
    assert reading.claim_generator is not None
    assert reading.claim_generator.startswith("genguard ")
    assert [action["action"] for action in reading.actions] == [
        "c2pa.created",
        "org.genguard.screened",
        "c2pa.watermarked.bound",
    ]
    assert reading.digital_source_type is not None
    assert reading.digital_source_type.endswith("/trainedAlgorithmicMedia")
    assert reading.when == "2026-11-24T12:00:00Z"
    assert reading.soft_bindings[0] == ("org.genguard.pilot-1", PAYLOAD)
    assert reading.soft_bindings[1][0] == "org.genguard.pdq.v0"
    assert not reading.hard_binding_only


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_one_bit_of_the_picture(signer: C2paSigner, trust: TrustList, media_type: str) -> None:
    data = sign(signer, media_type)
    at = {
        "image/avif": data.index(b"mdat") + 200 if b"mdat" in data else 0,
        "image/webp": 2000,  # the store comes last, and there is padding in it
        "image/tiff": 2000,
    }.get(media_type, len(data) - 200)
    reading = must_read(flipped(data, at), media_type, trust)
    assert reading.state == "invalid"
    assert reading.problems == (BMFF_HASH if media_type == "image/avif" else DATA_HASH)
    assert reading.hard_binding_only
    assert reading.trust_list is None


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/webp"])
def test_trailing_bytes(signed: dict[str, bytes], trust: TrustList, media_type: str) -> None:
    reading = must_read(signed[media_type] + b"x", media_type, trust)
    assert (reading.state, reading.problems) == ("invalid", DATA_HASH)


def test_metadata_added_afterwards(signed: dict[str, bytes], trust: TrustList) -> None:
    data = signed["image/png"]
    added = data[:-12] + chunk(b"tEXt", b"Comment\0hello") + data[-12:]
    reading = must_read(added, "image/png", trust)
    assert (reading.state, reading.problems) == ("invalid", DATA_HASH)


def test_an_edited_assertion(signed: dict[str, bytes], trust: TrustList) -> None:
    other = RECORD_ID.replace("0001", "0002").encode()
    store = extract_manifest_store(signed["image/png"], "image/png") or b""
    at = store.index(RECORD_ID.encode())
    edited = store[:at] + other + store[at + len(other) :]
    reading = must_read(signed["image/png"].replace(store, edited), "image/png", trust)
    assert reading.state == "invalid"
    assert "assertion.hashedURI.mismatch" in reading.problems
    assert not reading.hard_binding_only


def test_an_edited_claim(signed: dict[str, bytes], trust: TrustList) -> None:
    data = signed["image/jpeg"]
    at = data.index(b"Generated image", data.index(b"dc:title"))
    reading = must_read(data[:at] + b"G" + data[at + 1 :], "image/jpeg", trust)
    assert reading.state == "trusted", "the same letter: nothing was changed"
    reading = must_read(flipped(data, at), "image/jpeg", trust)
    assert reading.state == "invalid"
    assert "claimSignature.mismatch" in reading.problems
    assert not reading.hard_binding_only


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_re_encoded(signed: dict[str, bytes], trust: TrustList, media_type: str) -> None:
    again = encode(decode(signed["image/png"]).pixels, media_type)
    assert read_manifest(again, media_type, trust) is None


def test_another_pictures_manifest(signer: C2paSigner, trust: TrustList) -> None:
    store = extract_manifest_store(sign(signer, seed=1), "image/png") or b""
    reading = must_read(with_store(encode(picture(2), "image/png"), store), "image/png", trust)
    assert (reading.state, reading.problems) == ("invalid", DATA_HASH)
    assert reading.hard_binding_only


def test_its_own_manifest_on_a_changed_copy(signed: dict[str, bytes], trust: TrustList) -> None:
    store = extract_manifest_store(signed["image/png"], "image/png") or b""
    copy = np.array(decode(signed["image/png"]).pixels)
    copy[0, 0] ^= 4
    reading = must_read(with_store(encode(copy, "image/png"), store), "image/png", trust)
    assert reading.hard_binding_only
    assert reading.state == "invalid"


def test_an_unknown_authority(tmp_path: Path, trust: TrustList) -> None:
    stranger = C2paSigner(load_signing_keys(tmp_path, *Authority().issue(tmp_path)))
    reading = must_read(sign(stranger), "image/png", trust)
    assert reading.state == "valid"
    assert reading.trust_list is None
    assert reading.signer == "Test signer"
    assert reading.problems == ("signingCredential.untrusted",)
    changed = must_read(sign(stranger) + b"x", "image/png", trust)
    assert changed.state == "invalid"
    assert changed.hard_binding_only


def test_an_expired_certificate_says_nothing_about_the_picture(tmp_path: Path) -> None:
    authority = Authority()
    short = (timedelta(hours=-1), timedelta(seconds=2))
    trust = TrustList((anchors_of("test", authority.pem, date="", uri="urn:test"),))
    signer = C2paSigner(load_signing_keys(tmp_path, *authority.issue(tmp_path, validity=short)))
    data = sign(signer)
    assert must_read(data, "image/png", trust).state == "trusted"
    time.sleep(3.1)  # certificates count in whole seconds
    reading = must_read(data, "image/png", trust)
    assert reading.state == "valid"
    assert reading.trust_list is None
    assert "signingCredential.expired" in reading.problems
    assert must_read(data + b"x", "image/png", trust).state == "invalid"


@pytest.mark.parametrize(
    ("usages", "state"),
    [
        ((EMAIL,), "trusted"),
        ((DOCUMENTS,), "trusted"),
        ((CLAIMS,), "trusted"),
        ((EMAIL, CLAIMS), "trusted"),
        ((TIME_STAMPING,), "valid"),
    ],
)
def test_a_listed_certificate_must_be_meant_for_claims(
    tmp_path: Path, usages: tuple[Any, ...], state: str
) -> None:
    """The library trusts a listed leaf whose only purpose is time-stamping; we do not."""
    authority = Authority()
    trust = TrustList((anchors_of("test", authority.pem, date="", uri="urn:test"),))
    data = signed_by_the_library(*authority.issue(tmp_path, eku=usages))
    reading = must_read(data, "image/png", trust)
    assert reading.state == state
    assert reading.problems == (() if state == "trusted" else ("signingCredential.untrusted",))
    assert reading.trust_list == ("test" if state == "trusted" else None)


def test_a_time_stamping_anchor_is_no_anchor(tmp_path: Path) -> None:
    """Only manifest anchors are loaded, and what is loaded otherwise would have no name here."""
    authority = Authority()
    signer = C2paSigner(load_signing_keys(tmp_path, *authority.issue(tmp_path)))
    anchors = [{"trust_anchors": authority.pem.decode(), "trust_kind": "tsa", "trust_uri": "urn:t"}]
    from c2pa import Context, Reader

    data = sign(signer)
    context = Context.from_dict({"trust": {"anchors": anchors}})
    with Reader("image/png", BytesIO(data), context=context) as reader:
        assert reader.get_validation_state() == "Trusted", "the trap is still there"
        report = json.loads(reader.json())
    store = extract_manifest_store(data, "image/png")
    assert module._reading(report, store, TrustList(), detached=False).state == "valid"


def test_no_anchors_at_all(signed: dict[str, bytes]) -> None:
    assert must_read(signed["image/png"], "image/png", TrustList()).state == "valid"


def test_a_list_that_the_library_names_and_we_do_not(
    signed: dict[str, bytes], trust: TrustList, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust comes from our lists alone, whatever the library calls trusted."""
    monkeypatch.setattr(TrustList, "name_of", lambda self, uri: None)
    reading = must_read(signed["image/png"], "image/png", trust)
    assert reading.state == "valid"


def test_what_is_no_manifest(trust: TrustList) -> None:
    png = encode(picture(), "image/png")
    assert read_manifest(png, "image/png", trust) is None
    assert read_manifest(b"", "image/png", trust) is None
    assert read_manifest(b"\0" * 99, "image/jpeg", trust) is None
    out = BytesIO()
    Image.fromarray(picture()).save(out, "BMP")
    assert read_manifest(out.getvalue(), "image/bmp", trust) is None


@pytest.mark.parametrize("store", [b"xxxx", b"\0\0\0\x20jumbgarbagegarbagegarbage!"])
def test_garbage_in_the_place_of_a_manifest(trust: TrustList, store: bytes) -> None:
    reading = must_read(with_store(encode(picture(), "image/png"), store), "image/png", trust)
    assert reading == ManifestReading("invalid", problems=(UNREADABLE,))


def test_a_truncated_file(signed: dict[str, bytes], trust: TrustList) -> None:
    assert must_read(signed["image/png"][:-300], "image/png", trust).state == "invalid"


def test_a_wrong_media_type_does_not_matter(signed: dict[str, bytes], trust: TrustList) -> None:
    assert must_read(signed["image/png"], "image/jpeg", trust).state == "trusted"


def test_remote_manifests_are_not_fetched(trust: TrustList) -> None:
    link = b'<rdf:Description dcterms:provenance="http://127.0.0.1:9/m" xmlns:dcterms="http://purl.org/dc/terms/"/>'
    rdf = (
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' + link + b"</rdf:RDF>"
    )
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + rdf + b"</x:xmpmeta>"
    assert read_manifest(encode(picture(), "image/png", xmp=packet), "image/png", trust) is None


def test_as_dict_is_json(signed: dict[str, bytes], trust: TrustList) -> None:
    plain = must_read(signed["image/png"], "image/png", trust).as_dict
    assert json.loads(json.dumps(plain)) == plain
    assert plain["state"] == "trusted"
    assert plain["soft_bindings"][0] == {"alg": "org.genguard.pilot-1", "value": PAYLOAD}
    assert set(plain) == set(ManifestReading.__slots__)


# -- stored apart ----------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_a_stored_manifest_verifies(signer: C2paSigner, trust: TrustList, media_type: str) -> None:
    store = extract_manifest_store(sign(signer, media_type), media_type)
    assert store is not None
    reading = verify_stored(store, media_type, trust)
    assert reading.state == "trusted"
    assert reading.trust_list == DEVELOPMENT_NAME
    assert reading.hard_binding_only
    assert reading.record_id == RECORD_ID
    assert verify_stored(store, "image/gif", trust).state == "trusted"
    assert verify_stored(store, media_type, TrustList()).state == "valid"


def test_a_stored_manifest_that_was_changed(signed: dict[str, bytes], trust: TrustList) -> None:
    store = extract_manifest_store(signed["image/png"], "image/png") or b""
    record = store.index(RECORD_ID.encode())
    title = store.index(b"Generated image", store.index(b"dc:title"))
    for at in (record, title):
        reading = verify_stored(flipped(store, at), "image/png", trust)
        assert reading.state == "invalid"
        assert not reading.hard_binding_only


@pytest.mark.parametrize("store", [b"", b"\0" * 60, b"\0\0\0\x20jumbgarbagegarbagegarbage!"])
def test_a_stored_manifest_that_is_none(trust: TrustList, store: bytes) -> None:
    assert verify_stored(store, "image/png", trust).problems == (UNREADABLE,)


@settings(max_examples=60, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_of_a_store_verifies(at: float, bit: int) -> None:
    """All but padding and the salts in box headers is covered by hash or signature."""
    store = bytearray(STORE["store"])
    index = int(at * len(store))
    store[index] ^= 1 << bit
    reading = verify_stored(bytes(store), "image/png", STORE["trust"])
    if reading.state == "trusted":
        assert reading == STORE["reading"], "only bytes without meaning are not covered"


STORE: dict[str, Any] = {}


@pytest.fixture(autouse=True, scope="module")
def stored(signed: dict[str, bytes], trust: TrustList) -> None:
    store = extract_manifest_store(signed["image/png"], "image/png") or b""
    STORE.update(store=store, trust=trust, reading=verify_stored(store, "image/png", trust))


# -- hostile reports -------------------------------------------------------------------------------


def test_strange_shapes_in_a_report_do_not_break_the_reader(trust: TrustList) -> None:
    strange: list[dict[str, Any]] = [
        {},
        {"active_manifest": 5, "manifests": [], "validation_results": "x"},
        {
            "active_manifest": "a",
            "manifests": {
                "a": {"assertions": [1, {"label": "c2pa.actions", "data": {"actions": 3}}]}
            },
            "validation_results": {"activeManifest": {"failure": [None, 7]}},
        },
    ]
    for report in strange:
        assert module._reading(report, b"", trust, detached=False).state == "invalid"


def test_nothing_failed_and_still_not_valid_is_invalid(trust: TrustList) -> None:
    """An explanation that is not known must not read as good news."""
    passed = {"success": [{"code": module.SIGNED}], "failure": []}
    report = {"validation_results": {"activeManifest": passed}, "validation_state": "Invalid"}
    assert module._reading(report, b"", trust, detached=False).state == "invalid"
    assert (
        module._reading(report | {"validation_state": "Valid"}, b"", trust, detached=False).state
        == "valid"
    )


def test_failures_of_ingredients_count(trust: TrustList) -> None:
    delta = {"validationDeltas": {"failure": [{"code": "claimSignature.mismatch"}]}}
    results = {
        "activeManifest": {"success": [{"code": module.SIGNED}]},
        "ingredientDeltas": [delta],
    }
    report = {"validation_results": results, "validation_state": "Valid"}
    assert module._reading(report, b"", trust, detached=False).state == "invalid"


def test_soft_binding_values_of_every_shape() -> None:
    blocks = [{"value": one} for one in ("AAEC", [0, 1, 2], [300], "?", None, 5)]
    manifest = {
        "assertions": [{"label": "c2pa.soft-binding__1", "data": {"alg": "a", "blocks": blocks}}]
    }
    assert list(module._soft_bindings(manifest)) == [("a", "000102"), ("a", "000102")]


def test_old_claims_name_their_generator_as_text() -> None:
    assert module._generator({"claim_generator": "old/1.0"}) == "old/1.0"
    assert module._generator({}) is None


# -- an original with a history --------------------------------------------------------------------


@pytest.mark.parametrize("origin", [Origin.EDITED, Origin.UNKNOWN])
def test_the_parents_manifest_is_kept(
    signer: C2paSigner, signed: dict[str, bytes], trust: TrustList, origin: Origin
) -> None:
    parent = signed["image/jpeg"]
    label = must_read(parent, "image/jpeg", trust).label or "?"
    data = sign(signer, origin=origin, parent=parent, parent_media_type="image/jpeg")
    assert must_read(data, "image/png", trust).state == "trusted"
    assert label.encode() in data
