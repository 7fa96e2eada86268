from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.classify.screen import NEVER, Classifier, build_detectors, names
from guard.errors import DetectorUnavailable, StageMisbehaved
from guard.policy.decide import decide_output
from guard.policy.model import ClipSettings, Concept, OutputRule, Policy
from guard.types import Action, Score

PICTURE = np.zeros((16, 16, 3), np.uint8)


class Fake:
    """Answers what it is told to."""

    def __init__(self, name: str = "opennsfw", answer: Any = None) -> None:
        self.id = name
        self.model_digest = f"digest of {name}"
        self.answer = {"nsfw": 0.25} if answer is None else answer

    def score(self, pixels: np.ndarray) -> Mapping[str, float]:
        if isinstance(self.answer, Exception):
            raise self.answer
        answer: Mapping[str, float] = self.answer
        return answer


def rule(name: str = "nsfw", **fields: Any) -> OutputRule:
    return OutputRule(
        **{
            "id": name,
            "category": "nsfw",
            "detectors": ("opennsfw",),
            "block": 0.8,
            "message": "No.",
            **fields,
        }
    )


def policy(*rules: OutputRule, **fields: Any) -> Policy:
    return Policy(name="p", output_rules=rules, **fields)


def test_scores_carry_the_lowest_threshold_that_acts() -> None:
    chosen = policy(rule(), rule("careful", review=0.4, block=0.9))
    assert Classifier(chosen, [Fake()]).score(PICTURE) == (
        Score("nsfw", 0.25, 0.4, "opennsfw", "digest of opennsfw"),
    )


def test_a_score_that_no_rule_reads_is_reported_and_never_acts() -> None:
    fakes = [Fake(), Fake("clip:x/many", {"nsfw": 1.0, "cats": 0.9})]
    scores = Classifier(policy(rule()), fakes).score(PICTURE)
    assert [(one.category, one.threshold) for one in scores] == [
        ("nsfw", 0.8),
        ("nsfw", NEVER),
        ("cats", NEVER),
    ]
    assert decide_output(policy(rule()), scores).action is Action.ALLOW


@pytest.mark.parametrize(
    ("value", "action"), [(0.39, Action.ALLOW), (0.4, Action.FLAG), (0.8, Action.BLOCK)]
)
def test_the_policy_decides_on_these_scores(value: float, action: Action) -> None:
    chosen = policy(rule(review=0.4))
    scores = Classifier(chosen, [Fake(answer={"nsfw": value})]).score(PICTURE)
    assert decide_output(chosen, scores).action is action
    assert (scores[0].value >= scores[0].threshold) is (action is not Action.ALLOW)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        0.3,
        "nsfw",
        {"nsfw": None},
        {"nsfw": float("nan")},
        {"nsfw": float("inf")},
        {"nsfw": -0.01},
        {"nsfw": 1.01},
        {"nsfw": "0.3"},
        {"nsfw": True},
        {"nsfw": 1 + 0j},
        {"other": 0.1},
        {"nsfw": 0.1, "more": float("nan")},
        RuntimeError("boom"),
        KeyError("x"),
    ],
    ids=repr,
)
def test_a_detector_that_answers_nonsense_fails_closed(answer: Any) -> None:
    with pytest.raises(StageMisbehaved):
        Classifier(policy(rule()), [Fake(answer=answer)]).score(PICTURE)


def test_none_is_no_answer() -> None:
    fake = Fake()
    fake.score = lambda pixels: None  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(StageMisbehaved, match="answered nothing"):
        Classifier(policy(rule()), [fake]).score(PICTURE)


@given(st.floats())
def test_any_float_is_a_probability_or_an_error(value: float) -> None:
    classifier = Classifier(policy(rule()), [Fake(answer={"nsfw": value})])
    if 0.0 <= value <= 1.0:
        assert classifier.score(PICTURE)[0].value == value
    else:
        with pytest.raises(StageMisbehaved):
            classifier.score(PICTURE)


def test_numpy_numbers_become_plain_ones() -> None:
    fake = Fake(answer={"nsfw": np.float32(0.5)})
    assert type(Classifier(policy(rule()), [fake]).score(PICTURE)[0].value) is float


def test_missing_weights_keep_their_own_error() -> None:
    fake = Fake(answer=DetectorUnavailable("gone", hint="fetch it"))
    with pytest.raises(DetectorUnavailable, match="gone"):
        Classifier(policy(rule()), [fake]).score(PICTURE)


def test_two_detectors_of_one_name_are_refused() -> None:
    with pytest.raises(StageMisbehaved, match="called opennsfw"):
        Classifier(policy(), [Fake(), Fake()])


@pytest.mark.parametrize(
    "chosen",
    [
        policy(required_detectors=("opennsfw", "other")),
        policy(rule("r", detectors=("clip:ViT-B-32/q16",))),
        policy(rule("r", detectors=("opennsfw", "clip"))),
        policy(required_detectors=("opennsf",)),
    ],
)
def test_a_policy_that_names_an_absent_detector_fails_closed(chosen: Policy) -> None:
    with pytest.raises(DetectorUnavailable, match="which is not there"):
        Classifier(chosen, [Fake()])


def test_a_rule_whose_category_nobody_scores_fails_closed() -> None:
    with pytest.raises(StageMisbehaved, match="'gore' from opennsfw"):
        Classifier(policy(rule(category="gore")), [Fake()]).score(PICTURE)


def test_one_of_a_family_must_score_a_family_s_category() -> None:
    chosen = policy(rule("r", category="gore", detectors=("clip",)))
    heads = [Fake(), Fake("clip:e/a", {"gore": 0.1}), Fake("clip:e/b", {"hate": 0.2})]
    assert len(Classifier(chosen, heads).score(PICTURE)) == 3
    with pytest.raises(StageMisbehaved):
        Classifier(chosen, [heads[0], heads[2]]).score(PICTURE)


@pytest.mark.parametrize(
    ("entry", "detector", "same"),
    [
        ("opennsfw", "opennsfw", True),
        ("clip", "clip:ViT-B-32/q16", True),
        ("clip:ViT-B-32/q16", "clip:ViT-B-32/q16", True),
        ("clip:ViT-B-32/q16", "clip:ViT-B-32/q17", False),
        ("clip:ViT-B-32", "clip:ViT-B-32/q16", False),
        ("clip", "clipper", False),
        ("opennsfw", "opennsfw2", False),
        ("clip:e/h", "clip", False),
    ],
)
def test_what_a_rule_means_by_a_name(entry: str, detector: str, same: bool) -> None:
    assert names(entry, detector) is same


def test_the_built_in_detectors_are_those_that_the_policy_needs() -> None:
    clip = ClipSettings(concepts=(Concept(name="gore", prompts=("blood",)),))
    assert [one.id for one in build_detectors(policy())] == ["opennsfw"]
    assert build_detectors(policy(required_detectors=())) == ()
    both = policy(required_detectors=("opennsfw", "clip"), clip=clip)
    assert [one.id for one in build_detectors(both)] == ["opennsfw", "clip:ViT-B-32/zero-shot"]
    ruled = policy(rule(detectors=("clip:ViT-B-32/zero-shot",)), required_detectors=(), clip=clip)
    assert [one.id for one in build_detectors(ruled)] == ["clip:ViT-B-32/zero-shot"]
    with pytest.raises(DetectorUnavailable, match="no clip section"):
        Classifier(policy(rule(detectors=("clip",))))


def test_opennsfw_works_out_of_the_box() -> None:
    classifier = Classifier(policy(rule()))
    classifier.prepare()
    (score,) = classifier.score(np.full((64, 64, 3), 200, np.uint8))
    assert (score.detector, score.threshold) == ("opennsfw", 0.8)
    assert score.value < 0.5
    assert [one.id for one in classifier.detectors] == ["opennsfw"]


def test_preparing_finds_missing_clip_weights_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    clip = ClipSettings(concepts=(Concept(name="gore", prompts=("blood",)),))
    classifier = Classifier(policy(required_detectors=("clip",), clip=clip))
    with pytest.raises(DetectorUnavailable, match="not on this machine"):
        classifier.prepare()
    Classifier(policy(), [Fake()]).prepare()
