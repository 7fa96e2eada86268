"""Asks for a real certificate: a new key, and a request (PKCS#10, RFC 2986) by the C2PA profile.

The request names the extensions that the profile of a claim signer wants. The CA decides what it
puts into the certificate; it adds the key identifiers and its own addresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from guard.errors import InvalidInput, KeyInvalid
from guard.provenance import pki
from guard.provenance.private import private_directory, write_private

ALGORITHMS = ("es256", "es384", "es512", "ps256", "ed25519")
KEY_NAME, REQUEST_NAME = "signing.key", "signing.csr"
_LEVELS = {1: "1.3.6.1.4.1.62558.3.10", 2: "1.3.6.1.4.1.62558.3.20"}
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
_LONGEST = 64
"""Characters that X.520 allows for an organization and a common name."""


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks, and for what.

    ``country``: two letters (ISO 3166). ``product_record``: the UUID of the product in the C2PA
    conforming products list, where it has one. ``assurance_level``: 1 or 2.
    """

    organization: str
    country: str
    common_name: str
    product_record: str | None = None
    assurance_level: int = 1

    def check(self) -> None:
        """Raises InvalidInput for what cannot stand in a certificate."""
        _subject(self)
        _extensions(self)


@dataclass(frozen=True, slots=True)
class RequestFiles:
    """What was written. ``key`` None: it lies on a token."""

    request: Path
    key: Path | None
    algorithm: str
    encrypted: bool


def create_request(
    out: Path, applicant: Applicant, *, algorithm: str = "es256", passphrase: str | None = None
) -> RequestFiles:
    """A new key and its request in ``out``, mode 0600; the key locked by ``passphrase``, if any.

    Raises InvalidInput for what cannot stand in a certificate, KeyInvalid when there is a key or a
    request in ``out`` already (nothing is overwritten), OutputUnwritable.
    """
    if algorithm not in ALGORITHMS:
        raise InvalidInput(
            f"C2PA knows no algorithm {algorithm!r}.", hint=f"One of: {', '.join(ALGORITHMS)}."
        )
    applicant.check()
    folder = ready_folder(out, KEY_NAME, REQUEST_NAME)
    private = pki.new_key(algorithm)
    request = request_for(applicant, private).public_bytes(Encoding.PEM)
    lock = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    key_pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    files = RequestFiles(
        folder / REQUEST_NAME, folder / KEY_NAME, algorithm, encrypted=passphrase is not None
    )
    write_new(folder / KEY_NAME, key_pem)
    write_new(files.request, request)
    return files


def request_for(
    applicant: Applicant, key: pki.PrivateKey, *, pss: bool = False
) -> x509.CertificateSigningRequest:
    """A request that ``key`` signed. Raises InvalidInput.

    ``pss``: as an RSA key signs claims; every CA understands the older scheme, not each this one.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(applicant))
    for extension, critical in _extensions(applicant):
        builder = builder.add_extension(extension, critical=critical)
    scheme = PSS if pss and isinstance(key, rsa.RSAPrivateKey) else None
    return builder.sign(key, pki.hash_for(key), rsa_padding=scheme)


def ready_folder(out: Path, *names: str) -> Path:
    """``out``, made if need be and closed to others then, without files of these ``names``.

    Raises KeyInvalid when one of them is there, OutputUnwritable.
    """
    folder = out if out.is_dir() else private_directory(out)
    for name in names:
        if (folder / name).exists():
            raise _taken(folder / name)
    return folder


def write_new(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 that is not there yet. Raises KeyInvalid, OutputUnwritable."""
    if not write_private(path, content):
        raise _taken(path)


def _subject(applicant: Applicant) -> x509.Name:
    country = applicant.country.upper()
    if len(country) != 2 or not country.isascii() or not country.isalpha():
        raise InvalidInput(
            f"{applicant.country!r} is not a country code.", hint="Two letters: CH, DE, US."
        )
    said = (
        (NameOID.COUNTRY_NAME, country),
        (NameOID.ORGANIZATION_NAME, _line(applicant.organization, "organization")),
        (NameOID.COMMON_NAME, _line(applicant.common_name, "common name")),
    )
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in said])


def _line(value: str, what: str) -> str:
    value = value.strip()
    if not value or len(value) > _LONGEST or not value.isprintable():
        raise InvalidInput(
            f"The {what} must be one line of 1 to {_LONGEST} characters.",
            hint="Write it as the CA is to certify it.",
        )
    return value


def _extensions(applicant: Applicant) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """With whether they are critical."""
    if applicant.assurance_level not in _LEVELS:
        raise InvalidInput("The assurance level is 1 or 2.", hint="Most products have 1.")
    level = _LEVELS[applicant.assurance_level]
    asked = pki.claim_extras(level, _record(applicant.product_record))
    return (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (pki.key_usage(pki.SIGN), True),
        (x509.ExtendedKeyUsage(list(pki.SIGNER.usages)), False),
        (x509.CertificatePolicies([x509.PolicyInformation(pki.POLICY, None)]), False),
        *((one, False) for one in asked),
    )


def _record(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return str(UUID(value))
    except ValueError as error:
        raise InvalidInput(
            f"{value!r} is no id of a product record.",
            hint="It is the UUID that the C2PA conforming products list gave your product.",
        ) from error


def _taken(path: Path) -> KeyInvalid:
    return KeyInvalid(
        f"There is {path} already, and nothing is overwritten.",
        hint="Choose another --out, or move it away.",
    )
