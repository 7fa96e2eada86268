"""``guard verify``: says what a picture is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from guard.errors import GuardError, OutputUnwritable
from guard.types import VerificationReport, as_dict

from .command import Run, command
from .exits import Exit, of_row_error, of_verdict, worst
from .files import pictures
from .output import error_row
from .rows import coloured

if TYPE_CHECKING:
    from guard.verify.preview import Preview

EXAMPLE = """\
guard verify suspect.jpg
guard verify folder/ --json
guard verify suspect.jpg --html report.html"""

MOST_PICTURES = 500
"""A page shows no more pictures than this; each takes about 50 kB of it."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "verify", example=EXAMPLE)(verify)


def verify(
    run: Run,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE|DIR…", help="Suspect pictures.")],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a report page, too.")
    ] = None,
    pictures_shown: Annotated[
        bool,
        typer.Option(
            "--with-picture/--without-picture", help="Whether the page shows the pictures."
        ),
    ] = True,
) -> Exit:
    """Say what a picture is: its manifest, mark, fingerprint and record, and one verdict.

    `nothing_found` never means "not AI". A page shows small copies of the pictures, blurred where
    they are held for review and none where the record says blocked.
    """
    from guard.assemble import build_verifier

    verifier = build_verifier(run.policy, run.settings)
    codes: list[Exit] = []
    reports: list[tuple[Path, VerificationReport]] = []
    previews: dict[Path, Preview | None] = {}
    for path in run.out.track(pictures(images), "Verifying"):
        try:
            report = verifier.examine(path)
        except GuardError as error:
            row = {"path": str(path), "error": error_row(error)}
            run.out.emit(row, f"[red]error[/]  {escape(str(path))}: {escape(error.message)}")
            codes.append(of_row_error(error))
            continue
        run.out.emit(report_row(path, report), *report_lines(path, report))
        reports.append((path, report))
        if html is not None and pictures_shown and len(previews) < MOST_PICTURES:
            _show(previews, path, report)
        codes.append(of_verdict(report.verdict))
    if html is not None:
        _write_page(run, html, reports, previews)
    return worst(codes)


def report_row(path: Path, report: VerificationReport) -> dict[str, Any]:
    """A report as scripts read it."""
    return {"path": str(path), **as_dict(report)}


def report_lines(path: Path, report: VerificationReport) -> list[str]:
    """A report for a person."""
    lines = [f"{coloured(report.verdict.value)}  {escape(str(path))}", f"    {report.explanation}"]
    if report.provenance is not None:
        lines.append(f"    [dim]manifest     {escape(_manifest(report))}[/]")
    if report.watermark is not None:
        mark = report.watermark
        lines.append(f"    [dim]watermark    {mark['payload']}  p = {mark['p_value']:.1e}[/]")
    if report.record is not None:
        record = report.record
        lines.append(
            f"    [dim]record       {record['record_id']}  {record['event']} {record['at']}[/]"
        )
    lines += [f"    [dim]label        {escape(label_text(one))}[/]" for one in report.labels]
    return lines


def label_text(label: Mapping[str, Any]) -> str:
    """An unproven label in a line: ``ai_system (IPTC 2025.1)``, with its value if it has one."""
    text = f"{label.get('kind', 'label')} ({label.get('source') or label.get('method', '?')})"
    return f"{text}: {label['value']}" if label.get("value") else text


def _manifest(report: VerificationReport) -> str:
    provenance = report.provenance or {}
    said = f"{provenance.get('state')} · {provenance.get('signer')} · {provenance.get('source')}"
    return f"{said} · {_engines(provenance)}" if provenance.get("agreement") is False else said


def _engines(provenance: Mapping[str, Any]) -> str:
    """Shown where two engines disagree."""
    engines: Mapping[str, Any] = provenance.get("engines") or {}
    return ", ".join(f"{name} says {one['state']}" for name, one in engines.items())


def _show(previews: dict[Path, Preview | None], path: Path, report: VerificationReport) -> None:
    from guard.verify.preview import preview_of

    with suppress(GuardError):  # gone since it was examined: the page does without it
        previews[path] = preview_of(path, report)


def _write_page(
    run: Run,
    html: Path,
    reports: list[tuple[Path, VerificationReport]],
    previews: dict[Path, Preview | None],
) -> None:
    from guard.verify.render import page

    try:
        html.write_text(page(reports, previews), encoding="utf-8")
    except OSError as error:
        raise OutputUnwritable(
            f"Cannot write {html}: {error.strerror}.", hint="Choose another --html file."
        ) from error
    run.out.say(f"Report: [bold]{escape(str(html))}[/]")
