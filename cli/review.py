"""``guard review``: decide about what a policy held back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from guard.delivery import Delivery
from guard.types import as_dict

from .appeals import register as register_appeals
from .command import Run, command
from .exits import Exit
from .requests import OutOption

ReviewerOption = Annotated[
    str, typer.Option("--reviewer", help="Who decides; stands in the record.", envvar="USER")
]
RecordArgument = Annotated[str, typer.Argument(metavar="RECORD_ID", help="A held record.")]


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(
        no_args_is_help=True, help="Held and disputed decisions: list, approve, reject; appeals."
    )
    command(noun, "list", example="guard review list")(list_)
    command(noun, "show", example="guard review show 0199b2c4-… --out look.png")(show)
    command(noun, "approve", example="guard review approve 0199b2c4-… --out approved")(approve)
    command(noun, "reject", example="guard review reject 0199b2c4-… --reviewer dana")(reject)
    register_appeals(noun)
    app.add_typer(noun, name="review")


def list_(run: Run) -> Exit:
    """What waits for a reviewer."""
    from guard.assemble import build_quarantine

    waiting = list(build_quarantine(run.settings).list())
    for one in waiting:
        run.out.emit(
            {"record_id": one.record_id, "path": str(one.path), "sha256": one.sha256},
            f"[bold yellow]held[/]  {one.record_id}  [dim]{escape(str(one.path))}[/]",
        )
    if not waiting:
        run.out.say("[dim]Nothing is waiting.[/]")
    return Exit.REVIEW if waiting else Exit.DONE


def show(
    run: Run,
    record_id: RecordArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where a copy goes.")],
    reviewer: ReviewerOption = "",
) -> Exit:
    """Take a copy of a held picture to look at; that you did is recorded first."""
    from guard.assemble import build_quarantine
    from guard.audit.files import put_in_place, writable, write_private
    from guard.audit.review.access import view

    seen = view(run.log, build_quarantine(run.settings), record_id, reviewer)
    with writable(out):
        put_in_place(write_private(out, seen.picture), out)
    run.out.emit(
        {"status": "viewed", "record_id": record_id, "path": str(out)}
        | {"receipt": as_dict(seen.receipt)},
        f"[bold]viewed[/]  {escape(str(out))}  [dim]row {seen.receipt.index}[/]",
    )
    return Exit.DONE


def approve(
    run: Run, record_id: RecordArgument, out: OutOption = Path(), reviewer: ReviewerOption = ""
) -> Exit:
    """Release a held picture: the approval is recorded first, then the file leaves."""
    from guard.assemble import build_quarantine
    from guard.audit.review.decisions import approve as decide

    delivery = Delivery(out)
    delivery.check()
    held = build_quarantine(run.settings)
    approved = decide(run.log, held, record_id, reviewer)
    path = delivery.write(record_id, approved.picture, approved.media_type)
    held.discard(record_id)
    receipt = as_dict(approved.receipt)
    run.out.emit(
        {"status": "released", "record_id": record_id, "path": str(path), "receipt": receipt},
        f"[bold green]released[/]  {escape(str(path))}  [dim]row {approved.receipt.index}[/]",
    )
    return Exit.DONE


def reject(run: Run, record_id: RecordArgument, reviewer: ReviewerOption = "") -> Exit:
    """Refuse a held picture: recorded as blocked, and the file is destroyed."""
    from guard.assemble import build_quarantine
    from guard.audit.review.decisions import reject as refuse

    receipt = refuse(run.log, build_quarantine(run.settings), record_id, reviewer)
    run.out.emit(
        {"status": "blocked", "record_id": record_id, "receipt": as_dict(receipt)},
        f"[bold red]blocked[/]  {escape(record_id)}  [dim]row {receipt.index}[/]",
    )
    return Exit.DONE
