"""``guard screen --dry-run``: what each tier says by itself, and what the policy makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.markup import escape

from guard.policy.decide import decide_prompt
from guard.types import Finding, GenerationRequest

from .exits import OF_ACTION, Exit
from .rows import coloured
from .verdicts import Judge, finding_lines, verdict_lines

TIERS = ("lexical", "semantic", "own")
"""In the order in which they are shown; others follow."""

MEANINGS = {
    "lexical": "word lists and names that ship",
    "semantic": "trained models",
    "own": "this platform's own lists",
}


def dry_run(judge: Judge, prompt: str, negative: str) -> tuple[dict[str, Any], Exit]:
    """The row of a prompt with ``tiers``, ``combinations`` and ``removed``.

    Raises InvalidRequest for an unusable prompt, and what screening raises.
    """
    request = GenerationRequest(prompt=prompt, negative_prompt=negative)
    inner = getattr(judge.screener, "inner", judge.screener)
    found = inner.screen(request.prompt, negative_prompt=request.negative_prompt)
    removed: list[dict[str, Any]] = []
    final = found
    lists = getattr(judge.screener, "lists", None)
    if lists is not None:
        applied = lists.apply(request.prompt, found)
        final, found = applied.findings, (*found, *applied.added)
        removed = [
            {"rule": one.rule, "matched": one.matched, "entry": entry.term, "list": own.label}
            for one, entry, own in applied.removed
        ]
    decision = decide_prompt(judge.policy, final)
    combinations = {rule.id for rule in judge.policy.combinations}
    row: dict[str, Any] = {"prompt": prompt}
    if negative:
        row["negative_prompt"] = negative
    row |= judge.verdict(final, decision)
    row["tiers"] = {tier: _alone(judge, found, tier) for tier in _tiers(found)}
    row["combinations"] = [rule for rule in row["rules"] if rule["id"] in combinations]
    row["removed"] = removed
    return row, OF_ACTION[decision.action]


def _tiers(found: tuple[Finding, ...]) -> list[str]:
    others = {one.tier for one in found}.difference(TIERS)
    return [*TIERS, *sorted(others)]


def _alone(judge: Judge, found: tuple[Finding, ...], tier: str) -> dict[str, Any]:
    """What ``tier`` found, and what the policy would decide if it were the only one."""
    own = tuple(one for one in found if one.tier == tier)
    verdict = judge.verdict(own, decide_prompt(judge.policy, own))
    return {key: verdict[key] for key in ("action", "findings", "rules")}


def dry_lines(row: Mapping[str, Any], *, colours: bool) -> Iterator[str]:
    """A dry run's row as rich markup: a part for each tier, then all of them together."""
    for tier, said in row["tiers"].items():
        meaning = MEANINGS.get(tier, "")
        yield f"[bold]{escape(tier)}[/] [dim]{escape(meaning)}:[/] {_alone_line(said)}"
        yield from (f"       {line}" for line in finding_lines(said["findings"]))
    for one in row["removed"]:
        yield (
            f"       [green]taken away[/] {escape(one['rule'])} “{escape(one['matched'])}” "
            f"[dim]by the entry “{escape(one['entry'])}” of {escape(one['list'])}[/]"
        )
    together = ", ".join(rule["id"] for rule in row["combinations"]) or "none acted"
    yield f"[bold]combinations[/] [dim]of all tiers:[/] {escape(together)}"
    yield "[bold]together[/]"
    yield from verdict_lines(row, colours=colours)


def _alone_line(said: Mapping[str, Any]) -> str:
    if not said["findings"]:
        return "[dim]found nothing[/]"
    rules = ", ".join(rule["id"] for rule in said["rules"])
    return f"alone would {coloured(said['action'])}  [dim]{escape(rules)}[/]".rstrip()
