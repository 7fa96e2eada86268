"""A policy's own tests: run, counted, and never empty."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from guard.errors import PolicyInvalid
from guard.policy.evaluate import CaseStatus, evaluate
from guard.policy.model import Policy, PromptRule
from guard.types import Action, Finding

POLICY = Policy(
    name="p",
    prompt_rules=(
        PromptRule(id="x", category="x", lists=("sexual",), action=Action.BLOCK, message="m"),
    ),
)


def screen(prompt: str, *, negative_prompt: str = "") -> Sequence[Finding]:
    text = prompt + negative_prompt
    return [Finding("x", "x", (0, 1), "x", 1.0, "s", "e")] if "x" in text else []


def write(folder: Path, text: str) -> Path:
    path = folder / "p.test.yaml"
    path.write_text(text)
    return path


def test_the_tally(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "cases:\n"
        "  - {prompt: a, expect: allow}\n"
        "  - {prompt: x, expect: block, rules: [x]}\n"
        "  - {prompt: a, negative_prompt: x, expect: block}\n"
        "  - {prompt: x, expect: allow}\n"
        "  - {prompt: x, expect: block, rules: [y]}\n"
        "  - {prompt: a, expect: block, waived: known gap}\n",
    )
    tally = evaluate(POLICY, path, screen)
    assert str(tally) == "6 tests, 3 passed, 2 failed, 1 waived"
    assert (tally.total, tally.ok) == (6, False)
    assert [result.line for result in tally.results] == [2, 3, 4, 5, 6, 7]
    assert [result.explanation for result in tally.results] == [
        "",
        "",
        "",
        "expected allow, got block (x)",
        "expected block, got block (x); did not act: y",
        "expected block, got allow (no rule); waived: known gap",
    ]
    assert tally.count(CaseStatus.WAIVED) == 1


@pytest.mark.parametrize(
    "text",
    [
        "cases: []\n",
        "other: 1\n",
        "cases:\n  - {prompt: a, expect: perhaps}\n",
        "cases:\n  - {prompt: '', expect: allow}\n",
        "cases:\n  - {prompt: a}\n",
        "",
    ],
)
def test_files_without_proper_cases_are_errors(tmp_path: Path, text: str) -> None:
    with pytest.raises(PolicyInvalid):
        evaluate(POLICY, write(tmp_path, text), screen)


def test_a_policy_without_tests_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid):
        evaluate(POLICY, tmp_path / "p.yaml", screen)
