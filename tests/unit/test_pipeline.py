"""Outcomes of the hallway, with real rooms around a fake generator."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guard.audit.review.decisions import approve, reject
from guard.delivery import Delivery
from guard.errors import InvalidRequest
from guard.image.decode import decode
from guard.image.encode import encode
from guard.provenance.read import read_manifest
from guard.provenance.trust import TrustList
from guard.types import (
    Action,
    AuditReceipt,
    Blocked,
    Decision,
    Event,
    GenerationRequest,
    Held,
    Origin,
    Released,
    SignedAsset,
    Stage,
)
from tests.support.house import FLAGGED, FORBIDDEN, PROMPT, House, picture

FLAT = np.full((256, 256, 3), 200, np.uint8)
TINY = picture(side=64)


def _record_of(house: House) -> Any:
    return house.records()[-1]


# -- released ---------------------------------------------------------------------------------


def test_released_picture_is_marked_signed_recorded_and_delivered(house: House) -> None:
    outcome = house.generate(seed=5, user="u-1", tenant="t-1")

    assert isinstance(outcome, Released)
    (asset,) = outcome.images
    assert house.files() == [outcome.path]
    assert outcome.path.name == f"{outcome.record_id}.png"
    assert outcome.path.read_bytes() == asset.bytes
    assert house.events() == [Event.STARTED, Event.RELEASED]
    record = _record_of(house)
    assert (record.record_id, record.seed, record.model) == (outcome.record_id, 5, "fake@1")
    assert (record.asset_sha256, record.tenant) == (asset.sha256, "t-1")
    found = house.rooms.watermark.detect(decode(asset.bytes).pixels)
    assert found.payload == record.mark.payload
    reading = read_manifest(asset.bytes, asset.media_type, TrustList())
    assert reading is not None
    assert reading.record_id == outcome.record_id
    assert outcome.notices == ("drawn by a fake",)
    assert outcome.decision.action is Action.ALLOW


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "avif", "tiff"])
def test_every_format_leaves_with_mark_and_manifest(house: House, form: str) -> None:
    request = GenerationRequest(prompt=PROMPT)

    outcome = house.guard().generate(request, delivery=Delivery(None, form))

    assert isinstance(outcome, Released), outcome
    (asset,) = outcome.images
    assert outcome.path is None
    assert asset.media_type == f"image/{form}"
    payload = _record_of(house).mark.payload
    assert house.rooms.watermark.detect(decode(asset.bytes).pixels).payload == payload
    assert read_manifest(asset.bytes, asset.media_type, TrustList()) is not None


def test_unknown_format_is_refused() -> None:
    with pytest.raises(InvalidRequest) as raised:
        Delivery(None, "gif")

    assert "png" in raised.value.hint


def test_released_cannot_be_built_without_a_receipt() -> None:
    decision = Decision(Action.ALLOW, (), "d")

    for receipt in (None, "receipt", 7):
        with pytest.raises(TypeError):
            Released("r", (), receipt, decision)
    assert Released("r", (), AuditReceipt("l", 0, "00"), decision).status == "released"


def test_record_is_open_and_durable_before_anything_is_drawn(house: House) -> None:
    seen: list[list[Event]] = []
    house.generator.on_draw = lambda _: seen.append(house.events())

    house.generate()

    assert seen == [[Event.STARTED]]


def test_several_pictures_have_a_record_a_mark_and_a_seed_each(house: House) -> None:
    request = GenerationRequest(prompt=PROMPT, count=3, seed=10, idempotency_key="k")

    outcomes = house.guard().generate_each(request, delivery=house.delivery)

    assert [type(one) for one in outcomes] == [Released] * 3
    ended = [record for record in house.records() if record.event is Event.RELEASED]
    assert [record.seed for record in ended] == [10, 11, 12]
    assert len({record.mark.payload for record in ended}) == 3
    assert len({record.record_id for record in ended}) == 3
    assert len({record.asset_sha256 for record in ended}) == 3
    assert len(house.files()) == 3
    assert len(house.generator.requests) == 1


def test_one_of_several_pictures_may_be_blocked(house: House, monkeypatch: Any) -> None:
    values = iter([0.01, 0.99, 0.01])
    monkeypatch.setattr(house.detector, "score", lambda _: {"nsfw": next(values)})
    request = GenerationRequest(prompt=PROMPT, count=3)

    outcomes = house.guard().generate_each(request, delivery=house.delivery)

    assert [one.status.value for one in outcomes] == ["released", "blocked", "released"]
    assert len(house.files()) == 2


def test_generate_makes_one_picture_only(house: House) -> None:
    with pytest.raises(InvalidRequest) as raised:
        house.generate(count=2)

    assert "generate_each" in raised.value.hint
    assert house.records() == []


def test_a_generator_of_the_callers_takes_the_place_of_the_rooms(house: House) -> None:
    own = dataclasses.replace(house.generator, model="own@2", requests=[])

    house.guard().generate(GenerationRequest(prompt=PROMPT), generator=own)

    assert house.generator.requests == []
    assert _record_of(house).model == "own@2"


# -- blocked ----------------------------------------------------------------------------------


def test_blocked_prompt_never_reaches_the_generator(house: House) -> None:
    outcome = house.generate(FORBIDDEN, count=1)

    assert isinstance(outcome, Blocked)
    assert outcome.stage is Stage.PROMPT
    assert house.generator.requests == []
    assert house.files() == []
    assert house.events() == [Event.STARTED, Event.BLOCKED]
    assert outcome.findings
    assert outcome.reasons
    assert _record_of(house).action is Action.BLOCK
    assert set(_record_of(house).rules) == set(outcome.decision.rules)


def test_user_is_not_told_which_word_matched(house: House) -> None:
    outcome = house.generate(FORBIDDEN)

    told = " ".join(reason.message for reason in outcome.reasons).lower()
    assert not [one.matched for one in outcome.findings if one.matched.lower() in told]


def test_blocked_prompt_is_one_record_however_many_pictures_were_asked_for(house: House) -> None:
    request = GenerationRequest(prompt=FORBIDDEN, count=5)

    assert len(house.guard().generate_each(request)) == 1
    assert house.events() == [Event.STARTED, Event.BLOCKED]


def test_picture_over_the_threshold_is_blocked(house: House) -> None:
    house.detector.value = 0.8

    outcome = house.generate()

    assert isinstance(outcome, Blocked)
    assert outcome.stage is Stage.CLASSIFY
    assert outcome.decision.rules == ("nsfw",)
    assert [score.value for score in outcome.scores] == [0.8]
    assert _record_of(house).scores == outcome.scores
    assert house.files() == []


@pytest.mark.parametrize("pixels", [FLAT, TINY], ids=["flat", "tiny"])
def test_picture_that_cannot_carry_a_mark_is_blocked(house: House, pixels: Any) -> None:
    house.generator.draw = lambda _: pixels

    outcome = house.generate()

    if isinstance(outcome, Released):  # a watermark may well manage the flat one
        assert pixels is FLAT
        return
    assert isinstance(outcome, Blocked)
    assert outcome.stage is Stage.WATERMARK
    assert [reason.code for reason in outcome.reasons] == ["mark_rejected"]
    assert house.events() == [Event.STARTED, Event.BLOCKED]
    assert house.files() == []


def test_transparent_picture_whose_mark_would_not_show_is_blocked(house: House) -> None:
    clear = encode(picture(), "image/png", alpha=np.zeros((256, 256), np.uint8))

    outcome = house.guard().protect(clear, delivery=house.delivery)

    assert isinstance(outcome, Blocked)
    assert outcome.stage is Stage.WATERMARK
    assert house.files() == []


# -- held -------------------------------------------------------------------------------------

FLAGS = {"prompt": (FLAGGED, 0.01), "classify": (PROMPT, 0.6)}


@pytest.mark.parametrize(("stage", "prompt", "value"), [(k, *v) for k, v in FLAGS.items()])
def test_flagged_picture_is_held(house: House, stage: str, prompt: str, value: float) -> None:
    house.detector.value = value

    outcome = house.generate(prompt)

    assert isinstance(outcome, Held)
    assert outcome.stage.value == stage
    assert outcome.reasons
    assert house.files() == []
    assert house.events() == [Event.STARTED, Event.HELD]
    (waiting,) = house.rooms.quarantine.list()
    assert waiting.record_id == outcome.record_id
    assert waiting.sha256 == _record_of(house).asset_sha256


@pytest.mark.parametrize(("stage", "prompt", "value"), [(k, *v) for k, v in FLAGS.items()])
def test_policy_may_release_what_it_flags(
    house: House, stage: str, prompt: str, value: float
) -> None:
    house.detector.value = value

    outcome = house.generate(prompt, guard=house.guard(policy={"on_flag": "release"}))

    assert isinstance(outcome, Released)
    assert outcome.decision.action is Action.FLAG
    assert _record_of(house).action is Action.FLAG
    assert _record_of(house).rules
    assert len(house.files()) == 1


def test_reviewer_releases_a_held_picture(house: House) -> None:
    held = house.generate(FLAGGED)

    approved = approve(house.log, house.rooms.quarantine, held.record_id, "dana")
    path = house.delivery.write(held.record_id, approved.picture, approved.media_type)

    assert house.events() == [Event.STARTED, Event.HELD, Event.RELEASED]
    assert house.files() == [path]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == _record_of(house).asset_sha256


def test_reviewer_refuses_a_held_picture(house: House) -> None:
    held = house.generate(FLAGGED)

    reject(house.log, house.rooms.quarantine, held.record_id, "dana")

    assert house.events() == [Event.STARTED, Event.HELD, Event.BLOCKED]
    assert list(house.rooms.quarantine.list()) == []
    assert house.files() == []


def test_picture_worse_than_its_prompt_is_blocked_not_held(house: House) -> None:
    house.detector.value = 0.9

    outcome = house.generate(FLAGGED)

    assert isinstance(outcome, Blocked)
    assert outcome.stage is Stage.CLASSIFY
    assert {"nudity", "nsfw"} <= set(outcome.decision.rules)


# -- what the manifest of an original and the visible sign come to ---------------------------------


def manifests(asset: SignedAsset, home: Path) -> list[dict[str, Any]]:
    """The manifests in a file, the active one first."""
    from io import BytesIO

    from c2pa import Reader

    from guard.provenance.trust import context_for, load_trust

    context = context_for(load_trust(home))
    with Reader(asset.media_type, BytesIO(asset.bytes), context=context) as reader:
        found: list[dict[str, Any]] = json.loads(reader.crjson())["manifests"]
    return found


@pytest.mark.parametrize("origin", list(Origin))
def test_the_manifest_of_an_original_is_kept(house: House, furnished: Path, origin: Origin) -> None:
    first = house.generate()
    assert isinstance(first, Released)
    again = house.guard().protect(first.images[0].bytes, origin=origin)
    assert isinstance(again, Released)
    active, *others = manifests(again.images[0], furnished)
    assert [one["label"] for one in others] == [first.images[0].manifest_label]
    parents = [
        one for one in active["assertions"].values() if one.get("relationship") == "parentOf"
    ]
    assert len(parents) == 1
    actions = [one["action"] for one in active["assertions"]["c2pa.actions.v2"]["actions"]]
    assert actions[0] == "c2pa.opened"
    assert "c2pa.created" not in actions, "the original's manifest says so already"


def test_the_manifest_of_an_input_is_kept(house: House, furnished: Path) -> None:
    first = house.generate()
    assert isinstance(first, Released)
    second = house.generate(input_image=first.images[0].bytes)
    assert isinstance(second, Released)
    active, *others = manifests(second.images[0], furnished)
    assert [one["label"] for one in others] == [first.images[0].manifest_label]
    kinds = [one.get("relationship") for one in active["assertions"].values()]
    assert [kind for kind in kinds if kind] == ["inputTo"]
    assert active["assertions"]["c2pa.actions.v2"]["actions"][0]["action"] == "c2pa.created"


@pytest.mark.parametrize("origin", list(Origin))
def test_the_visible_sign_by_policy(house: House, furnished: Path, origin: Origin) -> None:
    original = picture(5) // 2
    stated = house.policy.manifest.model_copy(update={"visible_label": "corner"})
    guard = house.guard(policy={"manifest": stated})
    outcome = guard.protect(encode(original, "image/png"), origin=origin)
    assert isinstance(outcome, Released)
    shown = decode(outcome.images[0].bytes).pixels
    corner = shown[256 - 5 - 21 : 256 - 5, 256 - 5 - 31 : 256 - 5]
    seen = bool((corner.min(axis=2) > 200).any())
    assert seen == (origin is not Origin.UNKNOWN)
    active = manifests(outcome.images[0], furnished)[0]
    actions = [one["action"] for one in active["assertions"]["c2pa.actions.v2"]["actions"]]
    assert ("org.genguard.labelled" in actions) == seen
    assert house.rooms.watermark.detect(shown).detected, "it is marked after that"
