"""Holds one certificate against its profile, and against the C2PA specification.

An *error* is what the specification (2.4, section 14.5.1) forbids: verifiers refuse such a signer.
What only the profile of the conformance programme forbids is a *warning*: signatures verify, but
no CA of the C2PA trust list issues such a certificate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from guard.provenance.diagnosis import CertificateFinding, Found
from guard.provenance.extension_rules import check_extensions
from guard.provenance.profiles import ED25519, SIGNATURES, Profile

_CURVE_NAMES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}

_REFUSED = "c2pa refuses to sign with it; verifiers answer signingCredential.invalid."
_CONFORMANCE = (
    "Signatures verify, but the C2PA conformance programme asks for it: CAs of the C2PA trust list "
    "issue only such certificates."
)
_ASK = "Ask the CA for a certificate by the C2PA profile; `guard keys request` asks for the rest."


@dataclass(frozen=True, slots=True)
class Advice:
    """Why a rule matters and what to do when it is broken."""

    why: str = _CONFORMANCE
    mend: str = _ASK


ADVICE = {
    "version": Advice(_REFUSED, "Have it issued as an X.509 v3 certificate."),
    "signature": Advice(
        _REFUSED, "Have it issued with SHA-256 or better, signed by RSA or ECDSA keys."
    ),
    "key": Advice(
        _REFUSED,
        "Make a new key with `guard keys request --algorithm ES256` and have it certified.",
    ),
    "ca_flag": Advice(_REFUSED, "Sign with the certificate of a signer; keep the CA's key away."),
    "key_usage": Advice(_REFUSED, _ASK),
    "usages": Advice(_REFUSED, _ASK),
    "usages_default": Advice(
        "Verifiers that go by the usages that c2pa ships answer signingCredential.invalid; only "
        "those that were told to accept it do not.",
        "Ask the CA for emailProtection beside it.",
    ),
    "authority_key": Advice(_REFUSED, _ASK),
    "extensions": Advice(_REFUSED, "Have it issued anew: its extensions cannot be read."),
    "ocsp": Advice(
        "Nobody can learn that this certificate was revoked, and no answer can be stapled. "
        + (_CONFORMANCE),
        "Ask the CA for Authority Information Access with its OCSP responder (http).",
    ),
    "validity": Advice(_CONFORMANCE, "Ask for a shorter validity, and renew more often than that."),
    "product": Advice(
        _CONFORMANCE,
        "The record's id comes from the C2PA conforming products list: apply for it there, then "
        "`guard keys request --product-record ID`.",
    ),
}


def check_profile(
    certificate: x509.Certificate, profile: Profile, place: int = 0
) -> tuple[CertificateFinding, ...]:
    """Everything that is wrong with ``certificate`` as a ``profile``; ``place`` in its chain."""
    try:
        found = [
            *_version(certificate),
            *_signature(certificate, profile),
            *_key(certificate, profile),
            *_names(certificate),
            *_validity(certificate, profile),
            *check_extensions(certificate, profile),
        ]
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        found = [("extensions", "error", f"Its extensions are malformed: {error}.")]
    return tuple(_told(one, place) for one in found)


def _told(found: Found, place: int) -> CertificateFinding:
    rule, level, what = found
    advice = ADVICE.get(rule, Advice())
    return CertificateFinding(rule, level, place, what, advice.why, advice.mend)


def key_name(certificate: x509.Certificate) -> str:
    """Its key's algorithm as c2pa names it; for another the curve's or the type's name."""
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return "unknown"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVE_NAMES.get(key.curve.name, key.curve.name)
    if isinstance(key, rsa.RSAPublicKey):
        return "ps256"
    return "ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "unknown"


def _version(certificate: x509.Certificate) -> Iterator[Found]:
    if certificate.version is not x509.Version.v3:
        yield "version", "error", "It is not an X.509 v3 certificate."


def _signature(certificate: x509.Certificate, profile: Profile) -> Iterator[Found]:
    used = certificate.signature_algorithm_oid.dotted_string
    if used in SIGNATURES or (used == ED25519 and profile.ed25519):
        return
    yield "signature", "error", f"It is signed with an algorithm that C2PA does not allow ({used})."


def _key(certificate: x509.Certificate, profile: Profile) -> Iterator[Found]:
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        key = None
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in profile.curves:
            yield _weak(profile, f"Its key is on the curve {key.curve.name}")
    elif isinstance(key, rsa.RSAPublicKey):
        if key.key_size < profile.rsa_bits:
            yield _weak(profile, f"Its RSA key has {key.key_size} bits")
    elif not (isinstance(key, ed25519.Ed25519PublicKey) and profile.ed25519):
        yield "key", "error", "Its key is of a kind that C2PA does not allow here."


def _weak(profile: Profile, what: str) -> Found:
    allowed = " or ".join(sorted(profile.curves))
    text = f"{what}; the profile wants {allowed}, or RSA with {profile.rsa_bits} bits."
    return ("ca_key", "warning", text) if profile.ca else ("key", "error", text)


def _names(certificate: x509.Certificate) -> Iterator[Found]:
    wanted = {
        NameOID.COUNTRY_NAME: "country (C)",
        NameOID.ORGANIZATION_NAME: "organization (O)",
        NameOID.COMMON_NAME: "common name (CN)",
    }
    missing = [said for oid, said in wanted.items() if not _has(certificate.subject, oid)]
    if missing:
        yield "subject", "warning", f"Its subject names no {', '.join(missing)}."


def _has(name: x509.Name, oid: x509.ObjectIdentifier) -> bool:
    return bool(name.get_attributes_for_oid(oid))


def _validity(certificate: x509.Certificate, profile: Profile) -> Iterator[Found]:
    span = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    if profile.max_days is not None and span.days > profile.max_days:
        yield (
            "validity",
            "warning",
            (f"It is valid for {span.days} days; the profile allows {profile.max_days}."),
        )
