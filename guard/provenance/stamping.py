"""The answering side of RFC 3161: time-stamps for development and tests.

The token is CMS SignedData (RFC 5652) over a TSTInfo, with the signing certificate's hash among
the signed attributes (ESSCertIDv2, RFC 5816).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from guard.provenance import der
from guard.provenance.pki import POLICY, Credential

GRANTED, REJECTION = 0, 2
"""PKIStatus (RFC 3161 section 2.4.2)."""

_SHA256 = "2.16.840.1.101.3.4.2.1"
_DIGEST_SIZES = {_SHA256: 32, "2.16.840.1.101.3.4.2.2": 48, "2.16.840.1.101.3.4.2.3": 64}
_ECDSA_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"))
_RSA_SHA256 = der.sequence(der.oid("1.2.840.113549.1.1.11"), der.element(der.NULL))
_SHA256_IDENTIFIER = der.sequence(der.oid(_SHA256))
_TST_INFO = der.oid("1.2.840.113549.1.9.16.1.4")
_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_CONTENT_TYPE = der.oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = der.oid("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE_V2 = der.oid("1.2.840.113549.1.9.16.2.47")
_ACCURACY_SECONDS = 1
_BAD_ALGORITHM = 0
"""Bit of PKIFailureInfo: the digest is of no algorithm that is known here."""


@dataclass(frozen=True, slots=True)
class StampRequest:
    """What a client asks for; ``imprint`` is its MessageImprint as it stood."""

    imprint: bytes
    digest_oid: bytes
    digest: bytes
    nonce: int | None
    wants_certificates: bool


def read_request(data: bytes) -> StampRequest:
    """A TimeStampReq. Raises ValueError when ``data`` is none."""
    version, imprint, *others = der.children(_body(der.read(data), der.SEQUENCE))
    if _number(version) != 1:
        raise ValueError("a time-stamp request of an unknown version")
    algorithm, digest = der.children(_body(imprint, der.SEQUENCE))
    identifier = next(der.children(_body(algorithm, der.SEQUENCE)))
    found = {one.tag: one for one in others}
    nonce = found.get(der.INTEGER)
    wanted = found.get(der.BOOLEAN)
    return StampRequest(
        imprint=imprint.raw,
        digest_oid=identifier.raw,
        digest=_body(digest, der.OCTET_STRING),
        nonce=None if nonce is None else _number(nonce),
        wants_certificates=wanted is not None and wanted.content != b"\x00",
    )


def reply(request: StampRequest, authority: Credential, when: datetime | None = None) -> bytes:
    """A TimeStampResp that says the digest was there at ``when`` (default: now)."""
    known = {der.oid(name): size for name, size in _DIGEST_SIZES.items()}
    if known.get(request.digest_oid) != len(request.digest):
        return rejection("unknown or mismatched digest algorithm", _BAD_ALGORITHM)
    token = _token(_info(request, when or datetime.now(UTC)), authority, request)
    return der.sequence(der.sequence(der.integer(GRANTED)), token)


def rejection(reason: str, failure: int | None = None) -> bytes:
    """A TimeStampResp without a token. ``failure``: number of a bit of PKIFailureInfo."""
    text = der.sequence(der.element(der.UTF8_STRING, reason.encode()))
    bits = [] if failure is None else [_bit(failure)]
    return der.sequence(der.sequence(der.integer(REJECTION), text, *bits))


def _info(request: StampRequest, when: datetime) -> bytes:
    nonce = [] if request.nonce is None else [der.integer(request.nonce)]
    return der.sequence(
        der.integer(1),
        der.oid(POLICY.dotted_string),
        request.imprint,
        der.integer(secrets.randbits(63)),
        der.generalized_time(when),
        der.sequence(der.integer(_ACCURACY_SECONDS)),
        *nonce,
    )


def _token(info: bytes, authority: Credential, request: StampRequest) -> bytes:
    attributes = _attributes(info, authority.certificate)
    signature, algorithm = _signature(authority, der.set_of(*attributes))
    signer = der.sequence(
        der.integer(1),
        _issuer_and_serial(authority.certificate),
        _SHA256_IDENTIFIER,
        der.set_of(*attributes, tag=der.context(0)),
        algorithm,
        der.octets(signature),
    )
    chain = [one.public_bytes(Encoding.DER) for one in (authority.certificate, *authority.issuers)]
    certificates = [der.set_of(*chain, tag=der.context(0))] if request.wants_certificates else []
    signed = der.sequence(
        der.integer(3),
        der.set_of(_SHA256_IDENTIFIER),
        der.sequence(_TST_INFO, der.element(der.context(0), der.octets(info))),
        *certificates,
        der.set_of(signer),
    )
    return der.sequence(_SIGNED_DATA, der.element(der.context(0), signed))


def _attributes(info: bytes, certificate: x509.Certificate) -> tuple[bytes, ...]:
    digest = certificate.fingerprint(hashes.SHA256())
    named = der.sequence(der.sequence(der.sequence(der.octets(digest))))
    return (
        der.sequence(_CONTENT_TYPE, der.set_of(_TST_INFO)),
        der.sequence(_MESSAGE_DIGEST, der.set_of(der.octets(hashlib.sha256(info).digest()))),
        der.sequence(_SIGNING_CERTIFICATE_V2, der.set_of(named)),
    )


def _issuer_and_serial(certificate: x509.Certificate) -> bytes:
    return der.sequence(certificate.issuer.public_bytes(), der.integer(certificate.serial_number))


def _signature(authority: Credential, message: bytes) -> tuple[bytes, bytes]:
    """The signature with its AlgorithmIdentifier. The profile excludes EdDSA for authorities."""
    key = authority.key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(hashes.SHA256())), _ECDSA_SHA256
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256()), _RSA_SHA256
    raise TypeError("time-stamps are signed with ECDSA or RSA")


def _body(one: der.Element, tag: int) -> bytes:
    if one.tag != tag:
        raise ValueError(f"DER tag {one.tag:#x} where {tag:#x} belongs")
    return one.content


def _number(one: der.Element) -> int:
    return int.from_bytes(_body(one, der.INTEGER), "big", signed=True)


def _bit(number: int) -> bytes:
    """A BIT STRING with one bit set."""
    return der.element(
        der.BIT_STRING, bytes([7 - number % 8]), bytes(number // 8), bytes([128 >> number % 8])
    )
