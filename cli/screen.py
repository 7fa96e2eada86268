"""``guard screen``: what the policy says of prompts, without generating anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from guard.errors import InvalidRequest

from .command import Run, command
from .exits import Exit, of_row_error, worst
from .output import error_row
from .places import rule_lines
from .stream import Stream
from .verdicts import Judge, safe_row, verdict_lines

EXAMPLE = """\
guard screen "a lighthouse in a storm" "a painting in the style of Greg Rutkowski"
guard screen --dry-run "a nude statue by Rodin"
guard screen --input prompts.txt --output verdicts.jsonl
guard screen --input prompts.txt --output verdicts.jsonl --resume
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
        typer.Option(
            "--input",
            metavar="FILE|-",
            help="A prompt a line, or JSONL with 'prompt'; .gz is unpacked. Of any size.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write the rows there, as JSONL."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where a run into this --output was interrupted."),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=512, help="Processes; all cores for long inputs."),
    ] = None,
    negative_prompt: Annotated[
        str, typer.Option("--negative-prompt", help="Negative prompt of every prompt given.")
    ] = "",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "--explain", help="Say what each tier would say by itself."),
    ] = False,
) -> Exit:
    """Screen prompts: action, findings with their spans, and the policy that decided.

    Rows come in the order of the input. An unusable line has a row with an error and stops nothing.
    """
    _check(prompts, source, output, resume=resume, dry_run=dry_run)
    stream = None
    if source is not None:
        stream = Stream(run, source, output, workers, negative_prompt)
        stream.take_up(resume=resume)
    with run.out.working("Loading the lexicons"):
        judge = _judge(run)
    codes = [_one(run, judge, text, negative_prompt, dry_run=dry_run) for text in prompts or ()]
    if stream is not None:
        codes.append(stream.screen(judge))
    return worst(codes)


def _check(
    prompts: list[str] | None,
    source: str | None,
    output: Path | None,
    *,
    resume: bool,
    dry_run: bool,
) -> None:
    if not prompts and source is None:
        raise InvalidRequest("There is no prompt.", hint="Give prompts, or --input FILE.")
    if output is not None and (source is None or prompts):
        raise InvalidRequest(
            "--output is for --input alone.", hint="For single prompts use --json and a redirect."
        )
    if resume and output is None:
        raise InvalidRequest(
            "--resume needs the --output of the interrupted run.", hint="Add --output FILE."
        )
    if dry_run and source is not None:
        raise InvalidRequest(
            "--dry-run is for single prompts.", hint="Give the prompts themselves."
        )


def _judge(run: Run) -> Judge:
    from guard.assemble import build_screener

    screener = build_screener(run.policy, run.settings)
    return Judge(run.policy, screener, rule_lines(run.settings.policy))


def _one(run: Run, judge: Judge, text: str, negative: str, *, dry_run: bool) -> Exit:
    row: dict[str, Any]
    if dry_run:
        from .dry_run import dry_lines
        from .dry_run import dry_run as explain

        try:
            row, code = explain(judge, text, negative)
        except InvalidRequest as error:
            row, code = {"prompt": text, "error": error_row(error)}, of_row_error(error)
        shown = verdict_lines if "error" in row else dry_lines
    else:
        row, code = safe_row(judge, text, negative)
        shown = verdict_lines
    run.out.emit(row, *shown(row, colours=run.out.colours))
    return code
