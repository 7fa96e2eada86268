"""The certificate doctor: chains right and wrong, files, keys and tokens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtensionOID

from guard.errors import KeyInvalid, SigningKeyUnavailable
from guard.provenance import der, pki
from guard.provenance.checkup import InForce, check_file, check_in_force, public_key
from guard.provenance.claim_key import CallbackKey
from guard.provenance.development import DevelopmentPki, create_development_keys
from guard.provenance.diagnosis import Diagnosis
from guard.provenance.doctor import AnchorList, examine, parse_certificates
from guard.provenance.loopback import Answers, DevelopmentServices
from guard.provenance.online import ask_around
from guard.provenance.pki import Credential
from guard.provenance.signatures import sign_raw
from tests.support.crooked import ACCESS

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
REAL = {"organization": "Example Ltd", "country": "CH", **ACCESS}
SIGNER = pki.SIGNER.but(common_name="Example Images", **REAL)


@pytest.fixture(scope="module")
def authority() -> tuple[Credential, Credential]:
    """Root and issuing CA of a CA that is no development one."""
    root = pki.issue(pki.ROOT.but(common_name="Example Root", organization="CA", country="CH"))
    return root, pki.issue(pki.ISSUING_CA.but(common_name="Example CA", **REAL), root)


@pytest.fixture(scope="module")
def signer(authority: tuple[Credential, Credential]) -> Credential:
    return pki.issue(SIGNER, authority[1])


@pytest.fixture(scope="module")
def known(authority: tuple[Credential, Credential]) -> list[AnchorList]:
    return [AnchorList("a list", (authority[0].certificate,)), AnchorList("another", ())]


def chain(credential: Credential) -> tuple[x509.Certificate, ...]:
    return (credential.certificate, *credential.issuers[:-1])


def rules(found: Diagnosis) -> list[str]:
    return [one.rule for one in found.findings]


def spki(credential: Credential) -> bytes:
    return credential.certificate.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


# -- chains -----------------------------------------------------------------------------------


def test_a_chain_with_nothing_wrong(signer: Credential, known: list[AnchorList]) -> None:
    found = examine(chain(signer), key=spki(signer), anchors=known)
    assert found.findings == ()
    assert found.valid
    assert found.trusted_by == ("a list",)
    assert found.ocsp_url == ACCESS["ocsp_url"]
    assert [one.profile for one in found.chain] == [
        "claim signer, assurance level 1",
        "CA that issues claim signers",
    ]
    assert (found.chain[0].subject, found.chain[0].issuer) == ("Example Images", "Example CA")
    assert found.chain[0].days_left == 364
    assert not found.development


def test_findings_come_worst_first(signer: Credential, known: list[AnchorList]) -> None:
    given = [*chain(signer)[::-1], signer.issuers[-1]]
    found = examine(given, key=b"another", anchors=known)
    assert [one.level for one in found.findings] == ["error", "error", "note"]
    assert rules(found) == ["chain_order", "key_match", "root_in_chain"]
    assert [len(found.of(level)) for level in ("error", "warning", "note")] == [2, 0, 1]
    assert not found.valid


def test_the_intermediate_is_missing(signer: Credential, known: list[AnchorList]) -> None:
    found = examine(chain(signer)[:1], anchors=known)
    assert rules(found) == ["chain_incomplete", "untrusted"]
    assert "Example CA" in found.findings[0].what
    assert found.valid, "verifiers answer that the signer is unknown, which is no lie"
    by_issuer = [AnchorList("direct", chain(signer)[1:])]
    assert rules(examine(chain(signer)[:1], anchors=by_issuer)) == []
    assert rules(examine(chain(signer)[:1])) == [], "without lists nobody can say"


def test_what_does_not_belong_and_what_is_twice(
    signer: Credential, known: list[AnchorList]
) -> None:
    stranger = DevelopmentPki.create().root.certificate
    given = [*chain(signer), stranger, chain(signer)[1]]
    found = examine(given, anchors=known)
    assert rules(found) == ["chain_strangers", "chain_twice"]
    assert "DEVELOPMENT ONLY" in found.findings[0].what


def test_the_same_name_is_not_the_same_issuer(signer: Credential) -> None:
    twin = pki.issue(pki.ISSUING_CA.but(common_name="Example CA", **REAL), pki.issue(pki.ROOT))
    found = examine((signer.certificate, twin.certificate))
    assert rules(found) == ["chain_strangers"]
    anchors = [AnchorList("twin", (twin.certificate,))]
    assert examine(chain(signer)[:1], anchors=anchors).trusted_by == ()


def test_self_signed() -> None:
    alone = pki.issue(SIGNER)
    found = examine((alone.certificate,), anchors=[AnchorList("a list", ())])
    assert rules(found) == ["self_signed"]


def test_too_many_authorities_below_one(authority: tuple[Credential, Credential]) -> None:
    middle = pki.issue(pki.ISSUING_CA.but(common_name="Third", **REAL), authority[1])
    low = pki.issue(SIGNER, middle)
    found = examine(chain(low))
    assert "chain_length" in rules(found)
    (finding,) = [one for one in found.findings if one.rule == "chain_length"]
    assert finding.certificate == 2
    assert found.chain[2].profile == "CA between the root and an issuing CA"


def test_an_issuer_that_is_no_authority(signer: Credential) -> None:
    low = pki.issue(SIGNER, signer)
    found = examine(chain(low))
    assert "ca_flag" in [one.rule for one in found.of("error") if one.certificate == 1]


def test_an_issuer_that_does_not_say_what_it_is(signer: Credential) -> None:
    without = frozenset({ExtensionOID.BASIC_CONSTRAINTS})
    odd = pki.issue(SIGNER.but(without=without), signer)
    found = examine(chain(pki.issue(SIGNER, odd)))
    assert "ca_flag" in [one.rule for one in found.of("error") if one.certificate == 1]


def test_an_issuer_that_expires_first(authority: tuple[Credential, Credential]) -> None:
    short = pki.issue(pki.ISSUING_CA.but(common_name="Short", valid_days=100, **REAL), authority[0])
    found = examine(chain(pki.issue(SIGNER, short)))
    assert rules(found) == ["chain_outlives"]


@pytest.mark.parametrize(
    ("start", "days", "found"),
    [
        (-60, 30, "expired"),
        (2, 30, "not_yet"),
        (-300, 329, "expires_soon"),
        (-200, 365, "half_life"),
        (-100, 365, None),
    ],
)
def test_time(
    authority: tuple[Credential, Credential], start: int, days: int, found: str | None
) -> None:
    one = pki.issue(SIGNER.but(start=NOW + start * DAY, valid_days=days), authority[1])
    diagnosis = examine(chain(one), now=NOW)
    assert rules(diagnosis) == ([found] if found else [])
    assert diagnosis.valid == (found not in {"expired", "not_yet"})
    if found == "expired":
        assert "GUARD_TSA_URL" in diagnosis.findings[0].mend


def test_an_anchor_that_expired_vouches_for_nobody(
    signer: Credential, known: list[AnchorList]
) -> None:
    later = NOW + 20 * 365 * DAY
    assert examine(chain(signer), anchors=known, now=later).trusted_by == ()


def test_a_key_that_cannot_be_read_matches_nothing(signer: Credential) -> None:
    content = signer.pem
    broken = x509.load_pem_x509_certificate(content).public_bytes(Encoding.DER)
    odd = broken.replace(der.oid("1.2.840.10045.2.1"), der.oid("1.2.840.10045.2.9"))
    found = examine((x509.load_der_x509_certificate(odd),), key=spki(signer))
    assert {"key", "key_match"} <= set(rules(found))


def test_a_certificate_for_something_else(known: list[AnchorList]) -> None:
    made = DevelopmentPki.create()
    for credential, title in (
        (made.tsa, "time-stamping authority"),
        (made.responder, "OCSP responder"),
        (made.issuing, "CA that issues claim signers"),
    ):
        found = examine(chain(credential), anchors=known, for_claims=False)
        assert found.valid
        assert "purpose" in rules(found)
        assert found.chain[0].profile == title
        assert not {"untrusted", "chain_incomplete"} & set(rules(found))
        claims = examine(chain(credential), anchors=known)
        assert not claims.valid, "it signs no claims"
        assert claims.chain[0].profile == "claim signer, assurance level 1"


def test_development_certificates_are_told_how_to_be_mended() -> None:
    made = DevelopmentPki.create()
    found = examine(chain(made.signer))
    assert rules(found) == ["ocsp", "ocsp", "development"]
    assert all("guard keys" in one.mend for one in found.findings)
    old = made.issue(pki.SIGNER.but(start=NOW - 400 * DAY))
    mend = next(one.mend for one in examine(chain(old)).findings if one.rule == "expired")
    assert "guard keys dev --replace" in mend


def test_everything_is_json(signer: Credential) -> None:
    found = examine(chain(signer), key=b"")
    assert found.findings[0].as_dict["rule"] == "key_match"
    row = found.chain[0].as_dict
    assert datetime.fromisoformat(row["expires"]) == signer.certificate.not_valid_after_utc


# -- files ------------------------------------------------------------------------------------


def test_pem_and_der(signer: Credential) -> None:
    content = signer.certificate.public_bytes(Encoding.DER)
    assert parse_certificates(content, "x") == (signer.certificate,)
    assert parse_certificates(signer.chain_pem, "x") == chain(signer)


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"\x30\x03\x02\x01\x00"]
)
def test_what_is_no_certificate(content: bytes) -> None:
    with pytest.raises(KeyInvalid, match="holds no certificate"):
        parse_certificates(content, "x.pem")


def test_a_trust_list_is_no_chain(signer: Credential) -> None:
    with pytest.raises(KeyInvalid, match="that is no chain"):
        parse_certificates(signer.pem * 11, "x.pem")
    assert len(parse_certificates(signer.pem * 11, "x.pem", limit=None)) == 11


def write(folder: Path, credential: Credential) -> InForce:
    (folder / "chain.pem").write_bytes(credential.chain_pem)
    (folder / "key.pem").write_bytes(credential.key_pem)
    return InForce(folder / "chain.pem", folder / "key.pem")


def test_the_keys_of_a_home(tmp_path: Path) -> None:
    create_development_keys(tmp_path, ocsp_url=ACCESS["ocsp_url"])
    keys = tmp_path / "keys"
    found = check_in_force(tmp_path, InForce(keys / "signing.pem", keys / "signing.key"))
    assert found.valid
    assert rules(found) == ["development"]
    assert found.trusted_by == ("this home's own development CA",)
    stamping = check_file(tmp_path, keys / "services" / "tsa.pem", keys / "services" / "tsa.key")
    assert stamping.valid
    assert len(stamping.trusted_by) == 1
    assert check_file(tmp_path, keys / "services" / "ocsp.pem").valid


def test_the_root_of_claims_does_not_vouch_for_time_stamps(tmp_path: Path) -> None:
    create_development_keys(tmp_path, ocsp_url=ACCESS["ocsp_url"])
    made = DevelopmentPki.create()
    (tmp_path / "keys" / "ca.pem").write_bytes(made.tsa_root.pem)
    (tmp_path / "tsa.pem").write_bytes(made.tsa.chain_pem)
    assert check_file(tmp_path, tmp_path / "tsa.pem").trusted_by == ()


def test_another_key(tmp_path: Path, signer: Credential) -> None:
    keys = write(tmp_path, signer)
    assert "key_match" not in rules(check_in_force(tmp_path, keys))
    assert keys.key is not None
    keys.key.write_bytes(pki.issue(SIGNER).key_pem)
    for found in (check_in_force(tmp_path, keys), check_file(tmp_path, keys.certificate, keys.key)):
        assert "key_match" in rules(found)
        assert not found.valid


def test_a_locked_key(tmp_path: Path, signer: Credential) -> None:
    keys = write(tmp_path, signer)
    assert keys.key is not None
    locked = signer.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")
    )
    keys.key.write_bytes(locked)
    with pytest.raises(KeyInvalid, match="locked") as caught:
        check_in_force(tmp_path, keys)
    assert "PASSPHRASE" in caught.value.hint
    with pytest.raises(KeyInvalid, match="does not open"):
        check_in_force(tmp_path, replace(keys, passphrase="open wheat"))
    opened = replace(keys, passphrase="open sesame")
    assert "key_match" not in rules(check_in_force(tmp_path, opened))
    assert "open sesame" not in repr(opened)
    assert public_key(keys.key, "open sesame") == spki(signer)


def test_files_that_are_not_there(tmp_path: Path, signer: Credential) -> None:
    keys = write(tmp_path, signer)
    with pytest.raises(KeyInvalid, match="There is no signing certificate") as caught:
        check_file(tmp_path, tmp_path / "missing.pem")
    assert "guard keys dev" in caught.value.hint
    with pytest.raises(KeyInvalid, match="cannot be read"):
        check_file(tmp_path, keys.certificate, tmp_path)
    assert keys.key is not None
    keys.key.write_bytes(b"nonsense")
    with pytest.raises(KeyInvalid, match="not a PEM private key"):
        check_in_force(tmp_path, keys)


# -- tokens -----------------------------------------------------------------------------------


def test_a_token_is_asked_for_a_signature(
    tmp_path: Path, signer: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = replace(write(tmp_path, signer), key=None, pkcs11_uri="pkcs11:…", pkcs11_pin="1234")
    seen = SimpleNamespace(key=signer.key)

    def opened(uri: str, pin: str | None, certificate: Path | None) -> CallbackKey:
        assert (uri, pin, certificate) == ("pkcs11:…", "1234", keys.certificate)
        return CallbackKey.of(signer.chain_pem, lambda message: sign_raw(seen.key, message))

    monkeypatch.setattr("guard.provenance.checkup.open_token_key", opened)
    assert "key_match" not in rules(check_in_force(tmp_path, keys))
    seen.key = pki.new_key()
    assert "key_match" in rules(check_in_force(tmp_path, keys))
    assert "1234" not in repr(keys)


def test_a_token_that_cannot_be_opened_is_no_finding(
    tmp_path: Path, signer: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = replace(write(tmp_path, signer), key=None, pkcs11_uri="pkcs11:…")

    def closed(*_: object) -> CallbackKey:
        raise SigningKeyUnavailable("The token is away.", hint="Put it back.")

    monkeypatch.setattr("guard.provenance.checkup.open_token_key", closed)
    with pytest.raises(SigningKeyUnavailable):
        check_in_force(tmp_path, keys)


# -- what others say --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ocsp", "tsa", "found"),
    [
        ("good", "good", ["not_revoked", "tsa_answers"]),
        ("revoked", "good", ["revoked", "tsa_answers"]),
        ("unknown", "down", ["ocsp_silent", "tsa_silent"]),
    ],
)
def test_services_are_asked(ocsp: str, tsa: str, found: list[str]) -> None:
    with DevelopmentServices() as services:
        services.answers = Answers(tsa=tsa, ocsp=ocsp)
        said = ask_around(chain(services.pki.signer), services.tsa_url)
    assert [one.rule for one in said] == found
    diagnosis = examine(chain(services.pki.signer)).with_more(said)
    assert diagnosis.valid == (ocsp != "revoked")
    assert diagnosis.findings[0].level == ("note" if ocsp == "good" else said[0].level)


def test_where_nobody_can_be_asked() -> None:
    bare = DevelopmentPki.create().signer
    assert [one.rule for one in ask_around(chain(bare))] == ["no_time_stamps"]
