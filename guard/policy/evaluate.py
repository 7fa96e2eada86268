"""Policies carry their own tests: a ``*.test.yaml`` of prompts with the action expected.

::

    cases:
      - prompt: a lighthouse in a storm
        expect: allow
      - prompt: …
        negative_prompt: …
        expect: block
        rules: [sexual]            # optional: each of these must have acted
        waived: known gap, see …   # optional: a failure is counted apart, never hidden
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from guard.policy.decide import decide_prompt
from guard.policy.load import read_document
from guard.policy.model import Policy
from guard.types import Action, Decision, Finding


class Screen(Protocol):
    """What :meth:`guard.prompt.base.PromptScreener.screen` is, without importing its room."""

    def __call__(self, prompt: str, *, negative_prompt: str = "") -> Sequence[Finding]:
        """All findings."""
        ...


class Case(BaseModel):
    """One prompt and what the policy must say to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(min_length=1)
    negative_prompt: str = ""
    expect: Action
    rules: tuple[str, ...] = ()
    waived: str = ""


class _Cases(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    cases: tuple[Case, ...] = Field(min_length=1)


class CaseStatus(StrEnum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case with what the policy decided. ``line`` is the case's line in its file, from 1."""

    case: Case
    decision: Decision
    status: CaseStatus
    line: int

    @property
    def explanation(self) -> str:
        """Why the case failed; empty when it passed. Does not repeat the prompt."""
        if self.status is CaseStatus.PASSED:
            return ""
        acted = ", ".join(self.decision.rules) or "no rule"
        text = f"expected {self.case.expect}, got {self.decision.action} ({acted})"
        missing = sorted(set(self.case.rules) - set(self.decision.rules))
        if missing:
            text += f"; did not act: {', '.join(missing)}"
        return f"{text}; waived: {self.case.waived}" if self.case.waived else text


@dataclass(frozen=True, slots=True)
class Tally:
    """All results of one test file."""

    results: tuple[CaseResult, ...]

    def count(self, status: CaseStatus) -> int:
        """How many cases ended so."""
        return sum(result.status is status for result in self.results)

    @property
    def total(self) -> int:
        """Number of cases."""
        return len(self.results)

    @property
    def ok(self) -> bool:
        """Whether no case failed (waived ones aside)."""
        return not self.count(CaseStatus.FAILED)

    def __str__(self) -> str:
        parts = ", ".join(f"{self.count(status)} {status}" for status in CaseStatus)
        return f"{self.total} tests, {parts}"


def evaluate(policy: Policy, tests: str | Path, screen: Screen) -> Tally:
    """Runs the cases of ``tests``: a test file, or a policy's name or file that has one beside it.

    Raises PolicyInvalid when the file is missing, malformed or has no cases.
    """
    document = read_document(tests, tests=True)
    cases = document.validate(_Cases).cases
    results = []
    for position, case in enumerate(cases):
        findings = screen(case.prompt, negative_prompt=case.negative_prompt)
        decision = decide_prompt(policy, findings)
        line = document.line(("cases", position))
        results.append(CaseResult(case, decision, _status(case, decision), line))
    return Tally(tuple(results))


def _status(case: Case, decision: Decision) -> CaseStatus:
    as_expected = case.expect is decision.action and set(case.rules) <= set(decision.rules)
    if as_expected:
        return CaseStatus.PASSED
    return CaseStatus.WAIVED if case.waived else CaseStatus.FAILED
