"""A policy of own lists, a screener of fixed words and a clock, for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from guard.policy.model import Policy
from guard.prompt.own.lists import CHECK_SECONDS, ScreenerWithOwnLists
from guard.store.engine import Store
from guard.types import Finding

RULES = [
    {"id": "house", "category": "house", "action": "block", "message": "Not here."},
    {"id": "brand", "category": "brand", "lists": ["deception"], "action": "flag", "message": "."},
    {"id": "nudity", "category": "nudity", "lists": ["nudity"], "action": "flag", "message": "."},
    {
        "id": "style", "category": "artist-style", "lists": ["artists"], "action": "block",
        "requires_style": True, "message": "No styles.",
    },
    {"id": "people", "category": "people", "lists": ["people"], "action": "flag", "message": "."},
]  # fmt: skip


class Inner:
    """Finds fixed words, as a screener would."""

    WORDS = (("nude", "nudity"), ("Jane Painter", "style"), ("Jane Painter", "people"))

    def screen(self, prompt: str, *, negative_prompt: str = "") -> tuple[Finding, ...]:
        found = []
        for text, where in ((prompt, ""), (negative_prompt, "; in the negative prompt")):
            for word, rule in self.WORDS:
                at = text.find(word)
                if at >= 0:
                    span = (at, at + len(word))
                    found.append(
                        Finding(rule, rule, span, word, 0.9, "test", f"x{where}", word.lower())
                    )
        return tuple(found)


class Clock:
    """Time as the test wants it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float = CHECK_SECONDS) -> None:
        self.now += seconds


def policy(folder: Path, *lists: dict[str, Any]) -> Policy:
    rules = [dict(rule) for rule in RULES]
    if not any(one["kind"] == "deny" for one in lists):
        rules[0]["lists"] = ["hate"]
    document = {"name": "own", "prompt_rules": rules, "own_lists": lists}
    return Policy.model_validate(document).at(folder)


def nowhere() -> Store:
    raise AssertionError("no list is in the database")


def deny(source: str = "deny.txt") -> dict[str, Any]:
    return {"kind": "deny", "source": source, "rule": "house"}


Build = Callable[..., ScreenerWithOwnLists]
