"""Whether a signer's certificate was revoked, by the OCSP answers stapled to its signature.

The c2pa library believes an answer of a delegated responder, and lets one pass that the issuing CA
signed itself, which RFC 6960 section 4.2.2.2 allows: such a revoked certificate read as trusted.
So the answers are read here. One that is not signed by the issuer, or by a responder that the
issuer appointed, proves nothing: it stands outside the signature, where anybody can put it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from guard.provenance import cbor
from guard.provenance.cose import signature_parts

REVOKED = "signingCredential.ocsp.revoked"
"""C2PA 2.4 section 15.2.2."""

MAX_ANSWERS = 16
"""So many stapled answers are read; a signer staples one for each certificate of its chain."""

MAX_CHAIN = 16
"""So many certificates of a chain are read; real chains have two to four."""

_X5CHAIN = (33, "x5chain")
_BROKEN = (ValueError, TypeError, LookupError, AttributeError, UnsupportedAlgorithm)


def revoked_at(
    store: bytes, manifest_label: str, anchors: Sequence[x509.Certificate] = ()
) -> datetime | None:
    """When the certificate that signed a manifest was revoked (UTC); None: nobody proves it was.

    ``anchors`` are looked at for an issuer that the signature's chain leaves out. The earliest
    date counts, also one after the signature was made: the key may have been lost long before
    anybody noticed. Never raises on hostile bytes.
    """
    with suppress(*_BROKEN):
        protected, unprotected, _, _ = signature_parts(store, manifest_label)
        answers = _answers(unprotected)
        if not answers:
            return None
        leaf, *others = _chain(cbor.decode(protected), unprotected)
        issuers = [one for one in (*others, *anchors) if _issued(leaf, one)]
        times = [when for der in answers for when in _times(der, leaf, issuers)]
        return min(times, default=None)
    return None


def stands_behind(issuer: x509.Certificate, answer: ocsp.OCSPResponse) -> bool:
    """Whether ``issuer`` signed an OCSP answer, itself or through a responder of its own."""
    return _signed(answer, issuer)


def _chain(protected: Any, unprotected: Any) -> list[x509.Certificate]:
    found = [headers.get(key) for headers in (protected, unprotected) for key in _X5CHAIN]
    chain = next(one for one in found if one)
    listed = [chain] if isinstance(chain, bytes) else chain[:MAX_CHAIN]
    return [x509.load_der_x509_certificate(der) for der in listed]


def _answers(unprotected: Any) -> list[bytes]:
    values = unprotected.get("rVals")
    listed = values.get("ocspVals") if isinstance(values, dict) else None
    return [one for one in (listed or ())[:MAX_ANSWERS] if isinstance(one, bytes)]


def _issued(leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (*_BROKEN, InvalidSignature):
        return False
    return True


def _times(
    der: bytes, leaf: x509.Certificate, issuers: Sequence[x509.Certificate]
) -> Iterator[datetime]:
    """The times of revocation of ``leaf`` that an answer proves."""
    with suppress(*_BROKEN):
        answer = ocsp.load_der_ocsp_response(der)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return
        for one in answer.responses:
            if one.certificate_status is not ocsp.OCSPCertStatus.REVOKED:
                continue
            if any(_is_about(one, leaf, issuer) and _signed(answer, issuer) for issuer in issuers):
                yield one.revocation_time_utc or datetime.now(UTC)


def _is_about(
    one: ocsp.OCSPSingleResponse, leaf: x509.Certificate, issuer: x509.Certificate
) -> bool:
    digest = hashes.Hash(one.hash_algorithm)
    digest.update(_key_bits(issuer))
    return one.serial_number == leaf.serial_number and one.issuer_key_hash == digest.finalize()


def _key_bits(certificate: x509.Certificate) -> bytes:
    """The content of the public key's bit string, without tag, length and unused bits."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    raise ValueError("a key that no C2PA certificate has")


def _signed(answer: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """Whether the issuer stands behind an answer, itself or through a responder of its own."""
    appointed = [
        one for one in answer.certificates[:MAX_CHAIN] if _issued(one, issuer) and _may_answer(one)
    ]
    return any(_verifies(answer, one) for one in (issuer, *appointed))


def _may_answer(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usages


def _verifies(answer: ocsp.OCSPResponse, by: x509.Certificate) -> bool:
    key, signature, signed = by.public_key(), answer.signature, answer.tbs_response_bytes
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
            return True
        digest = answer.signature_hash_algorithm
        if digest is None:
            return False
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(digest))
            return True
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, _padding(answer, digest), digest)
            return True
    except (InvalidSignature, *_BROKEN):
        return False
    return False


def _padding(answer: ocsp.OCSPResponse, digest: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    if answer.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        return padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
    return padding.PKCS1v15()
