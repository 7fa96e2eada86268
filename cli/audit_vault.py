"""``guard audit erase``, ``reveal``, ``expire`` and ``hold``: what is personal, on the record."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from guard.errors import InvalidRequest
from guard.types import as_dict

from .command import Run, command
from .exits import Exit

if TYPE_CHECKING:
    from guard.audit.vault.erasure import Erased, Plan
    from guard.audit.vault.holds import Hold, Person

WhoOption = Annotated[
    str, typer.Option("--who", help="Who does this; stands in the log.", envvar="USER")
]
ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="CASE", help="The case, such as case-4711.")
]
SubjectOption = Annotated[
    str | None, typer.Option("--subject", metavar="USER", help="A user, as requests name them.")
]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="The tenant of that user.")]
RecordOption = Annotated[
    str | None, typer.Option("--record", metavar="RECORD_ID", help="A single record.")
]


class Field(StrEnum):
    """What ``reveal`` shows."""

    PROMPT = "prompt"
    USER = "user"


def register(noun: typer.Typer) -> None:
    """Add the commands to ``guard audit``."""
    command(
        noun,
        "erase",
        example="guard audit erase --subject user-17 --reason request-2291 --dry-run\n"
        "guard audit erase --subject user-17 --tenant shop --reason request-2291",
    )(erase)
    command(noun, "expire", example="guard audit expire --policy default")(expire)
    command(
        noun, "reveal", example="guard audit reveal 0199b2c4-… --reason case-4711 --field prompt"
    )(reveal)
    hold = typer.Typer(no_args_is_help=True, help="Legal holds: what is held is not erased.")
    command(hold, "place", example="guard audit hold place --record 0199b2c4-… --reason case-4711")(
        place
    )
    command(hold, "lift", example="guard audit hold lift --subject user-17 --reason case-4711")(
        lift
    )
    command(hold, "list", example="guard audit hold list")(list_)
    noun.add_typer(hold, name="hold")


def erase(
    run: Run,
    reason: ReasonOption,
    subject: SubjectOption = None,
    tenant: TenantOption = None,
    record: RecordOption = None,
    who: WhoOption = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask on a terminal.")] = False,
) -> Exit:
    """Make what is kept of a person unreadable, for good.

    Destroys the keys of all periods, the ciphertext, the salts of the commitments, the pseudonym,
    and pictures in quarantine. Records stay, and every proof holds. What was erased cannot be
    brought back. Refused under legal hold.
    """
    from guard.assemble import build_quarantine
    from guard.audit.vault import erasure

    target = _target(subject, tenant, record)
    log = run.log
    found = erasure.plan(log, target)
    if dry_run:
        return _say_plan(run, found)
    if at_terminal() and not yes:
        count = f"{len(found.records)} records, {len(found.keys)} keys"
        typer.confirm(f"Erase {count}? Nobody can undo this.", abort=True, err=True)
    done = erasure.erase(log, target, who=who, reason=reason, held=build_quarantine(run.settings))
    _say_erased(run, "erased", done)
    if log.store.dialect == "postgresql":
        run.out.say(
            "[dim]PostgreSQL's write-ahead log, its archive, replicas and backups keep the "
            "ciphertext for as long as they last; its keys are destroyed.[/]"
        )
    return Exit.DONE


def at_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def _target(subject: str | None, tenant: str | None, record: str | None) -> Person | str:
    from guard.audit.vault.holds import Person

    if (subject is None) == (record is None):
        raise InvalidRequest(
            "Name a person or a record.", hint="Either --subject USER [--tenant T] or --record ID."
        )
    return Person(subject, tenant) if subject is not None else str(record)


def _say_plan(run: Run, found: Plan) -> Exit:
    held = list(dict.fromkeys(one.reason for one in found.holds))
    run.out.emit(
        {
            "status": "held" if held else "planned",
            "records": len(found.records),
            "record_ids": list(found.records),
            "keys": len(found.keys),
            "holds": held,
        },
        f"[bold]would erase[/]  {len(found.records)} records, {len(found.keys)} keys",
        *[f"    [dim]{escape(one)}[/]" for one in found.records],
        *[f"[bold yellow]held[/]  {escape(one)}: nothing would be erased" for one in held],
    )
    return Exit.FINDING if held else Exit.DONE


def _say_erased(run: Run, word: str, done: Erased) -> None:
    run.out.emit(
        {"status": word, **as_dict(done)},
        f"[bold green]{word}[/]  {done.records} records, {done.keys} keys, "
        f"{done.pictures} pictures  [dim]row {done.receipt.index}[/]",
    )


def expire(run: Run, who: WhoOption = "genguard") -> Exit:
    """Destroy what is older than the policy's retention, unless it is held.

    Also ends erasures that were interrupted. Fit for a nightly job.
    """
    from guard.assemble import build_quarantine
    from guard.audit.vault import erasure

    held = build_quarantine(run.settings)
    done = erasure.expire(run.log, run.policy, who=who or "genguard", held=held)
    for one in done:
        _say_erased(run, "expired", one)
    if not done:
        days = run.policy.retention.personal_days
        run.out.say(f"[dim]Nothing is older than {days} days.[/]")
    return Exit.DONE


def reveal(
    run: Run,
    record_id: Annotated[str, typer.Argument(metavar="RECORD_ID", help="A record.")],
    reason: ReasonOption,
    field: Annotated[
        list[Field] | None, typer.Option("--field", help="Only this; both by default.")
    ] = None,
    who: WhoOption = "",
) -> Exit:
    """Decrypt what is kept of a record: first it is recorded who looks and why.

    Nothing is shown when that cannot be recorded.
    """
    from guard.audit.vault.reveal import reveal as decrypt

    asked = tuple(dict.fromkeys(one.value for one in field or ()))
    found = decrypt(run.log, record_id, who=who, reason=reason, what=asked)
    shown = {
        name: text
        for name in ("prompt", "negative_prompt", "user")
        if (text := getattr(found, name)) is not None
    }
    run.out.emit(
        {"record_id": record_id, **shown, "receipt": as_dict(found.receipt)},
        *[f"[bold]{name.replace('_', ' ')}[/]  {escape(text)}" for name, text in shown.items()],
        f"[dim]recorded in row {found.receipt.index}[/]",
    )
    return Exit.DONE


def place(
    run: Run,
    reason: ReasonOption,
    subject: SubjectOption = None,
    tenant: TenantOption = None,
    record: RecordOption = None,
    who: WhoOption = "",
) -> Exit:
    """Hold a record, or all of a person, for a case: it is neither erased nor does it expire."""
    from guard.audit.vault import holds

    receipt = holds.place(run.log, _target(subject, tenant, record), who=who, reason=reason)
    row = {"status": "held", "reason": reason, "receipt": as_dict(receipt)}
    run.out.emit(row, f"[bold yellow]held[/]  {escape(reason)}  [dim]row {receipt.index}[/]")
    return Exit.DONE


def lift(
    run: Run,
    reason: ReasonOption,
    subject: SubjectOption = None,
    tenant: TenantOption = None,
    record: RecordOption = None,
    who: WhoOption = "",
) -> Exit:
    """End a hold, named by what is held and its case."""
    from guard.audit.vault import holds

    receipt = holds.lift(run.log, _target(subject, tenant, record), who=who, reason=reason)
    row = {"status": "lifted", "reason": reason, "receipt": as_dict(receipt)}
    run.out.emit(row, f"[bold green]lifted[/]  {escape(reason)}  [dim]row {receipt.index}[/]")
    return Exit.DONE


def list_(run: Run) -> Exit:
    """The holds in force. People stand there by pseudonym."""
    from guard.audit.vault.holds import list_holds

    found = list_holds(run.log)
    for one in found:
        run.out.emit(as_dict(one), f"[bold yellow]held[/]  {_held(one)}")
    if not found:
        run.out.say("[dim]Nothing is held.[/]")
    return Exit.DONE


def _held(one: Hold) -> str:
    what = f"record {one.record}" if one.record else f"person {(one.subject or '')[:16]}…"
    return f"{escape(one.reason)}  {what}  [dim]{one.at:%Y-%m-%d} {escape(one.who)}[/]"
