"""``guard audit list`` and ``show``: which decisions there were, and all that happened to one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from guard.types import Action, Event, Stage, as_dict

from .command import Run
from .exits import Exit
from .rows import coloured
from .times import SinceOption, UntilOption, parse_time

if TYPE_CHECKING:
    from guard.audit.query import ActEntry, Entry

LIST_EXAMPLE = """\
guard audit list --event blocked --since 7d
guard audit list --rule real-people --tenant shop --since 2026-11-01 --until 2026-12-01
guard audit list --image suspect.jpg
guard audit list --user user-4711"""


def list_(
    run: Run,
    event: Annotated[Event | None, typer.Option("--event", help="Only these events.")] = None,
    action: Annotated[
        Action | None, typer.Option("--action", help="Only where the policy said so.")
    ] = None,
    stage: Annotated[Stage | None, typer.Option("--stage", help="Only from this stage.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Only where this rule acted.")] = None,
    category: Annotated[
        str | None, typer.Option("--category", help="Only what scored over its threshold.")
    ] = None,
    under: Annotated[
        str | None,
        typer.Option(
            "--under", metavar="POLICY", help="Only under the policy of that name or digest."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only by this generator.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", help="Only of this user of --tenant, by the vault's pseudonym."),
    ] = None,
    record: Annotated[
        str | None, typer.Option("--record", metavar="ID", help="Only ids that begin so.")
    ] = None,
    mark: Annotated[
        str | None, typer.Option("--mark", metavar="HEX", help="Only the picture with this mark.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="Only the file of this digest.")
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image",
            metavar="FILE",
            help="Only the record this picture leads to, by file, mark or likeness.",
        ),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    before: Annotated[
        int | None,
        typer.Option("--before", metavar="ROW", min=0, help="Only above this row: the next page."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="At most so many, newest first.")
    ] = 50,
) -> Exit:
    """The newest events; every option given must hold.

    Nothing is decrypted. --user asks the vault which records are a person's, by pseudonym.
    """
    from guard.audit.query import list_records

    narrow: dict[str, Any] = {
        "mark": mark and mark.lower(),
        "asset_sha256": sha256 and sha256.lower(),
    }
    if user is not None or image is not None:
        narrow["records"] = _records(run, user, tenant, image)
    entries = list_records(
        run.log,
        since=parse_time("since", since),
        until=parse_time("until", until),
        event=event,
        action=action,
        stage=stage,
        rule=rule,
        category=category,
        policy=under,
        model=model,
        tenant=tenant,
        record_id=record,
        before=before,
        limit=limit,
        **narrow,
    )
    for entry in entries if run.out.as_json else ():
        run.out.emit(entry_row(entry))
    if not entries:
        run.out.say("[dim]No such events.[/]")
    elif not run.out.as_json:
        run.out.table(_table(entries))
    if len(entries) == limit:
        run.out.say(f"[dim]There may be more: --before {entries[-1].index}[/]")
    return Exit.DONE


def _records(run: Run, user: str | None, tenant: str | None, image: Path | None) -> tuple[str, ...]:
    """Ids of records, newest first, that a user asked for or that a picture leads to."""
    from .audit_image import records_of_image

    found: set[str] | None = None
    if user is not None:
        found = set(records_of_user(run, user, tenant))
    if image is not None:
        led = set(records_of_image(run, image))
        found = led if found is None else found & led
    return tuple(sorted(found or (), reverse=True))


def records_of_user(run: Run, user: str, tenant: str | None) -> tuple[str, ...]:
    """The newest records of a user, at most as many as a database takes at once."""
    from guard.errors import VaultUnavailable

    vault = run.log.vault
    if vault is None:
        raise VaultUnavailable(
            "This log has no vault, so nobody can tell which records are a user's.",
            hint="A user who is known can be confirmed record by record.",
        )
    ids = vault.records_of(user, tenant)
    if len(ids) > MOST_RECORDS:
        run.out.say(f"[yellow]Of {len(ids):,} records the newest {MOST_RECORDS:,} are searched.[/]")
    return tuple(ids[-MOST_RECORDS:])


MOST_RECORDS = 20_000
"""Ids in one question: SQLite takes 32,766 values."""


def entry_row(entry: Entry) -> dict[str, Any]:
    """An event as scripts read it."""
    return {**as_dict(entry.record), "index": entry.index, "receipt": as_dict(entry.receipt)}


def act_row(entry: ActEntry) -> dict[str, Any]:
    """An act as scripts read it."""
    plain = {**as_dict(entry.act), "details": dict(entry.act.details)}
    return {**plain, "index": entry.index, "receipt": as_dict(entry.receipt)}


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
    run: Run,
    record_id: Annotated[
        str, typer.Argument(metavar="RECORD_ID", help="A record; the first digits will do.")
    ],
) -> Exit:
    """Every event of one record with its receipts, and what was done about it since."""
    from guard.audit.query import acts, full_id
    from guard.audit.query import show as events_of

    found = full_id(run.log, record_id)
    for entry in events_of(run.log, found):
        row = entry_row(entry)
        head = f"{coloured(entry.record.event.value)}  {_place(entry.index, row['at'])}"
        run.out.emit(row, head, *_facts(row, {"event"}))
    for one in reversed(acts(run.log, about=found, limit=MOST_ACTS)):
        row = act_row(one)
        head = f"[bold cyan]{one.act.act.value}[/]  {_place(one.index, row['at'])}"
        run.out.emit(row, head, *_facts(row, {"act", "about"}))
    return Exit.DONE


MOST_ACTS = 1_000
"""About one record."""


def _place(index: int, at: str) -> str:
    return f"row {index}  {at[:19].replace('T', ' ')} UTC"


def _facts(row: dict[str, Any], said: set[str]) -> list[str]:
    facts = [
        f"    [dim]{name:<24}[/] {escape(_short(value))}"
        for name, value in row.items()
        if value not in (None, "", [], {}) and name not in said | {"at", "receipt", "index"}
    ]
    return [*facts, f"    [dim]{'leaf hash':<24}[/] {row['receipt']['leaf_hash']}"]


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(one)}" for key, one in value.items())
    if isinstance(value, list):
        return "; ".join(_short(one) for one in value)
    return str(value)
