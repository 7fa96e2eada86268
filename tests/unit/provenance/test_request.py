"""Requests for real certificates: what they ask for, and what they leave alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from guard.errors import InvalidInput, KeyInvalid, OutputUnwritable
from guard.provenance import pki
from guard.provenance.profile_rules import check_profile
from guard.provenance.profiles import LEAF_1, LEAF_2
from guard.provenance.request import ALGORITHMS, Applicant, create_request
from tests.support.certificate_json import described_request
from tests.support.crooked import straight

SHARED = Path(os.environ.get("GENGUARD_SHARED", Path(__file__).parents[4] / "shared"))
SCHEMAS = SHARED / "data" / "c2pa" / "cert-profiles"
RECORD = "6f1a2b3c-4d5e-4f60-8a7b-9c0d1e2f3a4b"
APPLICANT = Applicant("Example Ltd", "ch", "Example Images", RECORD)


def load(path: Path) -> x509.CertificateSigningRequest:
    return x509.load_pem_x509_csr(path.read_bytes())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_key_and_request_belong_together(tmp_path: Path, algorithm: str) -> None:
    files = create_request(tmp_path / "new", APPLICANT, algorithm=algorithm)
    request = load(files.request)
    assert request.is_signature_valid
    key = load_pem_private_key(files.key.read_bytes(), None)
    assert key.public_key() == request.public_key()
    assert {path.stat().st_mode & 0o777 for path in (files.key, files.request)} == {0o600}
    assert files.key.parent.stat().st_mode & 0o777 == 0o700
    assert not files.encrypted


def test_it_names_the_applicant(tmp_path: Path) -> None:
    subject = load(create_request(tmp_path, APPLICANT).request).subject
    assert subject.rfc4514_string() == "CN=Example Images,O=Example Ltd,C=CH"


@pytest.mark.parametrize(("level", "profile"), [(1, LEAF_1), (2, LEAF_2)])
def test_a_ca_that_grants_it_issues_by_the_profile(
    tmp_path: Path, level: int, profile: object
) -> None:
    """The CA adds key identifiers and its addresses, and nothing else is wanting."""
    applicant = Applicant("Example Ltd", "CH", "Example Images", RECORD, level)
    request = load(create_request(tmp_path, applicant).request)
    template, issuer = straight()["claimSigningLeaf.al1"]
    assert issuer is not None
    granted = pki.issue(template, issuer).certificate
    builder = x509.CertificateBuilder(
        issuer.certificate.subject,
        request.subject,
        request.public_key(),
        1,
        granted.not_valid_before_utc,
        granted.not_valid_before_utc + pki.timedelta(days=90),
    )
    asked = {one.oid for one in request.extensions}
    added = [one for one in granted.extensions if one.oid not in asked]
    for one in (*request.extensions, *added):
        builder = builder.add_extension(one.value, critical=one.critical)
    made = builder.sign(issuer.key, pki.hash_for(issuer.key))
    assert check_profile(made, profile) == ()  # type: ignore[arg-type]


@pytest.mark.skipif(
    not SCHEMAS.is_dir(),
    reason=f"NOT TESTED: the official request schemas are missing ({SCHEMAS}); set GENGUARD_SHARED",
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("level", [1, 2])
def test_the_official_schema_accepts_it(tmp_path: Path, algorithm: str, level: int) -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads((SCHEMAS / f"claimSigningLeaf.al{level}.csr.schema.json").read_text())
    applicant = Applicant("Example Ltd", "CH", "Example Images", RECORD, level)
    asked = load(create_request(tmp_path, applicant, algorithm=algorithm).request)
    assert list(Draft202012Validator(schema).iter_errors(described_request(asked))) == []
    other = tmp_path / "other"
    bare = Applicant("Example Ltd", "CH", "Example Images", None, level)
    asked = load(create_request(other, bare, algorithm="es256").request)
    assert not Draft202012Validator(schema).is_valid(described_request(asked)), "no product record"


def test_without_a_record_the_request_names_none(tmp_path: Path) -> None:
    asked = load(create_request(tmp_path, Applicant("Example Ltd", "CH", "Images")).request)
    oids = {one.oid for one in asked.extensions}
    assert pki.ASSURANCE_LEVEL in oids
    assert pki.CPL_RECORD not in oids


def test_a_locked_key(tmp_path: Path) -> None:
    files = create_request(tmp_path, APPLICANT, passphrase="open sesame")
    assert files.encrypted
    with pytest.raises(TypeError, match="encrypted"):
        load_pem_private_key(files.key.read_bytes(), None)
    assert load_pem_private_key(files.key.read_bytes(), b"open sesame")


@pytest.mark.parametrize("taken", ["signing.key", "signing.csr"])
def test_nothing_is_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("precious")
    with pytest.raises(KeyInvalid, match="nothing is overwritten"):
        create_request(tmp_path, APPLICANT)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(taken, "precious")]


def test_of_two_at_once_the_second_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guard.provenance.request.write_private", lambda *_: False)
    with pytest.raises(KeyInvalid, match="nothing is overwritten"):
        create_request(tmp_path, APPLICANT)


def test_a_folder_of_others_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    create_request(folder, APPLICANT)
    assert folder.stat().st_mode & 0o777 == 0o755


def test_a_place_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable):
        create_request(tmp_path / "file", APPLICANT)


@pytest.mark.parametrize(
    ("applicant", "said"),
    [
        (Applicant("Example Ltd", "CHE", "Images"), "country"),
        (Applicant("Example Ltd", "1 ", "Images"), "country"),
        (Applicant("Example Ltd", "ÄÖ", "Images"), "country"),
        (Applicant("  ", "CH", "Images"), "organization"),
        (Applicant("Example Ltd", "CH", "x" * 65), "common name"),
        (Applicant("Example Ltd", "CH", "two\nlines"), "common name"),
        (Applicant("Example Ltd", "CH", "Images", "no uuid"), "record"),
        (Applicant("Example Ltd", "CH", "Images", assurance_level=3), "assurance level"),
    ],
)
def test_what_cannot_stand_in_a_certificate(
    tmp_path: Path, applicant: Applicant, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        create_request(tmp_path / "new", applicant)
    assert caught.value.hint
    assert not (tmp_path / "new").exists(), "nothing was made"


def test_an_algorithm_that_c2pa_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="rs256") as caught:
        create_request(tmp_path, APPLICANT, algorithm="rs256")
    assert "es256" in caught.value.hint
