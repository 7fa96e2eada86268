"""``guard review appeal``, ``appeals``, ``grant`` and ``deny``: blocks that somebody disputes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from guard.types import AuditReceipt, as_dict

from .audit_questions import act_row
from .command import Run, command
from .exits import Exit

if TYPE_CHECKING:
    from guard.audit.review.appeals import OpenAppeal

BlockArgument = Annotated[
    str,
    typer.Argument(metavar="RECORD_ID", help="A blocked record; the first digits will do."),
]
WhoOption = Annotated[
    str,
    typer.Option("--who", help="Who writes this; never the user's name.", envvar="USER"),
]
ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="CODE", help="A code, no sentence: art, case-4711.")
]


class ByName(StrEnum):
    """On whose word a block is disputed."""

    USER = "user"
    STAFF = "staff"


def register(noun: typer.Typer) -> None:
    """Add the commands to ``guard review``."""
    command(noun, "appeal", example="guard review appeal 0199b2c4-… --who dana --reason case-4711")(
        appeal
    )
    command(noun, "appeals", example="guard review appeals")(appeals)
    command(noun, "grant", example="guard review grant 0199b2c4-… --who erin --reason art")(grant)
    command(noun, "deny", example="guard review deny 0199b2c4-… --who erin --reason rule-right")(
        deny
    )


def appeal(
    run: Run,
    record_id: BlockArgument,
    reason: ReasonOption,
    who: WhoOption = "",
    by: Annotated[
        ByName, typer.Option("--by", help="Whose word it is; staff do not decide on their own.")
    ] = ByName.USER,
) -> Exit:
    """Dispute a block: recorded, and listed until somebody decides.

    Names and reasons stand in the log for ever, so neither may say who the user is.
    """
    from guard.audit.review.appeals import By
    from guard.audit.review.appeals import appeal as dispute

    receipt = dispute(run.log, record_id, who=who, reason=reason, by=By(by))
    _say(run, "appealed", "yellow", record_id, receipt)
    run.out.say("[dim]→ Somebody decides with: guard review grant, or guard review deny[/]")
    return Exit.DONE


def appeals(run: Run) -> Exit:
    """The appeals that nobody has decided, oldest first. Exit 3 while there are any."""
    from guard.audit.review.appeals import open_appeals

    waiting = open_appeals(run.log)
    for one in waiting:
        run.out.emit(open_row(one), *_lines(one))
    if not waiting:
        run.out.say("[dim]No appeal is open.[/]")
    return Exit.REVIEW if waiting else Exit.DONE


def grant(run: Run, record_id: BlockArgument, reason: ReasonOption, who: WhoOption = "") -> Exit:
    """Say that a disputed block was wrong. It counts against its rules; no picture leaves.

    The user may ask again; the policy's tests are where the mistake belongs next. Prompts are in
    the vault: guard audit reveal.
    """
    return _decide(run, record_id, who, reason, granted=True)


def deny(run: Run, record_id: BlockArgument, reason: ReasonOption, who: WhoOption = "") -> Exit:
    """Say that a disputed block was right. A new appeal is possible, as a new case."""
    return _decide(run, record_id, who, reason, granted=False)


def _decide(run: Run, record_id: str, who: str, reason: str, *, granted: bool) -> Exit:
    from guard.audit.review.appeals import decide

    receipt = decide(run.log, record_id, granted=granted, who=who, reason=reason)
    status, colour = ("appeal_granted", "green") if granted else ("appeal_denied", "red")
    _say(run, status, colour, record_id, receipt)
    return Exit.DONE


def _say(run: Run, status: str, colour: str, record_id: str, receipt: AuditReceipt) -> None:
    from guard.audit.query import full_id

    found = full_id(run.log, record_id)
    run.out.emit(
        {"status": status, "record_id": found, "receipt": as_dict(receipt)},
        f"[bold {colour}]{status.replace('_', ' ')}[/]  {found}  [dim]row {receipt.index}[/]",
    )


def open_row(one: OpenAppeal) -> dict[str, Any]:
    """An open appeal as scripts read it."""
    block = as_dict(one.block.record)
    names = ("at", "tenant", "stage", "rules", "reasons", "policy", "policy_digest", "reviewer")
    about = {name: block[name] for name in names}
    return {
        "record_id": one.block.record.record_id,
        "by": one.by.value,
        "appeal": act_row(one.appeal),
        "block": about,
    }


def _lines(one: OpenAppeal) -> list[str]:
    record, act = one.block.record, one.appeal.act
    stage = "" if record.stage is None else f" at {record.stage}"
    return [
        f"[bold yellow]appealed[/]  {record.record_id}  {act.at:%Y-%m-%d %H:%M} UTC",
        f"    [dim]{escape(act.reason)}, by {one.by}, written by {escape(act.who)}[/]",
        f"    [dim]blocked{stage}: {escape(', '.join(record.rules) or 'no rule')}[/]",
    ]
