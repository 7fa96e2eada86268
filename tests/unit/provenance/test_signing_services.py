"""Time-stamps and stapled OCSP answers, from real services on loopback: good, wrong and down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from guard.errors import (
    InvalidImage,
    KeyInvalid,
    OutputUnwritable,
    RevocationUnavailable,
    SettingsInvalid,
    TimestampUnavailable,
)
from guard.image.encode import EXTENSIONS, encode
from guard.provenance import pki, services, stapling, transport
from guard.provenance.claim_key import CallbackKey
from guard.provenance.container import extract_manifest_store
from guard.provenance.cose import active_label
from guard.provenance.envelope import Sealed, read_envelope
from guard.provenance.late_stamps import StampQueue, name_of
from guard.provenance.loopback import DevelopmentServices
from guard.provenance.read import read_manifest
from guard.provenance.services import NO_REVOCATION, NO_STAMP, Services
from guard.provenance.sign import C2paSigner
from guard.provenance.signatures import sign_raw
from guard.provenance.stapling import Stapler
from guard.provenance.timestamps import TimestampAuthority
from guard.provenance.trust import TrustList, anchors_of
from guard.types import SignedAsset

from .kit import PAYLOAD, RECORD_ID, facts, picture


@pytest.fixture(scope="module")
def running() -> Iterator[DevelopmentServices]:
    with DevelopmentServices() as started:
        yield started


@pytest.fixture
def world(running: DevelopmentServices) -> Iterator[DevelopmentServices]:
    """The services, well again after each test."""
    before = vars(running.answers).copy()
    yield running
    vars(running.answers).update(before)


def key_of(world: DevelopmentServices) -> CallbackKey:
    held = world.pki.signer
    return CallbackKey.of(held.chain_pem, lambda message: sign_raw(held.key, message))


def full(world: DevelopmentServices, **changed: Any) -> Services:
    given = {"stamps": TimestampAuthority(world.tsa_url), "stapler": Stapler(key_of(world).chain)}
    return Services(**(given | changed))


def signed(world: DevelopmentServices, kind: str = "image/png", **changed: Any) -> SignedAsset:
    signer = C2paSigner(key_of(world), full(world, **changed))
    return signer.sign(encode(picture(), kind), kind, facts())


def envelope(asset: SignedAsset) -> Sealed:
    store = extract_manifest_store(asset.bytes, asset.media_type)
    assert store is not None
    return read_envelope(store, active_label(store))


@pytest.fixture
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second reader keeps an answer about telemetry where settings lie: not in the user's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.mark.usefixtures("own_settings")
@pytest.mark.parametrize("kind", list(EXTENSIONS))
def test_bindings_time_stamp_and_revocation_together(world: DevelopmentServices, kind: str) -> None:
    """What strict readers want, all at once: both take it, the second also strictly."""
    import encypher_c2pa

    asset = signed(world, kind)
    assert asset.notices == ()
    sealed = envelope(asset)
    assert sealed.token
    assert len(sealed.revocation) == 1
    root = TrustList((anchors_of("test", world.pki.root.pem, date="", uri="urn:test"),))
    reading = read_manifest(asset.bytes, kind, root)
    assert reading is not None
    assert (reading.state, reading.problems) == ("trusted", ())
    assert reading.soft_bindings[0] == ("org.genguard.pilot-1", PAYLOAD)
    stamped = datetime.fromisoformat(reading.when or "")
    assert abs(stamped - datetime.now(UTC)) < timedelta(minutes=1), "not the time that we say"
    report = encypher_c2pa.verify(
        asset.bytes,
        kind,
        trust_pem=world.pki.root.pem.decode(),
        tsa_trust_pem=world.pki.tsa_root.pem.decode(),
        telemetry=False,
        online=False,
        strict_conformance=True,
    )
    assert report["validation_results"]["failure"] == []
    assert report["validation_state"] == "Trusted"
    passed = {one["code"] for one in report["validation_results"]["success"]}
    assert passed >= {
        "timeStamp.validated",
        "timeStamp.trusted",
        "claimSignature.validated",
        "signingCredential.ocsp.notRevoked",
    }


@pytest.mark.usefixtures("own_settings")
@pytest.mark.parametrize("algorithm", ["es384", "es512", "ps256", "ed25519"])
def test_every_algorithm_strictly(world: DevelopmentServices, algorithm: str) -> None:
    import encypher_c2pa

    template = pki.SIGNER.but(ocsp_url=world.ocsp_url)
    held = world.pki.issue(template, pki.new_key(algorithm))
    key = CallbackKey.of(held.chain_pem, lambda message: sign_raw(held.key, message))
    signer = C2paSigner(key, full(world, stapler=Stapler(key.chain)))
    asset = signer.sign(encode(picture(), "image/jpeg"), "image/jpeg", facts())
    report = encypher_c2pa.verify(
        asset.bytes,
        "image/jpeg",
        trust_pem=world.pki.root.pem.decode(),
        tsa_trust_pem=world.pki.tsa_root.pem.decode(),
        telemetry=False,
        online=False,
        strict_conformance=True,
    )
    assert report["validation_results"]["failure"] == []
    assert report["validation_state"] == "Trusted"


# -- time-stamps -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("down", "answered 503"),
        ("rejected", "refused: told to reject"),
        ("broken", "gave no time-stamp"),
        ("wrong_nonce", "another request"),
        ("wrong_digest", "something else"),
    ],
)
def test_an_authority_that_gives_none(world: DevelopmentServices, how: str, why: str) -> None:
    world.answers.tsa = how
    with pytest.raises(TimestampUnavailable, match=why) as caught:
        signed(world)
    assert "127.0.0.1" in caught.value.message
    assert "queue" in caught.value.hint


def test_an_authority_that_is_slow(
    world: DevelopmentServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.answers.tsa, world.answers.delay = "slow", 1.0
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.1)
    with pytest.raises(TimestampUnavailable, match="ReadTimeout"):
        signed(world)


def test_an_authority_whose_clock_is_wrong(world: DevelopmentServices) -> None:
    world.answers.stamp_time = datetime.now(UTC) - timedelta(days=3)
    with pytest.raises(TimestampUnavailable, match="is not now"):
        signed(world)


def test_an_authority_that_is_not_there() -> None:
    with pytest.raises(TimestampUnavailable, match="ConnectError"):
        TimestampAuthority("http://127.0.0.1:9/tsa").token(b"message")


def test_an_answer_that_trickles_in(
    world: DevelopmentServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "TOTAL_SECONDS", -1.0)
    with pytest.raises(TimestampUnavailable, match="was not there after"):
        signed(world)


def test_an_answer_without_end(world: DevelopmentServices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER", 1000)
    with pytest.raises(TimestampUnavailable, match="more than 1,000 bytes"):
        signed(world)


@pytest.mark.parametrize("url", ["", "ftp://x", "localhost:80", "http://", "http://[::1"])
def test_a_bad_address(url: str) -> None:
    with pytest.raises(SettingsInvalid, match="GUARD_TSA_URL"):
        TimestampAuthority(url)


def test_a_password_in_an_address_is_not_repeated() -> None:
    authority = TimestampAuthority("http://user:secret@127.0.0.1:9/tsa")
    with pytest.raises(TimestampUnavailable) as caught:
        authority.token(b"message")
    assert "secret" not in caught.value.diagnostics()


def test_a_time_stamp_with_a_wrong_signature(world: DevelopmentServices) -> None:
    """Readers pass over it in silence: it must be seen here."""
    real = TimestampAuthority(world.tsa_url)

    class Lying:
        def token(self, message: bytes) -> bytes:
            token = bytearray(real.token(message))
            token[-5] ^= 1
            return bytes(token)

    with pytest.raises(TimestampUnavailable, match="does not hold"):
        signed(world, stamps=Lying())


class Large:
    """An authority whose time-stamps are larger than what is left for them."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = list(sizes)

    def token(self, message: bytes) -> bytes:
        return bytes(self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0])


def test_room_is_made_for_a_large_time_stamp(world: DevelopmentServices) -> None:
    """Here the token is no token: only that it is in the file is looked at."""
    signer = C2paSigner(key_of(world), Services(stamps=Large(20_000)))
    built = signer._build(encode(picture(), "image/jpeg"), "image/jpeg", facts())
    assert built.sealed.token == bytes(20_000)
    with pytest.raises(Exception, match="too small"):
        C2paSigner(key_of(world), Services(stamps=Large(20_000, 40_000)))._build(
            encode(picture(), "image/png"), "image/png", facts()
        )


def test_room_that_was_once_needed_is_left_at_once(world: DevelopmentServices) -> None:
    source = Large(20_000, 20_000, 20_000, 1)
    signer = C2paSigner(key_of(world), Services(stamps=source))
    for _ in range(2):
        signer._build(encode(picture(), "image/png"), "image/png", facts())
    assert source.sizes == [1], "three were asked for, not four"


# -- a queue for later -----------------------------------------------------------------------------


def test_what_was_missed_comes_later(world: DevelopmentServices, tmp_path: Path) -> None:
    queue = StampQueue(tmp_path / "home")
    world.answers.tsa = "down"
    asset = signed(world, queue=queue)
    assert asset.notices == (NO_STAMP,)
    assert envelope(asset).token is None
    (waiting,) = queue.waiting()
    assert waiting.record_id == RECORD_ID
    assert waiting.name == name_of(envelope(asset))
    assert waiting.message == envelope(asset).stamped
    authority = TimestampAuthority(world.tsa_url)
    done, failure = queue.fetch(authority)
    assert (done, isinstance(failure, TimestampUnavailable)) == (0, True)
    store = extract_manifest_store(asset.bytes, "image/png")
    assert store is not None
    assert queue.completed(store) == store, "not there yet"

    world.answers.tsa = "good"
    assert queue.fetch(authority) == (1, None)
    assert not list(queue.waiting())
    assert queue.fetch(authority) == (0, None)
    stamped = queue.completed_file(asset.bytes, "image/png")
    assert len(stamped) == len(asset.bytes)
    reading = read_manifest(
        stamped,
        "image/png",
        TrustList((anchors_of("test", world.pki.root.pem, date="", uri="urn:test"),)),
    )
    assert reading is not None
    assert (reading.state, reading.label) == ("trusted", asset.manifest_label)
    assert envelope(replace(asset, bytes=stamped)).token
    assert queue.completed_file(stamped, "image/png") == stamped, "it has one"


def test_a_released_picture_says_what_it_lacks(
    house: Any, world: DevelopmentServices, tmp_path: Path
) -> None:
    world.answers.tsa = "down"
    signer = C2paSigner(key_of(world), full(world, queue=StampQueue(tmp_path)))
    outcome = house.guard(signer=signer).protect(encode(picture(3, 256, 256), "image/png"))
    assert outcome.notices == (NO_STAMP,)
    (waiting,) = StampQueue(tmp_path).waiting()
    assert waiting.record_id == outcome.record_id


def test_an_authority_that_is_down_is_left_alone_for_a_while(
    world: DevelopmentServices, tmp_path: Path
) -> None:
    world.answers.tsa = "down"
    authority = TimestampAuthority(world.tsa_url, pause=timedelta(seconds=60))
    before = world.served["/tsa"]
    for _ in range(3):
        asset = signed(world, stamps=authority, queue=StampQueue(tmp_path))
        assert asset.notices == (NO_STAMP,)
    assert world.served["/tsa"] == before + 1
    assert len(list(StampQueue(tmp_path).waiting())) == 3
    world.answers.tsa = "good"
    authority._paused = (datetime.now(UTC), "it was down")
    assert authority.token(b"message"), "and asked again after that"


def test_entries_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    queue = StampQueue(tmp_path)
    assert not list(queue.waiting())
    queue.add(Sealed(b"p", b"signature"), RECORD_ID)
    folder = tmp_path / "timestamps"
    for number, content in enumerate(
        (b"", b"[]", b"{}", b'{"message": 1}', json.dumps({"message": "?"}).encode())
    ):
        (folder / f"{number}.json").write_bytes(content)
    assert [one.record_id for one in queue.waiting()] == [RECORD_ID]


def test_stores_that_are_none_stay_as_they_are(tmp_path: Path) -> None:
    queue = StampQueue(tmp_path)
    assert queue.completed(b"no store") == b"no store"
    with pytest.raises(InvalidImage, match="no manifest"):
        queue.completed_file(encode(picture(), "image/png"), "image/png")


def test_a_queue_that_cannot_be_written(world: DevelopmentServices, tmp_path: Path) -> None:
    """A signature that could not be queued is not handed out."""
    (tmp_path / "file").write_text("")
    world.answers.tsa = "down"
    with pytest.raises(OutputUnwritable):
        signed(world, queue=StampQueue(tmp_path / "file"))


# -- revocation ------------------------------------------------------------------------------------


def test_an_answer_is_kept_until_it_expires(
    world: DevelopmentServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    stapler = Stapler(key_of(world).chain)
    before = world.served["/ocsp"]
    assert stapler.answer() == stapler.answer()
    assert world.served["/ocsp"] == before + 1

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(hours=23, minutes=59, seconds=30)

    monkeypatch.setattr(stapling, "datetime", Later)
    with pytest.raises(RevocationUnavailable, match="out of date"):
        stapler.answer()
    assert world.served["/ocsp"] == before + 2


@pytest.mark.parametrize("signer", ["delegated", "issuer"])
def test_a_revoked_key_signs_nothing(world: DevelopmentServices, signer: str) -> None:
    world.answers.ocsp, world.answers.ocsp_signer = "revoked", signer
    with pytest.raises(KeyInvalid, match="was revoked on"):
        signed(world)


def test_the_issuers_own_answer_counts(world: DevelopmentServices) -> None:
    world.answers.ocsp_signer = "issuer"
    assert envelope(signed(world)).revocation


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("down", "answered 503"),
        ("unknown", "does not know"),
        ("try_later", "try_later"),
        ("stale", "out of date"),
        ("broken", "127.0.0.1"),
    ],
)
def test_no_word_is_a_notice_or_an_error(world: DevelopmentServices, how: str, why: str) -> None:
    world.answers.ocsp = how
    asset = signed(world)
    assert asset.notices == (NO_REVOCATION,)
    assert envelope(asset).revocation == ()
    with pytest.raises(RevocationUnavailable, match=why):
        signed(world, revocation="required")


def test_a_responder_that_is_down_is_left_alone_for_a_while(world: DevelopmentServices) -> None:
    world.answers.ocsp = "down"
    stapler = Stapler(key_of(world).chain)
    before = world.served["/ocsp"]
    for _ in range(3):
        with pytest.raises(RevocationUnavailable, match="503"):
            stapler.answer()
    assert world.served["/ocsp"] == before + 1


def test_an_answer_of_somebody_else(
    world: DevelopmentServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed by a responder of another authority, or about another certificate."""
    from guard.provenance.ocsp_reply import OcspAnswer, answer_about

    other = DevelopmentServices()
    leaf, issuer = world.pki.signer.certificate, world.pki.issuing.certificate
    foreign = answer_about(leaf, issuer, other.pki.responder, OcspAnswer())
    elsewhere = answer_about(
        world.pki.responder.certificate, issuer, world.pki.responder, OcspAnswer()
    )
    other.close()
    for der, why in ((foreign, "not signed by the issuer"), (elsewhere, "another certificate")):
        monkeypatch.setattr(stapling, "ask", lambda *_, der=der: der)
        with pytest.raises(RevocationUnavailable, match=why):
            Stapler(key_of(world).chain).answer()


def test_the_issuer_is_found_in_any_order(world: DevelopmentServices) -> None:
    leaf, *above = key_of(world).chain
    chain = (leaf, world.pki.root.certificate, *above)
    assert Stapler(chain).answer()


def test_other_addresses_in_a_certificate_are_passed_over() -> None:
    """One that says where the issuer's certificate is, and not where to ask."""
    only = x509.AccessDescription(
        AuthorityInformationAccessOID.CA_ISSUERS,
        x509.UniformResourceIdentifier("http://127.0.0.1:9/ca"),
    )
    root = pki.issue(pki.ROOT)
    told = pki.issue(pki.SIGNER.but(extra=(x509.AuthorityInformationAccess([only]),)), root)
    with pytest.raises(RevocationUnavailable, match="where to ask"):
        Stapler((told.certificate, root.certificate))


def test_chains_that_nobody_can_be_asked_about() -> None:
    root = pki.issue(pki.ROOT)
    silent = pki.issue(pki.SIGNER, root)
    with pytest.raises(RevocationUnavailable, match="where to ask"):
        Stapler((silent.certificate, root.certificate))
    asked = pki.issue(pki.SIGNER.but(ocsp_url="http://127.0.0.1:9/ocsp"), root)
    with pytest.raises(RevocationUnavailable, match="issuer"):
        Stapler((asked.certificate,))


def test_transport_refuses_what_is_no_address() -> None:
    with pytest.raises(transport.NoAnswer):
        transport.ask("http://[", b"", "text/plain")


# -- by settings and policy ------------------------------------------------------------------------


def test_settings_and_policy_name_the_services(world: DevelopmentServices, tmp_path: Path) -> None:
    from guard.assemble import build_services
    from guard.policy.model import ManifestSettings
    from guard.settings import Settings

    bare = Settings(home=tmp_path)
    key = key_of(world)
    assert build_services(bare, ManifestSettings(), key) == Services()
    assert Services().room == 0
    asked = Settings(home=tmp_path, tsa_url=world.tsa_url)
    stated = ManifestSettings(timestamp="queue", ocsp="required")
    found = build_services(asked, stated, key)
    assert isinstance(found.stamps, TimestampAuthority)
    assert found.queue is not None
    assert found.stapler is not None
    assert found.revocation == "required"
    assert found.room == services.STAMP_ROOM
    with pytest.raises(ValueError, match="timestamp"):
        ManifestSettings(timestamp="never")  # type: ignore[arg-type]
