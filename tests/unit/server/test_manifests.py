"""Manifests over real HTTP: fetched, handed in, bound, withdrawn, with receipts; by whom."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from guard.image.encode import encode
from guard.image.fingerprint import ALGORITHM, ISCC, to_binding
from guard.provenance.base import ManifestFacts
from guard.provenance.container import extract_manifest_store
from guard.provenance.cose import active_label
from guard.provenance.jumbf import boxes, find, label_of
from guard.provenance.manifest import mark_algorithm
from guard.provenance.read import verify_stored
from guard.server.problems import Problem
from guard.server.stores import active_manifest
from guard.types import Fingerprint, Mark, Origin
from guard.watermark.pilot_watermark import METHOD
from tests.support.house import picture

from .conftest import TOKEN, Home

MARK = mark_algorithm(METHOD)

FOREIGN = "com.example.watermark.1"


@pytest.fixture
def foreign(home: Home) -> tuple[str, bytes, Fingerprint]:
    """A manifest that is no record's: its id, its store, and a fingerprint that it binds."""
    from datetime import UTC, datetime

    print_ = Fingerprint(ALGORITHM, secrets.token_hex(32))
    facts = ManifestFacts(
        record_id="01934a7e-0000-7000-8000-000000000001",
        origin=Origin.GENERATED,
        when=datetime.now(UTC),
        model="elsewhere@1",
        mark=Mark("genguard-pilot-3", secrets.token_hex(8), 40.0),
        fingerprint=print_,
        provider="Elsewhere",
    )
    signer = home.house.rooms.signer
    signed = signer.sign(encode(picture(9), "image/png"), "image/png", facts).bytes
    store = extract_manifest_store(signed, "image/png")
    assert store is not None
    return active_label(store), store, print_


def hand_in(
    client: httpx.Client, store: bytes, headers: dict[str, str], **params: str
) -> httpx.Response:
    kind = {"Content-Type": "application/c2pa"}
    return client.post("/v1/manifests", content=store, headers=headers | kind, params=params)


def matches(client: httpx.Client, alg: str, value: bytes) -> list[str]:
    text = base64.b64encode(value).decode()
    answer = client.get("/v1/matches/byBinding", params={"alg": alg, "value": text})
    assert answer.status_code == 200, answer.text
    return [one["manifestId"] for one in answer.json()["matches"]]


def test_a_manifest_is_served_as_it_was_embedded(client: httpx.Client, home: Home) -> None:
    kept = home.released[0]
    answer = client.get(f"/v1/manifests/{kept.manifest_id}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/c2pa"
    assert answer.content == extract_manifest_store(kept.data, "image/png")
    reading = verify_stored(answer.content, "image/png", home.trust)
    assert (reading.state, reading.record_id) == ("trusted", kept.record.record_id)


def test_the_active_manifest_alone(client: httpx.Client, home: Home) -> None:
    kept = home.released[0]
    path = f"/v1/manifests/{kept.manifest_id}"
    alone = client.get(path, params={"returnActiveManifest": "true"}).content
    top = find(alone)
    assert top is not None
    assert top.end == len(alone)
    inner = list(boxes(alone, top.body, top.end))
    assert [label_of(alone, one) for one in inner[1:]] == [kept.manifest_id]
    assert verify_stored(alone, "image/png", home.trust).state == "trusted"


@pytest.mark.parametrize(
    "manifest_id", ["urn:c2pa:00000000-0000-0000-0000-000000000000", "x" * 501, "%20", "%00"]
)
def test_unknown_manifests(client: httpx.Client, manifest_id: str) -> None:
    for path in (f"/v1/manifests/{manifest_id}", f"/v1/manifests/{manifest_id}/receipts"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


def test_what_was_held_is_not_served(client: httpx.Client, home: Home) -> None:
    assert client.get(f"/v1/manifests/{home.held.manifest_label}").status_code == 404


# -- handed in -------------------------------------------------------------------------------


def test_handed_in_found_and_withdrawn(
    client: httpx.Client, operator: dict[str, str], foreign: tuple[str, bytes, Fingerprint]
) -> None:
    manifest_id, store, print_ = foreign
    answer = hand_in(client, store, operator)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"manifestId": manifest_id}
    assert client.get(f"/v1/manifests/{manifest_id}").content == store
    assert matches(client, ALGORITHM, to_binding(print_)) == [manifest_id]
    near = Fingerprint(ALGORITHM, f"{int(print_.bits, 16) ^ 0b111:064x}")
    assert matches(client, ALGORITHM, to_binding(near)) == [manifest_id]
    assert hand_in(client, store, operator).json() == {"manifestId": manifest_id}

    gone = client.delete(f"/v1/manifests/{manifest_id}", headers=operator)
    assert (gone.status_code, gone.content) == (204, b"")
    assert client.get(f"/v1/manifests/{manifest_id}").status_code == 404
    assert matches(client, ALGORITHM, to_binding(print_)) == []
    assert client.delete(f"/v1/manifests/{manifest_id}", headers=operator).status_code == 404
    again = hand_in(client, store, operator)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")


def test_our_own_may_be_handed_in_again(
    client: httpx.Client, home: Home, operator: dict[str, str]
) -> None:
    kept = home.released[0]
    store = extract_manifest_store(kept.data, "image/png") or b""
    assert hand_in(client, store, operator).json() == {"manifestId": kept.manifest_id}


def test_another_store_under_a_taken_id(
    client: httpx.Client, home: Home, operator: dict[str, str]
) -> None:
    """The same manifest with other filling beside its signature: it verifies, and is not ours."""
    kept = home.released[0]
    store = extract_manifest_store(kept.data, "image/png") or b""
    filling = store.rindex(b"\0" * 64) + 32
    other = store[:filling] + b"\1" + store[filling + 1 :]
    assert verify_stored(other, "image/png", home.trust).label == kept.manifest_id
    answer = hand_in(client, other, operator)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize("body", [b"x", b"\0\0\0\x08jumb", b"{}", b"\xff" * 4000])
def test_what_is_no_store(client: httpx.Client, operator: dict[str, str], body: bytes) -> None:
    answer = hand_in(client, body, operator)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_a_store_that_was_changed(
    client: httpx.Client, operator: dict[str, str], foreign: tuple[str, bytes, Fingerprint]
) -> None:
    changed = foreign[1].replace(b"Elsewhere", b"Somewhere")
    assert changed != foreign[1]
    assert hand_in(client, changed, operator).status_code == 400


def test_bindings_added_and_replaced(
    client: httpx.Client,
    home: Home,
    operator: dict[str, str],
    foreign: tuple[str, bytes, Fingerprint],
) -> None:
    manifest_id, store, _ = foreign
    own, value = home.released[0].manifest_id, secrets.token_bytes(12)
    hand_in(client, store, operator)
    body = {"alg": FOREIGN, "value": base64.b64encode(value).decode(), "manifestId": manifest_id}
    for _ in range(2):  # the same again is no mistake
        assert client.post("/v1/bindings", json=body, headers=operator).json() == body
    assert matches(client, FOREIGN, value) == [manifest_id]
    client.post("/v1/bindings", json=body | {"manifestId": own}, headers=operator)
    assert sorted(matches(client, FOREIGN, value)) == sorted([manifest_id, own])
    done = client.put("/v1/bindings", json=body | {"manifestId": own}, headers=operator)
    assert done.status_code == 200
    assert matches(client, FOREIGN, value) == [own]
    unknown = client.post("/v1/bindings", json=body | {"manifestId": "x"}, headers=operator)
    assert unknown.status_code == 404


def test_a_replaced_fingerprint_no_longer_leads_by_nearness(
    client: httpx.Client,
    home: Home,
    operator: dict[str, str],
    foreign: tuple[str, bytes, Fingerprint],
) -> None:
    hand_in(client, foreign[1], operator)
    print_ = Fingerprint(ISCC, secrets.token_hex(32))
    near = to_binding(Fingerprint(ISCC, f"{int(print_.bits, 16) ^ 1:064x}"))
    value = base64.b64encode(to_binding(print_)).decode()
    body = {"alg": ISCC, "value": value, "manifestId": foreign[0]}
    client.post("/v1/bindings", json=body, headers=operator)
    assert matches(client, ISCC, near) == [foreign[0]]
    own = home.released[0].manifest_id
    client.put("/v1/bindings", json=body | {"manifestId": own}, headers=operator)
    assert matches(client, ISCC, near) == [own]


# -- who may do it ---------------------------------------------------------------------------

CHANGES: dict[str, Callable[..., httpx.Response]] = {
    "POST manifest": lambda client, **more: client.post("/v1/manifests", content=b"x", **more),
    "DELETE manifest": lambda client, **more: client.delete("/v1/manifests/urn:x", **more),
    "POST binding": lambda client, **more: client.post("/v1/bindings", json={}, **more),
    "PUT binding": lambda client, **more: client.put("/v1/bindings", json={}, **more),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer wrong-token-of-some-length", f"Basic {TOKEN}", f"Bearer {TOKEN}x"],
)
def test_changes_need_the_token(
    client: httpx.Client, change: Callable[..., httpx.Response], given: str | None
) -> None:
    answer = change(client, headers={} if given is None else {"Authorization": given})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "unauthorized"


def test_without_a_token_nothing_can_be_changed(
    served: Callable[..., httpx.Client], operator: dict[str, str]
) -> None:
    client = served(token=None)
    for change in CHANGES.values():
        for headers in (
            {},
            operator,
            {"Authorization": "Bearer None"},
        ):
            answer = change(client, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    told = client.get("/v1/services/capabilities").json()["supportedCapabilities"]
    assert told == ["queryByContent"]


# -- receipts --------------------------------------------------------------------------------


def test_receipts_are_given_and_checked(client: httpx.Client, home: Home) -> None:
    kept = home.released[0]
    path = f"/v1/manifests/{kept.manifest_id}/receipts"
    given = client.get(path).json()
    assert given["@type"] == "org.c2pa.manifest-receipt"
    assert given["verified"] is True
    assert given["repository"] == {"uri": "https://c2pa.example", "manifestId": kept.manifest_id}
    assert given["anchor"]["proof"]["logId"] == home.log.log_id
    assert client.post(path, json=given).json()["verified"] is True
    forged = given | {"anchor": given["anchor"] | {"proof": {"alg": "sha256", "leafIndex": 0}}}
    assert client.post(path, json=forged).json()["verified"] is False
    other = f"/v1/manifests/{home.released[1].manifest_id}/receipts"
    assert client.post(other, json=given).json()["verified"] is False
    assert client.post(path, json={"@type": "other"}).status_code == 400


def test_a_receipt_names_the_leaf_that_the_log_holds(client: httpx.Client, home: Home) -> None:
    from guard.audit.query import show

    kept = home.released[0]
    proof = client.get(f"/v1/manifests/{kept.manifest_id}/receipts").json()["anchor"]["proof"]
    entry = show(home.log, kept.record.record_id)[-1]
    assert proof["leafIndex"] == entry.receipt.index
    assert proof["leafHash"] == entry.receipt.leaf_hash
    assert proof["manifestSha256"] == entry.manifest_sha256


def test_a_receipt_with_what_is_handed_in(
    client: httpx.Client, operator: dict[str, str], foreign: tuple[str, bytes, Fingerprint]
) -> None:
    answer = hand_in(client, foreign[1], operator, returnReceipt="true").json()
    assert answer["receipt"]["repository"]["manifestId"] == foreign[0]
    path = f"/v1/manifests/{foreign[0]}/receipts"
    assert client.post(path, json=answer["receipt"]).json()["verified"] is True


def test_withdrawing_keeps_the_log_whole(
    home: Home, served: Callable[..., httpx.Client], operator: dict[str, str], tmp_path: Path
) -> None:
    from guard.audit.verify import verify_log
    from guard.types import Released

    outcome = home.house.generate(seed=77)
    assert isinstance(outcome, Released)
    record = home.house.records()[-1]
    client = served()
    assert record.mark is not None
    mark = bytes.fromhex(record.mark.payload)
    assert matches(client, MARK, mark) == [record.manifest_label]
    gone = client.delete(f"/v1/manifests/{record.manifest_label}", headers=operator)
    assert gone.status_code == 204
    assert matches(client, MARK, mark) == []
    assert verify_log(home.log).ok


def test_a_record_whose_manifest_was_exchanged_is_no_match(
    client: httpx.Client, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What leads to a record must stand in its manifest, and the manifest be the record's own."""
    from dataclasses import replace

    from guard.audit.log import SqlAuditLog

    kept, other = home.released
    real = SqlAuditLog.find_by_mark

    def exchanged(log: SqlAuditLog, payload: str) -> object:
        found, theirs = real(log, payload), real(log, other.mark.hex())
        assert found is not None
        assert theirs is not None
        return replace(found, manifest=theirs.manifest)

    monkeypatch.setattr(SqlAuditLog, "find_by_mark", exchanged)
    assert matches(client, MARK, kept.mark) == []
    assert matches(client, MARK, other.mark) == [other.manifest_id]


def test_a_store_without_the_manifest_that_is_asked_for() -> None:
    with pytest.raises(Problem):
        active_manifest(b"", "urn:c2pa:x")
