"""The certificate profiles of the C2PA conformance programme, as data.

One for every place in a PKI. They are stricter than the C2PA specification (2.4, section 14.5.1):
a certificate may break its profile and still sign what verifiers accept, only no CA of the C2PA
trust list issues such. :mod:`guard.provenance.profile_rules` holds certificates against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from guard.provenance import der
from guard.provenance.pki import ASSURANCE_LEVEL, CLAIM_SIGNING

EMAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string
DOCUMENTS = "1.3.6.1.5.5.7.3.36"
"""id-kp-documentSigning (RFC 9336), which the profile's text names."""

DOCUMENTS_BEFORE = "1.2.840.113583.1.1.5"
"""An older usage for documents; the profile's schema lists it where its text names the other."""

CLAIMS = CLAIM_SIGNING.dotted_string
STAMPING = ExtendedKeyUsageOID.TIME_STAMPING.dotted_string
OCSP = ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string

LEVELS = {"1.3.6.1.4.1.62558.3.10": 1, "1.3.6.1.4.1.62558.3.20": 2}
"""Values of the assurance level extension."""

SIGNATURES = {
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.113549.1.1.10": "RSASSA-PSS",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
}
ED25519 = "1.3.101.112"
"""Signature and key algorithm; only claim signers may use it."""

LEAF_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
CA_CURVES = frozenset({"secp384r1", "secp521r1"})
SIGNING = frozenset({"digital_signature", "content_commitment"})
ISSUING = frozenset({"key_cert_sign", "crl_sign"})


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of certificate must look like.

    ``exactly``: its one extended key usage. ``claims``: claim signing and one of e-mail or
    documents. ``path_lengths``: those allowed, None in it for none stated. ``revocation``: "ocsp"
    must be named, "either" OCSP or a CRL, or "never".
    """

    name: str
    title: str
    ca: bool = False
    curves: frozenset[str] = LEAF_CURVES
    rsa_bits: int = 2048
    ed25519: bool = False
    max_days: int | None = None
    key_usage: frozenset[str] = SIGNING
    claims: bool = False
    exactly: str | None = None
    usages_critical: bool = False
    path_lengths: frozenset[int | None] = frozenset({None})
    policies: Literal["must", "may", "never"] = "must"
    revocation: Literal["ocsp", "either", "never"] = "either"
    authority_key: bool = True
    level: int | None = None
    ocsp_no_check: bool = False


LEAF_1 = Profile(
    "claimSigningLeaf.al1",
    "claim signer, assurance level 1",
    ed25519=True,
    max_days=366,
    claims=True,
    revocation="ocsp",
    level=1,
)
LEAF_2 = Profile(
    "claimSigningLeaf.al2",
    "claim signer, assurance level 2",
    ed25519=True,
    max_days=90,
    claims=True,
    revocation="ocsp",
    level=2,
)
ISSUING_CA = Profile(
    "claimSigningIssuingCA",
    "CA that issues claim signers",
    ca=True,
    curves=CA_CURVES,
    rsa_bits=3072,
    max_days=1827,
    key_usage=ISSUING,
    claims=True,
    path_lengths=frozenset({0}),
)
INTERMEDIATE_CA = Profile(
    "intermediateCA",
    "CA between the root and an issuing CA",
    ca=True,
    curves=CA_CURVES,
    rsa_bits=3072,
    key_usage=ISSUING,
    path_lengths=frozenset({1}),
)
ROOT_CA = Profile(
    "rootCA",
    "root CA",
    ca=True,
    curves=CA_CURVES,
    rsa_bits=3072,
    key_usage=ISSUING,
    path_lengths=frozenset({0, 1, 2}),
    policies="may",
    revocation="never",
    authority_key=False,
)
OCSP_RESPONDER = Profile(
    "ocspResponderLeaf",
    "OCSP responder",
    key_usage=frozenset({"digital_signature"}),
    exactly=OCSP,
    policies="never",
    revocation="never",
    ocsp_no_check=True,
)
TSA_LEAF = Profile(
    "tsaLeaf",
    "time-stamping authority",
    max_days=4110,
    exactly=STAMPING,
    usages_critical=True,
)
TSA_CA = Profile(
    "tsaIssuingCA",
    "CA that issues time-stamping authorities",
    ca=True,
    curves=CA_CURVES,
    rsa_bits=3072,
    max_days=5479,
    key_usage=ISSUING,
    exactly=STAMPING,
    path_lengths=frozenset({0}),
)

PROFILES = {
    one.name: one
    for one in (
        LEAF_1,
        LEAF_2,
        ISSUING_CA,
        INTERMEDIATE_CA,
        ROOT_CA,
        OCSP_RESPONDER,
        TSA_LEAF,
        TSA_CA,
    )
}
"""By the names of the files in which the conformance programme publishes them."""


def usages_of(certificate: x509.Certificate) -> frozenset[str]:
    """Its extended key usages, dotted; none where it names none."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    return frozenset(one.dotted_string for one in found)


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether it says that it may issue certificates."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def profile_for(certificate: x509.Certificate, *, issues_leaves: bool = True) -> Profile:
    """The profile of what ``certificate`` is made for.

    ``issues_leaves``: of a CA, whether it stands right above an end entity's certificate.
    """
    usages = usages_of(certificate)
    if is_ca(certificate):
        if certificate.subject == certificate.issuer:
            return ROOT_CA
        if not issues_leaves:
            return INTERMEDIATE_CA
        return TSA_CA if usages == {STAMPING} else ISSUING_CA
    if usages == {STAMPING}:
        return TSA_LEAF
    if usages == {OCSP}:
        return OCSP_RESPONDER
    return LEAF_2 if assurance_level(certificate) == 2 else LEAF_1


def assurance_level(certificate: x509.Certificate) -> int | None:
    """The level that it states, 1 or 2; None where it states none that is known."""
    try:
        stated = certificate.extensions.get_extension_for_oid(ASSURANCE_LEVEL).value
    except (x509.ExtensionNotFound, ValueError):
        return None
    content = stated.value if isinstance(stated, x509.UnrecognizedExtension) else b""
    return next((level for name, level in LEVELS.items() if der.oid(name) == content), None)
