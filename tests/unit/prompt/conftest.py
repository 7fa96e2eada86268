"""One screener for the room's tests: lists load once a process anyway."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from guard.policy.decide import decide_prompt
from guard.policy.load import load_policy
from guard.policy.model import Policy
from guard.prompt.screen import PolicyScreener
from guard.types import Decision, Finding

YEAR = 2026


@pytest.fixture(scope="session")
def policy() -> Policy:
    return load_policy("default")


@pytest.fixture(scope="session")
def screener(policy: Policy) -> PolicyScreener:
    return PolicyScreener(policy, year=YEAR)


@pytest.fixture(scope="session")
def decide(policy: Policy, screener: PolicyScreener) -> Callable[..., Decision]:
    def run(prompt: str, negative: str = "") -> Decision:
        return decide_prompt(policy, screener.screen(prompt, negative_prompt=negative))

    return run


@pytest.fixture(scope="session")
def find(screener: PolicyScreener) -> Callable[..., tuple[Finding, ...]]:
    def run(prompt: str, rule: str, negative: str = "") -> tuple[Finding, ...]:
        found = screener.screen(prompt, negative_prompt=negative)
        return tuple(one for one in found if one.rule == rule)

    return run
