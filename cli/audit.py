"""``guard audit``: what was generated and blocked, and whether the log is what was written."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from guard.errors import OutputUnwritable
from guard.types import Event, Stage, as_dict

from .command import Run, command
from .exits import Exit
from .output import progress
from .rows import coloured
from .times import parse_time

if TYPE_CHECKING:
    from guard.audit.query import Entry

BAR = 40
"""Columns of the longest bar that ``stats`` draws."""


class ExportFormat(StrEnum):
    """What ``export`` writes."""

    JSONL = "jsonl"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(no_args_is_help=True, help="The tamper-evident record of every decision.")
    command(noun, "list", example="guard audit list --event blocked --since 2026-11-01")(list_)
    command(noun, "show", example="guard audit show 0199b2c4-…")(show)
    command(noun, "stats", example="guard audit stats")(stats)
    command(noun, "verify", example="guard audit verify --json")(verify)
    command(
        noun,
        "export",
        example="guard audit export log.jsonl\nguard audit export log.csv --format csv",
    )(export)
    app.add_typer(noun, name="audit")


def list_(
    run: Run,
    event: Annotated[Event | None, typer.Option("--event", help="Only these events.")] = None,
    stage: Annotated[Stage | None, typer.Option("--stage", help="Only from this stage.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Only where this rule acted.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="ISO 8601.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="At most so many, newest first.")
    ] = 50,
) -> Exit:
    """The newest events."""
    from guard.audit.query import list_records

    entries = list_records(
        run.log,
        since=parse_time("since", since),
        until=parse_time("until", until),
        event=event,
        stage=stage,
        rule=rule,
        tenant=tenant,
        limit=limit,
    )
    if run.out.as_json:
        for entry in entries:
            run.out.emit(entry_row(entry))
        return Exit.DONE
    if not entries:
        run.out.say("[dim]No such events.[/]")
        return Exit.DONE
    run.out.table(_table(entries))
    return Exit.DONE


def entry_row(entry: Entry) -> dict[str, Any]:
    """An event as scripts read it."""
    return {**as_dict(entry.record), "index": entry.index, "receipt": as_dict(entry.receipt)}


def _table(entries: list[Entry]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("row", "time (UTC)", "event", "record", "stage", "rules, reasons"):
        table.add_column(heading, no_wrap=heading != "rules, reasons")
    for entry in entries:
        record = entry.record
        table.add_row(
            str(entry.index),
            f"{record.at:%Y-%m-%d %H:%M:%S}",
            coloured(record.event.value),
            record.record_id,
            record.stage.value if record.stage else "",
            escape(", ".join(dict.fromkeys((*record.rules, *record.reasons)))),
        )
    return table


def show(
    run: Run, record_id: Annotated[str, typer.Argument(metavar="RECORD_ID", help="A record.")]
) -> Exit:
    """Every event of one record, with its receipts."""
    from guard.audit.query import show as events_of

    for entry in events_of(run.log, record_id):
        row = entry_row(entry)
        facts = [
            f"    [dim]{name:<24}[/] {escape(_short(value))}"
            for name, value in row.items()
            if value not in (None, "", [], {}) and name not in {"event", "at", "receipt", "index"}
        ]
        at = f"{entry.record.at:%Y-%m-%d %H:%M:%S} UTC"
        head = f"{coloured(entry.record.event.value)}  row {entry.index}  {at}"
        run.out.emit(row, head, *facts, f"    [dim]{'leaf hash':<24}[/] {entry.receipt.leaf_hash}")
    return Exit.DONE


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(one)}" for key, one in value.items())
    if isinstance(value, list):
        return "; ".join(_short(one) for one in value)
    return str(value)


def stats(run: Run) -> Exit:
    """Counts by event, stage, rule, policy, model and day."""
    from guard.audit.query import stats as count

    figures = count(run.log)
    lines: list[str] = []
    for name, counts in figures.items():
        if isinstance(counts, dict) and counts:
            lines += [f"[bold]{escape(name)}[/]", *_bars(counts)]
        elif not isinstance(counts, dict):
            lines.append(f"[bold]{escape(name)}[/] {counts}")
    run.out.emit(figures, *lines)
    return Exit.DONE


def _bars(counts: dict[str, Any]) -> list[str]:
    totals = {
        key: sum(value.values()) if isinstance(value, dict) else int(value)
        for key, value in counts.items()
    }
    most = max(totals.values())
    width = max(len(key) for key in totals)
    return [
        f"  {escape(key):<{width}}  [cyan]{'█' * max(1, round(BAR * value / most))}[/] {value}"
        for key, value in totals.items()
        if value
    ]


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
