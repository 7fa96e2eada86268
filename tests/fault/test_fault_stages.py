"""Every stage, broken in every way: nothing leaves, and the record says which stage it was."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pytest
from guard.cli.exits import Exit, of_outcome

from guard.delivery import Delivery
from guard.errors import (
    DetectorUnavailable,
    GuardError,
    KeyInvalid,
    ModelUnavailable,
    Unavailable,
)
from guard.image.encode import encode
from guard.provenance.base import ManifestFacts
from guard.types import (
    Detection,
    Event,
    Failed,
    Finding,
    GenerationRequest,
    Mark,
    MarkedImage,
    Pixels,
    RawImage,
    SignedAsset,
)
from tests.support.faults import (
    BEFORE_THE_AUDIT,
    DETECT,
    DRAW,
    EMBED,
    LIMIT,
    NOTICES,
    OPEN,
    PREPARE,
    SCORE,
    SCREEN,
    SIGN,
    Fault,
    Hang,
    Point,
    answers,
    raises,
    twisted,
)
from tests.support.house import PROMPT, House, picture

RAISED = {
    "an error": RuntimeError("a disk fell out"),
    "an error without words": ValueError(),
    "an exit": SystemExit(0),
    "an interrupt": KeyboardInterrupt(),
    "out of memory": MemoryError("no more"),
    "a typed error": Unavailable("It is closed today.", hint="Come back tomorrow."),
}

MISSING = {
    OPEN: ModelUnavailable("There is no model 'x'.", hint="Pull it."),
    DRAW: ModelUnavailable("The weights are gone.", hint="Pull them."),
    PREPARE: DetectorUnavailable("open_nsfw has no weights.", hint="Install them."),
    SCORE: DetectorUnavailable("open_nsfw has no weights.", hint="Install them."),
    SIGN: KeyInvalid("The certificate expired.", hint="Renew it."),
}


def _pixels(pixels: Any) -> Fault:
    """A generator whose pictures are ``pixels``."""
    return answers([RawImage(pixels, 1, "fake@1")])


def _score(**facts: Any) -> Fault:
    return twisted(lambda scores: (dataclasses.replace(scores[0], **facts),))


def _signed(**facts: Any) -> Fault:
    return twisted(lambda asset: dataclasses.replace(asset, **facts))


WRONG_PIXELS = {
    "None": None,
    "a list": [[0, 0, 0]],
    "NaN": np.full((64, 64, 3), np.nan),
    "floats": np.zeros((64, 64, 3), np.float32),
    "signed": np.zeros((64, 64, 3), np.int8),
    "grey": np.zeros((64, 64), np.uint8),
    "four channels": np.zeros((64, 64, 4), np.uint8),
    "channels first": np.zeros((3, 64, 64), np.uint8),
    "a batch": np.zeros((1, 64, 64, 3), np.uint8),
    "empty": np.zeros((0, 0, 3), np.uint8),
    "a sliver": np.zeros((512, 1, 3), np.uint8),
}

FINDING = Finding("sexual", "sexual", (0, 1), "a", 0.9, "list", "because")
OTHER = picture(99)
UNMARKED = twisted(lambda marked: MarkedImage(picture(0), marked.mark))

LIES: dict[Point, dict[str, Fault]] = {
    SCREEN: {
        "None": answers(None),
        "a generator": answers(iter(())),
        "other things": answers((FINDING, "sexual")),
        "NaN": answers((dataclasses.replace(FINDING, score=float("nan")),)),
        "a rule that does not exist": answers((dataclasses.replace(FINDING, rule="none"),)),
    },
    OPEN: {"None": answers(None), "an object": answers(object())},
    DRAW: {
        "None": answers(None),
        "nothing": answers([]),
        "too many": twisted(lambda raws: raws * 2),
        "text": answers("x"),
        "bytes": answers(b"x"),
        "bare pixels": answers([picture()]),
        "a generator": answers(iter([RawImage(picture(), 1, "fake@1")])),
        **{f"{name} pixels": _pixels(pixels) for name, pixels in WRONG_PIXELS.items()},
    },
    NOTICES: {"None": answers(None), "other things": answers((None,)), "text": answers("word")},
    SCORE: {
        "None": answers(None),
        "nothing": answers(()),
        "a dict": answers({"nsfw": 0.1}),
        "other things": twisted(lambda scores: (*scores, 0.5)),
        "NaN": _score(value=float("nan")),
        "infinity": _score(value=float("inf")),
        "a value below 0": _score(value=-0.1),
        "a value above 1": _score(value=1.1),
        "None as a value": _score(value=None),
        "text as a value": _score(value="0.1"),
        "another detector's scores": _score(detector="somebody"),
        "another category": _score(category="weather"),
    },
    EMBED: {
        "None": answers(None),
        "bare pixels": answers(picture()),
        **{
            f"{name} pixels": twisted(lambda marked, p=pixels: MarkedImage(p, marked.mark))
            for name, pixels in WRONG_PIXELS.items()
        },
        "another size": twisted(lambda marked: MarkedImage(marked.pixels[8:], marked.mark)),
        "unmarked pixels": UNMARKED,
        "another mark": twisted(
            lambda marked: dataclasses.replace(marked, mark=Mark("other", "00" * 8, 42.0))
        ),
        "no mark": twisted(lambda marked: dataclasses.replace(marked, mark=None)),
    },
    DETECT: {
        "None": answers(None),
        "text": answers("found"),
        "not found": answers(Detection(detected=False, payload=None, method="m", p_value=1.0)),
        "another mark": answers(
            Detection(detected=True, payload="00" * 8, method="m", p_value=0.0)
        ),
    },
    SIGN: {
        "None": answers(None),
        "bare bytes": twisted(lambda asset: asset.bytes),
        "no bytes": _signed(bytes=None),
        "text": _signed(bytes="text"),
        "empty": _signed(bytes=b""),
        "garbage": _signed(bytes=b"\x89PNG garbage"),
        "half a file": twisted(
            lambda asset: dataclasses.replace(asset, bytes=asset.bytes[: len(asset.bytes) // 2])
        ),
        "another digest": _signed(sha256="0" * 64),
        "notices that are no texts": _signed(notices=[1]),
        "a notice that is no text": _signed(notices=(None,)),
        "another format": _signed(media_type="image/jpeg"),
    },
}

CASES = [
    *((point, name, raises(error)) for point in BEFORE_THE_AUDIT for name, error in RAISED.items()),
    *((point, "it missing", raises(error)) for point, error in MISSING.items()),
    *((point, name, fault) for point, faults in LIES.items() for name, fault in faults.items()),
]


def _expect_failure(house: House, outcome: object, point: Point) -> Failed:
    """Nothing left, and one record says that this stage failed."""
    assert isinstance(outcome, Failed), outcome
    assert outcome.stage is point.stage
    assert house.files() == []
    records = house.records()
    assert [record.event for record in records] == [Event.STARTED, Event.FAILED]
    assert records[-1].stage is point.stage
    assert records[-1].reasons[0] == outcome.reasons[0].code == "stage_unavailable"
    assert outcome.receipt.index == 1
    assert outcome.cause
    assert of_outcome(outcome) is Exit.UNAVAILABLE
    return outcome


@pytest.mark.parametrize(
    ("point", "fault"),
    [pytest.param(point, fault, id=f"{point}: {name}") for point, name, fault in CASES],
)
def test_broken_stage_fails_closed(house: House, point: Point, fault: Fault) -> None:
    outcome = house.generate(guard=point.broken(house, fault))

    _expect_failure(house, outcome, point)


@pytest.mark.parametrize("point", BEFORE_THE_AUDIT, ids=str)
def test_hanging_stage_fails_in_time_and_its_late_result_is_discarded(
    house: House, point: Point
) -> None:
    hang = Hang()
    # Before the call that looks again, the same stage marks the picture for real.
    limit = 5.0 if point is DETECT else LIMIT

    outcome = house.generate(guard=point.broken(house, hang, limit))

    failed = _expect_failure(house, outcome, point)
    assert [reason.code for reason in failed.reasons] == ["stage_unavailable", "stage_timeout"]
    assert f"GUARD_{point.stage.value.upper()}_SECONDS" in failed.hint
    before = house.records()
    hang.finish()
    assert house.records() == before
    assert house.files() == []


@pytest.mark.parametrize("point", [SCREEN, PREPARE], ids=str)
def test_nothing_is_drawn_that_could_not_be_looked_at(house: House, point: Point) -> None:
    house.generate(guard=point.broken(house, raises(RuntimeError())))

    assert house.generator.requests == []


@pytest.mark.parametrize("error", MISSING.values(), ids=lambda error: type(error).__name__)
def test_hint_of_a_missing_part_reaches_the_operator(house: House, error: GuardError) -> None:
    point = next(one for one, missing in MISSING.items() if missing is error)

    outcome = house.generate(guard=point.broken(house, raises(error)))

    failed = _expect_failure(house, outcome, point)
    assert (failed.cause, failed.hint) == (error.message, error.hint)
    assert error.message not in " ".join(reason.message for reason in failed.reasons)


class Swapper:
    """A signer and a watermark that put another picture in the place of the right one."""

    def __init__(self, house: House) -> None:
        self._rooms = house.rooms

    def sign(self, _encoded: bytes, media_type: str, facts: ManifestFacts) -> SignedAsset:
        return self._rooms.signer.sign(encode(OTHER, media_type), media_type, facts)

    def embed(self, _pixels: Pixels, payload: bytes) -> MarkedImage:
        return self._rooms.watermark.embed(OTHER, payload)

    def detect(self, pixels: Pixels) -> Detection:
        return self._rooms.watermark.detect(pixels)


class Idler:
    """A signer that passes on what it is given."""

    def sign(self, encoded: bytes, media_type: str, _facts: ManifestFacts) -> SignedAsset:
        return SignedAsset(encoded, media_type, hashlib.sha256(encoded).hexdigest(), "l", "f")


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "avif"])
def test_signer_that_swaps_the_picture_is_found_out(house: House, form: str) -> None:
    guard = house.guard(signer=Swapper(house))

    outcome = guard.generate(GenerationRequest(prompt=PROMPT), delivery=Delivery(house.out, form))

    _expect_failure(house, outcome, SIGN)


def test_signer_that_does_not_sign_is_found_out(house: House) -> None:
    outcome = house.generate(guard=house.guard(signer=Idler()))

    assert "manifest" in _expect_failure(house, outcome, SIGN).cause


def test_watermark_that_swaps_the_picture_is_found_out(house: House) -> None:
    """Else a picture would leave that no classifier has seen."""
    outcome = house.generate(guard=house.guard(watermark=Swapper(house)))

    _expect_failure(house, outcome, EMBED)


def test_each_picture_of_a_request_has_its_own_failure(house: House) -> None:
    guard = DRAW.broken(house, raises(RuntimeError("broken")))

    outcomes = guard.generate_each(GenerationRequest(prompt=PROMPT, count=3))

    assert [type(one) for one in outcomes] == [Failed] * 3
    assert len({one.record_id for one in outcomes}) == 3
    assert sorted(house.events()) == [Event.FAILED] * 3 + [Event.STARTED] * 3
