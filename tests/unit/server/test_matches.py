"""Matches over real HTTP: by value, by picture, and never by a copied mark."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image

from guard.audit.base import StoredRecord
from guard.audit.log import SqlAuditLog
from guard.image.blocks import describe
from guard.image.decode import decode
from guard.image.encode import encode
from guard.image.fingerprint import ALGORITHM, ISCC, fingerprints, to_binding
from guard.provenance.base import ManifestFacts
from guard.provenance.container import extract_manifest_store
from guard.provenance.manifest import mark_algorithm
from guard.server import repository
from guard.types import Detection, Fingerprint, Origin
from guard.verify.compare import Comparison
from guard.watermark.pilot_watermark import METHOD
from tests.support.house import picture

from .conftest import Home

MARK = mark_algorithm(METHOD)


def by_binding(client: httpx.Client, alg: str, value: bytes, **more: object) -> httpx.Response:
    text = base64.b64encode(value).decode()
    return client.get("/v1/matches/byBinding", params={"alg": alg, "value": text, **more})


def found(answer: httpx.Response) -> dict[str, int]:
    assert answer.status_code == 200, answer.text
    return {one["manifestId"]: one["similarityScore"] for one in answer.json()["matches"]}


def by_content(client: httpx.Client, data: bytes, **params: str) -> httpx.Response:
    headers = {"Content-Type": "image/png"}
    return client.post("/v1/matches/byContent", content=data, headers=headers, params=params)


def copy_of(data: bytes, side: int | None = None, quality: int = 60, crop: float = 0.0) -> bytes:
    """A re-encoded copy without metadata."""
    image = Image.fromarray(decode(data).pixels)
    if crop:
        cut = round(crop * image.width / 2)
        image = image.crop((cut, cut, image.width - cut, image.height - cut))
    if side is not None:
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    out = BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def near(print_: Fingerprint, bits: int) -> bytes:
    changed = int(print_.bits, 16) ^ ((1 << bits) - 1)
    return to_binding(Fingerprint(print_.algorithm, f"{changed:064x}"))


@pytest.mark.parametrize("which", [0, 1])
def test_a_mark_leads_to_its_manifest(client: httpx.Client, home: Home, which: int) -> None:
    kept = home.released[which]
    assert found(by_binding(client, MARK, kept.mark)) == {kept.manifest_id: 100}


def test_a_mark_by_post(client: httpx.Client, home: Home) -> None:
    kept = home.released[0]
    body = {"alg": MARK, "value": base64.b64encode(kept.mark).decode()}
    answer = client.post("/v1/matches/byBinding", json=body)
    assert found(answer) == {kept.manifest_id: 100}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(("bits", "score"), [(0, 100), (10, 92), (31, 76), (32, None)])
def test_a_fingerprint_leads_to_its_manifest(
    client: httpx.Client, home: Home, place: int, bits: int, score: int | None
) -> None:
    kept = home.released[0]
    assert kept.record.fingerprint is not None
    print_ = (kept.record.fingerprint, *kept.record.other_fingerprints)[place]
    answer = by_binding(client, print_.algorithm, near(print_, bits))
    assert found(answer).get(kept.manifest_id) == score


def test_both_fingerprints_are_kept(home: Home) -> None:
    record = home.released[0].record
    prints = (record.fingerprint, *record.other_fingerprints)
    assert [one and one.algorithm for one in prints] == [ALGORITHM, ISCC]


def test_what_was_held_is_not_found(client: httpx.Client, home: Home) -> None:
    held = home.held
    assert held.mark is not None
    assert held.fingerprint is not None
    mark = bytes.fromhex(held.mark.payload)
    assert found(by_binding(client, MARK, mark)) == {}
    assert found(by_binding(client, ALGORITHM, to_binding(held.fingerprint))) == {}


def test_unknown_values_and_algorithms(client: httpx.Client, home: Home) -> None:
    assert found(by_binding(client, MARK, b"\0" * 8)) == {}
    assert found(by_binding(client, "com.example.other", b"x")) == {}
    mark = home.released[0].mark
    assert found(by_binding(client, "com.example.other", mark)) == {}


@pytest.mark.parametrize(
    ("alg", "value"),
    [(MARK, b"short"), (ALGORITHM, b"\1" * 31), (ISCC, b"\1" * 32), (ISCC, b"\1" * 34)],
)
def test_values_that_are_none(client: httpx.Client, alg: str, value: bytes) -> None:
    answer = by_binding(client, alg, value)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"


COPIES = {
    "as it left": {"quality": 95},
    "re-encoded": {"quality": 60},
    "half size": {"side": 128, "quality": 95},
    "both": {"side": 192, "quality": 60},
}


@pytest.mark.parametrize("how", COPIES.values(), ids=COPIES)
def test_copies_are_found_by_content(client: httpx.Client, home: Home, how: dict[str, int]) -> None:
    kept = home.released[0]
    matches = found(by_content(client, copy_of(kept.data, **how)))
    assert list(matches) == [kept.manifest_id]
    assert matches[kept.manifest_id] > 80


@pytest.mark.usefixtures("unreadable_marks")
def test_handed_in_manifests_are_found_by_content(
    client: httpx.Client, home: Home, operator: dict[str, str]
) -> None:
    pixels = picture(9)
    signer = home.house.rooms.signer
    facts = ManifestFacts(
        record_id="01934a7e-0000-7000-8000-000000000002",
        origin=Origin.GENERATED,
        when=datetime.now(UTC),
        model=None,
        mark=None,
        fingerprint=fingerprints(pixels)[0],
        provider="Elsewhere",
    )
    signed = signer.sign(encode(pixels, "image/png"), "image/png", facts)
    store = extract_manifest_store(signed.bytes, "image/png")
    headers = {**operator, "Content-Type": "application/c2pa"}
    client.post("/v1/manifests", content=store, headers=headers)
    matches = found(by_content(client, copy_of(signed.bytes, side=160)))
    assert list(matches) == [signed.manifest_label]
    assert found(by_content(client, encode(picture(8), "image/png"))) == {}


@pytest.fixture
def unreadable_marks(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mark is looked for: only fingerprints can lead anywhere, and the search takes seconds."""
    nothing = Detection(detected=False, payload=None, method="none", p_value=1.0)
    monkeypatch.setattr(type(home.watermark), "detect", lambda *_: nothing)


@pytest.mark.usefixtures("unreadable_marks")
@pytest.mark.parametrize("turns", [0, 1, 2])
def test_turned_copies_are_found_by_content(client: httpx.Client, home: Home, turns: int) -> None:
    kept = home.released[1]
    turned = encode(np.rot90(decode(kept.data).pixels, turns).copy(), "image/png")
    for alg in (ISCC, ALGORITHM):
        assert list(found(by_content(client, turned, alg=alg))) == [kept.manifest_id]


def test_content_of_one_algorithm(client: httpx.Client, home: Home) -> None:
    kept = home.released[0]
    for alg in (MARK, ALGORITHM):
        assert list(found(by_content(client, kept.data, alg=alg))) in ([kept.manifest_id], [])
    assert found(by_content(client, kept.data, alg="com.example.other")) == {}
    assert found(by_content(client, kept.data, alg=MARK)) == {kept.manifest_id: 100}


@pytest.mark.usefixtures("unreadable_marks")
def test_other_pictures_are_not_found(client: httpx.Client) -> None:
    for seed in (50, 51):
        assert found(by_content(client, encode(picture(seed), "image/png"))) == {}
    assert found(by_content(client, encode(np.full((64, 64, 3), 9, np.uint8), "image/png"))) == {}


@pytest.mark.parametrize("described", [True, False], ids=["described", "an older record"])
def test_a_copied_mark_leads_nowhere(
    client: httpx.Client, home: Home, monkeypatch: pytest.MonkeyPatch, described: bool
) -> None:
    """The difference between a picture and its marked copy, laid on another picture."""
    if not described:
        monkeypatch.setattr(repository, "compare", lambda *_: Comparison("not_compared"))
        assert found(by_content(client, home.released[0].data))
    kept, other = home.released[0], picture(50)
    mark = decode(kept.data).pixels.astype(np.int16) - picture(1)
    forged = encode(np.clip(other + 3 * mark, 0, 255).astype(np.uint8), "image/png")
    assert home.watermark.detect(decode(forged).pixels).payload == kept.mark.hex()
    assert found(by_content(client, forged)) == {}


def test_a_picture_that_was_painted_over_is_no_full_match(
    client: httpx.Client, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = home.released[0]
    real = SqlAuditLog.find_by_mark

    def described(log: SqlAuditLog, payload: str) -> StoredRecord | None:
        stored = real(log, payload)
        blocks = describe(decode(kept.data).pixels)
        return stored and replace(stored, blocks=blocks)

    monkeypatch.setattr(SqlAuditLog, "find_by_mark", described)
    painted = decode(kept.data).pixels.copy()
    painted[60:150, 90:190] = picture(70)[60:150, 90:190]
    assert found(by_content(client, kept.data, alg=MARK)) == {kept.manifest_id: 100}
    assert found(by_content(client, encode(painted, "image/png"), alg=MARK)).get(
        kept.manifest_id, 0
    ) in {0, 50}


def test_a_picture_with_another_ones_mark_leads_nowhere(
    client: httpx.Client, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks like one record and carries the mark of another: neither manifest is its own."""
    kept, other = home.released
    real = home.watermark.detect(decode(kept.data).pixels)
    swapped = replace(real, payload=other.mark.hex())
    monkeypatch.setattr(type(home.watermark), "detect", lambda *_: swapped)
    assert found(by_content(client, kept.data)) == {}
    monkeypatch.setattr(type(home.watermark), "detect", lambda *_: real)
    assert found(by_content(client, kept.data)) == {kept.manifest_id: 100}


def test_hints_are_believed_only_if_the_picture_agrees(client: httpx.Client, home: Home) -> None:
    kept, other = home.released
    hint = {"hintAlg": MARK, "hintValue": base64.b64encode(other.mark).decode()}
    assert list(found(by_content(client, kept.data, **hint))) == [kept.manifest_id]
    own = {"hintAlg": MARK, "hintValue": base64.b64encode(kept.mark).decode()}
    answer = by_content(client, kept.data, alg="com.example.other", **own)
    assert found(answer) == {kept.manifest_id: 100}


def test_at_most_so_many(client: httpx.Client, home: Home) -> None:
    first = home.released[0].record.fingerprint
    assert first is not None
    answer = by_binding(client, ALGORITHM, to_binding(first), maxResults=1)
    assert len(found(answer)) == 1


def test_answers_say_nothing_about_people(client: httpx.Client, home: Home) -> None:
    kept = home.released[0]
    answer = by_content(client, kept.data)
    assert set(answer.json()) == {"matches"}
    assert set(answer.json()["matches"][0]) == {"manifestId", "similarityScore"}
    assert kept.record.record_id not in answer.text


def test_the_prints_of_a_released_picture_are_in_its_manifest(home: Home) -> None:
    from guard.provenance.read import read_manifest

    kept = home.released[0]
    reading = read_manifest(kept.data, "image/png", home.trust)
    assert reading is not None
    bound = dict(reading.soft_bindings)
    for print_ in fingerprints(decode(kept.data).pixels):
        assert bound[print_.algorithm] == to_binding(print_).hex()
