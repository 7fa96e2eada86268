"""``guard timestamps``: time-stamps for what was signed while the authority did not answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from guard.errors import InvalidRequest, SettingsInvalid

from .command import Run, command
from .exits import Exit
from .requests import OutOption

if TYPE_CHECKING:
    from guard.provenance.late_stamps import StampQueue

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Signed pictures that lack their time-stamp.")
]


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(
        no_args_is_help=True,
        help="Time-stamps that were missed: list, fetch, put into files (policy: `queue`).",
    )
    command(noun, "list", example="guard timestamps list")(list_)
    command(noun, "fetch", example="guard timestamps fetch")(fetch)
    command(noun, "complete", example="guard timestamps complete picture.png --out stamped")(
        complete
    )
    app.add_typer(noun, name="timestamps")


def _queue(run: Run) -> StampQueue:
    from guard.provenance.late_stamps import StampQueue

    return StampQueue(run.settings.home)


def list_(run: Run) -> Exit:
    """Signatures that wait for their time-stamp."""
    waiting = list(_queue(run).waiting())
    for one in waiting:
        run.out.emit(
            {"signature": one.name, "record_id": one.record_id, "queued": one.queued},
            f"[yellow]waits[/]  {escape(one.record_id)}  [dim]since {escape(one.queued)}[/]",
        )
    if not waiting:
        run.out.say("[dim]Nothing is waiting.[/]")
    return Exit.DONE


def fetch(run: Run) -> Exit:
    """Fetch time-stamps for all that waits.

    They are kept in the home: verify uses them when it recovers a manifest. Run it again, by a
    timer, until nothing waits; it stops at the first time-stamp that does not come.
    """
    from guard.provenance.timestamps import TimestampAuthority

    url = run.settings.tsa_url
    if url is None:
        raise SettingsInvalid(
            "No time-stamping authority is named.", hint="Set GUARD_TSA_URL to its address."
        )
    queue = _queue(run)
    done, failure = queue.fetch(TimestampAuthority(url))
    left = sum(1 for _ in queue.waiting())
    run.out.emit(
        {"fetched": done, "waiting": left}, f"[green]{done}[/] fetched, {left} still waiting"
    )
    if failure is not None:
        raise failure
    return Exit.DONE


def complete(run: Run, files: FilesArgument, out: OutOption = Path()) -> Exit:
    """Write copies of signed pictures with the time-stamp that came later.

    Neither pixels nor signature change. A file whose time-stamp is not there is copied as it is
    and counts as a finding.
    """
    from guard.audit.files import put_in_place, writable, write_private
    from guard.delivery import Delivery
    from guard.image.decode import load

    Delivery(out).check()
    queue, missing = _queue(run), False
    for path in files:
        picture = load(path)
        data = queue.completed_file(picture.data, picture.media_type)
        target = out / path.name
        if target.exists():
            raise InvalidRequest(f"{target} is there already.", hint="Choose another --out.")
        with writable(target):
            put_in_place(write_private(target, data), target)
        added = data != picture.data
        missing = missing or not added
        state = "[green]stamped[/]" if added else "[yellow]no time-stamp yet[/]"
        run.out.emit({"path": str(target), "stamped": added}, f"{state}  {escape(str(target))}")
    return Exit.FINDING if missing else Exit.DONE
