"""``guard audit verify``, ``fsck``, ``checkpoint``, ``prove`` and ``export``: evidence."""

from __future__ import annotations

import getpass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from guard.errors import InvalidRequest, OutputUnwritable
from guard.types import as_dict

from .audit_check import fsck, verify
from .audit_vault import WhoOption
from .command import Run, command
from .exits import Exit

if TYPE_CHECKING:
    from guard.audit.checkpoints.publish import Publisher

NO_PLACE = "[yellow]Not published:[/] set GUARD_CHECKPOINTS to a place outside the database."


class ExportFormat(StrEnum):
    """What ``export`` writes."""

    JSONL = "jsonl"
    CSV = "csv"
    TILES = "tiles"


def register(noun: typer.Typer) -> None:
    """Add the commands to ``guard audit``."""
    command(
        noun,
        "verify",
        example="guard audit verify --json\n"
        "guard audit verify --checkpoint noted.checkpoint\n"
        "guard audit verify --proof picture.tlog-proof",
    )(verify)
    command(noun, "fsck", example="guard audit fsck")(fsck)
    command(noun, "checkpoint", example="guard audit checkpoint\nguard audit checkpoint --json")(
        checkpoint
    )
    command(
        noun,
        "prove",
        example="guard audit prove 0199b2c4-… --out picture.tlog-proof\n"
        "guard audit prove --since noted.checkpoint --out growth.proof",
    )(prove)
    command(
        noun,
        "export",
        example="guard audit export log.jsonl\n"
        "guard audit export log.csv --format csv\n"
        "guard audit export log-tiles --format tiles",
    )(export)


def _publisher(run: Run) -> Publisher:
    from guard.audit.checkpoints.publishing import build_publisher

    return build_publisher(run.settings, run.log.store)


def checkpoint(
    run: Run,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the note there, too.")
    ] = None,
) -> Exit:
    """Sign how large the log is and its root, publish that now, and print it.

    The note is a C2SP checkpoint. It goes to GUARD_CHECKPOINTS: a folder, a .jsonl file, or the
    URL of an object store, which those who may write to the database should not be able to write.
    Nothing is signed when the log does not contain what was signed before.
    """
    publisher = _publisher(run)
    with run.out.working("Signing"):
        signed = publisher.publish()
    if out is not None:
        _write(out, str(signed).encode())
    place = publisher.place.name if publisher.place else None
    run.out.emit(
        {
            "log": signed.checkpoint.origin,
            "size": signed.size,
            "root": signed.root.hex(),
            "note": str(signed),
            "place": place,
            "verifier_keys": [str(one) for one in publisher.keys.verifiers(publisher.origin)],
        },
        escape(str(signed)).rstrip("\n"),
    )
    run.out.say(NO_PLACE if place is None else f"[dim]published to {escape(place)}[/]")
    return Exit.DONE


def prove(
    run: Run,
    record_id: Annotated[
        str | None, typer.Argument(metavar="RECORD_ID", help="A record or an act.")
    ] = None,
    event: Annotated[
        str | None, typer.Option("--event", help="This event of it; default: its last.")
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option("--since", metavar="CHECKPOINT", help="Prove growth since that note."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Default: stdout.")
    ] = None,
) -> Exit:
    """Prove that a record is in the log, or that the log only grew since a checkpoint.

    Inclusion is written as a C2SP tlog-proof with the row itself in it, growth as a C2SP
    tlog-witness request. Both hold without this database: docs/verify_export.py checks the first.
    """
    from guard.audit.checkpoints.evidence import prove_growth, prove_record
    from guard.audit.checkpoints.proof import InclusionProof

    if (record_id is None) == (since is None):
        raise InvalidRequest(
            "Prove either a RECORD_ID or growth with --since.",
            hint="See: guard audit prove --help",
        )
    publisher = _publisher(run)
    with run.out.working("Proving"):
        proof = (
            prove_record(run.log, publisher, record_id, event)
            if record_id is not None
            else prove_growth(run.log, publisher, _read(since))
        )
    if out is not None:
        _write(out, str(proof).encode())
    row: dict[str, object] = {"path": out and str(out), "proof": str(proof)}
    if isinstance(proof, InclusionProof):
        row |= {"record_id": record_id, "index": proof.index}
    else:
        row |= {"old_size": proof.old_size}
    row["size"] = int(proof.checkpoint.split("\n")[1])
    shown = escape(str(proof)).rstrip("\n") if out is None else f"[bold]{escape(str(out))}[/]"
    run.out.emit(row, shown)
    return Exit.DONE


def export(
    run: Run,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write.")],
    file_format: Annotated[
        ExportFormat,
        typer.Option(
            "--format", help="jsonl keeps the leaves; csv is for tables; tiles makes a folder."
        ),
    ] = ExportFormat.JSONL,
    who: WhoOption = "",
) -> Exit:
    """Write the whole log out, with a signed checkpoint and a manifest beside it.

    It holds no prompts and no user ids. That it was exported, and by whom, is a row of the log.
    docs/verify_export.py checks jsonl and tiles without genguard.
    """
    from guard.audit.checkpoints.bundle import check_target, export_bundle
    from guard.audit.review.access import record_export

    check_target(target, file_format.value)  # nothing is recorded for a mistyped name
    publisher, log = _publisher(run), run.log
    record_export(log, who or _user(), file_format.value)
    with run.out.working("Exporting"):
        done = export_bundle(log, publisher, target, file_format.value)
    run.out.emit(
        as_dict(done),
        f"[bold]{escape(str(target))}[/]  {done.rows} rows  [dim]root {done.root}[/]",
        f"    [dim]checkpoint {escape(str(done.checkpoint))}[/]",
        f"    [dim]manifest   {escape(str(done.manifest))}[/]",
    )
    return Exit.DONE


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no entry for this user, as in some containers
        return "unknown"


def _read(path: Path | None) -> bytes:
    try:
        return Path(path or "").read_bytes()
    except OSError as error:
        raise InvalidRequest(
            f"Cannot read {path}: {error.strerror}.", hint="Name a file that is there."
        ) from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputUnwritable(
            f"Cannot write {path}: {error.strerror}.", hint="Choose another FILE."
        ) from error
