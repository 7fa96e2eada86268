"""A kept manifest whose signer's certificate has expired: what its record can and cannot save."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from guard.image.encode import encode
from guard.provenance import pki
from guard.provenance.container import extract_manifest_store
from guard.provenance.pki import Credential
from guard.provenance.read import EXPIRED, ManifestReading, examine_stored
from guard.provenance.recorded import Registered, _chain, in_force_when_registered
from guard.provenance.trust import TrustList, anchors_of

from .kit import facts, picture

LIFE = 4.0
"""Seconds that the certificate lives: long enough to sign with it on a loaded machine."""


@dataclass(frozen=True)
class Expired:
    """A store signed in time, looked at too late."""

    store: bytes
    root: Credential
    signer: x509.Certificate
    signed_at: datetime
    reading: ManifestReading

    @property
    def trust(self) -> TrustList:
        return trusting(self.root)

    @property
    def registered(self) -> Registered:
        return Registered(self.signed_at, self.signer.fingerprint(hashes.SHA256()).hex())

    def again(self, **changes: object) -> ManifestReading:
        """The reading in the light of the record, with ``changes`` to what is known."""
        known: dict[str, object] = {
            "reading": self.reading,
            "store": self.store,
            "trust": self.trust,
            "registered": self.registered,
        }
        return in_force_when_registered(**(known | changes))  # type: ignore[arg-type]


def trusting(root: Credential) -> TrustList:
    return TrustList((anchors_of("a list", root.pem, date="2026-11-24", uri="urn:test:list"),))


def sign_with(home: object, credential: Credential) -> bytes:
    """A signed PNG's store, by the signer that the keys make."""
    from pathlib import Path

    from guard.provenance.keys import load_signing_keys
    from guard.provenance.sign import C2paSigner

    folder = Path(str(home))
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(credential.chain_pem)
    key.write_bytes(credential.key_pem)
    key.chmod(0o600)
    signer = C2paSigner(load_signing_keys(folder, chain, key))
    signed = signer.sign(encode(picture(), "image/png"), "image/png", facts())
    store = extract_manifest_store(signed.bytes, "image/png")
    assert store is not None
    return store


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Expired:
    root = pki.issue(pki.ROOT)
    issuing = pki.issue(pki.ISSUING_CA, root)
    born = datetime.now(UTC)
    signer = pki.issue(pki.SIGNER.but(valid_days=LIFE / 86_400, start=born), issuing)
    store = sign_with(tmp_path_factory.mktemp("home"), signer)
    signed_at = datetime.now(UTC)
    left = (signer.certificate.not_valid_after_utc - signed_at).total_seconds()
    assert left > 0, "the machine is too slow for this test"
    time.sleep(left + 1.1)
    reading = examine_stored(store, "image/png", trusting(root))
    return Expired(store, root, signer.certificate, signed_at, reading)


def test_expired_without_a_record(expired: Expired) -> None:
    assert expired.reading.state == "valid"
    assert EXPIRED in expired.reading.problems
    assert expired.again(registered=None) == expired.reading


def test_the_record_proves_that_it_was_signed_in_time(expired: Expired) -> None:
    found = expired.again()
    assert (found.state, found.trust_list) == ("trusted", "a list")
    assert EXPIRED not in found.problems
    assert found.record_id == expired.reading.record_id


@pytest.mark.parametrize("days", [-400, 400])
def test_a_record_of_another_time_does_not(expired: Expired, days: int) -> None:
    late = replace(expired.registered, at=expired.signed_at + timedelta(days=days))
    assert expired.again(registered=late).state == "valid"


def test_a_record_of_another_signer_does_not(expired: Expired) -> None:
    other = replace(expired.registered, certificate_fingerprint="00" * 32)
    assert expired.again(registered=other).state == "valid"


def test_an_authority_in_no_list_stays_unknown(expired: Expired) -> None:
    for trust in (TrustList(), trusting(pki.issue(pki.ROOT))):
        assert expired.again(trust=trust).state == "valid"


def test_an_authority_that_was_not_valid_then_does_not_count(expired: Expired) -> None:
    """The same key and name, but a certificate from another time."""
    later = pki.ROOT.but(start=expired.signed_at + timedelta(days=30))
    trust = trusting(pki.issue(later, key=expired.root.key))
    assert expired.again(trust=trust).state == "valid"


def test_revocation_is_not_forgiven(expired: Expired) -> None:
    when = expired.signed_at.isoformat()
    assert expired.again(reading=replace(expired.reading, revoked=when)).state == "valid"


@pytest.mark.parametrize("code", ["signingCredential.ocsp.revoked", "assertion.missing"])
def test_other_problems_are_not_forgiven(expired: Expired, code: str) -> None:
    worse = replace(expired.reading, problems=(*expired.reading.problems, code))
    assert expired.again(reading=worse).state == "valid"


@pytest.mark.parametrize("state", ["trusted", "invalid"])
def test_other_states_stay(expired: Expired, state: str) -> None:
    reading = replace(expired.reading, state=state)
    assert expired.again(reading=reading) == reading


@pytest.mark.parametrize("store", [b"", b"\0" * 64, b"jumb" * 100])
def test_hostile_stores(expired: Expired, store: bytes) -> None:
    assert expired.again(store=store).state == "valid"


def test_a_list_that_names_the_intermediate(expired: Expired) -> None:
    """The chain need not reach further than a list does."""
    pem = _chain(expired.store, expired.reading.label or "")[1].public_bytes(Encoding.PEM)
    named = TrustList((anchors_of("issuing", pem, date="2026-11-24", uri="urn:test:issuing"),))
    assert expired.again(trust=named).trust_list == "issuing"
