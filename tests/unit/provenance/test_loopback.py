"""The development services, asked over real HTTP by libraries that others wrote."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from guard.errors import KeyInvalid
from guard.provenance import der, pki, stamping
from guard.provenance.development import DevelopmentPki, create_development_keys
from guard.provenance.loopback import Answers, DevelopmentServices
from guard.provenance.ocsp_reply import OcspAnswer, answer_about
from guard.provenance.service_keys import load_service_keys

DATA = b"what was signed"
LONG_AGO = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[DevelopmentServices]:
    with DevelopmentServices() as services:
        yield services


@pytest.fixture
def services(running: DevelopmentServices) -> DevelopmentServices:
    """The same ones, with their first answers."""
    running.answers = Answers()
    running.served.clear()
    return running


def post(url: str, body: bytes) -> httpx.Response:
    return httpx.post(url, content=body, trust_env=False, timeout=20)


def query(algorithm: HashAlgorithm = HashAlgorithm.SHA256) -> TimeStampRequest:
    return TimestampRequestBuilder(data=DATA, hash_algorithm=algorithm).build()


def stamp(
    services: DevelopmentServices, asked: TimeStampRequest | None = None
) -> TimeStampResponse:
    answer = post(services.tsa_url, (asked or query()).as_bytes())
    assert answer.headers["content-type"] == "application/timestamp-reply"
    return decode_timestamp_response(answer.content)


def verify(
    services: DevelopmentServices, answer: TimeStampResponse, nonce: int | None = None
) -> bool:
    builder = VerifierBuilder().add_root_certificate(services.pki.tsa_root.certificate)
    if nonce is not None:
        builder = builder.nonce(nonce)
    return builder.build().verify_message(answer, DATA)


# -- time-stamps ------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [HashAlgorithm.SHA256, HashAlgorithm.SHA512])
def test_a_time_stamp_verifies(services: DevelopmentServices, algorithm: HashAlgorithm) -> None:
    asked = query(algorithm)
    answer = stamp(services, asked)
    assert verify(services, answer, asked.nonce)
    assert abs(answer.tst_info.gen_time - datetime.now(UTC)) < timedelta(seconds=10)
    assert services.served == {"/tsa": 1}


def test_it_stamps_the_time_that_it_is_told(services: DevelopmentServices) -> None:
    services.answers.stamp_time = LONG_AGO
    assert stamp(services).tst_info.gen_time == LONG_AGO


def test_the_root_of_claims_does_not_vouch_for_it(services: DevelopmentServices) -> None:
    verifier = VerifierBuilder().add_root_certificate(services.pki.root.certificate).build()
    with pytest.raises(VerificationError):
        verifier.verify_message(stamp(services), DATA)


@pytest.mark.parametrize("how", ["wrong_nonce", "wrong_digest"])
def test_a_wrong_answer_does_not_verify(services: DevelopmentServices, how: str) -> None:
    services.answers.tsa = how
    asked = query()
    answer = stamp(services, asked)
    with pytest.raises(VerificationError):
        verify(services, answer, asked.nonce)


def test_a_rejection_says_so(services: DevelopmentServices) -> None:
    services.answers.tsa = "rejected"
    status, reason = der.children(
        next(
            der.children(der.read(post(services.tsa_url, query().as_bytes()).content).content)
        ).content
    )
    assert int.from_bytes(status.content, "big") == stamping.REJECTION
    assert b"told to reject" in reason.content


def test_an_unknown_digest_is_rejected() -> None:
    imprint = der.sequence(der.sequence(der.oid("1.2.3.4")), der.octets(bytes(32)))
    asked = stamping.read_request(der.sequence(der.integer(1), imprint))
    assert not asked.wants_certificates
    made = DevelopmentPki.create()
    answer = der.read(stamping.reply(asked, made.tsa))
    (status,) = der.children(answer.content)
    assert bytes([der.BIT_STRING, 2, 7, 0x80]) in status.content, "badAlg (RFC 3161, 2.4.2)"


def test_an_rsa_authority_and_a_token_without_certificates() -> None:
    made = DevelopmentPki.create()
    authority = pki.issue(pki.TSA, made.tsa_issuing, pki.new_key("ps256"))
    asked = TimestampRequestBuilder(data=DATA).cert_request(cert_request=False).build()
    answer = stamping.reply(stamping.read_request(asked.as_bytes()), authority)
    token = decode_timestamp_response(answer)
    assert not token.signed_data.certificates
    builder = VerifierBuilder().tsa_certificate(authority.certificate)
    for one in (made.tsa_issuing, made.tsa_root):
        builder = builder.add_intermediate_certificate(one.certificate)
    builder = builder.add_root_certificate(made.tsa_root.certificate)
    assert builder.build().verify_message(token, DATA)


def test_edwards_keys_stamp_nothing() -> None:
    made = DevelopmentPki.create()
    authority = pki.issue(pki.TSA, made.tsa_issuing, pki.new_key("ed25519"))
    with pytest.raises(TypeError, match="ECDSA or RSA"):
        stamping.reply(stamping.read_request(query().as_bytes()), authority)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        der.sequence(der.integer(1)),
        der.integer(1),
        der.sequence(der.integer(2), der.sequence()),
    ],
)
def test_what_is_no_request_is_refused(services: DevelopmentServices, body: bytes) -> None:
    for url in (services.tsa_url, services.ocsp_url):
        assert post(url, body).status_code == 400


# -- OCSP -------------------------------------------------------------------------------------


def question(services: DevelopmentServices, nonce: bytes | None = b"a nonce of ours") -> bytes:
    made = services.pki
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        made.signer.certificate, made.issuing.certificate, hashes.SHA256()
    )
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def status(
    services: DevelopmentServices, nonce: bytes | None = b"a nonce of ours"
) -> ocsp.OCSPResponse:
    answer = post(services.ocsp_url, question(services, nonce))
    assert answer.headers["content-type"] == "application/ocsp-response"
    return ocsp.load_der_ocsp_response(answer.content)


@pytest.mark.parametrize("said", ["good", "revoked", "unknown"])
@pytest.mark.parametrize("by", ["delegated", "issuer"])
def test_it_answers_what_it_is_told(services: DevelopmentServices, said: str, by: str) -> None:
    services.answers = Answers(ocsp=said, ocsp_signer=by, revoked_at=LONG_AGO)
    answer = status(services)
    assert answer.certificate_status.name == said.upper()
    assert (
        answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"a nonce of ours"
    )
    assert answer.revocation_time_utc == (LONG_AGO if said == "revoked" else None)
    assert answer.this_update_utc < datetime.now(UTC) < answer.next_update_utc
    made = services.pki
    signer = made.responder if by == "delegated" else made.issuing
    assert answer.certificates == ([made.responder.certificate] if by == "delegated" else [])
    assert answer.signature_hash_algorithm is not None
    signer.certificate.public_key().verify(  # type: ignore[union-attr,call-arg]
        answer.signature,
        answer.tbs_response_bytes,
        pki.ec.ECDSA(answer.signature_hash_algorithm),  # type: ignore[arg-type]
    )


def test_nonces(services: DevelopmentServices) -> None:
    services.answers.ocsp = "wrong_nonce"
    found = status(services).extensions.get_extension_for_class(x509.OCSPNonce)
    assert found.value.nonce != b"a nonce of ours"
    services.answers.ocsp = "no_nonce"
    assert not list(status(services).extensions)
    services.answers.ocsp = "good"
    assert not list(status(services, None).extensions), "none asked, none answered"


def test_a_stale_answer_and_one_that_is_none(services: DevelopmentServices) -> None:
    services.answers.ocsp = "stale"
    assert status(services).next_update_utc < datetime.now(UTC)
    services.answers.ocsp = "try_later"
    assert status(services).response_status is ocsp.OCSPResponseStatus.TRY_LATER


def test_a_certificate_of_another_issuer_is_unknown(services: DevelopmentServices) -> None:
    other = DevelopmentPki.create()
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        other.signer.certificate,
        other.issuing.certificate,
        hashes.SHA1(),  # noqa: S303
    )
    answer = post(services.ocsp_url, builder.build().public_bytes(Encoding.DER))
    loaded = ocsp.load_der_ocsp_response(answer.content)
    assert loaded.certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def test_questions_by_get(services: DevelopmentServices) -> None:
    encoded = quote(base64.b64encode(question(services, None)).decode(), safe="")
    answer = httpx.get(f"{services.ocsp_url}/{encoded}", trust_env=False)
    assert ocsp.load_der_ocsp_response(answer.content).certificate_status.name == "GOOD"
    for path in ("/ocsp/", "/ocsp/%%%", "/tsa/AAAA", "/", "/elsewhere"):
        base = services.ocsp_url.removesuffix("/ocsp")
        assert httpx.get(base + path, trust_env=False).status_code == 404


def test_it_hands_out_the_issuers_certificate(services: DevelopmentServices) -> None:
    access = services.pki.signer.certificate.extensions.get_extension_for_class(
        x509.AuthorityInformationAccess
    )
    url = access.value[1].access_location.value
    loaded = x509.load_der_x509_certificate(httpx.get(url, trust_env=False).content)
    assert loaded == services.pki.issuing.certificate


def test_an_answer_to_staple(services: DevelopmentServices) -> None:
    made = services.pki
    answer = answer_about(
        made.signer.certificate, made.issuing.certificate, made.responder, OcspAnswer("revoked")
    )
    loaded = ocsp.load_der_ocsp_response(answer)
    assert loaded.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert loaded.serial_number == made.signer.certificate.serial_number


# -- HTTP -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "code"), [("down", 503), ("broken", 200)])
def test_out_of_order(services: DevelopmentServices, how: str, code: int) -> None:
    services.answers = Answers(tsa=how, ocsp=how)
    for url, body in (
        (services.tsa_url, query().as_bytes()),
        (services.ocsp_url, question(services)),
    ):
        answer = post(url, body)
        assert answer.status_code == code
        with pytest.raises(ValueError, match=r"\w"):
            der.read(answer.content)


def test_a_slow_answer_comes_late_and_ends_with_the_services() -> None:
    with DevelopmentServices() as services:
        services.answers = Answers(tsa="slow", ocsp="slow", delay=0.2)
        start = time.monotonic()
        assert stamp(services)
        assert time.monotonic() - start >= 0.2
        services.answers.delay = 60
        with pytest.raises(httpx.TimeoutException):
            httpx.post(services.ocsp_url, content=question(services), timeout=0.1, trust_env=False)
        start = time.monotonic()
    assert time.monotonic() - start < 5, "nobody waits for what nobody wants any more"


def test_sizes_and_paths(services: DevelopmentServices) -> None:
    assert post(services.tsa_url, bytes(100_000)).status_code == 413
    assert post(services.tsa_url + "x", b"").status_code == 404
    chunked = httpx.post(services.tsa_url, content=iter([b"x"]), trust_env=False)
    assert chunked.status_code == 413, "a length must be said"


def test_it_listens_on_this_machine_alone(services: DevelopmentServices) -> None:
    assert services.tsa_url.startswith("http://127.0.0.1:")
    assert services._server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken(services: DevelopmentServices) -> None:
    with pytest.raises(OSError, match="in use"):
        DevelopmentServices(port=services._server.server_port)


def test_services_that_never_ran_close(tmp_path: Path) -> None:
    services = DevelopmentServices()
    services.close()


# -- keys that are kept -----------------------------------------------------------------------


def test_a_home_keeps_what_its_services_sign_with(tmp_path: Path) -> None:
    files = create_development_keys(tmp_path, ocsp_url="http://127.0.0.1:9/ocsp")
    keys, url = load_service_keys(tmp_path)
    assert url == "http://127.0.0.1:9/ocsp"
    folder = tmp_path / "keys" / "services"
    assert files.tsa_ca == folder / "tsa-ca.pem"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    with DevelopmentServices(keys) as services:
        with pytest.raises(ValueError, match="made no PKI"):
            _ = services.pki
        root = x509.load_pem_x509_certificate(files.tsa_ca.read_bytes())
        verifier = VerifierBuilder().add_root_certificate(root).build()
        assert verifier.verify_message(stamp(services), DATA)
        services.answers.ocsp_signer = "issuer"
        assert post(services.ocsp_url, b"\x30\x00").status_code == 400, "no CA's key was kept"


def test_no_authoritys_key_is_kept(tmp_path: Path) -> None:
    create_development_keys(tmp_path, ocsp_url="http://127.0.0.1:9/ocsp")
    kept = {
        path.name
        for path in (tmp_path / "keys").rglob("*")
        if path.is_file() and b"PRIVATE" in path.read_bytes()
    }
    assert kept == {"signing.key", "tsa.key", "ocsp.key"}


def test_earlier_time_stamping_roots_stay(tmp_path: Path) -> None:
    for replace in (False, True):
        create_development_keys(tmp_path, ocsp_url="http://127.0.0.1:9/ocsp", replace=replace)
    roots = (tmp_path / "keys" / "services" / "tsa-ca.pem").read_bytes()
    assert len(x509.load_pem_x509_certificates(roots)) == 2
    load_service_keys(tmp_path)


def test_services_of_earlier_keys_are_not_started(tmp_path: Path) -> None:
    create_development_keys(tmp_path)
    with pytest.raises(KeyInvalid, match="without services") as caught:
        load_service_keys(tmp_path)
    assert "--replace" in caught.value.hint
    create_development_keys(tmp_path, replace=True, ocsp_url="http://127.0.0.1:9/ocsp")
    create_development_keys(tmp_path, replace=True)
    with pytest.raises(KeyInvalid, match="cannot be used"):
        load_service_keys(tmp_path)


@pytest.mark.parametrize("name", ["tsa.pem", "tsa.key", "ocsp.pem", "ocsp.key", "tsa-ca.pem"])
def test_a_broken_services_key(tmp_path: Path, name: str) -> None:
    create_development_keys(tmp_path, ocsp_url="http://127.0.0.1:9/ocsp")
    (tmp_path / "keys" / "services" / name).write_bytes(b"broken")
    with pytest.raises(KeyInvalid, match="cannot be used"):
        load_service_keys(tmp_path)


def test_services_of_another_pki(tmp_path: Path) -> None:
    create_development_keys(tmp_path, ocsp_url="http://127.0.0.1:9/ocsp")
    other = DevelopmentPki.create()
    folder = tmp_path / "keys" / "services"
    (folder / "ocsp.pem").write_bytes(other.responder.chain_pem)
    (folder / "ocsp.key").write_bytes(other.responder.key_pem)
    with pytest.raises(KeyInvalid, match="earlier keys"):
        load_service_keys(tmp_path)
    (folder / "ocsp.key").write_bytes(pki.issue(pki.SIGNER, key=pki.new_key("ed25519")).key_pem)
    with pytest.raises(KeyInvalid, match="cannot be used"):
        load_service_keys(tmp_path)
