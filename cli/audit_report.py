"""``guard audit report``: the transparency report as a page, or as one JSON row."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from guard.errors import InvalidInput, OutputUnwritable

from .audit_stats import StepName, stats_row
from .command import Run, command
from .exits import Exit
from .times import parse_time

if TYPE_CHECKING:
    from guard.audit.report.report_page import ReportOptions
    from guard.audit.report.statistics import Statistics

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

EXAMPLE = """\
guard audit report --from 2026-10-01 --to 2026-12-31 --html report.html
guard audit report --from 30d --html report.html --tenants --fewest 10"""


def register(noun: typer.Typer) -> None:
    """Add the command to ``guard audit``."""
    command(noun, "report", example=EXAMPLE)(report)


def report(
    run: Run,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="First day; or 30d, 4w ago.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Last day, itself included.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Where the page goes.")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Of the page.")] = "Transparency report",
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    tenants: Annotated[
        bool, typer.Option("--tenants", help="Also name each tenant with its counts.")
    ] = False,
    fewest: Annotated[
        int, typer.Option("--fewest", min=0, help="Hide smaller counts of single tenants.")
    ] = 5,
    by: Annotated[
        StepName | None, typer.Option("--by", help="Steps of time; chosen by itself.")
    ] = None,
) -> Exit:
    """A transparency report: what was decided, why, how often that was wrong, what it rests on.

    One page that loads and runs nothing, for screen and paper. With --json the same as a row.
    Without --tenants nothing is said of single tenants.
    """
    from guard.audit.report.periods import Step
    from guard.audit.report.report_page import ReportOptions, report_page
    from guard.audit.report.statistics import count

    if html is None and not run.out.as_json:
        raise InvalidInput("There is nowhere to write to.", hint="Add --html FILE, or --json.")
    found = count(
        run.log,
        since=parse_time("from", since),
        until=_end(until),
        tenant=tenant,
        step=None if by is None else Step(by),
    )
    options = ReportOptions(title, tenants=tenants, fewest=fewest, checkpoint=_checkpoint(run))
    if html is not None:
        try:
            html.write_text(report_page(found, options), encoding="utf-8")
        except OSError as error:
            raise OutputUnwritable(
                f"Cannot write {html}: {error.strerror}.", hint="Choose another --html file."
            ) from error
    lines = [] if html is None else [f"[bold]{escape(str(html))}[/]  {found.size:,} rows counted"]
    run.out.emit(_row(found, options, html), *lines)
    return Exit.DONE


def _end(text: str | None) -> datetime | None:
    """When a period ends: a day is meant as a whole."""
    moment = parse_time("to", text)
    if moment is not None and text is not None and _DATE.fullmatch(text):
        return moment + timedelta(days=1)
    return moment


def _checkpoint(run: Run) -> str | None:
    """The last one that was published, where settings say that checkpoints are."""
    from guard.audit.checkpoints.places import open_place

    where = run.settings.checkpoints
    return None if where is None else open_place(where).newest()


def _row(found: Statistics, options: ReportOptions, html: Path | None) -> dict[str, Any]:
    from guard.audit.report.report_page import tenants_shown

    row = stats_row(found)
    row["by_tenant"] = tenants_shown(found, options.fewest) if options.tenants else {}
    return {
        "path": None if html is None else str(html),
        "title": options.title,
        "made": options.made.isoformat(),
        "fewest": options.fewest,
        "checkpoint": options.checkpoint,
        **row,
    }
