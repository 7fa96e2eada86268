"""Rules about meaning: two thresholds, and company in combinations."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from guard.errors import StageMisbehaved
from guard.policy.decide import decide_prompt
from guard.policy.model import Policy, SemanticRule
from guard.types import Action, Finding

RULE = {
    "id": "implied", "category": "implied", "heads": ["sexual"], "review": 0.5, "block": 0.9,
    "message": "Held.", "hint": "Say less.",
}  # fmt: skip
POLICY = Policy.model_validate(
    {
        "name": "p",
        "prompt_rules": [
            {"id": "who", "category": "who", "lists": ["people"], "action": "allow", "message": "."}
        ],
        "semantic_rules": [RULE],
        "combinations": [
            {
                "id": "joint", "category": "joint", "all_of": ["who", "implied"], "action": "block",
                "message": "Not of a real person.", "threshold": 0.2,
            }
        ],
    }
)  # fmt: skip


def finding(rule: str, score: float) -> Finding:
    return Finding(rule, rule, (0, 1), "x", score, "semantic/1", "", tier="semantic")


@pytest.mark.parametrize(
    ("score", "action"),
    [(0.49, Action.ALLOW), (0.5, Action.FLAG), (0.89, Action.FLAG), (0.9, Action.BLOCK)],
)
def test_what_is_unsure_is_held_and_what_is_sure_is_blocked(score: float, action: Action) -> None:
    decision = decide_prompt(POLICY, [finding("implied", score)])
    assert decision.action is action
    assert decision.rules == (() if action is Action.ALLOW else ("implied",))


def test_the_user_reads_message_and_hint() -> None:
    (reason,) = decide_prompt(POLICY, [finding("implied", 0.6)]).reasons
    assert (reason.code, reason.message) == ("implied", "Held. Say less.")


def test_a_weak_meaning_counts_in_company() -> None:
    assert decide_prompt(POLICY, [finding("implied", 0.25)]).action is Action.ALLOW
    together = [finding("implied", 0.25), finding("who", 1.0)]
    assert decide_prompt(POLICY, together).rules == ("joint",)
    assert decide_prompt(POLICY, [finding("implied", 0.1), finding("who", 1.0)]).rules == ()


def test_nothing_found_is_allowed() -> None:
    assert decide_prompt(POLICY, []).action is Action.ALLOW


def test_an_unknown_rule_is_no_verdict() -> None:
    with pytest.raises(StageMisbehaved, match="elsewhere"):
        decide_prompt(POLICY, [finding("elsewhere", 0.6)])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"review": None, "block": None}, "at least one"),
        ({"review": 0.95}, "must not be above"),
        ({"heads": []}, "heads"),
        ({"review": 1.5}, "less than or equal to 1"),
    ],
)
def test_impossible_rules_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SemanticRule.model_validate(RULE | changes)


def test_one_threshold_is_enough() -> None:
    assert SemanticRule.model_validate(RULE | {"review": None}).action(0.6) is Action.ALLOW
    assert SemanticRule.model_validate(RULE | {"block": None}).action(1.0) is Action.FLAG


def test_ids_are_unique_across_kinds_of_rules() -> None:
    with pytest.raises(ValidationError, match="used twice: implied"):
        Policy.model_validate({"name": "p", "semantic_rules": [RULE, RULE]})


def test_the_semantic_tier_is_on_by_default_and_part_of_the_digest() -> None:
    plain = Policy(name="p")
    assert plain.semantic == "embedding"
    assert plain.digest != Policy(name="p", semantic="hashed").digest
    with pytest.raises(ValidationError):
        Policy.model_validate({"name": "p", "semantic": "maybe"})
