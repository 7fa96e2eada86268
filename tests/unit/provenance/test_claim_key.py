"""Keys that others hold: what they are shown, and what becomes of wrong answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from guard.errors import GuardError, KeyInvalid, SigningKeyUnavailable, Unavailable
from guard.image.encode import encode
from guard.provenance import pki
from guard.provenance.claim_key import CallbackKey, ClaimKey, signature_of
from guard.provenance.read import read_manifest
from guard.provenance.sign import C2paSigner
from guard.provenance.signatures import _verify, algorithm_of, in_cose_form, sign_raw
from guard.provenance.trust import TrustList, anchors_of

from .kit import PAYLOAD, facts, picture, sign

ALGORITHMS = ["es256", "es384", "es512", "ps256", "ed25519"]
ROOT = pki.issue(pki.ROOT)


def held(algorithm: str = "es256") -> pki.Credential:
    return pki.issue(pki.SIGNER, ROOT, pki.new_key(algorithm))


def chain(credential: pki.Credential) -> bytes:
    return credential.pem + ROOT.pem


@pytest.fixture(scope="module")
def credential() -> pki.Credential:
    return held()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_callback_signs(algorithm: str) -> None:
    credential = held(algorithm)
    seen: list[bytes] = []

    def signs(message: bytes) -> bytes:
        seen.append(message)
        return sign_raw(credential.key, message)

    key: ClaimKey = CallbackKey.of(chain(credential), signs)
    assert key.algorithm == algorithm
    data = sign(C2paSigner(key), "image/jpeg")
    trust = TrustList((anchors_of("test", ROOT.pem, date="", uri="urn:test"),))
    reading = read_manifest(data, "image/jpeg", trust)
    assert reading is not None
    assert reading.state == "trusted"
    assert reading.soft_bindings[0] == ("org.genguard.pilot-1", PAYLOAD)
    (message,) = seen
    assert len(message) < 6000, "the claim and the certificates, no pixels"


def test_pixels_never_go_to_the_key(credential: pki.Credential) -> None:
    shown: list[bytes] = []

    def signs(message: bytes) -> bytes:
        shown.append(message)
        return sign_raw(credential.key, message)

    pixels = picture()
    C2paSigner(CallbackKey.of(chain(credential), signs)).sign(
        encode(pixels, "image/tiff"), "image/tiff", facts()
    )
    rows = [pixels[row].tobytes()[:24] for row in range(0, 96, 8)]
    assert not any(row in message for row in rows for message in shown)


@pytest.mark.parametrize("algorithm", ["es256", "es384", "es512"])
def test_key_services_answer_der(algorithm: str) -> None:
    credential = held(algorithm)
    hashed = {"es256": hashes.SHA256(), "es384": hashes.SHA384(), "es512": hashes.SHA512()}
    private = credential.key
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    key = CallbackKey.of(
        chain(credential), lambda message: private.sign(message, ec.ECDSA(hashed[algorithm]))
    )
    width = (private.key_size + 7) // 8
    assert len(signature_of(key, b"message")) == 2 * width


def raises(message: bytes) -> bytes:
    raise ConnectionError("the key service is gone")


@pytest.mark.parametrize(
    ("signs", "why"),
    [
        (raises, "ConnectionError: the key service is gone"),
        (lambda _: None, "NoneType"),
        (lambda _: "text", "str"),
        (lambda _: b"", "raised ValueError"),
        (lambda _: b"x" * 64, "does not verify"),
        (lambda _: b"\x30\x06\x02\x01\x01\x02\x01\x01", "does not verify"),
        (lambda message: sign_raw(held().key, message), "does not verify"),
    ],
)
def test_wrong_answers_are_one_error(credential: pki.Credential, signs: Any, why: str) -> None:
    signer = C2paSigner(CallbackKey.of(chain(credential), signs))
    with pytest.raises(SigningKeyUnavailable, match=why) as caught:
        sign(signer)
    assert isinstance(caught.value, Unavailable)
    assert caught.value.hint


def test_a_keys_own_error_is_passed_on(credential: pki.Credential) -> None:
    def refuses(_: bytes) -> bytes:
        raise KeyInvalid("locked", hint="unlock")

    with pytest.raises(KeyInvalid, match="locked"):
        signature_of(CallbackKey.of(chain(credential), refuses), b"message")


def test_the_guard_takes_a_callback(
    furnished: Path, credential: pki.Credential, default_policy: Any
) -> None:
    from guard.assemble import build_rooms
    from guard.settings import Settings

    key = CallbackKey.of(chain(credential), lambda message: sign_raw(credential.key, message))
    rooms = build_rooms(default_policy, Settings(home=furnished), signing_key=key)
    assert rooms.signer.certificate_fingerprint == key.certificate_fingerprint


def test_chains_that_are_none() -> None:
    with pytest.raises(KeyInvalid, match="not a PEM"):
        CallbackKey.of(b"nothing", bytes)
    odd = pki.issue(pki.SIGNER, ROOT, ec.generate_private_key(ec.SECP256K1()))
    with pytest.raises(KeyInvalid, match="secp256k1"):
        CallbackKey.of(odd.pem, bytes)


def test_a_chain_of_one(credential: pki.Credential) -> None:
    """Legal where the root issued the signer: verifiers have the root."""
    key = CallbackKey.of(credential.pem, lambda message: sign_raw(credential.key, message))
    reading = read_manifest(
        sign(C2paSigner(key)),
        "image/png",
        TrustList((anchors_of("test", ROOT.pem, date="", uri="urn:test"),)),
    )
    assert reading is not None
    assert reading.state == "trusted"


@pytest.mark.parametrize("missing", ["key_usage", "authority_key"])
def test_what_verifiers_refuse_is_the_keys_fault(missing: str) -> None:
    from cryptography.x509.oid import ExtensionOID

    without = {
        "key_usage": ExtensionOID.KEY_USAGE,
        "authority_key": ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    }[missing]
    bad = pki.issue(pki.SIGNER.but(without=frozenset({without})), ROOT)
    key = CallbackKey.of(chain(bad), lambda message: sign_raw(bad.key, message))
    with pytest.raises(KeyInvalid, match="does not accept"):
        sign(C2paSigner(key))


def test_algorithms_that_c2pa_lacks() -> None:
    with pytest.raises(KeyInvalid, match="1024 bits"):
        algorithm_of(rsa.generate_private_key(65537, 1024).public_key())  # noqa: S505
    with pytest.raises(KeyInvalid, match="of this kind"):
        algorithm_of(dsa.generate_private_key(2048).public_key())
    with pytest.raises(InvalidSignature):
        _verify(dsa.generate_private_key(2048).public_key(), b"m", b"s")


def test_a_signature_of_another_curve() -> None:
    wide = ec.generate_private_key(ec.SECP521R1())
    der = wide.sign(b"message", ec.ECDSA(hashes.SHA512()))
    with pytest.raises(ValueError, match="another curve"):
        in_cose_form(ec.generate_private_key(ec.SECP256R1()).public_key(), der)
    other = ed25519.Ed25519PrivateKey.generate()
    assert in_cose_form(other.public_key(), b"raw") == b"raw"


def test_what_a_key_says_of_itself(credential: pki.Credential) -> None:
    key = CallbackKey.of(chain(credential), bytes)
    assert key.development
    assert key.chain_pem == chain(credential)
    assert key.expires == credential.certificate.not_valid_after_utc
    assert "BEGIN" not in repr(key)
    assert isinstance(GuardError("x"), Exception)
    assert credential.certificate.public_bytes(Encoding.PEM) == credential.pem
