"""Holds the extensions of one certificate against its profile (RFC 5280 section 4.2).

What each rule means for a person stands in :mod:`guard.provenance.profile_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

from guard.provenance import der
from guard.provenance.diagnosis import Found, Level
from guard.provenance.pki import ASSURANCE_LEVEL, CPL_RECORD, POLICY
from guard.provenance.profiles import (
    ANY,
    CLAIMS,
    DOCUMENTS,
    DOCUMENTS_BEFORE,
    EMAIL,
    OCSP,
    STAMPING,
    Profile,
    assurance_level,
    usages_of,
)

KEY_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "nonRepudiation",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}
_UUID_SIZE = 36


def check_extensions(certificate: x509.Certificate, profile: Profile) -> Iterator[Found]:
    """What is wrong. Raises ValueError (or what it is for x509) when they are malformed."""
    for rule in (
        _constraints,
        _key_usage,
        _usages,
        _identifiers,
        _policies,
        _revocation,
        _conformance,
    ):
        yield from rule(certificate, profile)


def _constraints(certificate: x509.Certificate, profile: Profile) -> Iterator[Found]:
    found = _extension(certificate, ExtensionOID.BASIC_CONSTRAINTS)
    value = found.value if found else None
    ca = isinstance(value, x509.BasicConstraints) and value.ca
    if ca and not profile.ca:
        yield "ca_flag", "error", "It is a CA's certificate."
    elif profile.ca and not ca:
        yield "ca_flag", "error", "It stands above another certificate and is no CA's."
    elif found is None or not found.critical:
        yield "basic_constraints", "warning", "Its basic constraints are missing or not critical."
    elif isinstance(value, x509.BasicConstraints) and value.path_length not in profile.path_lengths:
        yield (
            "path_length",
            "warning",
            (
                f"Its path length is {_said(value.path_length)}; the profile wants "
                f"{' or '.join(_said(one) for one in profile.path_lengths)}."
            ),
        )


def _said(length: int | None) -> str:
    return "unlimited" if length is None else str(length)


def _key_usage(certificate: x509.Certificate, profile: Profile) -> Iterator[Found]:
    found = _extension(certificate, ExtensionOID.KEY_USAGE)
    if found is None or not isinstance(found.value, x509.KeyUsage):
        yield "key_usage", "error", "It has no key usage."
        return
    stated = {name for name in KEY_USAGES if getattr(found.value, name)}
    needed = "key_cert_sign" if profile.ca else "digital_signature"
    if needed not in stated:
        yield "key_usage", "error", f"Its key usage lacks {KEY_USAGES[needed]}."
        return
    if stated - profile.key_usage and "key_cert_sign" in stated - profile.key_usage:
        yield "key_usage", "error", "Its key usage includes keyCertSign, and it is no CA."
        return
    if stated != profile.key_usage:
        wanted = ", ".join(KEY_USAGES[one] for one in KEY_USAGES if one in profile.key_usage)
        has = ", ".join(KEY_USAGES[one] for one in KEY_USAGES if one in stated)
        yield "key_usage_exact", "warning", f"Its key usage is {has}; the profile wants {wanted}."
    if not found.critical:
        yield "key_usage_critical", "warning", "Its key usage is not critical."


def _usages(certificate: x509.Certificate, profile: Profile) -> Iterator[Found]:
    found = _extension(certificate, ExtensionOID.EXTENDED_KEY_USAGE)
    usages = usages_of(certificate)
    if not profile.claims and profile.exactly is None:
        return
    if found is None:
        yield _missing_usages(profile)
        return
    if profile.claims and not profile.ca:
        yield from _claim_usages(usages)
    elif profile.claims and not _full(usages):
        yield "ca_usages", "warning", "Its extended key usage does not cover claim signing."
    elif profile.exactly is not None and usages != {profile.exactly}:
        yield "usages", "error", f"Its extended key usage is not {profile.exactly} alone."
    if found.critical != profile.usages_critical:
        wanted = "critical" if profile.usages_critical else "not critical"
        yield "usages_critical", "warning", f"Its extended key usage should be {wanted}."


def _missing_usages(profile: Profile) -> Found:
    if profile.ca:
        return "ca_usages", "warning", "It has no extended key usage."
    return "usages", "error", "It has no extended key usage."


def _claim_usages(usages: frozenset[str]) -> Iterator[Found]:
    """C2PA 2.4 section 14.5.1, then what verifiers accept by default, then the profile."""
    if ANY in usages:
        yield "usages", "error", "Its extended key usage allows everything."
    elif {STAMPING, OCSP} & usages:
        yield (
            "usages",
            "error",
            ("Its extended key usage is for time-stamps or OCSP answers, which excludes claims."),
        )
    elif not usages & {EMAIL, DOCUMENTS, CLAIMS}:
        yield (
            "usages",
            "error",
            "Its extended key usage names no purpose that claims are signed for.",
        )
    elif EMAIL not in usages:
        yield "usages_default", "error", "Its extended key usage lacks emailProtection."
    elif not _full(usages):
        yield "usages_profile", "warning", f"Its extended key usage lacks claim signing ({CLAIMS})."


def _full(usages: frozenset[str]) -> bool:
    return CLAIMS in usages and bool(usages & {EMAIL, DOCUMENTS, DOCUMENTS_BEFORE})


def _identifiers(certificate: x509.Certificate, profile: Profile) -> Iterator[Found]:
    key = _extension(certificate, ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    if key is None or key.critical:
        yield "subject_key", "warning", "It has no subject key identifier, or a critical one."
    found = _extension(certificate, ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    value = found.value if found else None
    named = isinstance(value, x509.AuthorityKeyIdentifier) and value.key_identifier is not None
    if profile.authority_key and not named:
        level: Level = "warning" if profile.ca else "error"
        yield "authority_key", level, "It has no authority key identifier that names a key."
    elif found is not None and (found.critical or not named):
        yield (
            "authority_key_form",
            "warning",
            ("Its authority key identifier is critical, or names no key."),
        )


def _policies(certificate: x509.Certificate, profile: Profile) -> Iterator[Found]:
    found = _extension(certificate, ExtensionOID.CERTIFICATE_POLICIES)
    if found is None:
        if profile.policies == "must":
            yield "policies", "warning", "It names no certificate policy."
        return
    if profile.policies == "never":
        yield "policies", "warning", "It names certificate policies, and its profile allows none."
        return
    value = found.value
    named = isinstance(value, x509.CertificatePolicies) and {one.policy_identifier for one in value}
    if found.critical or (profile.policies == "must" and (not named or POLICY not in named)):
        yield (
            "policies",
            "warning",
            (f"Its policies are critical, or lack that of C2PA ({POLICY.dotted_string})."),
        )


def _revocation(certificate: x509.Certificate, profile: Profile) -> Iterator[Found]:
    access = _extension(certificate, ExtensionOID.AUTHORITY_INFORMATION_ACCESS)
    crl = _extension(certificate, ExtensionOID.CRL_DISTRIBUTION_POINTS)
    if profile.revocation == "never":
        if access is not None or crl is not None:
            yield "no_revocation", "warning", "It says where to ask whether it is revoked."
        return
    has_ocsp = bool(_urls(access, AuthorityInformationAccessOID.OCSP))
    if not has_ocsp and (profile.revocation == "ocsp" or not _crl_urls(crl)):
        yield "ocsp", "warning", "It names no OCSP responder at an http address."
    if any(one is not None and one.critical for one in (access, crl)):
        yield "access_critical", "warning", "Its information access or CRL address is critical."
    if access is not None and not _urls(access, AuthorityInformationAccessOID.CA_ISSUERS):
        yield "ca_issuers", "warning", "It does not say where its issuer's certificate is."
    if crl is not None and not _crl_urls(crl):
        yield "crl", "warning", "Its CRL is at no http address."


def _urls(
    found: x509.Extension[x509.ExtensionType] | None, method: x509.ObjectIdentifier
) -> list[str]:
    value = found.value if found else None
    if not isinstance(value, x509.AuthorityInformationAccess):
        return []
    named = [one.access_location for one in value if one.access_method == method]
    return [
        one.value
        for one in named
        if isinstance(one, x509.UniformResourceIdentifier) and one.value.startswith("http://")
    ]


def _crl_urls(found: x509.Extension[x509.ExtensionType] | None) -> list[str]:
    value = found.value if found else None
    if not isinstance(value, x509.CRLDistributionPoints):
        return []
    names = [name for point in value for name in point.full_name or ()]
    plain = [one.value for one in names if isinstance(one, x509.UniformResourceIdentifier)]
    return (
        plain
        if len(plain) == len(names) and all(one.startswith("http://") for one in plain)
        else []
    )


def _conformance(certificate: x509.Certificate, profile: Profile) -> Iterator[Found]:
    """Assurance level and product record of a claim signer; NoCheck of a responder."""
    level = _extension(certificate, ASSURANCE_LEVEL)
    product = _extension(certificate, CPL_RECORD)
    if profile.level is not None:
        if level is None or level.critical or assurance_level(certificate) != profile.level:
            yield (
                "assurance_level",
                "warning",
                f"It does not state assurance level {profile.level}.",
            )
        if product is None or product.critical or not _is_record(product.value):
            yield "product", "warning", "It names no record of the conforming products list."
    elif not profile.ca and (level is not None or product is not None):
        yield "foreign", "warning", "It carries what only claim signers have: level or product."
    if profile.ocsp_no_check:
        check = _extension(certificate, ExtensionOID.OCSP_NO_CHECK)
        if check is None or check.critical:
            yield "no_check", "warning", "It lacks OCSP NoCheck, so that clients ask about it, too."


def _is_record(value: x509.ExtensionType) -> bool:
    content = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    try:
        one = der.read(content)
    except ValueError:
        return False
    return one.tag == der.UTF8_STRING and len(one.content.decode("utf-8", "ignore")) == _UUID_SIZE


def _extension(
    certificate: x509.Certificate, oid: x509.ObjectIdentifier
) -> x509.Extension[x509.ExtensionType] | None:
    try:
        return certificate.extensions.get_extension_for_oid(oid)
    except x509.ExtensionNotFound:
        return None
