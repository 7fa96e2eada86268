"""Our reading of the certificate profiles: against the official schemas, and rule by rule."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from guard.provenance import der, pki
from guard.provenance.doctor import parse_certificates
from guard.provenance.profile_rules import check_profile, key_name
from guard.provenance.profiles import (
    ISSUING_CA,
    LEAF_1,
    LEAF_2,
    PROFILES,
    ROOT_CA,
    TSA_LEAF,
    profile_for,
)
from tests.support.certificate_json import described
from tests.support.crooked import ACCESS, BENT, LEVEL_2, certificates, flipped, straight

SHARED = Path(os.environ.get("GENGUARD_SHARED", Path(__file__).parents[4] / "shared"))
SCHEMAS = SHARED / "data" / "c2pa" / "cert-profiles"

DIFFERENCES = {
    # The profile's text names RFC 9336's usage for documents, its schema an older one.
    ("claimSigningIssuingCA", "usages: claims, documents"),
    # We ask a signer for e-mail protection as well: what c2pa ships accepts nothing else.
    ("claimSigningLeaf.al1", "usages: claims, older documents"),
    ("claimSigningLeaf.al2", "usages: claims, older documents"),
    # The text has a list beside the responder optional, the schema wants exactly one of them.
    ("intermediateCA", "a list beside OCSP"),
    ("intermediateCA", "a list elsewhere beside OCSP"),
    # The text has the authority key of a root optional.
    ("rootCA", "without AUTHORITY_KEY_IDENTIFIER"),
    # The text wants lists at http addresses, the schema does not look where OCSP is there.
    ("tsaLeaf", "a list elsewhere beside OCSP"),
}
"""Where the published schema and the published text say different things, or we are stricter."""


def rules(certificate: x509.Certificate, profile: str) -> set[str]:
    return {one.rule for one in check_profile(certificate, PROFILES[profile])}


@pytest.mark.skipif(
    not SCHEMAS.is_dir(),
    reason=f"NOT TESTED: the official certificate schemas are missing ({SCHEMAS}); set "
    "GENGUARD_SHARED",
)
def test_the_official_schemas_say_the_same() -> None:
    from jsonschema import Draft202012Validator

    schemas = {
        name: json.loads((SCHEMAS / f"{name}.cert.schema.json").read_text()) for name in PROFILES
    }
    # What the decoder's output looks like at all is said of the straight ones alone: it takes long.
    constraints = {
        name: Draft202012Validator({**schema, "allOf": schema["allOf"][1:]})
        for name, schema in schemas.items()
    }
    differ, seen = set(), 0
    for name, bent, certificate in certificates():
        seen += 1
        shown = described(certificate)
        accepted = constraints[name].is_valid(shown)
        if bent == "nothing":
            assert Draft202012Validator(schemas[name]).is_valid(shown)
        if accepted != (not rules(certificate, name)):
            differ.add((name, bent))
    assert seen > 400
    assert differ <= DIFFERENCES


@pytest.mark.parametrize("name", list(PROFILES))
def test_what_is_straight_has_no_findings(name: str) -> None:
    template, issuer = straight()[name]
    assert rules(pki.issue(template, issuer).certificate, name) == set()


@pytest.mark.parametrize(
    ("bent", "found"),
    [
        ("no country", {"subject"}),
        ("for 367 days", {"validity"}),
        ("usages: none", {"usages"}),
        ("usages: e-mail", {"usages_profile"}),
        ("usages: claims", {"usages_default"}),
        ("usages: claims, documents", {"usages_default"}),
        ("usages: server", {"usages"}),
        ("usages: stamping", {"usages"}),
        ("usages: any", {"usages"}),
        ("usages critical", {"usages_critical"}),
        ("signs", {"key_usage_exact"}),
        ("commits", {"key_usage"}),
        ("signs, enciphers", {"key_usage_exact"}),
        ("issues, lists, signs", {"key_usage"}),
        ("a CA, 0", {"ca_flag"}),
        ("policies: none", {"policies"}),
        ("policies: other", {"policies"}),
        ("policies: two", set()),
        ("access: none", {"ocsp"}),
        ("access: no OCSP", {"ocsp"}),
        ("access: https", {"ocsp"}),
        ("access: no issuer", {"ca_issuers"}),
        ("extras: none", {"assurance_level", "product"}),
        ("extras: level 2", {"assurance_level"}),
        ("extras: an odd level", {"assurance_level"}),
        ("extras: a short record", {"product"}),
        ("extras: no record", {"product"}),
        ("extras: a record that is no DER", {"product"}),
        ("without SUBJECT_KEY_IDENTIFIER", {"subject_key"}),
        ("without AUTHORITY_KEY_IDENTIFIER", {"authority_key"}),
        ("without KEY_USAGE", {"key_usage"}),
        ("without BASIC_CONSTRAINTS", {"basic_constraints"}),
        ("without EXTENDED_KEY_USAGE", {"usages"}),
    ],
)
def test_one_fault_is_one_finding(bent: str, found: set[str]) -> None:
    template, issuer = straight()["claimSigningLeaf.al1"]
    certificate = pki.issue(template.but(**BENT[bent]), issuer).certificate
    assert rules(certificate, "claimSigningLeaf.al1") == found


@pytest.mark.parametrize(
    ("name", "bent", "found"),
    [
        ("claimSigningIssuingCA", "a CA, 1", {"path_length"}),
        ("claimSigningIssuingCA", "a CA, unlimited", {"path_length"}),
        ("claimSigningIssuingCA", "no CA", {"ca_flag", "ca_key"}),  # P-256 does for signers
        ("claimSigningIssuingCA", "without EXTENDED_KEY_USAGE", {"ca_usages"}),
        ("claimSigningIssuingCA", "usages: none", {"ca_usages"}),
        ("claimSigningIssuingCA", "usages: e-mail", {"ca_usages"}),
        ("claimSigningIssuingCA", "signs", {"key_usage"}),
        ("claimSigningIssuingCA", "without AUTHORITY_KEY_IDENTIFIER", {"authority_key"}),
        ("rootCA", "a CA, 3", {"path_length"}),
        ("rootCA", "access: both", {"no_revocation"}),
        ("rootCA", "policies: other", set()),
        ("ocspResponderLeaf", "usages: two", {"usages"}),
        ("ocspResponderLeaf", "extras: level 1", {"foreign", "no_check"}),
        ("ocspResponderLeaf", "policies: other", {"policies"}),
        ("tsaLeaf", "usages not critical", {"usages_critical"}),
    ],
)
def test_faults_of_others(name: str, bent: str, found: set[str]) -> None:
    template, issuer = straight()[name]
    assert rules(pki.issue(template.but(**BENT[bent]), issuer).certificate, name) == found


@pytest.mark.parametrize(
    ("oid", "found"),
    [
        (ExtensionOID.KEY_USAGE, "key_usage_critical"),
        (ExtensionOID.BASIC_CONSTRAINTS, "basic_constraints"),
        (ExtensionOID.EXTENDED_KEY_USAGE, "usages_critical"),
        (ExtensionOID.SUBJECT_KEY_IDENTIFIER, "subject_key"),
        (ExtensionOID.AUTHORITY_KEY_IDENTIFIER, "authority_key_form"),
        (ExtensionOID.CERTIFICATE_POLICIES, "policies"),
        (ExtensionOID.AUTHORITY_INFORMATION_ACCESS, "access_critical"),
        (pki.ASSURANCE_LEVEL, "assurance_level"),
        (pki.CPL_RECORD, "product"),
    ],
)
def test_what_should_be_critical_and_what_not(oid: x509.ObjectIdentifier, found: str) -> None:
    template, issuer = straight()["claimSigningLeaf.al1"]
    assert issuer is not None
    bent = flipped(pki.issue(template, issuer), oid, issuer)
    assert rules(bent, "claimSigningLeaf.al1") == {found}


def test_what_the_specification_forbids_is_an_error() -> None:
    """C2PA 2.4, 14.5.1; what only the conformance programme asks for is a warning."""
    template, issuer = straight()["claimSigningLeaf.al1"]
    errors = {"usages: none", "usages: any", "commits", "a CA, 0", "without KEY_USAGE"}
    errors |= {"without AUTHORITY_KEY_IDENTIFIER"}
    warnings = {"no country", "for 367 days", "access: none", "extras: none", "signs"}
    for bent in errors | warnings:
        certificate = pki.issue(template.but(**BENT[bent]), issuer).certificate
        for finding in check_profile(certificate, LEAF_1, 3):
            assert finding.level == ("error" if bent in errors else "warning"), bent
            assert finding.certificate == 3
            assert all((finding.what, finding.why, finding.mend))


# -- keys and signatures ----------------------------------------------------------------------


def bare(
    key: CertificateIssuerPrivateKeyTypes,
    hash_: hashes.HashAlgorithm | None = None,
    *,
    critical: bool = False,
) -> x509.Certificate:
    """A certificate of a kind that :func:`pki.issue` does not make."""
    start = pki.datetime.now(pki.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bare")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
    )
    if critical:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=True)
    return builder.sign(key, hash_ or hashes.SHA256())


def test_weak_and_foreign_keys() -> None:
    weak = bare(rsa.generate_private_key(65537, 1024))  # noqa: S505  # it is to be weak
    assert "key" in rules(weak, "claimSigningLeaf.al1")
    assert "ca_key" in rules(weak, "rootCA")
    foreign = bare(dsa.generate_private_key(1024))  # noqa: S505
    assert {"key", "signature"} <= rules(foreign, "claimSigningLeaf.al1")
    odd = bare(pki.ec.generate_private_key(pki.ec.SECP256K1()))
    assert "key" in rules(odd, "claimSigningLeaf.al1")
    assert [key_name(one) for one in (weak, foreign, odd)] == ["ps256", "unknown", "secp256k1"]


def test_hashes_and_the_older_curve() -> None:
    template, issuer = straight()["claimSigningIssuingCA"]
    small = pki.issue(template, issuer, pki.new_key("es256")).certificate
    assert rules(small, "claimSigningIssuingCA") == {"ca_key"}
    edwards = pki.issue(template, issuer, pki.new_key("ed25519")).certificate
    assert rules(edwards, "claimSigningIssuingCA") == {"key"}
    assert key_name(edwards) == "ed25519"
    sha224 = bare(pki.new_key("es256"), hashes.SHA224())
    assert "signature" in rules(sha224, "claimSigningLeaf.al1")


def edited(certificate: x509.Certificate, old: bytes, new: bytes) -> x509.Certificate:
    """The same with some bytes of its DER changed, and no valid signature."""
    content = certificate.public_bytes(Encoding.DER)
    assert content.count(old) == 1
    return x509.load_der_x509_certificate(content.replace(old, new))


def test_a_key_that_nobody_knows() -> None:
    known = pki.issue(pki.ROOT, key=pki.new_key("es384")).certificate
    odd = edited(known, der.oid("1.2.840.10045.2.1"), der.oid("1.2.840.10045.2.9"))
    assert "key" in rules(odd, "rootCA")
    assert key_name(odd) == "unknown"


def test_a_certificate_of_version_1() -> None:
    whole = der.read(pki.issue(pki.SIGNER).certificate.public_bytes(Encoding.DER))
    signed, *others = der.children(whole.content)
    _, *parts, _ = der.children(signed.content)  # without its version and extensions
    first = der.sequence(der.sequence(*(one.raw for one in parts)), *(one.raw for one in others))
    found = rules(x509.load_der_x509_certificate(first), "claimSigningLeaf.al1")
    assert {"version", "usages", "key_usage", "authority_key"} <= found


def test_an_rsa_key_that_is_long_enough() -> None:
    template, issuer = straight()["claimSigningLeaf.al1"]
    made = pki.issue(template, issuer, pki.new_key("ps256")).certificate
    assert rules(made, "claimSigningLeaf.al1") == set()


def test_a_root_with_a_critical_authority_key() -> None:
    assert "authority_key_form" in rules(bare(pki.new_key(), critical=True), "rootCA")


def test_malformed_extensions_are_one_finding() -> None:
    template, issuer = straight()["claimSigningLeaf.al1"]
    broken = x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, b"\x03\x02")
    without = frozenset({ExtensionOID.KEY_USAGE})
    key = pki.new_key()
    certificate = pki.issue(template.but(without=without), issuer, key).certificate
    assert issuer is not None
    builder = x509.CertificateBuilder(
        certificate.issuer,
        certificate.subject,
        key.public_key(),
        certificate.serial_number,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    ).add_extension(broken, critical=True)
    made = builder.sign(issuer.key, hashes.SHA384())
    assert rules(made, "claimSigningLeaf.al1") == {"extensions"}
    assert profile_for(made) is LEAF_1


@pytest.mark.parametrize("one", ["C2PA-TRUST-LIST.pem", "C2PA-TSA-TRUST-LIST.pem"])
def test_real_authorities_follow_their_profiles(one: str) -> None:
    """All CAs of the official lists but one, an older root, which the schemas refuse as well."""
    data = files("guard.provenance").joinpath("trust_lists", one).read_bytes()
    listed = parse_certificates(data, one, limit=None)
    found = [check_profile(ca, profile_for(ca)) for ca in listed]
    assert len(listed) > 20
    assert sum(bool(findings) for findings in found) <= 1
    assert not any(finding.level == "error" for findings in found for finding in findings)


# -- which profile ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(PROFILES))
def test_the_profile_is_told_by_the_certificate(name: str) -> None:
    template, issuer = straight()[name]
    certificate = pki.issue(template, issuer).certificate
    assert profile_for(certificate, issues_leaves=name != "intermediateCA").name == name


def test_profiles_in_doubt() -> None:
    plain = pki.issue(pki.SIGNER.but(extra=(), **ACCESS)).certificate
    assert profile_for(plain) is LEAF_1
    assert profile_for(pki.issue(pki.SIGNER.but(extra=LEVEL_2)).certificate) is LEAF_2
    assert profile_for(pki.issue(pki.ROOT).certificate) is ROOT_CA
    assert profile_for(pki.issue(pki.ISSUING_CA, pki.issue(pki.ROOT)).certificate) is ISSUING_CA
    assert profile_for(pki.issue(pki.TSA).certificate) is TSA_LEAF
