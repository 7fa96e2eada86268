"""The signature box: filled to the byte, read back, too small."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.provenance import cbor
from guard.provenance.container import extract_manifest_store
from guard.provenance.cose import active_label, signature_parts
from guard.provenance.envelope import (
    SMALLEST_PAD,
    EnvelopeTooSmall,
    Sealed,
    read_envelope,
    with_envelope,
)
from guard.provenance.sign import C2paSigner

from .kit import sign

BARE = Sealed(b"header", b"s" * 64)


@settings(max_examples=300, deadline=None)
@given(room=st.integers(SMALLEST_PAD, 70_000), token=st.binary(max_size=300))
def test_every_size_is_met_exactly(room: int, token: bytes) -> None:
    sealed = Sealed(b"header", b"s" * 64, token=token, revocation=(b"answer",))
    encoded = sealed.encoded(sealed.size + room)
    assert len(encoded) == sealed.size + room
    protected, beside, payload, signature = cbor.decode(encoded)
    assert (protected, payload, signature) == (b"header", None, b"s" * 64)
    assert beside["sigTst2"] == {"tstTokens": [{"val": token}]}
    assert beside["rVals"] == {"ocspVals": [b"answer"]}
    assert set(beside) <= {"sigTst2", "rVals", "pad", "pad2"}


@pytest.mark.parametrize("room", [*range(SMALLEST_PAD, 60), *range(250, 290), *range(65530, 65560)])
def test_where_the_length_of_a_length_jumps(room: int) -> None:
    assert len(BARE.encoded(BARE.size + room)) == BARE.size + room


def test_nothing_to_fill() -> None:
    assert len(BARE.encoded(BARE.size)) == BARE.size
    assert cbor.decode(BARE.encoded(BARE.size))[1] == {}


@pytest.mark.parametrize("room", [-7, -1, 1, SMALLEST_PAD - 1])
def test_what_does_not_fit_says_by_how_much(room: int) -> None:
    with pytest.raises(EnvelopeTooSmall) as caught:
        BARE.encoded(BARE.size + room)
    assert BARE.encoded(BARE.size + room + caught.value.missing)


def test_what_a_time_stamp_speaks_of() -> None:
    """RFC 9338 names the parts; C2PA 2.4 section 10.3.2.5 takes the signature as its CBOR."""
    assert cbor.decode(BARE.stamped) == [
        "CounterSignature",
        b"header",
        b"",
        cbor.byte_string(b"s" * 64),
    ]


def test_a_box_is_read_and_replaced(signer: C2paSigner) -> None:
    store = extract_manifest_store(sign(signer), "image/png")
    assert store is not None
    label = active_label(store)
    sealed = read_envelope(store, label)
    assert sealed.token is None
    assert with_envelope(store, label, sealed) == store
    other = with_envelope(store, label, Sealed(sealed.protected, b"x" * 64))
    assert len(other) == len(store)
    assert signature_parts(other, label)[3] == b"x" * 64


def boxed(parts: object) -> bytes:
    from .test_claim import signature_store

    return signature_store(cbor.encode(parts))


@pytest.mark.parametrize(
    "parts",
    [
        ["text", {}, None, b"s"],
        [b"p", {}, None, "text"],
        [b"p", [], None, b"s"],
        [b"p", {"sigTst2": []}, None, b"s"],
        [b"p", {"sigTst2": {"tstTokens": []}}, None, b"s"],
        [b"p", {"sigTst2": {"tstTokens": [b"x"]}}, None, b"s"],
    ],
)
def test_what_is_no_signature_of_ours(parts: object) -> None:
    with pytest.raises(ValueError, match="not a"):
        read_envelope(boxed(parts), "m")


@pytest.mark.parametrize("values", [None, [], {}, {"ocspVals": b"x"}, {"ocspVals": [1, "x"]}])
def test_odd_revocation_values_count_as_none(values: object) -> None:
    sealed = read_envelope(boxed([b"p", {"rVals": values}, None, b"s"]), "m")
    assert sealed.revocation == ()
    odd = {"sigTst2": {"tstTokens": [{"val": "text"}]}}
    assert read_envelope(boxed([b"p", odd, None, b"s"]), "m").token is None


def test_the_chain_is_told_as_one_or_as_many(tmp_path: object) -> None:
    from guard.provenance import pki
    from guard.provenance.claim_key import CallbackKey
    from guard.provenance.envelope import protected_header

    root = pki.issue(pki.ROOT)
    leaf = pki.issue(pki.SIGNER, root, ec.generate_private_key(ec.SECP384R1()))
    for pem, kind in ((leaf.pem, bytes), (leaf.pem + root.pem, list)):
        header = cbor.decode(protected_header(CallbackKey.of(pem, bytes)))
        assert header[1] == -35
        assert isinstance(header[33], kind)
