"""``guard screen --input``: any number of prompts at constant memory, in order, resumable."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)

from guard.errors import OutputUnwritable
from guard.version import __version__

from .command import Run
from .exits import Exit, worst
from .lines import Chunk, Input, open_input
from .output import Output
from .progress import Progress, take_up
from .rows import coloured
from .verdicts import Judge, verdict_lines
from .workers import Recipe, Results, in_order

SAVE_SECONDS = 1.0
"""Between two marks of how far a run came: what a kill costs."""

INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended."""


@dataclass
class Stream:
    """One run over an input."""

    run: Run
    source: str
    output: Path | None
    workers: int | None
    negative: str
    progress: Progress = field(init=False)
    _saved: float = field(init=False, default=0.0)

    def take_up(self, *, resume: bool) -> None:
        """Begin, or go on. Raises InvalidRequest when that cannot be."""
        made_by = {
            "policy": self.run.policy.digest,
            "genguard": __version__,
            "negative prompt": self.negative,
        }
        self.progress = Progress(made_by)
        if self.output is not None:
            self.progress = take_up(self.output, made_by, resume=resume)

    def screen(self, judge: Judge) -> Exit:
        """Screen what is left of the input. Raises what screening and writing raise."""
        if self.progress.done:
            self._end()
            return Exit(self.progress.code)
        opened = open_input(self.source)
        recipe = Recipe(self.run.policy, self.run.overrides, dict(judge.lines), self.negative)
        with ExitStack() as stack:
            stack.callback(opened.close)
            file = stack.enter_context(self._opened()) if self.output else None
            self._save(file)  # from here on a kill leaves something to go on from
            at = self.progress
            if at.offset:
                with self.run.out.working("Passing over what is done"):
                    opened.lines.skip(at.offset, at.digest, at.line)
            bar = stack.enter_context(self._bar(opened))
            results = in_order(recipe, judge, opened.lines, self.workers)
            try:
                for chunk, found in results:
                    self._take(chunk, found, file)
                    bar(self.progress.rows)
            except KeyboardInterrupt:
                self._interrupted(file)
            finally:
                results.close()  # type: ignore[attr-defined]  # a generator: its workers go home
                self._save(file)
            self.progress.done = True
            self._save(file)
        self._end()
        return Exit(self.progress.code)

    # -- one chunk ---------------------------------------------------------------------------

    def _take(self, chunk: Chunk, found: Results, file: IO[bytes] | None) -> None:
        """Write a chunk's rows, then move the mark behind them: a kill in between writes anew."""
        at = self.progress
        data = b""
        if file is None:
            _print(self.run.out, found.text)
        else:
            data = found.text.encode()
            file.write(data)
        counts = Counter(at.counts)
        counts.update(found.counts)
        self.progress = replace(  # in one step: Ctrl-C may come between any two
            at,
            offset=chunk.end,
            digest=chunk.digest,
            line=chunk.first + len(chunk.lines),
            written=at.written + len(data),
            rows=at.rows + found.rows,
            code=int(worst([Exit(at.code), found.code])),
            counts=dict(counts),
        )
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            self._save(file)

    def _save(self, file: IO[bytes] | None) -> None:
        if file is None or self.output is None:
            return
        try:
            file.flush()
            os.fsync(file.fileno())  # the rows first: a mark must never be ahead of them
            self.progress.save(self.output)
        except OSError as error:
            raise self._unwritable(error) from error
        self._saved = time.monotonic()

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        assert self.output is not None  # noqa: S101  # asked for only then
        try:
            file = self.output.open("ab" if self.progress.written else "wb")
        except OSError as error:
            raise self._unwritable(error) from error
        with file:
            yield file

    def _unwritable(self, error: OSError) -> OutputUnwritable:
        return OutputUnwritable(
            f"Cannot write {self.output}: {error.strerror or error}.",
            hint="Free some space or choose another --output; --resume goes on from the last row.",
        )

    # -- for people --------------------------------------------------------------------------

    @contextmanager
    def _bar(self, opened: Input) -> Iterator[Any]:
        """A bar by bytes, where a person looks on and no rows run over the same terminal."""
        messages = self.run.out.messages
        crowded = self.output is None and sys.stdout.isatty()
        if not messages.is_terminal or crowded:
            yield lambda rows: None
            return
        columns = (
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
            TextColumn("{task.fields[rows]:,} prompts"), TimeElapsedColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        # Rows for a file or a pipe must go there: rich would take them for the terminal's.
        with Bar(*columns, console=messages, transient=True, redirect_stdout=False) as bar:
            task = bar.add_task("Screening", total=opened.size, rows=self.progress.rows)
            yield lambda rows: bar.update(task, completed=opened.read(), rows=rows)

    def _interrupted(self, file: IO[bytes] | None) -> None:
        self._save(file)
        told = f"[yellow]Stopped[/] after {self.progress.rows:,} rows."
        if self.output is not None:
            told += (
                f" [dim]→[/] The same command with --resume goes on in {escape(str(self.output))}."
            )
        self.run.out.say(told)
        raise typer.Exit(INTERRUPTED)

    def _end(self) -> None:
        """A summary: as a row where the rows went to a file, else as a remark."""
        at = self.progress
        counts = ", ".join(
            f"{coloured(name)} {count:,}" for name, count in sorted(at.counts.items())
        )
        told = f"{at.rows:,} rows  {counts}"
        if self.output is None:
            if not self.run.out.as_json:
                self.run.out.say(told)
            return
        self.run.out.emit(
            {"output": str(self.output), "rows": at.rows, "counts": at.counts},
            f"[bold]{escape(str(self.output))}[/]  {told}",
        )


def _print(out: Output, text: str) -> None:
    """Rows on stdout: as they are for scripts, as lines for people."""
    if not out.as_json:
        for line in text.splitlines():
            out.show(*verdict_lines(json.loads(line), colours=out.colours))
        return
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = "".join(json.dumps(json.loads(line)) + "\n" for line in text.splitlines())
    sys.stdout.write(text)
    sys.stdout.flush()
