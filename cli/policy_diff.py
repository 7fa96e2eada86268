"""``guard policy diff`` and ``replay``: what another policy says, and would have said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from guard.errors import GuardError
from guard.policy.diff import Change, Compared, compare, differences
from guard.policy.load import load_policy
from guard.policy.model import Policy
from guard.types import GenerationRequest

from .command import Run
from .exits import Exit
from .lines import open_input, parse_line
from .places import rule_lines
from .replay import Tally, tally_row
from .replay import replay as replayed
from .rows import coloured
from .times import parse_time
from .verdicts import visible

EXAMPLES = 10
"""Prompts shown for each transition."""

SIGNS = {"added": "[green]+[/]", "removed": "[red]−[/]", "changed": "[yellow]~[/]"}

PolicyArgument = typer.Argument(metavar="NAME|FILE", help="A policy.")
PromptsOption = Annotated[
    str | None,
    typer.Option("--prompts", metavar="FILE", help="A prompt a line, or JSONL with 'prompt'."),
]


def diff(
    run: Run,
    before: Annotated[str, PolicyArgument],
    after: Annotated[str, PolicyArgument],
    prompts: PromptsOption = None,
) -> Exit:
    """What a second policy says otherwise; with prompts, which it decides otherwise.

    Exit 1 when the two differ.
    """
    old, new = load_policy(before), load_policy(after)
    changes = differences(old, new)
    row: dict[str, Any] = {
        "before": {"name": old.name, "digest": old.digest},
        "after": {"name": new.name, "digest": new.digest},
        "changes": [
            {"what": one.what, "part": one.part, "name": one.name, "field": one.field,
             "before": one.before, "after": one.after}
            for one in changes
        ],
    }  # fmt: skip
    lines = [_change_line(one) for one in changes] or ["[dim]They say the same.[/]"]
    if prompts is not None:
        told, more = _compared(run, (old, new), prompts, rule_lines(after))
        row["prompts"] = told
        lines += more
    run.out.emit(row, *lines)
    return Exit.FINDING if changes else Exit.DONE


def _change_line(one: Change) -> str:
    name = " ".join(part for part in (one.part, one.name) if part)
    if not one.field and one.what != "changed":
        thing = one.after if one.what == "added" else one.before
        action = thing.get("action") if isinstance(thing, dict) else None
        return f"{SIGNS[one.what]} {escape(name)}" + (f"  {coloured(action)}" if action else "")
    dot = f".{one.field}" if one.field else ""
    return (
        f"{SIGNS[one.what]} {escape(name)}{dot}  {_plain(one.before)} [dim]→[/] {_plain(one.after)}"
    )


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= 80 else f"{text[:79]}…")


def _compared(
    run: Run, policies: tuple[Policy, Policy], source: str, places: dict[str, str]
) -> tuple[dict[str, Any], list[str]]:
    from guard.assemble import build_screener

    first, second = ((one, build_screener(one, run.settings).screen) for one in policies)
    total, transitions = 0, Counter[str]()
    examples: dict[str, list[Compared]] = {}
    for one in compare(first, second, run.out.track(_prompts(source), "Screening")):
        total += 1
        transitions[one.transition] += 1
        shown = examples.setdefault(one.transition, [])
        if not one.same and len(shown) < EXAMPLES:
            shown.append(one)
    changed = sum(count for name, count in transitions.items() if len(set(name.split("->"))) > 1)
    row = {
        "total": total, "changed": changed, "transitions": dict(transitions.most_common()),
        "examples": {
            name: [{"prompt": one.prompt, "before": list(one.before.rules),
                    "after": list(one.after.rules)} for one in shown]
            for name, shown in examples.items() if shown
        },
    }  # fmt: skip
    return row, [*_transition_lines(transitions, total, changed), *_examples(examples, places)]


def _prompts(source: str) -> Iterator[tuple[str, str]]:
    """Usable prompts of a file; those that no request may have are passed over."""
    opened = open_input(source)
    try:
        for chunk in opened.lines:
            for line in chunk.lines:
                if line is not None and line.strip():
                    prompt, negative = parse_line(line, "")
                    try:
                        GenerationRequest(prompt=prompt, negative_prompt=negative)
                    except GuardError:
                        continue
                    yield prompt, negative
    finally:
        opened.close()


def _transition_lines(transitions: Counter[str], total: int, changed: int) -> Iterator[str]:
    yield f"[bold]{total:,} prompts[/], {changed:,} decided otherwise"
    for name, count in transitions.most_common():
        before, after = name.split("->")
        if before != after:
            yield f"  {coloured(before)} → {coloured(after)}  {count:,}"


def _examples(examples: dict[str, list[Compared]], places: dict[str, str]) -> Iterator[str]:
    for name, shown in examples.items():
        before, after = name.split("->")
        for one in shown:
            acted = one.after.rules or one.before.rules
            rules = ", ".join(f"{rule} {places.get(rule, '')}".strip() for rule in acted)
            yield (
                f"    {coloured(before)}→{coloured(after)}  {escape(visible(one.prompt)[:100])}  "
                f"[dim]{escape(rules)}[/]"
            )


def replay(
    run: Run,
    other: Annotated[str, PolicyArgument],
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Records from then on; ISO 8601.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Records before then; ISO 8601.")
    ] = None,
    prompts: PromptsOption = None,
) -> Exit:
    """What another policy would have decided about recorded requests, as far as that can be told.

    The log keeps no prompts, only salted commitments: prompts are decided anew where --prompts
    has their text, pictures where the recorded scores say all that the policy asks. What cannot
    be replayed is counted, with the reason. Exit 1 when a decision would change.
    """
    chosen = load_policy(other)
    tally = Tally()
    for one in _replay(run, chosen, (parse_time("from", since), parse_time("to", until)), prompts):
        tally.add(one)
    row = tally_row(chosen, tally)
    run.out.emit(row, *_tally_lines(row, rule_lines(other)))
    return Exit.FINDING if tally.examples else Exit.DONE


def _replay(
    run: Run,
    policy: Policy,
    times: tuple[datetime | None, datetime | None],
    prompts: str | None,
) -> Iterator[Any]:
    from guard.assemble import build_screener

    texts = [prompt for prompt, _ in _prompts(prompts)] if prompts else []
    log = run.log
    with run.out.working("Loading the lexicons"):
        screener = build_screener(policy, run.settings)
    yield from run.out.track(replayed(log, times, policy, screener.screen, texts), "Replaying")


def _tally_lines(row: dict[str, Any], places: dict[str, str]) -> Iterator[str]:
    yield f"[bold]{row['records']:,} records[/], {row['replayed']:,} replayed in part or whole"
    for part in ("prompts", "pictures"):
        yield f"  {part} decided anew: {row[part]['replayed']:,}"
        for why, count in row[part]["not_replayed"].items():
            yield f"    [dim]{count:,} not: {escape(why)}[/]"
    for name, count in row["transitions"].items():
        before, after = name.split("->")
        if before == after:
            yield f"  {coloured(before)} as before  {count:,}"
            continue
        yield f"  {coloured(before)} → {coloured(after)}  {count:,}"
        for one in row["examples"].get(name, ()):
            rules = ", ".join(f"{rule} {places.get(rule, '')}".strip() for rule in one["rules"])
            yield f"    {one['record_id']}  [dim]{escape(rules)}[/]"
