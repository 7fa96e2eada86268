"""``guard protect``: classify, mark, sign and record pictures made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from guard.delivery import Delivery
from guard.errors import AuditUnavailable, GuardError
from guard.types import Origin

from .command import Run, command
from .exits import Exit, of_outcome, of_row_error, worst
from .files import pictures
from .output import error_row
from .requests import Format, OutOption, TenantOption, UserOption
from .rows import outcome_lines, outcome_row

EXAMPLE = """\
guard protect picture.jpg --out protected
guard protect folder/ --out protected --origin generated --format jpeg --json"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "protect", example=EXAMPLE)(protect)


def protect(
    run: Run,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Pictures or folders.")],
    out: OutOption,
    origin: Annotated[
        Origin, typer.Option("--origin", help="Only 'generated' is signed as made by AI.")
    ] = Origin.UNKNOWN,
    picture_format: Annotated[Format, typer.Option("--format", help="File format.")] = Format(
        "png"
    ),
    user: UserOption = None,
    tenant: TenantOption = None,
) -> Exit:
    """Classify, mark, sign and record pictures that our generator did not make."""
    delivery = Delivery(out, picture_format.value)
    delivery.check()
    codes = []
    for path in run.out.track(pictures(images), "Protecting"):
        try:
            outcome = run.guard.protect(
                path, origin=origin, user=user, tenant=tenant, delivery=delivery
            )
        except AuditUnavailable:
            raise
        except GuardError as error:
            row = {"status": "failed", "source": str(path), "error": error_row(error)}
            run.out.emit(row, f"[red]error[/]  {escape(str(path))}: {escape(error.message)}")
            codes.append(of_row_error(error))
            continue
        run.out.emit({**outcome_row(outcome), "source": str(path)}, *outcome_lines(outcome))
        codes.append(of_outcome(outcome))
    return worst(codes)
