"""What certificates are called here."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from guard.errors import KeyInvalid

DEVELOPMENT_ONLY = "DEVELOPMENT ONLY"
"""Stands in every name of a development certificate, where whoever reads a manifest sees it."""

DEV_HINT = "Run `guard keys dev` to make development keys, or set GUARD_SIGNING_CERTIFICATE."


def certificate_fingerprint(pem: bytes) -> str:
    """SHA-256 of the DER of the first certificate in ``pem``, hex. Raises KeyInvalid."""
    try:
        return fingerprint_of(x509.load_pem_x509_certificates(pem)[0])
    except ValueError as error:
        raise KeyInvalid("This is not a PEM certificate.", hint=DEV_HINT) from error


def common_name(name: x509.Name) -> str:
    """The common name of a subject or issuer, or all of it where it has none."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def fingerprint_of(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate's DER, hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()
