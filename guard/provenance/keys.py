"""Signing keys: what a claim is signed with, and what a development signer may say of itself.

A key file is PEM (RFC 7468), a certificate file a chain, the signer's own certificate first.
C2PA 2.4 section 14.5 names the algorithms that a claim may be signed with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from guard.errors import KeyInvalid
from guard.provenance.certificates import (
    DEV_HINT,
    DEVELOPMENT_ONLY,
    certificate_fingerprint,
    common_name,
    fingerprint_of,
)
from guard.provenance.development import KeyFiles, create_development_keys
from guard.provenance.mark_secret import load_mark_secret

__all__ = [
    "KeyFiles",
    "SigningKeys",
    "certificate_fingerprint",
    "create_development_keys",
    "load_mark_secret",
    "load_signing_keys",
]

_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """A private key with its certificate chain, checked to belong together.

    ``chain_pem`` signer first; ``key_pem`` unencrypted PKCS#8; ``algorithm`` as c2pa names it.
    """

    chain_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    algorithm: str
    certificate_fingerprint: str
    subject: str
    expires: datetime

    @property
    def development(self) -> bool:
        """Whether the certificate says that it is for development only."""
        return DEVELOPMENT_ONLY in self.subject


def load_signing_keys(
    home: Path, certificate: Path | None = None, key: Path | None = None
) -> SigningKeys:
    """The keys named by ``certificate`` and ``key``, or those in ``home/keys``.

    Raises KeyInvalid when they are missing, unreadable, expired, of an algorithm that C2PA does
    not know, or do not belong together.
    """
    if (certificate is None) != (key is None):
        raise KeyInvalid(
            "Of signing certificate and signing key only one is set.",
            hint="Set both GUARD_SIGNING_CERTIFICATE and GUARD_SIGNING_KEY, or neither.",
        )
    certificate = certificate or home / "keys" / "signing.pem"
    key = key or home / "keys" / "signing.key"
    chain = _chain(certificate)
    private = _private_key(key)
    _check(chain[0], private, certificate)
    return SigningKeys(
        chain_pem=b"".join(one.public_bytes(Encoding.PEM) for one in chain),
        key_pem=private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        algorithm=_algorithm(private),
        certificate_fingerprint=fingerprint_of(chain[0]),
        subject=common_name(chain[0].subject),
        expires=chain[0].not_valid_after_utc,
    )


def _chain(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path, "certificate"))
    except ValueError as error:
        raise KeyInvalid(
            f"{path} is not a PEM certificate chain.", hint="The signer's certificate comes first."
        ) from error


def _private_key(path: Path) -> PrivateKey:
    data = _read(path, "key")
    try:
        private = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise KeyInvalid(
            f"The key in {path} is locked by a password.",
            hint="Decrypt it: openssl pkcs8 -topk8 -nocrypt",
        ) from error
    except ValueError as error:
        raise KeyInvalid(f"{path} is not a PEM private key.", hint=DEV_HINT) from error
    if not isinstance(private, PrivateKey):
        raise KeyInvalid(f"C2PA knows no signatures with the key in {path}.", hint=DEV_HINT)
    return private


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise KeyInvalid(f"There is no signing {what} {path}.", hint=DEV_HINT) from error
    except OSError as error:
        raise KeyInvalid(
            f"The signing {what} {path} cannot be read: {error.strerror}.",
            hint="Give the user that runs guard read permission.",
        ) from error


def _algorithm(private: PrivateKey) -> str:
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, rsa.RSAPrivateKey):
        return "ps256"
    if private.curve.name not in _CURVES:
        raise KeyInvalid(f"C2PA knows no signatures on {private.curve.name}.", hint=DEV_HINT)
    return _CURVES[private.curve.name]


def _check(leaf: x509.Certificate, private: PrivateKey, path: Path) -> None:
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*spki) != private.public_key().public_bytes(*spki):
        raise KeyInvalid(
            f"The signing key does not belong to the first certificate in {path}.",
            hint="Put the signer's own certificate first, and the key that it was issued for.",
        )
    now = datetime.now(UTC)
    if now > leaf.not_valid_after_utc:
        raise KeyInvalid(
            f"The certificate in {path} expired on {leaf.not_valid_after_utc:%Y-%m-%d}.",
            hint="Renew it; development keys: `guard keys dev --replace`.",
        )
    if now < leaf.not_valid_before_utc:
        raise KeyInvalid(
            f"The certificate in {path} is valid only from {leaf.not_valid_before_utc:%Y-%m-%d}.",
            hint="Check this machine's clock.",
        )
