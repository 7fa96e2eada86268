"""What two policies say, and decide, otherwise; and what lint warns of."""

from __future__ import annotations

from typing import Any

import pytest

from guard.policy.diff import ABSENT, compare, differences
from guard.policy.lint import Known, problems
from guard.policy.load import available_policies, load_policy
from guard.policy.model import Policy
from guard.types import Finding


def rule(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name, "category": name, "lists": ["sexual"], "action": "block", "message": "No.",
        **more,
    }  # fmt: skip


def policy(**more: Any) -> Policy:
    return Policy.model_validate(
        {"name": "p", "required_detectors": [], "prompt_rules": [rule("a")], **more}
    )


def known(highest: float = 1.0) -> Known:
    return Known(("sexual", "nudity", "minors"), ("violence",), lambda _: highest)


def found(chosen: Policy, highest: float = 1.0) -> list[tuple[str, str]]:
    return [(one.level, one.message) for one in problems(chosen, known(highest))]


# -- diff ------------------------------------------------------------------------------------------


def test_a_policy_does_not_differ_from_itself_or_by_its_name() -> None:
    for name in available_policies():
        chosen = load_policy(name)
        renamed = chosen.model_copy(update={"name": "other", "description": "x", "version": 9})
        assert differences(chosen, renamed) == ()


def test_rules_added_removed_and_changed() -> None:
    before = policy(prompt_rules=[rule("a"), rule("b")])
    after = policy(
        prompt_rules=[rule("b", threshold=0.7, action="flag"), rule("c")],
        own_lists=[{"kind": "allow", "source": "x.txt"}],
        on_flag="release",
        retention={"held_days": 3},
    )

    changes = differences(before, after)

    assert [(one.what, one.part, one.name, one.field) for one in changes] == [
        ("removed", "prompt_rules", "a", ""),
        ("changed", "prompt_rules", "b", "action"),
        ("changed", "prompt_rules", "b", "threshold"),
        ("added", "prompt_rules", "c", ""),
        ("added", "own_lists", "allow x.txt", ""),
        ("changed", "on_flag", "", ""),
        ("changed", "retention", "", "held_days"),
    ]
    assert (changes[2].before, changes[2].after) == (0.5, 0.7)
    assert (changes[0].after, changes[3].before) == (ABSENT, ABSENT)
    back = differences(after, before)
    assert {(one.part, one.name, one.field) for one in back} == {
        (one.part, one.name, one.field) for one in changes
    }


def test_decisions_are_compared_prompt_by_prompt() -> None:
    before, after = policy(), policy(prompt_rules=[rule("a", threshold=0.95)])

    def screen(prompt: str, *, negative_prompt: str = "") -> tuple[Finding, ...]:
        at = prompt.find("x")
        return () if at < 0 else (Finding("a", "a", (at, at + 1), "x", 0.9, "t", "e"),)

    both = compare((before, screen), (after, screen), [("x", ""), ("boat", "x")])

    assert [(one.transition, one.same) for one in both] == [
        ("block->allow", False),
        ("allow->allow", True),
    ]


# -- lint ------------------------------------------------------------------------------------------


def test_unknown_lists_and_heads_are_errors() -> None:
    chosen = policy(
        prompt_rules=[rule("a", lists=["sexual", "nosuch"])],
        semantic_rules=[
            {"id": "s", "category": "s", "heads": ["violence", "magic"], "review": 0.5,
             "message": "."},
        ],
    )  # fmt: skip
    (first, second) = problems(chosen, known())
    assert (first.level, first.path) == ("error", ("prompt_rules", 0, "lists"))
    assert "'nosuch'" in first.message
    assert (second.level, second.path) == ("error", ("semantic_rules", 0, "heads"))
    assert "'magic'" in second.message


@pytest.mark.parametrize(("threshold", "warned"), [(0.6, False), (0.61, True)])
def test_a_threshold_that_no_entry_reaches(threshold: float, warned: bool) -> None:
    chosen = policy(prompt_rules=[rule("a", threshold=threshold)])
    assert bool(found(chosen, 0.6)) is warned


def test_a_rule_that_an_own_list_feeds_is_reached() -> None:
    chosen = policy(
        prompt_rules=[rule("a", threshold=0.9)],
        own_lists=[{"kind": "deny", "source": "x.txt", "rule": "a"}],
    )
    assert found(chosen, 0.6) == []


def test_a_silent_rule_that_nothing_asks_for() -> None:
    silent = rule("m", lists=["minors"], action="allow")
    ((level, message),) = found(policy(prompt_rules=[rule("a"), silent]))
    assert (level, "never does anything" in message) == ("warning", True)
    both = {"id": "c", "category": "c", "all_of": ["m", "a"], "action": "block", "message": "."}
    assert found(policy(prompt_rules=[rule("a"), silent], combinations=[both])) == []


@pytest.mark.parametrize(
    ("second", "warned"),
    [
        ({"action": "flag"}, True),
        ({"action": "flag", "threshold": 0.4}, False),
        ({"action": "flag", "lists": ["sexual", "nudity"]}, False),
        ({"action": "flag", "occupations": ["politician"]}, True),
        ({"action": "block"}, False),
    ],
)
def test_a_rule_in_the_shadow_of_another(second: dict[str, Any], warned: bool) -> None:
    chosen = policy(prompt_rules=[rule("a"), rule("b", **second)])
    assert any("never decides" in message for _, message in found(chosen)) is warned


@pytest.mark.parametrize(
    ("threshold", "action", "warned"),
    [(0.6, "block", True), (0.5, "block", False), (0.3, "block", False)],
)
def test_a_combination_that_asks_for_more_than_its_rule(
    threshold: float, action: str, warned: bool
) -> None:
    both = {
        "id": "c", "category": "c", "all_of": ["a", "m"], "action": action, "message": ".",
        "threshold": threshold,
    }  # fmt: skip
    rules = [rule("a"), rule("m", lists=["minors"], action="allow")]
    chosen = policy(prompt_rules=rules, combinations=[both])
    assert any("decides nothing" in message for _, message in found(chosen)) is warned


def test_phrases_said_twice() -> None:
    chosen = policy(allow_contexts=["shooting star", "Shooting-Star ", "star"], allow_terms=["a"])
    ((level, message),) = found(chosen)
    assert level == "warning"
    assert "shooting star" in message


@pytest.mark.parametrize("name", available_policies())
def test_policies_that_ship_have_no_errors(name: str) -> None:
    from guard.prompt.lexicon import available_lists
    from guard.prompt.semantic import HEADS

    everything = Known(available_lists(), HEADS, lambda _: 1.0)
    assert [one for one in problems(load_policy(name), everything) if one.level == "error"] == []
