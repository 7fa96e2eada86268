"""What ``guard screen`` says of one prompt: the row for scripts, the lines for people."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich.markup import escape

from guard.errors import GuardError, StageMisbehaved
from guard.policy.decide import decide_prompt
from guard.policy.model import CombinationRule, Policy, PromptRule, SemanticRule
from guard.prompt.base import PromptScreener
from guard.types import Action, Decision, Finding, GenerationRequest

from .exits import OF_ACTION, Exit, of_row_error
from .output import error_row
from .rows import coloured, finding_row

COLOURS = {Action.BLOCK: "red", Action.FLAG: "yellow", Action.ALLOW: "cyan"}
"""Of marked spans, by what the rule behind them does; ``allow`` only counts in combinations."""

IN_NEGATIVE = "in the negative prompt"
"""The end of a finding's explanation when its span counts in the negative prompt."""

NO_POLICY_LINE = ""

_Rule = PromptRule | SemanticRule | CombinationRule


class Judge:
    """Screens prompts under one policy. ``lines`` maps rule ids to ``file:line`` of the policy."""

    def __init__(
        self, policy: Policy, screener: PromptScreener, lines: Mapping[str, str] | None = None
    ) -> None:
        self.policy = policy
        self.screener = screener
        self.lines = lines or {}
        rules: tuple[_Rule, ...]
        rules = (*policy.prompt_rules, *policy.semantic_rules, *policy.combinations)
        self._rules = {rule.id: rule for rule in rules}

    def row(self, prompt: str, negative: str = "") -> tuple[dict[str, Any], Exit]:
        """The row of one prompt, good or bad, and the exit code that it comes to by itself.

        Raises InvalidConfiguration and Unavailable: they are about every prompt, not about one.
        """
        try:
            request = GenerationRequest(prompt=prompt, negative_prompt=negative)
        except GuardError as error:
            return {"prompt": prompt, "error": error_row(error)}, of_row_error(error)
        found = self.screener.screen(request.prompt, negative_prompt=request.negative_prompt)
        decision = decide_prompt(self.policy, found)
        row: dict[str, Any] = {"prompt": prompt}
        if negative:
            row["negative_prompt"] = negative
        return {**row, **self.verdict(found, decision)}, OF_ACTION[decision.action]

    def verdict(self, found: Sequence[Finding], decision: Decision) -> dict[str, Any]:
        """Action, findings, reasons and policy, as ``--json`` prints them."""
        return {
            "action": decision.action.value,
            "findings": [self._finding(one) for one in found],
            "rules": [self._rule(one, found) for one in decision.rules],
            "reasons": [{"code": one.code, "message": one.message} for one in decision.reasons],
            "policy": {"name": self.policy.name, "digest": self.policy.digest},
        }

    def _finding(self, finding: Finding) -> dict[str, Any]:
        return {**finding_row(finding), **self._where(finding.rule, finding.score)}

    def _rule(self, rule: str, found: Sequence[Finding]) -> dict[str, Any]:
        score = max((one.score for one in found if one.rule == rule), default=1.0)
        return {"id": rule, **self._where(rule, score)}

    def _where(self, rule: str, score: float) -> dict[str, Any]:
        """What the rule does at this score, and the line of the policy that says so."""
        known = self._rules.get(rule)
        action = None if known is None else _action(known, score).value
        return {"action": action, "policy_line": self.lines.get(rule, NO_POLICY_LINE)}


def _action(rule: _Rule, score: float) -> Action:
    return rule.action(score) if isinstance(rule, SemanticRule) else rule.action


def safe_row(judge: Judge, prompt: str, negative: str) -> tuple[dict[str, Any], Exit]:
    """As :meth:`Judge.row`; a screener that breaks on this prompt is an error in its row."""
    try:
        return judge.row(prompt, negative)
    except GuardError:
        raise
    except Exception as error:  # noqa: BLE001  # one prompt must not end a run over millions
        broken = StageMisbehaved(
            f"The screening of this prompt raised {type(error).__name__}: {error}",
            hint="Please report it with the prompt. Treat the prompt as not screened.",
        )
        return {"prompt": prompt, "error": error_row(broken)}, of_row_error(broken)


def dumps(row: dict[str, Any]) -> str:
    """One line of UTF-8; lone surrogates, which UTF-8 has no bytes for, are escaped."""
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(row)
    return text


# -- for people ------------------------------------------------------------------------------------


def verdict_lines(row: Mapping[str, Any], *, colours: bool) -> Iterator[str]:
    """A row as rich markup. Without ``colours`` spans stand between ‹ and ›.

    The operator's part (rule, term, score …) comes first; what a user is told stands apart.
    """
    if "error" in row:
        yield f"[red]error[/]  {escape(visible(row['prompt'])[:200])}"
        yield f"       {escape(row['error']['message'])} [dim]{escape(row['error']['hint'])}[/]"
        return
    found = row["findings"]
    here = [one for one in found if not one["explanation"].endswith(IN_NEGATIVE)]
    there = [one for one in found if one["explanation"].endswith(IN_NEGATIVE)]
    yield f"{coloured(row['action'])}{_pad(row['action'])}{marked(row['prompt'], here, colours)}"
    if row.get("negative_prompt"):
        yield f"  [dim]not[/]  {marked(row['negative_prompt'], there, colours)}"
    yield from (f"       {line}" for line in finding_lines(found))
    yield from (f"       {line}" for line in combination_lines(row))
    yield from (f"    [dim]→[/]  [italic]{escape(one['message'])}[/]" for one in row["reasons"])


def _pad(action: str) -> str:
    return " " * (7 - len(action))


def finding_lines(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each finding: rule, what was typed, entry, span, score, tier, source, policy."""
    rules = [_cell(str(one["rule"])) for one in found]
    width = max(map(_width, rules), default=0)
    for rule, one in zip(rules, found, strict=True):
        colour = COLOURS[Action(one["action"])] if one.get("action") else "white"
        start, end = one["span"]
        typed = visible(one["matched"])
        term = one.get("term", "")
        entry = f" = {visible(term)}" if term and term.casefold() != typed.casefold() else ""
        where = f"  {one['policy_line']}" if one.get("policy_line") else ""
        yield (
            f"[{colour}]{escape(rule)}[/]{' ' * (width - _width(rule))}  "
            f"{start}–{end} “{escape(_short(typed))}”{escape(entry)}  {one['score']:.2f} "
            f"{one.get('tier', '')}  [dim]{escape(one['source'])}: {escape(one['explanation'])}"
            f"{escape(where)}[/]"
        )


def combination_lines(row: Mapping[str, Any]) -> Iterator[str]:
    """Rules that acted without a finding of their own: combinations."""
    named = {one["rule"] for one in row["findings"]}
    for rule in row.get("rules", ()):
        if rule["id"] not in named:
            colour = COLOURS[Action(rule["action"])] if rule["action"] else "white"
            where = f"  [dim]{escape(rule['policy_line'])}[/]" if rule["policy_line"] else ""
            yield f"[{colour}]{escape(rule['id'])}[/]  [dim]together[/]{where}"


def marked(text: str, found: Iterable[Mapping[str, Any]], colours: bool) -> str:
    """``text`` with the spans marked; where they overlap the severest colour wins."""
    spans = [(*one["span"], Action(one.get("action") or "block")) for one in found]
    spans = [one for one in spans if 0 <= one[0] < one[1] <= len(text)]
    if not colours:
        return escape(_bracketed(text, _merged([(a, b) for a, b, _ in spans])))
    edges = sorted({0, len(text), *(edge for start, end, _ in spans for edge in (start, end))})
    parts = []
    for start, end in pairwise(edges):
        part = escape(visible(text[start:end]))
        acting = [action for a, b, action in spans if a <= start and end <= b]
        if acting:
            severest = max(acting, key=list(Action).index)
            part = f"[bold underline {COLOURS[severest]}]{part}[/]"
        parts.append(part)
    return "".join(parts)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _bracketed(text: str, spans: list[tuple[int, int]]) -> str:
    parts, last = [], 0
    for start, end in spans:
        parts += [visible(text[last:start]), "‹", visible(text[start:end]), "›"]
        last = end
    return "".join([*parts, visible(text[last:])])


_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_SHOWN: dict[int, int | str] = {
    **{code: 0x2400 + code for code in range(32)},
    0x7F: 0x2421,
    **dict.fromkeys(range(128, 160), 65533),
    **dict.fromkeys(map(ord, _BIDI), "⇄"),
    **dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad\u2028\u2029"), "·"),
}
"""Characters that would command the terminal, or stand there unseen."""


def visible(text: str) -> str:
    """``text`` with what cannot be seen made visible, each character by one."""
    return text.translate(_SHOWN)


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _cell(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
