"""A development PKI in one step: a CA of our own and a claim-signing certificate under it.

The CA's private key is thrown away after that one signature: nobody can issue more under it.
The certificates follow the C2PA certificate profile (C2PA 2.4 section 14.5.1): they sign like
real ones, and no verifier elsewhere will trust them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from guard.errors import KeyInvalid
from guard.provenance.certificates import DEVELOPMENT_ONLY, certificate_fingerprint
from guard.provenance.private import locked, private_directory, write_private

LEAF_DAYS = 365
"""The C2PA profile for assurance level 1 allows 366."""

CA_DAYS = 3650
CLOCK_SKEW = timedelta(hours=1)
"""Valid from a little ago, so that a second machine with a slow clock can use it at once."""

CLAIM_SIGNING = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
"""Extended key usage c2pa-kp-claimSigning."""


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """What was written: the CA's certificate, the signer's chain, the signer's private key."""

    ca: Path
    certificate: Path
    key: Path
    fingerprint: str
    expires: datetime


def create_development_keys(home: Path, *, replace: bool = False) -> KeyFiles:
    """Make a CA and a signing key (ES256) in ``home/keys``.

    With ``replace`` the earlier CAs stay in ``ca.pem`` as trust anchors, so that what was signed
    before still verifies. Raises KeyInvalid when there are keys and ``replace`` is not set,
    OutputUnwritable when the home cannot be written.
    """
    private_directory(home)
    folder = private_directory(home / "keys")
    files = [folder / name for name in ("ca.pem", "signing.pem", "signing.key")]
    with locked(folder):
        present = [file.name for file in files if file.exists()]
        if present and not replace:
            raise KeyInvalid(
                f"There are keys in {folder} already ({', '.join(present)}).",
                hint="Use them, or pass --replace to make new ones.",
            )
        return _write(files, *_issue(datetime.now(UTC).replace(microsecond=0)))


def _write(files: list[Path], ca: bytes, leaf: x509.Certificate, key: bytes) -> KeyFiles:
    anchors, certificate, private = files
    earlier = anchors.read_bytes() if anchors.exists() else b""
    chain = leaf.public_bytes(Encoding.PEM) + ca
    write_private(anchors, ca + earlier, replace=True)
    write_private(private, key, replace=True)
    write_private(certificate, chain, replace=True)
    return KeyFiles(
        anchors, certificate, private, certificate_fingerprint(chain), leaf.not_valid_after_utc
    )


def _issue(now: datetime) -> tuple[bytes, x509.Certificate, bytes]:
    """CA certificate (PEM), leaf, leaf's private key (PKCS#8 PEM)."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("CA")
    ca_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), (now, CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(ca_id, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = (
        _builder(_name("signer"), ca_name, key.public_key(), (now, LEAF_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, CLAIM_SIGNING]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ca.public_bytes(Encoding.PEM), leaf, pem


def _name(role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"genguard {DEVELOPMENT_ONLY}"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"genguard {role} ({DEVELOPMENT_ONLY})"),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    validity: tuple[datetime, int],
) -> x509.CertificateBuilder:
    start, days = validity
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - CLOCK_SKEW)
        .not_valid_after(start + timedelta(days=days))
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=not sign_certificates,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
