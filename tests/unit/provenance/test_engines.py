"""Two engines: the stricter answer counts, disagreement is shown, a broken engine has no voice."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from guard.image.encode import EXTENSIONS, encode
from guard.provenance import engines
from guard.provenance import read as module
from guard.provenance.engines import FIRST, SECOND, Voice, agree, second_voice, stricter
from guard.provenance.read import (
    UNREADABLE,
    ManifestReading,
    examine_manifest,
    examine_stored,
    extract_manifest_store,
)
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import DEVELOPMENT_NAME, TrustList

from .kit import picture, sign, with_store


def must_read(data: bytes, media_type: str, trust: TrustList) -> ManifestReading:
    reading = examine_manifest(data, media_type, trust)
    assert reading is not None
    return reading


@pytest.mark.parametrize("media_type", list(EXTENSIONS))
def test_both_say_trusted(signer: C2paSigner, trust: TrustList, media_type: str) -> None:
    data = sign(signer, media_type)
    reading = must_read(data, media_type, trust)
    assert {one.engine: one.state for one in reading.engines} == {
        FIRST: "trusted",
        SECOND: "trusted",
    }
    assert (reading.state, reading.agreement) == ("trusted", True)
    assert reading.trust_list == DEVELOPMENT_NAME
    changed = must_read(_one_bit_off(data, media_type), media_type, trust)
    assert (changed.state, changed.agreement, changed.hard_binding_only) == ("invalid", True, True)
    store = extract_manifest_store(data, media_type)
    assert store is not None
    stored = examine_stored(store, media_type, trust)
    assert (stored.state, stored.agreement, stored.hard_binding_only) == ("trusted", True, True)
    assert examine_stored(store, media_type, TrustList()).state == "valid"


def _one_bit_off(data: bytes, media_type: str) -> bytes:
    places = {"image/webp": 2000, "image/tiff": 2000, "image/avif": data.find(b"mdat") + 200}
    at = places.get(media_type, len(data) - 200)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_an_unsigned_picture_is_not_shown_to_the_second_engine(
    monkeypatch: pytest.MonkeyPatch, trust: TrustList
) -> None:
    monkeypatch.setattr(module, "second_voice", lambda *_: pytest.fail("asked"))
    for media_type in EXTENSIONS:
        assert examine_manifest(encode(picture(), media_type), media_type, trust) is None


def test_the_second_engine_writes_no_settings(
    signed: dict[str, bytes], trust: TrustList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENCYPHER_C2PA_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert second_voice(signed["image/png"] + b"x", "image/png", trust).state == "invalid"
    assert list(tmp_path.iterdir()) == []
    assert os.environ.get("ENCYPHER_C2PA_ONLINE") is None


def test_stricter_and_agree() -> None:
    trusted, valid, invalid = (Voice(FIRST, one) for one in ("trusted", "valid", "invalid"))  # type: ignore[arg-type]
    silent = Voice(SECOND, None, note="broke")
    assert stricter(trusted, valid) == "valid"
    assert stricter(invalid, trusted) == "invalid"
    assert stricter(silent, trusted) == "trusted"
    assert stricter(silent) is None
    assert agree(trusted, trusted) is True
    assert agree(trusted, valid) is False
    assert agree(trusted, silent) is None
    assert "note" not in trusted.as_dict
    assert silent.as_dict["note"] == "broke"


@pytest.mark.parametrize("said", ["trusted", "valid", "invalid"])
def test_the_stricter_answer_counts(
    signed: dict[str, bytes],
    trust: TrustList,
    monkeypatch: pytest.MonkeyPatch,
    said: Any,
) -> None:
    problems = () if said == "trusted" else ("signingCredential.untrusted",)
    monkeypatch.setattr(module, "second_voice", lambda *_: Voice(SECOND, said, problems))
    reading = must_read(signed["image/png"], "image/png", trust)
    assert reading.state == said
    assert bool(reading.trust_list) is (said == "trusted")
    assert reading.agreement is (said == "trusted")
    assert reading.problems == problems
    plain = json.loads(json.dumps(reading.as_dict))
    assert plain["engines"][FIRST]["state"] == "trusted"
    assert plain["engines"][SECOND]["state"] == said
    assert plain["engines"][SECOND]["version"]


def test_the_first_engine_may_be_the_stricter_one(
    signed: dict[str, bytes], trust: TrustList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "second_voice", lambda *_: Voice(SECOND, "trusted"))
    reading = must_read(signed["image/png"] + b"x", "image/png", trust)
    assert (reading.state, reading.agreement, reading.hard_binding_only) == ("invalid", False, True)


class Panic(BaseException):
    """What a panic of a Rust library looks like: not an Exception."""


def test_a_broken_engine_has_no_voice_and_says_so(
    signed: dict[str, bytes], trust: TrustList, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise Panic("index out of bounds")

    monkeypatch.setattr(engines, "_report", broken)
    reading = must_read(signed["image/png"], "image/png", trust)
    assert (reading.state, reading.agreement) == ("trusted", None)
    assert reading.engines[1].note == "The engine broke on this input: Panic: index out of bounds."


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_passes(
    trust: TrustList, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupted(*_: object) -> None:
        raise error

    monkeypatch.setattr(engines, "_report", interrupted)
    with pytest.raises(error):
        second_voice(b"", "image/png", trust)


@pytest.mark.parametrize("said", ["[]", "7", "nonsense", "null"])
def test_a_report_that_is_none(
    signed: dict[str, bytes], trust: TrustList, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setattr("encypher_c2pa._native.verify_bytes", lambda *_: said)
    assert second_voice(signed["image/png"], "image/png", trust).state is None


def test_reports_of_strange_shape() -> None:
    for report in (
        {"present": True},
        {"present": True, "validation_results": [], "trust": 7},
        {"present": True, "signature": "valid", "validation_results": {"failure": [None, 7]}},
    ):
        assert engines._voice(report, detached=False).state == "invalid"
    assert engines._voice({"present": True}, detached=True).state == "invalid"
    assert engines._voice({}, detached=False).state is None


def test_a_doubted_certificate_is_never_trusted() -> None:
    failure = [{"code": "signingCredential.ocsp.revoked"}]
    report = {
        "present": True,
        "signature": "valid",
        "hard_binding": "match",
        "trust": {"status": "valid_for_supplied_material"},
        "validation_results": {"failure": failure},
    }
    assert engines._voice(report, detached=False).state == "valid"
    report["validation_results"] = {"failure": [{"code": "cawg.identity.mismatch"}]}
    assert engines._voice(report, detached=False).state == "trusted"


def test_without_the_first_engine_nobody_is_trusted(
    signed: dict[str, bytes], trust: TrustList, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no report")

    monkeypatch.setattr(module, "_read", broken)
    reading = must_read(signed["image/png"], "image/png", trust)
    assert (reading.state, reading.trust_list, reading.agreement) == ("valid", None, None)
    assert reading.engines[0].note.startswith("The engine broke on this input: RuntimeError")
    store = extract_manifest_store(signed["image/png"], "image/png") or b""
    assert examine_stored(store, "image/png", trust).state == "valid"
    monkeypatch.setattr(module, "second_voice", lambda *_: Voice(SECOND, None, note="broke"))
    reading = must_read(signed["image/png"], "image/png", trust)
    assert (reading.state, reading.problems) == ("invalid", (UNREADABLE,))


def test_a_manifest_that_only_the_second_engine_finds(
    signed: dict[str, bytes], trust: TrustList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "read_manifest", lambda *_: None)
    reading = must_read(signed["image/png"], "image/png", trust)
    assert (reading.state, reading.agreement) == ("valid", None)
    assert reading.engines[0].note == "The engine found no manifest."
    monkeypatch.setattr(module, "second_voice", lambda *_: Voice(SECOND, None))
    assert examine_manifest(signed["image/png"], "image/png", trust) is None


def test_garbage_in_the_place_of_a_manifest(trust: TrustList) -> None:
    data = with_store(encode(picture(), "image/png"), b"\0\0\0\x20jumbgarbagegarbagegarbage!")
    reading = must_read(data, "image/png", trust)
    assert reading.state == "invalid"
    assert reading.engines


def test_an_engine_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines._PACKAGES, "gone", "no-such-package-here")
    assert engines.engine_version("gone") == ""
