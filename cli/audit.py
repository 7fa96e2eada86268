"""``guard audit``: what was generated and blocked, and whether the log is what was written."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from guard.errors import OutputUnwritable
from guard.types import as_dict

from .audit_events import register as register_events
from .audit_questions import LIST_EXAMPLE, list_, show
from .audit_stats import stats
from .audit_vault import register as register_vault
from .command import Run, command
from .exits import Exit
from .output import progress


class ExportFormat(StrEnum):
    """What ``export`` writes."""

    JSONL = "jsonl"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(no_args_is_help=True, help="The tamper-evident record of every decision.")
    command(noun, "list", example=LIST_EXAMPLE)(list_)
    command(noun, "show", example="guard audit show 0199b2c4-…")(show)
    command(noun, "stats", example="guard audit stats --since 30d --by day")(stats)
    command(noun, "verify", example="guard audit verify --json")(verify)
    command(
        noun,
        "export",
        example="guard audit export log.jsonl\nguard audit export log.csv --format csv",
    )(export)
    register_vault(noun)
    register_events(noun)
    app.add_typer(noun, name="audit")


def verify(run: Run) -> Exit:
    """Recompute every leaf and the tree's root; say where the log is not what was written."""
    from guard.audit.verify import verify_log

    with progress(run.out.messages) as bar:
        task = bar.add_task("Verifying", total=None)
        check = verify_log(
            run.log, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    state = "[bold green]intact[/]" if check.ok else "[bold red]tampered[/]"
    run.out.emit(
        as_dict(check),
        f"{state}  {check.records} rows  [dim]root {check.root}[/]",
        *[f"    [red]{escape(problem)}[/]" for problem in check.problems],
    )
    return Exit.DONE if check.ok else Exit.TAMPERED


def export(
    run: Run,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write.")],
    file_format: Annotated[
        ExportFormat, typer.Option("--format", help="jsonl keeps the leaves; csv is for tables.")
    ] = ExportFormat.JSONL,
) -> Exit:
    """Write the whole log to a file. It holds no prompts and no user ids."""
    from guard.audit.export import export_csv, export_jsonl

    write = export_jsonl if file_format is ExportFormat.JSONL else export_csv
    log = run.log  # before the file is emptied
    try:
        with target.open("w", encoding="utf-8", newline="") as file:
            rows = write(log, file)
    except OSError as error:
        raise OutputUnwritable(
            f"Cannot write {target}: {error.strerror}.", hint="Choose another FILE."
        ) from error
    run.out.emit(
        {"path": str(target), "rows": rows}, f"[bold]{escape(str(target))}[/]  {rows} rows"
    )
    return Exit.DONE
