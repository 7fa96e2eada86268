"""``guard audit reap``, ``reported`` and ``outbox``: what must end, and what must be told."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from guard.errors import InvalidRequest, SettingsInvalid
from guard.types import as_dict

from .audit_vault import WhoOption
from .command import Run, command
from .exits import Exit

if TYPE_CHECKING:
    from collections import Counter

    from guard.audit.outbox.deliver import Deliverer
    from guard.store.outbox import Message

_SPAN = re.compile(r"(\d{1,6})(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

MessageArgument = Annotated[str, typer.Argument(metavar="MESSAGE_ID", help="A message.")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Go on until stopped (Ctrl+C).")]


class State(StrEnum):
    """How far the sending of a message got."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


def register(noun: typer.Typer) -> None:
    """Add the commands to ``guard audit``."""
    command(noun, "reap", example="guard audit reap\nguard audit reap --older-than 1h --watch")(
        reap
    )
    command(noun, "reported", example="guard audit reported 0199b2c4-… --reason ncmec:12345678")(
        reported
    )
    outbox = typer.Typer(no_args_is_help=True, help="Messages to webhooks: send, list, try again.")
    command(outbox, "deliver", example="guard audit outbox deliver --watch")(deliver)
    command(outbox, "list", example="guard audit outbox list --state dead")(list_)
    command(outbox, "retry", example="guard audit outbox retry 0199b2c4-…")(retry)
    command(outbox, "drop", example="guard audit outbox drop 0199b2c4-…")(drop)
    command(outbox, "clear", example="guard audit outbox clear --older-than 30d")(clear)
    noun.add_typer(outbox, name="outbox")


def parse_span(name: str, text: str) -> timedelta:
    """``90s``, ``30m``, ``1h`` or ``2d``. Raises InvalidRequest."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest(
            f"--{name} {text!r} is no span of time.", hint="For example 90s, 30m, 1h or 2d."
        )
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def reap(
    run: Run,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="SPAN",
            help="How old a run must be: 90s, 30m, 1h. Default: what no living run reaches.",
        ),
    ] = None,
    watch: WatchOption = False,
    every: Annotated[
        float, typer.Option("--every", min=1.0, help="Seconds between looks with --watch.")
    ] = 60.0,
) -> Exit:
    """End runs that were cut off as abandoned, and reviews that nobody held in time as blocked.

    A run that is reaped while it lives cannot release anything any more: choose more than the
    longest takes. Pictures whose review expired are destroyed, those under legal hold are not.
    """
    from guard.assemble import build_quarantine
    from guard.audit.reap import expire, longest_run
    from guard.audit.reap import reap as end

    age = longest_run(run.settings) if older_than is None else parse_span("older-than", older_than)
    days = timedelta(days=run.policy.retention.held_days)
    held = build_quarantine(run.settings)
    with _stopping() as stop:
        while True:
            abandoned, expired = end(run.log, age), expire(run.log, held, days)
            if abandoned or expired or not watch:
                run.out.emit(
                    {
                        "abandoned": len(abandoned),
                        "expired": len(expired),
                        "receipts": [as_dict(one) for one in (*abandoned, *expired)],
                    },
                    f"{len(abandoned)} abandoned, {len(expired)} reviews expired  "
                    f"[dim]runs older than {age}[/]",
                )
            if not watch or stop.wait(every):
                return Exit.DONE


def reported(
    run: Run,
    record_id: Annotated[str, typer.Argument(metavar="RECORD_ID", help="A record.")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="NUMBER", help="The report, such as ncmec:12345678.")
    ],
    who: WhoOption = "",
) -> Exit:
    """Record that a record was reported to whom the law says."""
    from guard.audit.review.access import record_report

    receipt = record_report(run.log, record_id, who, reason)
    run.out.emit(
        {"status": "reported", "record_id": record_id, "receipt": as_dict(receipt)},
        f"[bold green]reported[/]  {escape(record_id)}  [dim]row {receipt.index}[/]",
    )
    return Exit.DONE


def deliver(run: Run, watch: WatchOption = False) -> Exit:
    """Send what waits to the webhooks that settings name, at least once.

    Several may run at once; a message is never sent by two at a time. One that fails is tried
    again later and later, and is dead after `GUARD_WEBHOOK_ATTEMPTS` attempts.
    """
    sender = build_deliverer(run)
    if not sender.endpoints:
        raise SettingsInvalid(
            "No webhook is set.", hint="Set GUARD_WEBHOOK_URL, or GUARD_WEBHOOKS to a file."
        )
    with _stopping() as stop:
        if watch:
            sender.watch(stop, lambda done: _say(run, done))
            return Exit.DONE
        done = sender.deliver(stop)
        _say(run, done)
    return Exit.FINDING if done["dead"] or done["pending"] else Exit.DONE


def build_deliverer(run: Run) -> Deliverer:
    """Sends the messages of this log. Raises SettingsInvalid, AuditUnavailable."""
    from guard.audit.outbox.deliver import Deliverer
    from guard.audit.outbox.endpoints import load_endpoints

    settings = run.settings
    return Deliverer(
        run.log.store,
        load_endpoints(settings),
        seconds=settings.webhook_seconds,
        attempts=settings.webhook_attempts,
    )


def _say(run: Run, done: Counter[str]) -> None:
    counts = {name: done[name] for name in ("delivered", "pending", "dead")}
    others = {name: count for name, count in done.items() if name not in counts}
    run.out.emit(
        counts | others,
        f"{counts['delivered']} delivered, {counts['pending']} to be tried again, "
        f"{counts['dead']} dead" + "".join(f"  [red]{escape(name)}[/]" for name in others),
    )


def list_(
    run: Run,
    state: Annotated[State | None, typer.Option("--state", help="Only these.")] = None,
) -> Exit:
    """What was told, and what waits. Exits with 3 while a message is dead or nobody gets it."""
    from guard.audit.outbox.manage import messages

    wanting = False
    empty = True
    for message in messages(run.log, state and state.value):
        empty = False
        wanting = wanting or message.state == State.DEAD or not message.endpoint
        run.out.emit(_row(message), *_lines(message))
    if empty:
        run.out.say("[dim]No messages.[/]")
    return Exit.REVIEW if wanting else Exit.DONE


def _row(message: Message) -> dict[str, Any]:
    from guard.audit.frame import from_us

    return {
        "message_id": message.message_id,
        "kind": message.kind,
        "about": message.about,
        "endpoint": message.endpoint or None,
        "state": message.state,
        "attempts": message.attempts,
        "created": from_us(message.created_us).isoformat(),
        "next": from_us(message.next_us).isoformat() if message.state == State.PENDING else None,
        "last_error": message.last_error,
    }


def _lines(message: Message) -> Iterator[str]:
    colour = {"delivered": "green", "pending": "yellow", "dead": "red"}[message.state]
    where = escape(message.endpoint) or "[red]no endpoint wants it[/]"
    yield (
        f"[{colour}]{message.state:<9}[/]  {message.message_id}  {message.kind}  {where}  "
        f"[dim]{message.attempts} attempts, about {message.about}[/]"
        + (f"  {escape(message.last_error)}" if message.last_error else "")
    )


def retry(run: Run, message_id: MessageArgument) -> Exit:
    """Make a dead message due now, with all its attempts before it."""
    from guard.audit.outbox.manage import retry as revive

    revive(run.log, message_id)
    run.out.emit({"message_id": message_id, "state": "pending"}, f"due now  {escape(message_id)}")
    return Exit.DONE


def drop(run: Run, message_id: MessageArgument) -> Exit:
    """Take a message out. A report that is required stays until it was made."""
    from guard.audit.outbox.manage import drop as remove

    gone = remove(run.log, message_id)
    run.out.emit(
        {"message_id": message_id, "kind": gone.kind, "dropped": True},
        f"dropped  {escape(message_id)}  [dim]{gone.kind}[/]",
    )
    return Exit.DONE


def clear(
    run: Run,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="SPAN", help="How old: 12h, 30d.")
    ] = "30d",
) -> Exit:
    """Take out messages that were delivered and are so old. What they told of stays in the log."""
    from guard.audit.outbox.manage import clear as remove

    gone = remove(run.log, parse_span("older-than", older_than))
    run.out.emit({"cleared": gone}, f"{gone} delivered messages taken out")
    return Exit.DONE


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM sets: a service that is stopped settles what it has just sent."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
