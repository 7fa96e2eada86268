"""What must not exist as a picture is kept nowhere, through whatever door it came."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guard.assemble import build_log
from guard.audit.outbox.messages import REPORT
from guard.audit.query import acts
from guard.audit.vault.holds import list_holds
from guard.audit.verify import verify_log
from guard.classify.screen import Classifier
from guard.delivery import Delivery
from guard.errors import AuditUnavailable, LegalHold
from guard.image.decode import decode
from guard.image.encode import encode
from guard.image.fingerprint import fingerprint
from guard.settings import Settings
from guard.types import (
    Act,
    Blocked,
    Event,
    GenerationRequest,
    Held,
    Origin,
    Pixels,
    Released,
    Stage,
)
from tests.support.faults import FINISH, answers
from tests.support.house import FLAGGED, FORBIDDEN, House, picture

CHILD = "a child building a snowman in a garden"
"""A prompt that every policy lets pass."""

WORDS = "a naked child, hardcore pornography"
"""One that none does."""


@pytest.fixture
def places(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files would lie; the home and the output folder lie beside it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield scratch
    monkeypatch.setattr(tempfile, "tempdir", None)


def seen(house: House, value: float) -> Any:
    """A guard whose detector says so of every picture."""
    house.detector.value = value
    return house.guard(classifier=Classifier(house.policy, [house.detector]))


def pictures_in(*folders: Path) -> list[Path]:
    """Every file that is, or holds, a picture: by signature anywhere in it, or by name."""
    signs = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"WEBPVP8", b"ftypavif", b"II*\x00", b"MM\x00*")
    return [
        path
        for folder in folders
        if folder.exists()
        for path in folder.rglob("*")
        if path.is_file() and any(sign in path.read_bytes() for sign in signs)
    ]


def raw_in(pixels: Pixels, *folders: Path) -> list[Path]:
    """Every file that holds a row of the picture as it is."""
    row = np.ascontiguousarray(pixels[len(pixels) // 2]).tobytes()[:96]
    return [
        path
        for folder in folders
        if folder.exists()
        for path in folder.rglob("*")
        if path.is_file() and row in path.read_bytes()
    ]


def check_nothing_kept(house: House, places: Path, pixels: Pixels) -> None:
    everywhere = (house.home, house.out, places)
    assert pictures_in(*everywhere) == []
    assert raw_in(pixels, *everywhere) == []
    with house.log.store.read() as reader:
        tables = ("manifest_store", "picture_fingerprint", "picture_blocks", "mark_id")
        counts = [
            reader._connection.exec_driver_sql(f"SELECT count(*) FROM {one}").scalar()  # noqa: S608
            for one in tables
        ]
    assert counts == [0, 0, 0, 0]


def check_held_and_told(house: House, record_id: str, **hashes: str) -> None:
    """One hold by the policy, one message; both in the log's transaction with the block."""
    (hold,) = acts(house.log, act=Act.HOLD_PLACED, about=record_id)
    assert (hold.act.who, hold.act.reason) == ("policy", "sensitive:minors-sexual")
    assert dict(hold.act.details) == hashes
    with house.log.store.read() as reader:
        (message,) = [m for m in reader.outbox.list() if m.about == record_id]
        blocked = reader.events(record_id)[-1]
    assert blocked.columns.event == "blocked"
    assert hold.index == blocked.index + 1
    assert message.kind == REPORT
    said = json.loads(message.payload)
    assert said["type"] == f"genguard.{REPORT}"
    assert said["subject"] == record_id
    assert said["data"]["hashes"] == hashes if hashes else "hashes" not in said["data"]
    assert said["data"]["holds"] == [hold.act.act_id]
    assert verify_log(house.log).ok


def expected(pixels: Pixels, file: bytes | None = None) -> dict[str, str]:
    found = {
        "pixels-sha256": hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest(),
        "pdq": fingerprint(pixels).bits,
    }
    if file is not None:
        found["file-sha256"] = hashlib.sha256(file).hexdigest()
    return found


def test_a_generated_picture_is_never_written(house: House, places: Path) -> None:
    outcome = house.generate(CHILD, guard=seen(house, 0.4), seed=3)
    assert isinstance(outcome, Blocked)
    assert outcome.decision.sensitive
    assert outcome.stage is Stage.CLASSIFY
    check_nothing_kept(house, places, picture(3))
    check_held_and_told(house, outcome.record_id, **expected(picture(3)))


def test_neither_is_one_that_would_be_held_without_its_prompt(house: House, places: Path) -> None:
    """The very score that sends another picture to quarantine."""
    guard = seen(house, 0.6)
    assert isinstance(house.generate(guard=guard), Held)
    held = pictures_in(house.home)
    assert held  # what looks for pictures finds one where there is one
    for path in held:
        path.unlink()
    outcome = house.generate(CHILD, guard=guard, seed=4)
    assert isinstance(outcome, Blocked)
    assert pictures_in(house.home, house.out, places) == []


@pytest.mark.parametrize("on_flag", ["hold", "release"])
def test_not_either_where_the_prompt_was_to_be_held(
    house: House, places: Path, on_flag: str
) -> None:
    house.detector.value = 0.35
    guard = house.guard(
        policy={"on_flag": on_flag}, classifier=Classifier(house.policy, [house.detector])
    )
    outcome = house.generate(f"{CHILD}, with the president Emmanuel Macron", guard=guard, seed=5)
    assert isinstance(outcome, Blocked)
    assert outcome.decision.sensitive
    check_nothing_kept(house, places, picture(5))


def test_each_of_several_pictures_has_its_own_hold(house: House, places: Path) -> None:
    request = GenerationRequest(prompt=CHILD, count=2, seed=7)
    outcomes = seen(house, 0.9).generate_each(request, delivery=house.delivery)
    for seed, outcome in zip((7, 8), outcomes, strict=True):
        check_held_and_told(house, outcome.record_id, **expected(picture(seed)))
    check_nothing_kept(house, places, picture(7))


def test_an_input_picture_is_kept_nowhere(house: House, places: Path) -> None:
    file = encode(picture(9), "image/png")
    outcome = house.generate(CHILD, guard=seen(house, 0.4), input_image=file)
    assert isinstance(outcome, Blocked)
    assert house.generator.requests == []
    check_nothing_kept(house, places, picture(9))
    check_held_and_told(house, outcome.record_id, **expected(picture(9), file))


def test_a_blocked_prompt_is_held_and_told_without_a_picture(house: House, places: Path) -> None:
    outcome = house.generate(WORDS)
    assert isinstance(outcome, Blocked)
    assert outcome.decision.sensitive
    assert outcome.stage is Stage.PROMPT
    check_held_and_told(house, outcome.record_id)
    assert pictures_in(house.home, house.out, places) == []


def test_the_picture_that_came_with_a_blocked_prompt_is_hashed(house: House) -> None:
    file = encode(picture(10), "image/png")
    outcome = house.generate(WORDS, input_image=file)
    check_held_and_told(house, outcome.record_id, **expected(picture(10), file))


SEXUAL_PICTURES = {
    "sensitive": {"categories": ["nsfw"], "fingerprint": False},
    "output_rules": [
        {"id": "n", "category": "nsfw", "detectors": ["opennsfw"], "block": 0.5, "message": "no"}
    ],
}


def strictly(house: House) -> Any:
    """A guard for which every picture that the detector minds is sensitive."""
    from guard.policy.model import Policy

    plain = house.policy.model_dump(mode="json")
    plain |= SEXUAL_PICTURES | {"picture_combinations": [], "signals": []}
    policy = Policy.model_validate(plain)
    house.detector.value = 0.9
    return house.guard(policy=dict(policy), classifier=Classifier(policy, [house.detector]))


def test_a_protected_picture_is_kept_nowhere(house: House, places: Path) -> None:
    """The side door: a file without a prompt, in whatever format, also delivered to a folder."""
    for media_type in ("image/jpeg", "image/webp"):
        file = encode(picture(11), media_type)
        outcome = strictly(house).protect(
            file, origin=Origin.EDITED, delivery=Delivery(house.out, "jpeg")
        )
        assert isinstance(outcome, Blocked)
        (hold,) = acts(house.log, act=Act.HOLD_PLACED, about=outcome.record_id)
        wanted = expected(decode(file).pixels, file)
        assert dict(hold.act.details) == {k: v for k, v in wanted.items() if k != "pdq"}
    check_nothing_kept(house, places, decode(file).pixels)


def test_a_wrapped_pipeline_hands_out_nothing(
    house: House, places: Path, tiny_pipeline_dir: Path
) -> None:
    from diffusers import StableDiffusionPipeline

    from guard.wrapper import wrap

    pipe = StableDiffusionPipeline.from_pretrained(tiny_pipeline_dir)
    pipe.set_progress_bar_config(disable=True)
    output = wrap(pipe, guard=seen(house, 0.4))(
        CHILD, num_inference_steps=1, num_images_per_prompt=2, height=64, width=64
    )
    assert list(output.images) == [None, None]
    assert output.assets == [None, None]
    assert pictures_in(house.home, house.out, places) == []
    assert len(acts(house.log, act=Act.HOLD_PLACED)) == 2


def test_nothing_is_kept_when_the_record_cannot_be_written(house: House, places: Path) -> None:
    house.detector.value = 0.9
    guard = FINISH.broken(house, answers(None))
    with pytest.raises(AuditUnavailable):
        house.generate(CHILD, guard=guard, seed=12)
    check_nothing_kept(house, places, picture(12))
    assert house.events() == [Event.STARTED]


def test_a_hold_that_cannot_be_written_takes_the_block_with_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction: there is no block without its hold and its message."""
    from guard.store.outbox import Outbox

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Outbox, "add", fail)
    with pytest.raises(AuditUnavailable):
        house.generate(WORDS)
    assert house.events() == [Event.STARTED]
    assert acts(house.log) == []


def test_what_is_harmless_leaves_no_hold(house: House) -> None:
    """Near misses: a child, and a picture that is refused for another reason."""
    assert isinstance(house.generate(CHILD, guard=seen(house, 0.29)), Released)
    assert isinstance(house.generate(guard=seen(house, 0.9)), Blocked)
    assert isinstance(house.generate(FLAGGED, guard=seen(house, 0.4)), Held)
    assert acts(house.log) == []
    with house.log.store.read() as reader:
        assert reader.outbox.list() == []


def test_the_record_is_protected_until_the_hold_is_lifted(house: House) -> None:
    from guard.audit.vault import erasure, holds

    outcome = house.generate(WORDS, user="u", tenant="t")
    assert [one.record for one in list_holds(house.log)] == [outcome.record_id]
    with pytest.raises(LegalHold):
        erasure.erase(house.log, outcome.record_id, who="dana", reason="case-1")
    holds.lift(house.log, outcome.record_id, who="dana", reason="sensitive:minors-sexual")
    assert list_holds(house.log) == []


def test_a_case_refuses_to_release_or_hold_what_is_sensitive(house: House) -> None:
    """Whatever would lead there: a fence behind the policy's own."""
    import dataclasses

    from guard.types import Action, Decision

    case = house.guard()._case(Origin.GENERATED)
    case.start("p", None)
    case.decision = dataclasses.replace(Decision(Action.ALLOW, (), "00" * 32), sensitive=True)
    with pytest.raises(AuditUnavailable, match="sensitive"):
        case.hold(Stage.CLASSIFY, None)


def test_settings_hear_of_it_as_well(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a webhook set the message is addressed to it, and the block is told, too."""
    settings = Settings(
        home=house.home,
        webhook_url="https://hooks.example.com/x",
        webhook_events="report.* record.blocked act.hold_placed",
    )
    log = build_log(settings)
    outcome = house.generate(WORDS, guard=house.guard(log=log))
    assert isinstance(outcome, Blocked)
    with log.store.read() as reader:
        told = {m.kind: m.endpoint for m in reader.outbox.list()}
    assert told == dict.fromkeys(
        ("record.blocked", "act.hold_placed", "report.required"), "webhook"
    )
    log.store.close()


def test_a_picture_that_cannot_be_marked_counts_against_nobody(house: House) -> None:
    """A block for a reason that no rule of the policy has."""
    house.generator.draw = lambda seed: picture(seed, side=16)
    outcome = house.generate(CHILD, user="ann")
    assert isinstance(outcome, Blocked)
    assert [one.code for one in outcome.reasons] == ["mark_rejected"]
    with house.log.store.read() as reader:
        count = "SELECT count(*) FROM subject_block"
        assert reader._connection.exec_driver_sql(count).scalar() == 0


def test_repeated_blocks_through_the_front_door_are_a_signal(house: House) -> None:
    """As the default policy says: five in a day; and not those of somebody else."""
    for _ in range(4):
        house.generate(FORBIDDEN, user="ann")
        house.generate(FORBIDDEN, user="bob")
    assert acts(house.log) == []
    house.generate(FORBIDDEN, user="ann")
    (signal,) = acts(house.log, act=Act.SIGNALLED)
    assert dict(signal.act.details)["blocks"] == "5"
