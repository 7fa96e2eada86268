"""The answering side of OCSP (RFC 6960), for development and tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from guard.provenance import der
from guard.provenance.pki import Credential

STATUSES = {
    "good": ocsp.OCSPCertStatus.GOOD,
    "revoked": ocsp.OCSPCertStatus.REVOKED,
    "unknown": ocsp.OCSPCertStatus.UNKNOWN,
}

VALID_FOR = timedelta(hours=24)
REVOKED_AGO = timedelta(hours=2)
"""How long before it was asked about a revoked certificate was revoked, unless said otherwise."""


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """What to answer. ``nonce`` None: as asked; b"": none; else these bytes, which were not asked.

    ``when`` is the answer's thisUpdate; it holds for :data:`VALID_FOR` from then.
    """

    status: str = "good"
    nonce: bytes | None = None
    when: datetime | None = None
    revoked_at: datetime | None = None
    reason: x509.ReasonFlags = x509.ReasonFlags.key_compromise


def ocsp_reply(
    request: bytes, issuer: x509.Certificate, signer: Credential, answer: OcspAnswer
) -> bytes:
    """A DER OCSPResponse about the certificate that ``request`` (DER) asks about.

    ``signer``: a delegated responder under ``issuer``, or the issuer itself. A certificate of
    another issuer is unknown. Raises ValueError when ``request`` is none.
    """
    asked = ocsp.load_der_ocsp_request(request)
    expected = _certificate_id(issuer, asked)
    ours = (asked.issuer_name_hash, asked.issuer_key_hash) == expected
    builder = _answered(asked, answer if ours else OcspAnswer("unknown", answer.nonce, answer.when))
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    nonce = _nonce(asked) if answer.nonce is None else answer.nonce
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    if signer.certificate != issuer:
        builder = builder.certificates([signer.certificate])
    return builder.sign(signer.key, _hash_of(signer)).public_bytes(Encoding.DER)


def answer_about(
    certificate: x509.Certificate, issuer: x509.Certificate, signer: Credential, answer: OcspAnswer
) -> bytes:
    """A DER OCSPResponse about ``certificate``, as a signer would staple it: no nonce."""
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303  # names, does not protect; RFC 5019 asks for it
    return ocsp_reply(request.build().public_bytes(Encoding.DER), issuer, signer, answer)


def try_later() -> bytes:
    """The answer of a responder that cannot say now."""
    refusal = ocsp.OCSPResponseStatus.TRY_LATER
    return ocsp.OCSPResponseBuilder.build_unsuccessful(refusal).public_bytes(Encoding.DER)


def _answered(asked: ocsp.OCSPRequest, answer: OcspAnswer) -> ocsp.OCSPResponseBuilder:
    status = STATUSES[answer.status]
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    when = answer.when or datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    return ocsp.OCSPResponseBuilder().add_response_by_hash(
        issuer_name_hash=asked.issuer_name_hash,
        issuer_key_hash=asked.issuer_key_hash,
        serial_number=asked.serial_number,
        algorithm=asked.hash_algorithm,
        cert_status=status,
        this_update=when,
        next_update=when + VALID_FOR,
        revocation_time=(answer.revoked_at or when - REVOKED_AGO) if revoked else None,
        revocation_reason=answer.reason if revoked else None,
    )


def _certificate_id(issuer: x509.Certificate, asked: ocsp.OCSPRequest) -> tuple[bytes, bytes]:
    """Hashes of the issuer's name and key, with the algorithm that was asked with."""
    spki = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    _, bits = der.children(der.read(spki).content)
    name, key = (hashes.Hash(asked.hash_algorithm) for _ in range(2))
    name.update(issuer.subject.public_bytes())
    key.update(bits.content[1:])  # without the count of unused bits
    return name.finalize(), key.finalize()


def _nonce(asked: ocsp.OCSPRequest) -> bytes:
    try:
        return asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return b""


def _hash_of(signer: Credential) -> hashes.HashAlgorithm:
    key = signer.key
    large = isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256
    return hashes.SHA384() if large else hashes.SHA256()
