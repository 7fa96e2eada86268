"""Certificates of every kind, bent in every way, for our rules and for the official schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku
from cryptography.x509.oid import ExtensionOID

from guard.provenance import pki
from guard.provenance.pki import Credential, Template
from guard.provenance.profiles import DOCUMENTS, DOCUMENTS_BEFORE

URL = "http://127.0.0.1:1/"
ACCESS = {"ocsp_url": URL + "ocsp", "issuer_url": URL + "issuer.cer"}
LEVEL_2 = pki.claim_extras("1.3.6.1.4.1.62558.3.20")
ELSEWHERE = x509.ObjectIdentifier("1.2.3.4")


def crl(url: str) -> x509.CRLDistributionPoints:
    named = [x509.UniformResourceIdentifier(url)]
    return x509.CRLDistributionPoints([x509.DistributionPoint(named, None, None, None)])


@cache
def straight() -> Mapping[str, tuple[Template, Credential | None]]:
    """Profile name → a template that follows it, and who issues it."""
    root, tsa_root = pki.issue(pki.ROOT), pki.issue(pki.TSA_ROOT)
    issuing = pki.issue(pki.ISSUING_CA.but(**ACCESS), root)
    tsa_ca = pki.issue(pki.TSA_CA.but(**ACCESS), tsa_root)
    middle = pki.ISSUING_CA.but(path_length=1, usages=(), **ACCESS)
    return {
        "claimSigningLeaf.al1": (pki.SIGNER.but(**ACCESS), issuing),
        "claimSigningLeaf.al2": (pki.SIGNER.but(valid_days=89, extra=LEVEL_2, **ACCESS), issuing),
        "claimSigningIssuingCA": (pki.ISSUING_CA.but(**ACCESS), root),
        "intermediateCA": (middle, root),
        "rootCA": (pki.ROOT, None),
        "ocspResponderLeaf": (pki.OCSP_RESPONDER, issuing),
        "tsaLeaf": (pki.TSA.but(**ACCESS), tsa_ca),
        "tsaIssuingCA": (pki.TSA_CA.but(**ACCESS), tsa_root),
    }


BENT: Mapping[str, Mapping[str, object]] = {
    "nothing": {},
    "no country": {"country": None},
    "for 16 years": {"valid_days": 6000},
    "for 367 days": {"valid_days": 367},
    "for 91 days": {"valid_days": 91},
    "usages: none": {"usages": ()},
    "usages: e-mail": {"usages": (Eku.EMAIL_PROTECTION,)},
    "usages: claims": {"usages": (pki.CLAIM_SIGNING,)},
    "usages: claims, documents": {"usages": (pki.CLAIM_SIGNING, x509.ObjectIdentifier(DOCUMENTS))},
    "usages: claims, older documents": {
        "usages": (pki.CLAIM_SIGNING, x509.ObjectIdentifier(DOCUMENTS_BEFORE))
    },
    "usages: server": {"usages": (Eku.SERVER_AUTH,)},
    "usages: stamping": {"usages": (Eku.TIME_STAMPING,)},
    "usages: OCSP": {"usages": (Eku.OCSP_SIGNING,)},
    "usages: two": {"usages": (Eku.TIME_STAMPING, Eku.OCSP_SIGNING)},
    "usages: any": {"usages": (Eku.ANY_EXTENDED_KEY_USAGE,)},
    "usages critical": {"usages_critical": True},
    "usages not critical": {"usages_critical": False},
    "signs": {"key_usage": ("digital_signature",)},
    "commits": {"key_usage": ("content_commitment",)},
    "signs, commits": {"key_usage": pki.SIGN},
    "signs, enciphers": {"key_usage": (*pki.SIGN, "key_encipherment")},
    "issues": {"key_usage": ("key_cert_sign",)},
    "issues, lists": {"key_usage": pki.ISSUE},
    "issues, lists, signs": {"key_usage": (*pki.ISSUE, *pki.SIGN)},
    "a CA, 0": {"ca": True, "path_length": 0},
    "a CA, 1": {"ca": True, "path_length": 1},
    "a CA, 3": {"ca": True, "path_length": 3},
    "a CA, unlimited": {"ca": True, "path_length": None},
    "no CA": {"ca": False, "path_length": None},
    "policies: none": {"policies": ()},
    "policies: other": {"policies": (ELSEWHERE,)},
    "policies: two": {"policies": (ELSEWHERE, pki.POLICY)},
    "access: both": ACCESS,
    "access: none": {"ocsp_url": None, "issuer_url": None},
    "access: no OCSP": {"ocsp_url": None, "issuer_url": URL},
    "access: no issuer": {"ocsp_url": URL, "issuer_url": None},
    "access: https": {"ocsp_url": "https://localhost/", "issuer_url": URL},
    "extras: none": {"extra": ()},
    "extras: level 1": {"extra": pki.claim_extras()},
    "extras: level 2": {"extra": LEVEL_2},
    "extras: an odd level": {"extra": pki.claim_extras("1.3.6.1.4.1.62558.3.99")},
    "extras: a short record": {"extra": pki.claim_extras(record="short")},
    "extras: no record": {"extra": pki.claim_extras(record=None)},
    "extras: a record that is no DER": {
        "extra": (pki.claim_extras()[0], x509.UnrecognizedExtension(pki.CPL_RECORD, b"\x0c"))
    },
    "extras: no check": {"extra": (x509.OCSPNoCheck(),)},
    **{
        f"without {name}": {"without": frozenset({getattr(ExtensionOID, name)})}
        for name in (
            "SUBJECT_KEY_IDENTIFIER",
            "AUTHORITY_KEY_IDENTIFIER",
            "KEY_USAGE",
            "BASIC_CONSTRAINTS",
            "EXTENDED_KEY_USAGE",
        )
    },
}
"""What is bent → what changes in a template."""

LISTS: Mapping[str, tuple[str, bool]] = {
    "a list beside OCSP": ("http://127.0.0.1/list.crl", True),
    "a list for OCSP": ("http://127.0.0.1/list.crl", False),
    "a list elsewhere beside OCSP": ("ldap://127.0.0.1/list.crl", True),
    "a list elsewhere": ("ldap://127.0.0.1/list.crl", False),
}
"""A certificate revocation list at an address, with or without an OCSP responder beside it."""

KEYS = ("es256", "es384", "es512", "ed25519")


def flipped(credential: Credential, oid: x509.ObjectIdentifier, by: Credential) -> x509.Certificate:
    """The same certificate, one extension critical that was not, or the other way round."""
    one = credential.certificate
    builder = x509.CertificateBuilder(
        one.issuer,
        one.subject,
        credential.key.public_key(),
        one.serial_number,
        one.not_valid_before_utc,
        one.not_valid_after_utc,
    )
    for extension in one.extensions:
        critical = extension.critical != (extension.oid == oid)
        builder = builder.add_extension(extension.value, critical=critical)
    return builder.sign(by.key, pki.hash_for(by.key))


def certificates() -> Iterator[tuple[str, str, x509.Certificate]]:
    """Profile name, what was bent, and the certificate: each profile with everything bent."""
    for name, (template, issuer) in straight().items():
        for bent, changes in BENT.items():
            yield name, bent, pki.issue(template.but(**changes), issuer).certificate
        for bent, (url, beside) in LISTS.items():
            without = {} if beside else {"ocsp_url": None, "issuer_url": None}
            listed = template.but(extra=(*template.extra, crl(url)), **without)
            yield name, bent, pki.issue(listed, issuer).certificate
        made = pki.issue(template, issuer)
        for extension in made.certificate.extensions:
            yield name, f"flipped {extension.oid}", flipped(made, extension.oid, issuer or made)
        for key in KEYS:
            yield name, key, pki.issue(template, issuer, pki.new_key(key)).certificate
