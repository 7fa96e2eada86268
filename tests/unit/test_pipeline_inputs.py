"""The hallway for pictures that come from outside: as inputs, and by the side door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guard.errors import InvalidImage, InvalidRequest
from guard.image.encode import encode
from guard.provenance.read import read_manifest
from guard.provenance.trust import TrustList
from guard.types import (
    Blocked,
    Event,
    GenerationRequest,
    Held,
    Origin,
    Released,
    Stage,
    VerdictName,
)
from guard.verify.suspect import Verifier
from tests.support.house import PROMPT, House, picture


def _record_of(house: House) -> Any:
    return house.records()[-1]


# -- img2img ----------------------------------------------------------------------------------


def test_input_picture_is_classified_and_stands_in_the_manifest(house: House) -> None:
    start = encode(picture(3), "image/png")

    outcome = house.generate(input_image=start)

    assert isinstance(outcome, Released)
    assert house.generator.requests[0].input_image == start
    reading = read_manifest(outcome.images[0].bytes, "image/png", TrustList())
    assert reading is not None


def test_input_picture_over_the_threshold_is_blocked_before_anything_is_drawn(
    house: House,
) -> None:
    house.detector.value = 0.95
    request = GenerationRequest(prompt=PROMPT, input_image=encode(picture(3), "image/png"), count=2)

    outcomes = house.guard().generate_each(request)

    assert [(type(one), one.stage) for one in outcomes] == [(Blocked, Stage.CLASSIFY)] * 2
    assert house.generator.requests == []
    assert house.events().count(Event.BLOCKED) == 2


def test_flagged_input_picture_holds_what_is_made_of_it(house: House, monkeypatch: Any) -> None:
    values = iter([0.6, 0.01])
    monkeypatch.setattr(house.detector, "score", lambda _: {"nsfw": next(values)})

    outcome = house.generate(input_image=encode(picture(3), "image/png"))

    assert isinstance(outcome, Held)
    assert outcome.stage is Stage.CLASSIFY
    assert _record_of(house).rules == ("nsfw",)


# -- the side door ----------------------------------------------------------------------------

SOURCE_TYPES = {
    Origin.GENERATED: "trainedAlgorithmicMedia",
    Origin.EDITED: None,
    Origin.UNKNOWN: None,
}


@pytest.mark.parametrize(("origin", "kind"), SOURCE_TYPES.items())
def test_only_what_is_declared_generated_is_signed_as_generated(
    house: House, origin: Origin, kind: str | None
) -> None:
    data = encode(picture(4), "image/jpeg")

    outcome = house.guard().protect(data, origin=origin, user="u", tenant="t")

    assert isinstance(outcome, Released)
    (asset,) = outcome.images
    reading = read_manifest(asset.bytes, asset.media_type, TrustList())
    assert reading is not None
    stated = str(reading.as_dict.get("digital_source_type") or "")
    assert stated.endswith("/trainedAlgorithmicMedia") is (kind is not None)
    assert {record.origin for record in house.records()} == {origin}


def test_protect_takes_bytes_paths_and_pillow_images(house: House, tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "picture.png"
    file.write_bytes(encode(picture(), "image/png"))
    guard = house.guard()

    for source in (file, str(file), file.read_bytes(), Image.fromarray(picture())):
        assert isinstance(guard.protect(source), Released)


def test_protect_blocks_and_holds_like_generate(house: House) -> None:
    guard, data = house.guard(), encode(picture(), "image/png")

    house.detector.value = 0.9
    assert isinstance(guard.protect(data), Blocked)
    house.detector.value = 0.6
    assert isinstance(guard.protect(data), Held)


def test_protect_refuses_names_that_no_record_could_hold(house: House) -> None:
    for names in ({"user": "a\nb"}, {"tenant": "x" * 401}):
        with pytest.raises(InvalidRequest):
            house.guard().protect(encode(picture(), "image/png"), **names)
    with pytest.raises(InvalidImage):
        house.guard().protect(b"no picture")
    assert house.records() == []


# -- pictures that are marked already ---------------------------------------------------------


def test_a_marked_picture_is_marked_anew_and_derived_from_its_record(house: House) -> None:
    first = house.guard().protect(encode(picture(), "image/png"))
    assert isinstance(first, Released)
    assert _record_of(house).derived_from is None

    second = house.guard().protect(first.images[0].bytes)

    assert isinstance(second, Released)
    assert _record_of(house).derived_from == first.record_id
    verifier = Verifier(TrustList(), house.rooms.watermark, house.log)
    report = verifier.examine(second.images[0].bytes)
    assert report.record is not None
    assert report.record["record_id"] == second.record_id
    assert report.verdict is VerdictName.UNKNOWN_SIGNER  # of an empty list, and not altered


def test_a_mark_without_a_record_is_named_itself(house: House) -> None:
    marked = house.rooms.watermark.embed(picture(), bytes.fromhex("00112233445566aa")).pixels

    assert isinstance(house.guard().protect(encode(marked, "image/png")), Released)
    assert _record_of(house).derived_from == "mark:00112233445566aa"


def test_a_policy_may_refuse_marked_pictures(house: House) -> None:
    watermark = house.policy.watermark.model_copy(update={"on_marked": "refuse"})
    guard = house.guard(policy={"watermark": watermark})
    first = guard.protect(encode(picture(), "image/png"))
    assert isinstance(first, Released)

    again = guard.protect(first.images[0].bytes)

    assert isinstance(again, Blocked)
    assert again.stage is Stage.WATERMARK
    assert [reason.code for reason in again.reasons] == ["already_marked"]
    assert _record_of(house).event is Event.BLOCKED
