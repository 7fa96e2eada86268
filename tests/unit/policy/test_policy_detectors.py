"""Several detectors of one rule: which value counts, when they disagree, what a score means."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guard.errors import DetectorUnavailable
from guard.policy.calibration import Calibration
from guard.policy.decide import calibrated, decide_output
from guard.policy.model import OutputRule, Policy
from guard.types import Action, Score

A, B, F = Action.ALLOW, Action.BLOCK, Action.FLAG


def rule(**fields: Any) -> OutputRule:
    usual = {"id": "n", "category": "nsfw", "detectors": ("a", "b"), "review": 0.5, "block": 0.8}
    return OutputRule(**{**usual, "message": "No.", **fields})


def policy(*rules: OutputRule, **fields: Any) -> Policy:
    return Policy(name="p", output_rules=rules, **{"required_detectors": ("a", "b"), **fields})


def scores(*values: float) -> list[Score]:
    pairs = zip(("a", "b"), values, strict=False)
    return [Score("nsfw", value, 0, name, "") for name, value in pairs]


@pytest.mark.parametrize(
    ("fields", "values", "action"),
    [
        ({}, (0.9, 0.1), B),
        ({"combine": "all"}, (0.9, 0.1), A),
        ({"combine": "all"}, (0.9, 0.6), F),
        ({"combine": "all"}, (0.9, 0.8), B),
        ({"combine": "weighted", "weights": (3, 1)}, (0.9, 0.1), F),  # 0.7
        ({"combine": "weighted", "weights": (1, 3)}, (0.9, 0.1), A),  # 0.3
        ({"combine": "weighted", "weights": (1, 1)}, (0.8, 0.8), B),
        ({"combine": "all", "disagreement": 0.6}, (0.9, 0.1), F),
        ({"combine": "all", "disagreement": 0.9}, (0.9, 0.1), A),
        ({"disagreement": 0.3}, (0.45, 0.1), F),
        ({"disagreement": 0.3}, (0.9, 0.1), B),
        ({"disagreement": 0.3}, (0.2, 0.1), A),
    ],
)
def test_what_counts(fields: dict[str, Any], values: tuple[float, ...], action: Action) -> None:
    assert decide_output(policy(rule(**fields)), scores(*values)).action is action


def test_all_needs_every_detector() -> None:
    with pytest.raises(DetectorUnavailable):
        decide_output(policy(rule(combine="all")), scores(0.9))
    optional = policy(rule(combine="all"), required_detectors=("a",))
    assert decide_output(optional, scores(0.9)).action is A


@pytest.mark.parametrize(
    "fields",
    [
        {"combine": "weighted"},
        {"combine": "weighted", "weights": (1,)},
        {"combine": "weighted", "weights": (1, 0)},
        {"weights": (1, 1)},
        {"detectors": ("a",), "disagreement": 0.3},
        {"disagreement": 0.0},
        {"combine": "most"},
    ],
)
def test_rules_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(**fields)


def test_what_is_sensitive_is_never_held_for_disagreement() -> None:
    with pytest.raises(ValidationError, match="disagreement"):
        policy(rule(review=None, disagreement=0.5), sensitive={"categories": ("nsfw",)})


# -- calibration ----------------------------------------------------------------------------

PLATT = {"method": "platt", "slope": 2.0, "offset": -1.0}
STEPS = {"method": "isotonic", "points": ((0.1, 0.0), (0.5, 0.2), (0.9, 1.0))}


def made(fields: dict[str, Any], detector: str = "a") -> Calibration:
    return Calibration(detector=detector, category="nsfw", **fields)


def test_platt_is_a_sigmoid_over_the_logit() -> None:
    one = made(PLATT)
    for score in (0.1, 0.5, 0.97):
        logit = math.log(score / (1 - score))
        assert one.probability(score) == pytest.approx(1 / (1 + math.exp(1 - 2 * logit)))
    assert 0 <= one.probability(0.0) < 1e-6
    assert 1 - 1e-6 < one.probability(1.0) <= 1


def test_isotonic_is_lines_between_points() -> None:
    one = made(STEPS)
    given_ = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    assert [one.probability(x) for x in given_] == pytest.approx([0, 0, 0.1, 0.2, 0.6, 1, 1])


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from([PLATT, STEPS]))
def test_a_higher_score_is_never_less_likely(x: float, y: float, fields: dict[str, Any]) -> None:
    one = made(fields)
    low, high = sorted((x, y))
    assert one.probability(low) <= one.probability(high) + 1e-12


@given(st.floats(0.001, 0.999), st.sampled_from([PLATT, STEPS]))
def test_the_score_at_a_probability(probability: float, fields: dict[str, Any]) -> None:
    one = made(fields)
    score = one.score_at(probability)
    assert one.probability(score) >= probability
    assert score == 0 or one.probability(score - 1e-6) < probability


def test_no_score_may_be_sure_enough() -> None:
    one = made({"method": "isotonic", "points": ((0.0, 0.1), (1.0, 0.4))})
    assert one.score_at(0.9) == 1.0
    assert one.score_at(0.1) == 0.0


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "platt"},
        {"method": "platt", "slope": 1.0},
        {"method": "platt", "slope": 0.0, "offset": 0.0},
        {"method": "platt", "slope": -1.0, "offset": 0.0},
        {"method": "platt", "slope": float("inf"), "offset": 0.0},
        {**PLATT, "points": STEPS["points"]},
        {"method": "isotonic"},
        {"method": "isotonic", "points": ((0.1, 0.2),)},
        {"method": "isotonic", "points": ((0.1, 0.2), (0.1, 0.3))},
        {"method": "isotonic", "points": ((0.1, 0.2), (0.3, 0.1))},
        {"method": "isotonic", "points": ((0.1, 0.2), (0.3, 1.1))},
        {**STEPS, "slope": 1.0},
        {"method": "beta", "slope": 1.0, "offset": 0.0},
    ],
)
def test_calibrations_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made(fields)


def test_the_policy_decides_on_probabilities() -> None:
    only_a = rule(detectors=("a",))
    plain = policy(only_a, required_detectors=("a",))
    careful = policy(only_a, required_detectors=("a",), calibration=(made(STEPS),))
    assert decide_output(plain, scores(0.7)).action is F
    assert calibrated(careful, scores(0.7)[0]) == pytest.approx(0.6)
    assert decide_output(careful, scores(0.6)).action is A  # 0.4
    assert decide_output(careful, scores(0.85)).action is B  # 0.9
    assert calibrated(careful, Score("gore", 0.7, 0, "a", "")) == 0.7
    assert plain.digest != careful.digest
    with pytest.raises(ValidationError, match="twice"):
        policy(only_a, calibration=(made(STEPS), made(PLATT)))
