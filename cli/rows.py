"""Border values as the JSON rows that scripts rely on, and as lines for people."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from rich.markup import escape

from guard.types import Blocked, Failed, Finding, Held, Outcome, Released, as_dict

COLOURS = {
    "allow": "green", "flag": "yellow", "block": "red",
    "released": "green", "held": "yellow", "blocked": "red", "failed": "red",
    "trusted": "green", "recovered": "green", "marked": "cyan", "unknown_signer": "yellow",
    "label_only": "yellow", "altered": "red", "nothing_found": "dim",
}  # fmt: skip


def coloured(word: str) -> str:
    """The word in its colour, as rich markup."""
    return f"[bold {COLOURS.get(word, 'white')}]{word}[/]"


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """``generate`` and ``protect``: see DESIGN, JSON that scripts rely on."""
    row: dict[str, Any] = {
        "status": outcome.status.value,
        "record_id": outcome.record_id,
        "path": None,
        "sha256": None,
        "stage": None,
        "reasons": [],
        "receipt": as_dict(outcome.receipt),
    }
    if isinstance(outcome, Released):
        row["path"] = str(outcome.path) if outcome.path is not None else None
        row["sha256"] = outcome.images[0].sha256
        row["notices"] = list(outcome.notices)
        return row
    row["stage"] = outcome.stage.value
    row["reasons"] = [as_dict(reason) for reason in outcome.reasons]
    if isinstance(outcome, Failed):
        return {**row, "cause": outcome.cause, "hint": outcome.hint}
    return {
        **row,
        "rules": list(outcome.decision.rules),
        "findings": [finding_row(one) for one in outcome.findings],
        "scores": [as_dict(one) for one in outcome.scores],
    }


def finding_row(finding: Finding) -> dict[str, Any]:
    """A finding as ``screen`` prints it."""
    return as_dict(finding)


def outcome_lines(outcome: Outcome) -> list[str]:
    """An outcome for a person."""
    head = f"{coloured(outcome.status.value)}  record {outcome.record_id}"
    if isinstance(outcome, Released):
        where = f"  [bold]{escape(str(outcome.path))}[/]" if outcome.path else "  (in memory)"
        notices = [f"  [yellow]note:[/] {escape(notice)}" for notice in outcome.notices]
        return [head, where, *notices]
    lines = [f"{head}  at stage {outcome.stage.value}"]
    if isinstance(outcome, Failed):
        lines.append(f"  {escape(outcome.cause)}")
        if outcome.hint:
            lines.append(f"  [dim]→[/] {escape(outcome.hint)}")
        return lines
    return lines + _reasons(outcome)


def _reasons(outcome: Blocked | Held) -> list[str]:
    lines = [f"  {escape(reason.message)}" for reason in outcome.reasons]
    if outcome.decision.rules:
        lines.append(f"  [dim]rules: {escape(', '.join(outcome.decision.rules))}[/]")
    if isinstance(outcome, Held):
        lines.append(
            f"  [dim]→[/] guard review approve {outcome.record_id} --out DIR --reviewer NAME"
        )
    return lines


def marked_prompt(prompt: str, findings: tuple[Finding, ...]) -> str:
    """The prompt with the findings' spans underlined, as rich markup."""
    edges = sorted(
        {edge for one in findings for edge in (*one.span, 0, len(prompt))} | {0, len(prompt)}
    )
    parts = []
    for start, end in pairwise(edges):
        text = escape(prompt[start:end])
        inside = any(one.span[0] <= start and end <= one.span[1] for one in findings)
        parts.append(f"[underline red]{text}[/]" if inside else text)
    return "".join(parts)
