from __future__ import annotations

import hashlib
import threading
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guard.errors import (
    InvalidImage,
    KeyInvalid,
    StageMisbehaved,
)
from guard.image.decode import decode
from guard.image.encode import EXTENSIONS, encode
from guard.provenance import sign as module
from guard.provenance.keys import load_signing_keys
from guard.provenance.read import ManifestReading, read_manifest
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import TrustList
from guard.provenance.xmp import xmp_packet
from guard.types import Origin

from .authority import SERVER, Authority
from .kit import RECORD_ID, facts, picture, sign, with_store

SECRET_PROMPT = "a very secret wish about violet herons"


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_what_is_signed(signer: C2paSigner, media_type: str) -> None:
    encoded = encode(picture(), media_type)
    asset = signer.sign(encoded, media_type, facts())
    assert asset.media_type == media_type
    assert asset.sha256 == hashlib.sha256(asset.bytes).hexdigest()
    assert asset.manifest_label.startswith("urn:c2pa:")
    assert asset.certificate_fingerprint == signer.certificate_fingerprint
    assert np.array_equal(decode(asset.bytes).pixels, decode(encoded).pixels)
    assert len(asset.bytes) - len(encoded) < 8000, "no thumbnail"


def test_alpha_and_labels_survive(signer: C2paSigner) -> None:
    alpha = np.tile(np.arange(128, dtype=np.uint8), (96, 1))
    encoded = encode(picture(), "image/png", xmp=xmp_packet(facts()), alpha=alpha)
    asset = signer.sign(encoded, "image/png", facts())
    back = decode(asset.bytes)
    assert back.alpha is not None
    assert np.array_equal(back.alpha, alpha)
    assert b"trainedAlgorithmicMedia" in asset.bytes


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
@pytest.mark.parametrize("origin", list(Origin))
def test_no_prompt_in_any_file(signer: C2paSigner, media_type: str, origin: Origin) -> None:
    """Facts without a prompt: not a word of it, in no encoding, in no place of the file."""
    parent = None if origin is Origin.GENERATED else encode(picture(), "image/png")
    stated = facts(origin, parent=parent)
    encoded = encode(picture(), media_type, xmp=xmp_packet(stated))
    data = signer.sign(encoded, media_type, stated).bytes
    for trace in (b"prompt\x00", b'"prompt"', b"AIPromptInformation", b"fprompt"):
        assert trace not in data
    told = facts(origin, parent=parent, prompt=SECRET_PROMPT)
    data = signer.sign(encode(picture(), media_type), media_type, told).bytes
    assert SECRET_PROMPT.encode() in data, "the search would have found it"


def test_nothing_of_the_machine_is_in_the_file(signer: C2paSigner, home: Path) -> None:
    data = sign(signer)
    assert str(home).encode() not in data
    assert b"PRIVATE KEY" not in data


def test_many_threads_share_a_signer(signer: C2paSigner, trust: TrustList) -> None:
    states: list[tuple[str | None, str | None]] = []
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(6):
                record = f"{RECORD_ID[:-2]}{number}{turn}"
                kind = ("image/png", "image/jpeg", "image/webp")[turn % 3]
                data = sign(signer, kind, seed=number, record_id=record)
                reading = read_manifest(data, kind, trust)
                states.append((reading and reading.state, reading and reading.record_id))
        except BaseException as error:  # noqa: BLE001  # reported below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len({record for _, record in states}) == 48
    assert {state for state, _ in states} == {"trusted"}


def test_a_certificate_that_c2pa_refuses(tmp_path: Path) -> None:
    keys = load_signing_keys(tmp_path, *Authority().issue(tmp_path, eku=(SERVER,)))
    with pytest.raises(KeyInvalid, match="does not accept"):
        C2paSigner(keys).sign(encode(picture(), "image/png"), "image/png", facts())


def test_a_certificate_that_expires_while_running(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(days=4000)

    monkeypatch.setattr(module, "datetime", Later)
    with pytest.raises(KeyInvalid, match="expired"):
        C2paSigner(load_signing_keys(home)).sign(
            encode(picture(), "image/png"), "image/png", facts()
        )


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture(signer: C2paSigner, data: bytes) -> None:
    with pytest.raises((StageMisbehaved, InvalidImage)):
        signer.sign(data, "image/png", facts())


def test_a_format_that_carries_no_manifest(signer: C2paSigner) -> None:
    with pytest.raises(StageMisbehaved, match="cannot be signed"):
        signer.sign(encode(picture(), "image/png"), "image/bmp", facts())


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (None, "no manifest"),
        (ManifestReading("invalid", problems=("claimSignature.mismatch",)), "claimSignature"),
        (ManifestReading("valid"), "does not verify"),
        (ManifestReading("trusted", label="urn:c2pa:x", record_id="other"), "another record"),
    ],
)
def test_what_does_not_read_back_is_not_handed_out(
    signer: C2paSigner, monkeypatch: pytest.MonkeyPatch, reading: ManifestReading, message: str
) -> None:
    monkeypatch.setattr(module, "read_manifest", lambda *_: reading)
    with pytest.raises(StageMisbehaved, match=message):
        sign(signer)


def test_the_chain_is_followed_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = read_manifest, []

    def spy(data: bytes, media_type: str, trust: TrustList) -> Any:
        reading = real(data, media_type, trust)
        asked.append((len(trust.lists), reading and reading.state))
        return reading

    monkeypatch.setattr(module, "read_manifest", spy)
    fresh = C2paSigner(load_signing_keys(home))
    for _ in range(3):
        assert sign(fresh)
    assert asked == [(1, "trusted"), (0, "valid"), (0, "valid")]


def test_a_chain_that_does_not_hold_signs_nothing(tmp_path: Path) -> None:
    chain, key = Authority().issue(tmp_path)
    leaf, other = chain.read_bytes().split(b"-----END")[0], Authority().pem
    chain.write_bytes(leaf + b"-----END CERTIFICATE-----\n" + other)
    stranger = C2paSigner(load_signing_keys(tmp_path, chain, key))
    for _ in range(2):
        with pytest.raises(KeyInvalid, match=r"signingCredential\.untrusted"):
            sign(stranger)


def test_a_changed_picture_is_not_handed_out(
    signer: C2paSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = C2paSigner._build

    def other(self: C2paSigner, encoded: bytes, media_type: str, stated: Any) -> Any:
        return real(self, encode(picture(7), media_type), media_type, stated)

    monkeypatch.setattr(C2paSigner, "_build", other)
    with pytest.raises(StageMisbehaved, match="changed the picture"):
        sign(signer)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "AVIF", "WEBP", "JPEG"])
def test_originals_of_every_format(signer: C2paSigner, trust: TrustList, kind: str) -> None:
    from PIL import Image

    out = BytesIO()
    Image.fromarray(picture()).save(out, kind)
    data = sign(signer, origin=Origin.UNKNOWN, parent=out.getvalue())
    reading = read_manifest(data, "image/png", trust)
    assert reading is not None
    assert reading.state == "trusted"


def test_an_original_whose_manifest_is_broken(signer: C2paSigner, trust: TrustList) -> None:
    broken = with_store(encode(picture(), "image/png"), b"\0\0\0\x20jumbgarbagegarbagegarbage!")
    data = sign(signer, origin=Origin.UNKNOWN, parent=broken, parent_media_type="image/png")
    reading = read_manifest(data, "image/png", trust)
    assert reading is not None
    assert reading.state == "trusted"


def test_an_original_that_is_no_picture(signer: C2paSigner) -> None:
    with pytest.raises((InvalidImage, StageMisbehaved)):
        sign(signer, origin=Origin.UNKNOWN, parent=b"junk", parent_media_type="image/png")


def test_when_the_bare_original_does_not_help_either(
    signer: C2paSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from c2pa import C2paError

    def fail(*_: Any) -> bytes:
        raise C2paError("Other: no")

    parent = sign(signer)
    monkeypatch.setattr(C2paSigner, "_build", fail)
    with pytest.raises(StageMisbehaved, match="Other: no"):
        sign(signer, origin=Origin.UNKNOWN, parent=parent)
    with pytest.raises(StageMisbehaved, match="Other: no"):
        sign(signer, origin=Origin.UNKNOWN, parent=encode(picture(), "image/png"))
