"""``guard audit verify`` and ``fsck``: whether the log is what was written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from guard.errors import InvalidRequest, KeyInvalid, LogTampered, ProofInvalid
from guard.types import as_dict

from .command import Run
from .exits import Exit
from .output import progress

if TYPE_CHECKING:
    from guard.audit.checkpoints.known import Known
    from guard.audit.checkpoints.note import VerifierKey
    from guard.audit.checkpoints.publish import Publisher
    from guard.audit.verify import Progress

KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="NAME+ID+KEY", help="Believe this verifier key alone."),
]


def verify(
    run: Run,
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", metavar="FILE|URL", help="Compare with this one."),
    ] = None,
    proof: Annotated[
        Path | None,
        typer.Option("--proof", metavar="FILE", help="Check this proof; needs no database."),
    ] = None,
    leaf: Annotated[
        Path | None, typer.Option("--leaf", metavar="FILE", help="The row that it must prove.")
    ] = None,
    key: KeyOption = None,
) -> Exit:
    """Recompute every leaf and the tree's root; say where the log is not what was written.

    The log is compared with what was published to GUARD_CHECKPOINTS, or with --checkpoint: a note,
    or a place where checkpoints are published. Where tiles were published with them, the first bad
    row is found, too. Without any, somebody who may write to the whole database goes unnoticed.
    """
    if proof is not None:
        return _verify_proof(run, proof, (leaf, checkpoint, key))
    from guard.audit.checkpoints.publishing import build_publisher
    from guard.audit.verify import verify_log

    publisher = build_publisher(run.settings, run.log.store)
    known, problem = _known(run, publisher, checkpoint, key)
    with _bar(run, "Verifying") as told:
        check = verify_log(run.log, known=known, progress=told)
    if problem is not None:
        check = dataclasses.replace(check, ok=False, problems=(problem.message, *check.problems))
    notices = _notices(publisher, known, problem)
    state = "[bold green]intact[/]" if check.ok else "[bold red]tampered[/]"
    run.out.emit(
        as_dict(check) | {"notices": notices},
        f"{state}  {check.records} rows  [dim]root {check.root}[/]",
        *_first_bad(check.first_bad),
        *[f"    [red]{escape(problem)}[/]" for problem in check.problems],
        *[f"    [yellow]{escape(notice)}[/]" for notice in notices],
    )
    return Exit.DONE if check.ok else Exit.TAMPERED


def _first_bad(index: int | None) -> list[str]:
    return [] if index is None else [f"    [red]first bad row: {index}[/]"]


def _known(
    run: Run, publisher: Publisher, checkpoint: str | None, key: str | None
) -> tuple[Known, LogTampered | None]:
    """What the log is compared with; and what is wrong with the checkpoints themselves."""
    from guard.audit.checkpoints.known import Known

    try:
        if checkpoint is None:
            if key is not None:
                publisher.keys = dataclasses.replace(publisher.keys, given=key)
            return publisher.known_roots(), None
        return _given(run, publisher, checkpoint, key), None
    except LogTampered as error:
        return Known({}), error


def _given(run: Run, publisher: Publisher, checkpoint: str, key: str | None) -> Known:
    from guard.audit.checkpoints.checkpoint import open_checkpoint
    from guard.audit.checkpoints.known import Known
    from guard.audit.checkpoints.places import open_place

    verifiers, origin = _verifiers(run, key, publisher.origin), publisher.origin
    path = Path(checkpoint)
    if path.is_file() and path.suffix != ".jsonl":
        signed = open_checkpoint(path.read_bytes(), verifiers, origin)
        return Known({signed.size: signed.root})
    if "://" not in checkpoint and not path.exists():
        raise InvalidRequest(f"There is no {checkpoint}.", hint="Name a note, a folder or a URL.")
    place = open_place(checkpoint)
    notes = [note for note in [place.newest()] if note]
    if not place.keeps_tiles:
        notes = [*place.history()]
    if not notes:
        raise InvalidRequest(
            f"Nothing was published to {place.name}.", hint="Name the place of checkpoints."
        )
    found = [open_checkpoint(note, verifiers, origin) for note in notes]
    return Known({one.size: one.root for one in found}, place)


def _verifiers(run: Run, key: str | None, origin: str) -> tuple[VerifierKey, ...]:
    from guard.audit.checkpoints.checkpoint_key import load_verifiers, verifier_path

    settings = run.settings
    given = key if key is not None else settings.checkpoint_verifiers
    found = load_verifiers(verifier_path(settings.home), origin, given)
    if not found:
        raise KeyInvalid(
            f"No verifier key of log {origin} is known here.",
            hint="Give it with --key, or put the line into keys/checkpoint.vkey of the home.",
        )
    return found


def _notices(publisher: Publisher, known: Known, problem: LogTampered | None) -> list[str]:
    notices: list[str] = []
    if known.newest is None and problem is None:
        notices.append(
            "No checkpoint is known: whoever may write to the whole database goes unnoticed. "
            "Set GUARD_CHECKPOINTS to a place outside it."
        )
    state = publisher.state.read()
    if state.failure:
        at = datetime.fromtimestamp(state.failed_at, UTC)
        notices.append(f"The last publication failed at {at:%Y-%m-%d %H:%M} UTC: {state.failure}")
    return notices


def _verify_proof(run: Run, path: Path, given: tuple[Path | None, str | None, str | None]) -> Exit:
    leaf, checkpoint, key = given
    row: dict[str, Any] = {"ok": True, "proof": str(path), "problems": []}
    try:
        row |= _proven(run, _read(path), None if leaf is None else _read(leaf), (checkpoint, key))
    except ProofInvalid as error:
        row |= {"ok": False, "problems": [error.message]}
    state = "[bold green]proven[/]" if row["ok"] else "[bold red]not proven[/]"
    facts = [f"{name} {row[name]}" for name in ("log", "index", "old_size", "size") if name in row]
    run.out.emit(
        row,
        f"{state}  {escape(str(path))}  [dim]{escape('  '.join(facts))}[/]",
        *[f"    [red]{escape(problem)}[/]" for problem in row["problems"]],
        *([f"    {escape(row['leaf'])}"] if "leaf" in row else []),
    )
    return Exit.DONE if row["ok"] else Exit.TAMPERED


def _proven(
    run: Run, data: bytes, leaf: bytes | None, given: tuple[str | None, str | None]
) -> dict[str, Any]:
    """What the proof shows. Raises ProofInvalid."""
    from guard.audit.checkpoints.checkpoint import Checkpoint, open_checkpoint
    from guard.audit.checkpoints.note import parse_note
    from guard.audit.checkpoints.proof import parse_consistency, parse_inclusion

    checkpoint, key = given
    if data.startswith(b"old "):
        if checkpoint is None:
            raise InvalidRequest(
                "A proof of growth is checked against the older checkpoint.",
                hint="Give it with --checkpoint FILE.",
            )
        growth = parse_consistency(data)
        origin = Checkpoint.parse(parse_note(growth.checkpoint).text).origin
        verifiers = _verifiers(run, key, origin)
        old = open_checkpoint(_read(Path(checkpoint)), verifiers, origin)
        signed = growth.verify(old, verifiers)
        return {"log": origin, "old_size": old.size, "size": signed.size}
    proof = parse_inclusion(data)
    origin = Checkpoint.parse(parse_note(proof.checkpoint).text).origin
    signed = proof.verify(_verifiers(run, key, origin), leaf)
    shown = (proof.extra if leaf is None else leaf).decode("utf-8", "replace")
    return {"log": origin, "index": proof.index, "size": signed.size, "leaf": shown}


def fsck(run: Run) -> Exit:
    """Check everything: file, checkpoints, rows, tiles, lookups, vault and messages.

    Repairs nothing, for every repair would destroy evidence; says what to do instead.
    """
    from guard.audit.checkpoints.publishing import build_publisher
    from guard.audit.fsck import check_everything

    publisher = build_publisher(run.settings, run.log.store)
    good = True
    with _bar(run, "Checking") as told:
        for part in check_everything(run.log, publisher, told):
            good &= part.ok
            row = {"part": part.name, **as_dict(part), "ok": part.ok}
            del row["name"]
            sign = "[bold green]✓[/]" if part.ok else "[bold red]✗[/]"
            run.out.emit(
                row,
                f"{sign} {part.name:<16} [dim]{escape(part.remark)}[/]",
                *_first_bad(part.first_bad),
                *[f"    [red]{escape(problem)}[/]" for problem in part.problems],
                *([] if part.ok else [f"    [dim]→ {escape(part.mend)}[/]"]),
            )
    return Exit.DONE if good else Exit.TAMPERED


@contextmanager
def _bar(run: Run, what: str) -> Iterator[Progress]:
    with progress(run.out.messages) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(
            f"Cannot read {path}: {error.strerror}.", hint="Name a file that is there."
        ) from error
