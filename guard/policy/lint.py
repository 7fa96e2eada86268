"""What a valid policy may still have wrong: rules that never act, names that nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from guard.policy.model import CombinationRule, ListKind, Policy, PromptRule
from guard.types import Action

ERROR: Final = "error"
WARNING: Final = "warning"

_Path = tuple[int | str, ...]
_SEVERITY: Final = list(Action)


@dataclass(frozen=True, slots=True)
class Known:
    """What there is beside the policy: lists, heads of the semantic model, and how sure lists are.

    ``highest`` answers the highest score of any entry of a list, in 0–1.
    """

    lists: Sequence[str]
    heads: Sequence[str]
    highest: Callable[[str], float]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (``error``) or looks so (``warning``); ``path`` is where."""

    level: str
    path: _Path
    message: str


def problems(policy: Policy, known: Known) -> tuple[Problem, ...]:
    """Everything that is wrong with a valid policy, in the order of the file."""
    return (
        *_unknown(policy, known),
        *_unreachable(policy, known),
        *_shadowed(policy),
        *_combinations(policy),
        *_duplicates(policy),
    )


def _unknown(policy: Policy, known: Known) -> Iterator[Problem]:
    for position, rule in enumerate(policy.prompt_rules):
        path: _Path = ("prompt_rules", position, "lists")
        yield from _missing(rule.id, path, rule.lists, "list", known.lists)
    for position, semantic in enumerate(policy.semantic_rules):
        path = ("semantic_rules", position, "heads")
        yield from _missing(semantic.id, path, semantic.heads, "head", known.heads)


def _missing(
    rule: str, path: _Path, named: Sequence[str], what: str, there: Sequence[str]
) -> Iterator[Problem]:
    for name in named:
        if name not in there:
            yield Problem(
                ERROR,
                path,
                f"the rule '{rule}' names the {what} '{name}', which does not exist; "
                f"there are {', '.join(there)}",
            )


def _unreachable(policy: Policy, known: Known) -> Iterator[Problem]:
    """Rules that no entry reaches, and silent rules that nothing listens to."""
    combined = {category for one in policy.combinations for category in one.all_of}
    combined |= {category for one in policy.picture_combinations for category in one.prompt}
    fed = {own.rule for own in policy.own_lists if own.kind is ListKind.DENY}
    for position, rule in enumerate(policy.prompt_rules):
        path: _Path = ("prompt_rules", position)
        if rule.action is Action.ALLOW and rule.category not in combined:
            yield Problem(
                WARNING,
                path,
                f"the rule '{rule.id}' never does anything: it allows, and no combination asks "
                f"for its category '{rule.category}'",
            )
        scores = [known.highest(name) for name in rule.lists if name in known.lists]
        top = max(scores, default=0.0)
        if scores and rule.id not in fed and top < rule.threshold and rule.category not in combined:
            yield Problem(
                WARNING,
                (*path, "threshold"),
                f"the rule '{rule.id}' is never reached: its threshold is {rule.threshold:g}, and "
                f"no entry of its lists scores over {top:g}",
            )


def _shadowed(policy: Policy) -> Iterator[Problem]:
    rules = policy.prompt_rules
    for position, rule in enumerate(rules):
        for other in rules:
            if other is not rule and _hides(other, rule):
                yield Problem(
                    WARNING,
                    ("prompt_rules", position),
                    f"the rule '{rule.id}' never decides: whenever it acts, '{other.id}' acts too "
                    f"and says {other.action}",
                )
                break


def _hides(other: PromptRule, rule: PromptRule) -> bool:
    if rule.action is Action.ALLOW or not rule.lists:
        return False
    severer = _SEVERITY.index(other.action) > _SEVERITY.index(rule.action)
    sooner = other.threshold <= rule.threshold and set(other.lists) >= set(rule.lists)
    narrow = (other.occupations, other.died_within_years, other.requires_style)
    same = narrow == (rule.occupations, rule.died_within_years, rule.requires_style)
    return severer and sooner and (same or narrow == ((), None, False))


def _combinations(policy: Policy) -> Iterator[Problem]:
    for position, combination in enumerate(policy.combinations):
        for rule in policy.prompt_rules:
            if _needs_less(rule, combination):
                yield Problem(
                    WARNING,
                    ("combinations", position, "threshold"),
                    f"the combination '{combination.id}' decides nothing: its threshold "
                    f"{combination.threshold:g} is above the {rule.threshold:g} of the rule "
                    f"'{rule.id}', which says {rule.action} by itself",
                )
                break


def _needs_less(rule: PromptRule, combination: CombinationRule) -> bool:
    return (
        rule.category in combination.all_of
        and combination.threshold > rule.threshold
        and _SEVERITY.index(rule.action) >= _SEVERITY.index(combination.action)
    )


def _duplicates(policy: Policy) -> Iterator[Problem]:
    for field in ("allow_contexts", "allow_terms"):
        seen: dict[str, str] = {}
        for position, phrase in enumerate(getattr(policy, field)):
            plain = " ".join(phrase.casefold().replace("-", " ").split())
            if plain in seen:
                yield Problem(
                    WARNING, (field, position), f"'{phrase}' is there twice, as '{seen[plain]}'"
                )
            seen.setdefault(plain, phrase)
