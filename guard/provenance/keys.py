"""Signing keys: what a claim is signed with, and what a development signer may say of itself.

A key file is PEM (RFC 7468), a certificate file a chain, the signer's own certificate first.
C2PA 2.4 section 14.5 names the algorithms that a claim may be signed with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from guard.errors import KeyInvalid
from guard.provenance.certificates import DEV_HINT, certificate_fingerprint
from guard.provenance.claim_key import Certificates, Credentials, parse_chain
from guard.provenance.development import KeyFiles, create_development_keys
from guard.provenance.mark_secret import load_mark_secret
from guard.provenance.signatures import PrivateKey, algorithm_of, sign_raw

__all__ = [
    "KeyFiles",
    "SigningKeys",
    "certificate_fingerprint",
    "create_development_keys",
    "load_chain",
    "load_mark_secret",
    "load_signing_keys",
]

PASSPHRASE = "GUARD_SIGNING_KEY_PASSPHRASE"  # noqa: S105  # a variable's name


@dataclass(frozen=True)
class SigningKeys(Credentials):
    """A private key from a file with its certificate chain, checked to belong together."""

    private: PrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """The signature of ``message`` in COSE's form."""
        return sign_raw(self.private, message)


def load_signing_keys(
    home: Path,
    certificate: Path | None = None,
    key: Path | None = None,
    passphrase: str | None = None,
) -> SigningKeys:
    """The keys named by ``certificate`` and ``key``, or those in ``home/keys``.

    Raises KeyInvalid when they are missing, unreadable, locked by another passphrase, expired, of
    an algorithm that C2PA does not know, or do not belong together.
    """
    if (certificate is None) != (key is None):
        raise KeyInvalid(
            "Of signing certificate and signing key only one is set.",
            hint="Set both GUARD_SIGNING_CERTIFICATE and GUARD_SIGNING_KEY, or neither.",
        )
    certificate = certificate or home / "keys" / "signing.pem"
    key = key or home / "keys" / "signing.key"
    chain = load_chain(certificate)
    private = _private_key(key, passphrase)
    _check_pair(chain[0], private, certificate)
    return SigningKeys(chain, private)


def load_chain(path: Path) -> Certificates:
    """A certificate chain whose first certificate can sign now.

    Raises KeyInvalid when it is missing, unreadable, expired, not valid yet, or of a key that
    C2PA does not know.
    """
    chain = parse_chain(read_file(path, "certificate"), str(path))
    algorithm_of(chain[0].public_key())
    _check_time(chain[0], path)
    return chain


def _private_key(path: Path, passphrase: str | None) -> PrivateKey:
    data = read_file(path, "key")
    locked = b"ENCRYPTED" in data
    if locked and not passphrase:
        raise KeyInvalid(f"The key in {path} is locked by a passphrase.", hint=f"Set {PASSPHRASE}.")
    try:
        private = load_pem_private_key(data, passphrase.encode() if locked and passphrase else None)
    except ValueError as error:
        if locked:
            raise KeyInvalid(
                f"The passphrase does not open the key in {path}.", hint=f"Correct {PASSPHRASE}."
            ) from error
        raise KeyInvalid(f"{path} is not a PEM private key.", hint=DEV_HINT) from error
    if not isinstance(private, PrivateKey):
        raise KeyInvalid(f"C2PA knows no signatures with the key in {path}.", hint=DEV_HINT)
    return private


def read_file(path: Path, what: str) -> bytes:
    """Bytes of a signing ``what`` (certificate or key). Raises KeyInvalid, saying what to do."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise KeyInvalid(f"There is no signing {what} {path}.", hint=DEV_HINT) from error
    except OSError as error:
        raise KeyInvalid(
            f"The signing {what} {path} cannot be read: {error.strerror}.",
            hint="Give the user that runs guard read permission.",
        ) from error


def _check_pair(leaf: x509.Certificate, private: PrivateKey, path: Path) -> None:
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*spki) != private.public_key().public_bytes(*spki):
        raise KeyInvalid(
            f"The signing key does not belong to the first certificate in {path}.",
            hint="Put the signer's own certificate first, and the key that it was issued for.",
        )


def _check_time(leaf: x509.Certificate, path: Path) -> None:
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
