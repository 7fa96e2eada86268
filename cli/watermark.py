"""``guard watermark``: the mark alone, without policy, signature or record."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from guard.errors import InvalidRequest, OutputUnwritable
from guard.image.encode import MEDIA_TYPES
from guard.watermark.base import PAYLOAD_BYTES

from .command import Run, command
from .exits import Exit, worst
from .files import walk
from .marking import ONLY_MARKED, UNFINISHED, Detecting, Embedding, Item, Row
from .pool import IN_FLIGHT, cores, opened, spread
from .verdicts import visible

ALONE_SECONDS = 2.0
"""How long this process works before it asks for help: what starting a worker takes, and a hundred
marks are read in."""

INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended."""

EMBED = """\
guard watermark embed photo.jpg --out marked
guard watermark embed archive/ --out marked --json > marks.jsonl
guard watermark embed archive/ --out marked --resume --json >> marks.jsonl
guard watermark embed photo.png --out test --payload 00112233aabbccdd"""

DETECT = """\
guard watermark detect suspect.jpg
guard watermark detect downloads/ --json --workers 8"""

SourcesArgument = Annotated[
    list[Path], typer.Argument(metavar="SRC…", help="Pictures, or folders with all below them.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=512, help="Processes; all cores for several pictures."),
]
Kind = StrEnum("Kind", {"same": "same", **{name: name for name in MEDIA_TYPES}})  # type: ignore[misc]  # built from data


def register(app: typer.Typer) -> None:
    """Add the noun to ``app``."""
    noun = typer.Typer(no_args_is_help=True, help=HELP)
    command(noun, "embed", example=EMBED)(embed)
    command(noun, "detect", example=DETECT)(detect)
    app.add_typer(noun, name="watermark")


HELP = """\
Embed and detect the invisible mark alone.

What `embed` writes is marked only: not signed and not recorded. `guard protect` does all three.

Example:

`guard watermark embed archive/ --out marked --json > marks.jsonl`

`guard watermark detect suspect.jpg`
"""


def embed(
    run: Run,
    sources: SourcesArgument,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where marked copies go, as they lay.")
    ],
    kind: Annotated[
        Kind, typer.Option("--format", help="'same' as the source: JPEG at quality 95.")
    ] = Kind("same"),
    payload: Annotated[
        str | None,
        typer.Option("--payload", metavar="HEX", help="Mark id, 8 bytes, for a single picture."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the copies that an interrupted run has written.")
    ] = False,
    workers: WorkersOption = None,
) -> Exit:
    """Mark pictures, each with a mark id of its own. For tests and for archives that move here.

    The copies are MARKED ONLY: not signed and not recorded. Nothing here knows what a mark id
    stands for: keep the rows (--json). To sign and record as well, use `guard protect`.

    Each copy is read back from the file before it counts. Originals are never touched, and no file
    is overwritten. A picture that cannot be marked has a row with an error and stops nothing.
    """
    if out.exists() and any(one.is_dir() and one.samefile(out) for one in sources):
        raise InvalidRequest(
            f"{out} holds the originals.", hint="Choose another --out: originals stay as they are."
        )
    walked = partial(walk, sources, without=out)
    data = _payload(payload, walked()) if payload is not None else None
    job = Embedding(run.policy, run.overrides, out, MEDIA_TYPES.get(kind.value), data, resume)
    with _folder(out):
        return _Batch(run, job, "Marking").work(walked, workers)


def detect(run: Run, sources: SourcesArgument, workers: WorkersOption = None) -> Exit:
    """Look for marks of this home's keys, the retired ones included.

    The number behind `marked` is the chance that a picture without this mark reads like that; then
    come the mark id and what was done to the picture since. No mark does not mean "not AI".
    """
    walked = partial(walk, sources)
    return _Batch(run, Detecting(run.policy, run.overrides), "Detecting").work(walked, workers)


class _Batch:
    """One job over any number of pictures: in order, at constant memory, on all cores."""

    def __init__(self, run: Run, job: Embedding | Detecting, doing: str) -> None:
        self._run, self._job, self._doing = run, job, doing
        self._counts: Counter[str] = Counter()

    def work(self, walked: partial[Iterator[tuple[Path, Path]]], workers: int | None) -> Exit:
        """Every row, then the sum. Raises what stops every picture alike."""
        code = Exit.DONE
        out = self._run.out
        total = sum(1 for _ in walked()) if out.messages.is_terminal else None
        rows = self._rows((Item(*one) for one in walked()), workers)
        try:
            for row in out.track(rows, self._doing, total):
                self._tell(row)
                code = worst([code, row.code])
                if row.stop is not None:
                    raise row.stop
        except KeyboardInterrupt:
            self._end("[yellow]Stopped.[/] ")
            raise typer.Exit(INTERRUPTED) from None
        finally:
            rows.close()
        if not self._counts:
            raise InvalidRequest(
                "There is no picture in what was named.", hint="Name picture files, or folders."
            )
        self._end()
        return code

    def _rows(self, items: Iterator[Item], workers: int | None) -> Any:
        """The rows, in order: this process alone for a few, or for ``workers`` 1."""
        count = workers or cores()
        work = self._job.prepare()  # here first: a bad key is said once, and a new one is made once
        alone = time.monotonic() + (0 if workers else ALONE_SECONDS)
        while count == 1 or time.monotonic() < alone:
            item = next(items, None)
            if item is None:
                return
            yield work(item)
        following = next(items, None)
        if following is None:
            return
        with opened(self._job, count) as pool:
            for _, row in spread(pool, _again(following, items), count * IN_FLIGHT):
                yield row

    def _tell(self, told: Row) -> None:
        row = told.row
        word = "error" if "error" in row else row.get("status") or _found(row)
        self._counts["not readable or not markable" if word == "error" else word] += 1
        self._run.out.emit(row, *_lines(word, row))

    def _end(self, first: str = "") -> None:
        """The sum, on stderr, and what the copies are not."""
        counts = ", ".join(f"{count:,} {word}" for word, count in self._counts.items())
        if isinstance(self._job, Embedding):
            counts += (
                f". [yellow]{ONLY_MARKED}[/] [dim]To sign and record as well: guard protect[/]"
            )
        if isinstance(self._job, Embedding) or sum(self._counts.values()) > 1 or first:
            self._run.out.say(first + counts)
        if first and isinstance(self._job, Embedding):
            self._run.out.say("[dim]→[/] The same command with --resume goes on.")


def _again(first: Item, rest: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from rest


def _found(row: dict[str, Any]) -> str:
    return "marked" if row["detected"] else "no mark"


COLOURS = {"marked": "bold green", "kept": "green", "no mark": "dim", "error": "red"}


def _lines(word: str, row: dict[str, Any]) -> Iterator[str]:
    """A row for a person."""
    head = f"[{COLOURS[word]}]{word:<8}[/]"
    if word == "error":
        error = row["error"]
        yield f"{head}  {_name(row.get('source') or row['path'])}: {escape(error['message'])}"
        if error["hint"]:
            yield f"          [dim]→ {escape(error['hint'])}[/]"
    elif "status" in row:
        price = f"{row['psnr_db']:.1f} dB" if "psnr_db" in row else "-"
        names = f"{_name(row['source'])} → [bold]{_name(row['path'])}[/]"
        yield f"{head}  {row['payload']}  {price:>7}  {names}"
        yield from (f"          [dim]{escape(one)}[/]" for one in row.get("changed", ()))
    elif word == "marked":
        old = "  [yellow]retired key[/]" if row["retired"] else ""
        seen = f"{row['p_value']:<8.1e}  {row['payload']}  {escape(row['geometry'] or '-')}{old}"
        yield f"{head}  {seen}  [bold]{_name(row['path'])}[/]"
    else:
        yield f"{head}  {row['p_value']:<8.2g}  {_name(row['path'])}"


def _name(path: str) -> str:
    return escape(visible(path))


@contextmanager
def _folder(out: Path) -> Iterator[None]:
    """``out``, this run's alone, with a room in it for what is not finished."""
    unfinished = out / UNFINISHED
    with ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
            handle = os.open(out, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stack.callback(shutil.rmtree, unfinished, ignore_errors=True)
            shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
            unfinished.mkdir()
        except BlockingIOError as error:
            raise InvalidRequest(
                f"Another run is writing to {out}.", hint="Wait for it, or choose another --out."
            ) from error
        except OSError as error:
            raise OutputUnwritable(
                f"Cannot write to {out}: {error.strerror or error}.", hint="Choose another --out."
            ) from error
        yield


def _payload(text: str, walked: Iterable[tuple[Path, Path]]) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != PAYLOAD_BYTES:
        raise InvalidRequest(
            f"The payload {text!r} is not {PAYLOAD_BYTES} bytes in hex.",
            hint=f"Give {2 * PAYLOAD_BYTES} hexadecimal digits.",
        )
    if len(list(islice(walked, 2))) > 1:
        raise InvalidRequest(
            "--payload is for a single picture: a mark id must name one alone.",
            hint="Leave --payload out, and each gets a mark id of its own.",
        )
    return data
