"""Takes the certificates and keys in force, or a file, to the doctor."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from guard.errors import KeyInvalid, SigningKeyUnavailable
from guard.provenance.certificates import DEV_HINT
from guard.provenance.claim_key import signature_of
from guard.provenance.diagnosis import Diagnosis
from guard.provenance.doctor import AnchorList, examine, parse_certificates
from guard.provenance.keys import read_file
from guard.provenance.profiles import TSA_LEAF, profile_for
from guard.provenance.token_key import open_token_key
from guard.provenance.trust import Anchors, load_trust


@dataclass(frozen=True, slots=True)
class InForce:
    """Where the certificate and the key that sign are: in a file, or on a token."""

    certificate: Path
    key: Path | None = None
    passphrase: str | None = field(default=None, repr=False)
    pkcs11_uri: str | None = None
    pkcs11_pin: str | None = field(default=None, repr=False)


def check_in_force(home: Path, keys: InForce) -> Diagnosis:
    """The diagnosis of the chain that signs, with its key; a token is asked for a signature.

    Raises KeyInvalid when a file is missing or cannot be read or a trust list of the home is
    broken, SigningKeyUnavailable when a token cannot be opened.
    """
    chain = read_chain(keys.certificate)
    key = None if keys.key is None else public_key(keys.key, keys.passphrase)
    anchors = _anchors(load_trust(home).lists)
    found = examine(chain, key=key, anchors=anchors)
    if keys.pkcs11_uri and found.valid and not _token_matches(keys.pkcs11_uri, keys):
        return examine(chain, key=b"", anchors=anchors)
    return found


def _token_matches(uri: str, keys: InForce) -> bool:
    """Whether a signature of the token's key verifies with the certificate."""
    key = open_token_key(uri, keys.pkcs11_pin, keys.certificate)
    try:
        signature_of(key, b"guard keys check" + secrets.token_bytes(32))
    except SigningKeyUnavailable:
        return False
    return True


def check_file(
    home: Path, path: Path, key: Path | None = None, passphrase: str | None = None
) -> Diagnosis:
    """The diagnosis of a certificate file, whatever it is made for. Raises KeyInvalid."""
    chain = read_chain(path)
    trust = load_trust(home)
    stamping = any(profile_for(one) is TSA_LEAF for one in chain)
    return examine(
        chain,
        key=None if key is None else public_key(key, passphrase),
        anchors=_anchors(trust.clocks if stamping else trust.lists),
        for_claims=False,
    )


def read_chain(path: Path) -> tuple[x509.Certificate, ...]:
    """The certificates of a file. Raises KeyInvalid."""
    return parse_certificates(read_file(path, "certificate"), str(path))


def public_key(path: Path, passphrase: str | None = None) -> bytes:
    """The public half (DER SubjectPublicKeyInfo) of a private key's file. Raises KeyInvalid."""
    data = read_file(path, "key")
    locked = b"ENCRYPTED" in data
    if locked and not passphrase:
        raise KeyInvalid(
            f"The key in {path} is locked by a passphrase.",
            hint="Set GUARD_SIGNING_KEY_PASSPHRASE.",
        )
    try:
        key = load_pem_private_key(data, passphrase.encode() if locked and passphrase else None)
    except (ValueError, TypeError) as error:
        wrong = "The passphrase does not open it." if locked else "It is not a PEM private key."
        raise KeyInvalid(f"The key in {path} cannot be opened. {wrong}", hint=DEV_HINT) from error
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _anchors(lists: Sequence[Anchors]) -> tuple[AnchorList, ...]:
    return tuple(
        AnchorList(one.name, parse_certificates(one.pem.encode("ascii"), one.name, limit=None))
        for one in lists
    )
