"""A revoked certificate never reads trusted, whoever signed the answer that says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.image.encode import EXTENSIONS
from guard.provenance import cbor, pki, revocation
from guard.provenance.container import extract_manifest_store
from guard.provenance.cose import active_label
from guard.provenance.keys import load_signing_keys
from guard.provenance.ocsp_reply import try_later
from guard.provenance.read import examine_manifest, read_manifest
from guard.provenance.revocation import REVOKED, revoked_at
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import TrustList, anchors_of

from .authority import TIME_STAMPING, Authority
from .kit import Roomy, sign
from .revoked import REVOKED_AT, answer, stapled

GOOD = ocsp.OCSPCertStatus.GOOD
UNKNOWN = ocsp.OCSPCertStatus.UNKNOWN


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def trust(authority: Authority) -> TrustList:
    return TrustList((anchors_of("test", authority.pem, date="", uri="urn:test"),))


@pytest.fixture(scope="module")
def leaf_and_files(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> tuple[x509.Certificate, dict[str, bytes]]:
    folder = tmp_path_factory.mktemp("signer")
    chain, key = authority.issue(folder)
    signer = C2paSigner(load_signing_keys(folder, chain, key), Roomy())
    leaf = x509.load_pem_x509_certificates(chain.read_bytes())[0]
    return leaf, {kind: sign(signer, kind) for kind in EXTENSIONS}


Signed = tuple[x509.Certificate, dict[str, bytes]]


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
@pytest.mark.parametrize("delegated", [False, True], ids=["by the CA", "by a responder"])
def test_revoked(
    authority: Authority,
    trust: TrustList,
    leaf_and_files: Signed,
    delegated: bool,
    media_type: str,
) -> None:
    leaf, files = leaf_and_files
    data = stapled(files[media_type], media_type, answer(authority, leaf, delegated=delegated))
    for look in (read_manifest, examine_manifest):
        reading = look(data, media_type, trust)
        assert reading is not None
        assert reading.state == "valid", "it says something of the signer, nothing of the picture"
        assert reading.trust_list is None
        assert REVOKED in reading.problems
        assert reading.revoked == REVOKED_AT.isoformat()


def test_a_revoked_signer_of_a_changed_picture(
    authority: Authority, trust: TrustList, leaf_and_files: Signed
) -> None:
    leaf, files = leaf_and_files
    data = stapled(files["image/jpeg"], "image/jpeg", answer(authority, leaf)) + b"x"
    reading = read_manifest(data, "image/jpeg", trust)
    assert reading is not None
    assert reading.state == "invalid"
    assert reading.hard_binding_only


@pytest.mark.parametrize("delegated", [False, True])
@pytest.mark.parametrize("status", [GOOD, UNKNOWN])
def test_not_revoked(
    authority: Authority,
    trust: TrustList,
    leaf_and_files: Signed,
    status: ocsp.OCSPCertStatus,
    delegated: bool,
) -> None:
    leaf, files = leaf_and_files
    der = answer(authority, leaf, status=status, delegated=delegated)
    reading = read_manifest(stapled(files["image/png"], "image/png", der), "image/png", trust)
    assert reading is not None
    assert (reading.state, reading.revoked) == ("trusted", None)


@pytest.mark.parametrize("delegated", [False, True])
def test_an_answer_that_anybody_made_proves_nothing(
    authority: Authority, trust: TrustList, leaf_and_files: Signed, delegated: bool
) -> None:
    leaf, files = leaf_and_files
    der = answer(authority, leaf, delegated=delegated, forger=Authority())
    reading = read_manifest(stapled(files["image/png"], "image/png", der), "image/png", trust)
    assert reading is not None
    assert reading.state == "trusted"


def test_an_answer_about_another_certificate(
    authority: Authority, trust: TrustList, leaf_and_files: Signed, tmp_path: Path
) -> None:
    other = x509.load_pem_x509_certificates(authority.issue(tmp_path)[0].read_bytes())[0]
    data = stapled(leaf_and_files[1]["image/png"], "image/png", answer(authority, other))
    reading = read_manifest(data, "image/png", trust)
    assert reading is not None
    assert reading.state == "trusted"


def test_one_of_several_answers_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    issuing = pki.issue(pki.ISSUING_CA)
    signer, other = pki.issue(pki.SIGNER, issuing), pki.issue(pki.SIGNER, issuing)
    several = [
        b"nonsense",
        _reply(other.certificate, issuing.certificate, issuing),
        _reply(signer.certificate, issuing.certificate, issuing),
    ]
    _header(monkeypatch, signer, {"rVals": {"ocspVals": several}})
    anchors = (issuing.certificate,)
    assert revoked_at(b"", "", anchors) == REVOKED_AT
    _header(monkeypatch, signer, {"rVals": {"ocspVals": several[:2]}})
    assert revoked_at(b"", "", anchors) is None


# -- keys of every kind ----------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["es256", "es384", "es512", "ps256", "ed25519"])
@pytest.mark.parametrize("delegated", [False, True])
def test_keys_of_every_kind(
    monkeypatch: pytest.MonkeyPatch, algorithm: str, delegated: bool
) -> None:
    root = pki.issue(pki.ROOT)
    issuing = pki.issue(pki.ISSUING_CA, root, pki.new_key(algorithm))
    signer = pki.issue(pki.SIGNER, issuing)
    by = pki.issue(pki.OCSP_RESPONDER, issuing, pki.new_key(algorithm)) if delegated else issuing
    der = _reply(signer.certificate, issuing.certificate, by)
    header: dict[str, Any] = {"rVals": {"ocspVals": [der]}}
    _header(monkeypatch, signer, header)
    assert revoked_at(b"", "") is not None
    signature = ocsp.load_der_ocsp_response(der).signature
    header["rVals"]["ocspVals"] = [
        der.replace(signature, signature[:-1] + bytes([signature[-1] ^ 1]))
    ]
    assert revoked_at(b"", "") is None


def test_a_responder_that_was_not_appointed(monkeypatch: pytest.MonkeyPatch) -> None:
    issuing = pki.issue(pki.ISSUING_CA)
    signer = pki.issue(pki.SIGNER, issuing)
    for template in (
        pki.OCSP_RESPONDER.but(usages=(TIME_STAMPING,)),
        pki.OCSP_RESPONDER.but(usages=()),
    ):
        by = pki.issue(template, issuing)
        _header(
            monkeypatch,
            signer,
            {"rVals": {"ocspVals": [_reply(signer.certificate, issuing.certificate, by)]}},
        )
        assert revoked_at(b"", "") is None


def test_an_issuer_that_only_the_trust_list_has(monkeypatch: pytest.MonkeyPatch) -> None:
    root = pki.issue(pki.ROOT)
    signer = pki.issue(pki.SIGNER, root)
    der = _reply(signer.certificate, root.certificate, root)
    _header(monkeypatch, signer, {"rVals": {"ocspVals": [der]}})
    assert revoked_at(b"", "") is None, "the chain leaves the root out"
    assert revoked_at(b"", "", (root.certificate,)) is not None


def _reply(leaf: x509.Certificate, issuer: x509.Certificate, by: pki.Credential) -> bytes:
    """As :func:`answer`, with credentials whose keys are of any kind."""
    plain = isinstance(by.key, ed25519.Ed25519PrivateKey)
    now = datetime.now(UTC)
    built = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            leaf,
            issuer,
            hashes.SHA256(),
            cert_status=ocsp.OCSPCertStatus.REVOKED,
            this_update=now,
            next_update=None,
            revocation_time=REVOKED_AT,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, by.certificate)
        .certificates([by.certificate])
    )
    return built.sign(by.key, None if plain else hashes.SHA256()).public_bytes(Encoding.DER)


def _header(
    monkeypatch: pytest.MonkeyPatch, signer: pki.Credential, unprotected: dict[str, object]
) -> None:
    above = [one for one in signer.issuers if one.subject != one.issuer]
    chain = [one.public_bytes(Encoding.DER) for one in (signer.certificate, *above)]
    protected = cbor.head(5, 1) + cbor.head(0, 33) + cbor.array(*map(cbor.byte_string, chain))
    monkeypatch.setattr(
        revocation, "signature_parts", lambda *_: [protected, unprotected, None, b""]
    )


# -- hostile headers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        None,
        7,
        {},
        {"ocspVals": None},
        {"ocspVals": 7},
        {"ocspVals": [None, 7, b"", b"\x30\x03\x0a\x01\x06"]},
        {"ocspVals": [b"x"] * 10_000},
    ],
)
def test_strange_headers(monkeypatch: pytest.MonkeyPatch, values: object) -> None:
    _header(monkeypatch, pki.issue(pki.SIGNER, pki.issue(pki.ISSUING_CA)), {"rVals": values})
    assert revoked_at(b"", "") is None


def test_an_answer_that_says_try_later(monkeypatch: pytest.MonkeyPatch) -> None:
    header = {"rVals": {"ocspVals": [try_later()]}}
    _header(monkeypatch, pki.issue(pki.SIGNER, pki.issue(pki.ISSUING_CA)), header)
    assert revoked_at(b"", "") is None


def test_a_key_that_signs_no_answers() -> None:
    class Odd:
        def public_key(self) -> object:
            return dsa.generate_private_key(2048).public_key()

    class Answer:
        signature = tbs_response_bytes = b""
        signature_hash_algorithm = None

    odd: object = Odd()
    with pytest.raises(ValueError, match="no C2PA certificate"):
        revocation._key_bits(odd)  # type: ignore[arg-type]
    assert not revocation._verifies(Answer(), odd)  # type: ignore[arg-type]
    Answer.signature_hash_algorithm = "sha256"  # type: ignore[assignment]
    assert not revocation._verifies(Answer(), odd)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=timedelta(seconds=2))
@given(junk=st.binary(max_size=300))
def test_never_raises(junk: bytes) -> None:
    assert revoked_at(junk, "x") is None


def test_a_store_without_an_answer(leaf_and_files: Signed) -> None:
    store = extract_manifest_store(leaf_and_files[1]["image/png"], "image/png") or b""
    assert revoked_at(store, active_label(store)) is None
