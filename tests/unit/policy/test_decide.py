"""Decisions are pure: the worst action wins, and what cannot be judged is an error."""

import math

import pytest

from guard.errors import DetectorUnavailable, StageMisbehaved
from guard.policy.decide import decide_output, decide_prompt
from guard.policy.model import CombinationRule, OutputRule, Policy, PromptRule
from guard.types import Action, Finding, Score


def rule(name: str, action: Action, threshold: float = 0.5) -> PromptRule:
    return PromptRule(
        id=name,
        category=name,
        lists=("sexual",),
        action=action,
        threshold=threshold,
        message=f"{name} message.",
        hint=f"{name} hint.",
    )


POLICY = Policy(
    name="p",
    prompt_rules=(
        rule("flagged", Action.FLAG),
        rule("blocked", Action.BLOCK),
        rule("person", Action.ALLOW),
    ),
    combinations=(
        CombinationRule(
            id="both",
            category="both",
            all_of=("person", "flagged"),
            action=Action.BLOCK,
            threshold=0.3,
            message="Not together.",
        ),
    ),
    output_rules=(
        OutputRule(
            id="nsfw", category="nsfw", detectors=("opennsfw",), block=0.8, review=0.5, message="m"
        ),
        OutputRule(id="gore", category="gore", detectors=("clip",), block=0.7, message="g"),
    ),
)


def found(name: str, score: float = 0.9) -> Finding:
    return Finding(name, name, (0, 4), "term", score, "list/1", "because")


def seen(value: float, category: str = "nsfw", detector: str = "opennsfw") -> Score:
    return Score(category, value, 0.5, detector, "")


@pytest.mark.parametrize(
    ("findings", "action", "rules"),
    [
        ([], Action.ALLOW, ()),
        ([found("flagged")], Action.FLAG, ("flagged",)),
        ([found("flagged", 0.5)], Action.FLAG, ("flagged",)),
        ([found("flagged", 0.49)], Action.ALLOW, ()),
        ([found("person")], Action.ALLOW, ()),
        ([found("flagged"), found("blocked")], Action.BLOCK, ("blocked", "flagged")),
        ([found("person"), found("flagged", 0.3)], Action.BLOCK, ("both",)),
        ([found("person"), found("flagged", 0.29)], Action.ALLOW, ()),
        ([found("person"), found("flagged")], Action.BLOCK, ("both", "flagged")),
    ],
)
def test_prompts(findings: list[Finding], action: Action, rules: tuple[str, ...]) -> None:
    decision = decide_prompt(POLICY, findings)
    assert (decision.action, decision.rules) == (action, rules)
    assert decision.policy_digest == POLICY.digest


def test_reasons_say_category_and_hint_and_never_the_term() -> None:
    decision = decide_prompt(POLICY, [found("blocked"), found("blocked", 0.8)])
    assert [(one.code, one.message) for one in decision.reasons] == [
        ("blocked", "blocked message. blocked hint.")
    ]
    assert "term" not in str(decision)


def test_a_finding_of_another_policy_is_an_error() -> None:
    with pytest.raises(StageMisbehaved, match="nonsuch"):
        decide_prompt(POLICY, [found("nonsuch")])


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.1, 1.1, None, "1"])
def test_impossible_scores_are_errors(score: float) -> None:
    with pytest.raises(StageMisbehaved):
        decide_prompt(POLICY, [found("flagged", score)])
    with pytest.raises(StageMisbehaved):
        decide_output(POLICY, [seen(score)])


@pytest.mark.parametrize(
    ("value", "action"),
    [(0.0, Action.ALLOW), (0.49, Action.ALLOW), (0.5, Action.FLAG), (0.8, Action.BLOCK)],
)
def test_outputs(value: float, action: Action) -> None:
    assert decide_output(POLICY, [seen(value)]).action is action


def test_the_worst_score_of_several_counts() -> None:
    assert decide_output(POLICY, [seen(0.1), seen(0.9)]).action is Action.BLOCK


def test_a_family_of_detectors_answers_for_its_heads() -> None:
    scores = [seen(0.1), seen(0.9, "gore", "clip:ViT-B-32/gore")]
    assert decide_output(POLICY, scores).rules == ("gore",)
    near_miss = [seen(0.1), seen(0.9, "gore", "clipper")]
    assert decide_output(POLICY, near_miss).action is Action.ALLOW


def test_a_required_detector_that_is_silent_is_an_error() -> None:
    with pytest.raises(DetectorUnavailable, match="opennsfw"):
        decide_output(POLICY, [])
    with pytest.raises(DetectorUnavailable, match="about 'nsfw'"):
        decide_output(POLICY, [seen(0.1, "other")])
    strict = POLICY.model_copy(update={"required_detectors": ("opennsfw", "clip")})
    with pytest.raises(DetectorUnavailable, match="about 'gore'"):
        decide_output(strict, [seen(0.1), seen(0.1, "nudity", "clip:x/y")])


def test_an_optional_detector_may_be_silent() -> None:
    assert decide_output(POLICY, [seen(0.1)]).action is Action.ALLOW
