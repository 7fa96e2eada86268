"""What differs between two policies: in what they say, and in what they decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from guard.policy.decide import decide_prompt
from guard.policy.evaluate import Screen
from guard.policy.model import Policy
from guard.types import Decision

KEYS: Final = {
    "prompt_rules": ("id",),
    "semantic_rules": ("id",),
    "combinations": ("id",),
    "output_rules": ("id",),
    "picture_combinations": ("id",),
    "signals": ("id",),
    "own_lists": ("kind", "source"),
    "known_bad": ("id",),
    "calibration": ("detector", "category"),
}
"""Parts of a policy that are lists of named things, and what names one."""

ABSENT: Final = "absent"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: ``field`` of the thing ``name`` in ``part``, before and after.

    A thing that was added or removed as a whole has the field "" and ABSENT on one side; a part
    that is no list of rules has the name "".
    """

    part: str
    name: str
    field: str
    before: Any
    after: Any

    @property
    def what(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        if self.before == ABSENT:
            return "added"
        return "removed" if self.after == ABSENT else "changed"


def differences(before: Policy, after: Policy) -> tuple[Change, ...]:
    """Everything that ``after`` says otherwise, rules first. Name and description apart."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    found: list[Change] = []
    for part in KEYS:
        found += _named(part, old.pop(part), new.pop(part))
    for field in sorted(old.keys() - {"name", "description", "version"}):
        found += _values(field, old[field], new[field])
    return tuple(found)


def _named(part: str, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[Change]:
    before, after = ({_name(part, one): one for one in items} for items in (old, new))
    for name in dict.fromkeys([*before, *after]):
        left, right = before.get(name), after.get(name)
        if left is None or right is None:
            yield Change(part, name, "", left or ABSENT, right or ABSENT)
            continue
        for field, value in left.items():
            if right[field] != value:
                yield Change(part, name, field, value, right[field])


def _name(part: str, one: dict[str, Any]) -> str:
    return " ".join(str(one[key]) for key in KEYS[part])


def _values(field: str, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if old[key] != new[key]:
                yield Change(field, "", key, old[key], new[key])
        return
    yield Change(field, "", "", old, new)


@dataclass(frozen=True, slots=True)
class Compared:
    """What two policies decide about one prompt."""

    prompt: str
    before: Decision
    after: Decision

    @property
    def transition(self) -> str:
        """``allow->block``: the two actions."""
        return f"{self.before.action}->{self.after.action}"

    @property
    def same(self) -> bool:
        """Whether both take the same action, for whatever reasons."""
        return self.before.action is self.after.action


def compare(
    before: tuple[Policy, Screen], after: tuple[Policy, Screen], prompts: Iterable[tuple[str, str]]
) -> Iterator[Compared]:
    """Both decisions about each (prompt, negative prompt). Raises what screening raises."""
    for prompt, negative in prompts:
        first, second = (
            decide_prompt(policy, screen(prompt, negative_prompt=negative))
            for policy, screen in (before, after)
        )
        yield Compared(prompt, first, second)
