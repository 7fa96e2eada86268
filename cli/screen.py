"""``guard screen``: what the policy says of prompts, without generating anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.markup import escape

from guard.errors import GuardError, InvalidRequest
from guard.policy.decide import decide_prompt
from guard.types import GenerationRequest

from .command import Run, command
from .exits import OF_ACTION, Exit, of_row_error, worst
from .output import error_row
from .rows import coloured, finding_row, marked_prompt

EXAMPLE = """\
guard screen "a lighthouse in a storm" "a painting in the style of Greg Rutkowski"
guard screen --input prompts.txt --json > verdicts.jsonl
zcat prompts.jsonl.gz | guard screen --input - --json"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "screen", example=EXAMPLE)(screen)


def screen(
    run: Run,
    prompts: Annotated[
        list[str] | None, typer.Argument(metavar="[PROMPT…]", help="Prompts to screen.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--input", metavar="FILE|-", help="A prompt a line, or JSONL with 'prompt'."),
    ] = None,
    negative_prompt: Annotated[
        str, typer.Option("--negative-prompt", help="Negative prompt of every prompt given.")
    ] = "",
) -> Exit:
    """Screen prompts: action, findings with their spans, and the policy that decided."""
    if not prompts and source is None:
        raise InvalidRequest("There is no prompt.", hint="Give prompts, or --input FILE.")
    from guard.assemble import build_screener

    with run.out.working("Loading the lexicons"):
        screener = build_screener(run.policy)
    code = Exit.DONE
    for text, negative in _texts(run, prompts or [], source, negative_prompt):
        code = worst([code, _one(run, screener, text, negative)])
    return code


def _one(run: Run, screener: Any, text: str, negative: str) -> Exit:
    try:
        request = GenerationRequest(prompt=text, negative_prompt=negative)
        findings = screener.screen(request.prompt, negative_prompt=request.negative_prompt)
    except GuardError as error:
        run.out.emit(
            {"prompt": text, "error": error_row(error)}, f"[red]error[/]  {escape(error.message)}"
        )
        return of_row_error(error)
    decision = decide_prompt(run.policy, findings)
    row = {
        "prompt": text,
        "action": decision.action.value,
        "findings": [finding_row(one) for one in findings],
        "reasons": [{"code": one.code, "message": one.message} for one in decision.reasons],
        "policy": {"name": run.policy.name, "digest": run.policy.digest},
    }
    details = [
        f"    [dim]{escape(one.rule)}[/]  “{escape(one.matched)}”  {one.score:.2f}"
        f"  [dim]{escape(one.source)}: {escape(one.explanation)}[/]"
        for one in findings
    ]
    told = [f"    [italic]{escape(one.message)}[/]" for one in decision.reasons]
    shown = f"{coloured(decision.action.value)}  {marked_prompt(text, findings)}"
    run.out.emit(row, shown, *details, *told)
    return OF_ACTION[decision.action]


def _texts(
    run: Run, prompts: list[str], source: str | None, negative: str
) -> Iterator[tuple[str, str]]:
    yield from ((prompt, negative) for prompt in prompts)
    if source is None:
        return
    if source == "-":
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        yield from _lines(sys.stdin, negative)
        return
    try:
        with Path(source).open(encoding="utf-8", errors="replace") as file:
            yield from run.out.track(_lines(file, negative), "Screening", _count(Path(source)))
    except OSError as error:
        raise InvalidRequest(
            f"Cannot read {source}: {error.strerror}.", hint="Check the path given to --input."
        ) from error


def _count(path: Path) -> int | None:
    if not path.is_file():  # a pipe can be read only once
        return None
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _lines(file: IO[str], negative: str) -> Iterator[tuple[str, str]]:
    """Plain lines, or JSON objects with ``prompt`` and perhaps ``negative_prompt``."""
    for line in file:
        text = line.rstrip("\r\n")
        if text.strip():
            yield _json_line(text, negative) or (text, negative)


def _json_line(text: str, negative: str) -> tuple[str, str] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        row = json.loads(text)
    except ValueError:
        return None  # a prompt may begin with a brace
    if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
        return None
    return row["prompt"], str(row.get("negative_prompt") or negative)
