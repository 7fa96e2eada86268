"""What a picture means together with its prompt, what may never be held, and what is a signal."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from guard.errors import DetectorUnavailable
from guard.policy.decide import decide_output, decide_prompt
from guard.policy.diff import differences
from guard.policy.lint import Known, problems
from guard.policy.load import available_policies, load_policy
from guard.policy.model import Policy, Signal
from guard.types import Action, Finding, Score


def made(**parts: Any) -> Policy:
    """A policy about children and what a detector sees; ``parts`` replaces or adds some."""
    plain: dict[str, Any] = {
        "name": "p",
        "prompt_rules": [
            {"id": "minors", "category": "minors", "lists": ["minors"], "action": "allow",
             "message": "m"},
            {"id": "worse", "category": "worse", "lists": ["sexual"], "action": "block",
             "message": "m"},
        ],
        "output_rules": [
            {"id": "nsfw", "category": "nsfw", "detectors": ["d"], "review": 0.5, "block": 0.8,
             "message": "m"},
            {"id": "gore", "category": "gore", "detectors": ["d"], "block": 0.9, "message": "m"},
        ],
        "picture_combinations": [
            {"id": "seen", "category": "minors-sexual", "prompt": ["minors"], "picture": ["nsfw"],
             "prompt_threshold": 0.4, "threshold": 0.3, "action": "block", "message": "never"},
        ],
        "sensitive": {"categories": ["minors-sexual"]},
        "required_detectors": ["d"],
    }  # fmt: skip
    return Policy.model_validate(plain | parts)


def finding(score: float, category: str = "minors") -> Finding:
    return Finding(category, category, (0, 1), "x", score, "list", "why")


def scores(nsfw: float, gore: float = 0.0) -> tuple[Score, ...]:
    return tuple(Score(name, value, 0.5, "d", "m") for name, value in
                 (("nsfw", nsfw), ("gore", gore)))  # fmt: skip


@pytest.mark.parametrize(
    ("said", "shown", "action", "sensitive"),
    [
        (0.4, 0.3, Action.BLOCK, True),
        (1.0, 0.6, Action.BLOCK, True),  # would be held without the prompt
        (1.0, 1.0, Action.BLOCK, True),  # would be blocked anyway, but not as this
        (0.39, 0.3, Action.ALLOW, False),
        (0.4, 0.29, Action.ALLOW, False),
        (None, 0.6, Action.FLAG, False),
        (None, 1.0, Action.BLOCK, False),
    ],
)
def test_prompt_and_picture_together(
    said: float | None, shown: float, action: Action, sensitive: bool
) -> None:
    found = () if said is None else (finding(said),)
    decision = decide_output(made(), scores(shown), found)
    assert (decision.action, decision.sensitive) == (action, sensitive)
    assert ("seen" in decision.rules) == sensitive


def test_two_things_in_one_picture() -> None:
    policy = made(
        picture_combinations=[
            {"id": "both", "category": "minors-sexual", "picture": ["nsfw", "gore"],
             "action": "block", "message": "never"}
        ]
    )  # fmt: skip
    assert decide_output(policy, scores(0.3, 0.3)).sensitive
    assert not decide_output(policy, scores(0.3, 0.2)).sensitive


def test_a_silent_detector_is_an_error_before_any_combination() -> None:
    with pytest.raises(DetectorUnavailable):
        decide_output(made(), scores(0.9)[:1], (finding(1.0),))


def test_a_prompt_alone_can_be_sensitive() -> None:
    policy = made(sensitive={"categories": ["worse"]})
    assert decide_prompt(policy, (finding(0.9, "worse"),)).sensitive
    assert not decide_prompt(policy, (finding(0.9),)).sensitive
    assert not decide_prompt(made(), (finding(0.9, "worse"),)).sensitive


def rule(**fields: Any) -> dict[str, Any]:
    return {"id": "x", "category": "minors-sexual", "message": "m"} | fields


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ({"sensitive": {"categories": ["none"]}}, "no rule has the sensitive category none"),
        ({"sensitive": {"categories": ["nsfw"]}}, "may have no 'review'"),
        ({"sensitive": {"categories": ["minors"]}}, "may only block"),
        (
            {"combinations": [rule(all_of=["minors", "worse"], action="flag")]},
            "'x' is of the sensitive category 'minors-sexual' and may only block",
        ),
        (
            {"picture_combinations": [rule(prompt=["minors"], picture=["none"], action="block")]},
            "no prompt rule or output rule has: none",
        ),
        (
            {"picture_combinations": [rule(prompt=["nsfw"], picture=["nsfw"], action="block")]},
            "no prompt rule or output rule has: nsfw",
        ),
        ({"picture_combinations": [rule(picture=["nsfw"], action="block")]}, "needs two"),
        (
            {"picture_combinations": [rule(prompt=["minors"], picture=[])]},
            "picture",
        ),
        ({"signals": [{"id": "a", "blocks": 1, "within": "1h"}]}, "greater than or equal to 2"),
        ({"signals": [{"id": "a", "blocks": 2, "within": "1w"}]}, "pattern"),
        ({"signals": [{"id": "a", "blocks": 2, "within": "91d"}]}, "at most 90d"),
        ({"signals": [{"id": "a", "blocks": 2, "within": "1h", "categories": ["z"]}]}, "counts"),
        ({"signals": [{"id": "a", "blocks": 2, "within": "1h"}] * 2}, "same id"),
    ],
)
def test_what_cannot_be_meant_is_refused(parts: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        made(**parts)


@pytest.mark.parametrize(
    ("within", "window"),
    [("30m", timedelta(minutes=30)), ("24h", timedelta(days=1)), ("90d", timedelta(days=90))],
)
def test_windows(within: str, window: timedelta) -> None:
    assert Signal(id="a", blocks=2, within=within).window == window


def test_every_policy_that_ships_names_what_must_not_exist() -> None:
    for name in available_policies():
        policy = load_policy(name)
        assert policy.sensitive.categories == ("minors-sexual",)
        assert policy.sensitive.fingerprint
        seen = {one.category for one in policy.picture_combinations}
        assert seen == {"minors-sexual"}
        assert {one.id for one in policy.signals} == {"repeated-blocks", "repeated-minors-sexual"}
        assert decide_output(policy, all_scores(policy, 0.3), (finding(0.5),)).sensitive


def all_scores(policy: Policy, nsfw: float) -> tuple[Score, ...]:
    """Every score that the policy needs; only nudity is seen."""
    return tuple(
        Score(rule.category, nsfw if rule.category == "nsfw" else 0.0, 0.5, detector, "m")
        for rule in policy.output_rules
        for detector in rule.detectors
    )


def test_differences_name_combinations_and_signals() -> None:
    other = made(signals=[{"id": "a", "blocks": 2, "within": "1h"}], picture_combinations=[],
                 sensitive={})  # fmt: skip
    changed = {(one.part, one.name, one.what) for one in differences(made(), other)}
    assert ("picture_combinations", "seen", "removed") in changed
    assert ("signals", "a", "added") in changed
    assert ("sensitive", "", "changed") in changed


def test_a_rule_that_only_pictures_combine_is_not_idle() -> None:
    known = Known(("minors", "sexual"), (), lambda _: 1.0)
    assert problems(made(), known) == ()
    idle = problems(made(picture_combinations=[], sensitive={}), known)
    assert "never does anything" in idle[0].message


def test_a_rule_of_meaning_is_read_as_low_as_a_picture_combination_asks() -> None:
    from guard.prompt.semantic.reader import _least

    meant = {"id": "implied", "category": "implied", "heads": ["sexual"], "review": 0.7,
             "message": "m"}  # fmt: skip
    seen = {"id": "seen", "category": "c", "prompt": ["implied"], "picture": ["gore"],
            "prompt_threshold": 0.2, "action": "block", "message": "m"}  # fmt: skip
    parts = {"semantic_rules": [meant], "sensitive": {}}
    assert _least(made(**parts, picture_combinations=[seen])) == (0.2,)
    assert _least(made(**parts, picture_combinations=[])) == (0.7,)
