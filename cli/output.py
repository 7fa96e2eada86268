"""What goes to stdout (results) and to stderr (progress, messages), for people and for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from guard.errors import DuplicateRequest, GuardError

T = TypeVar("T")


class Output:
    """One command's voice. With ``as_json`` stdout carries one JSON object a result and no more."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.results = Console(highlight=False, soft_wrap=True)
        self.messages = Console(stderr=True, highlight=False, soft_wrap=True)

    def emit(self, row: dict[str, Any], *lines: str) -> None:
        """A result: the row for scripts, the ``lines`` (rich markup) for people."""
        if self.as_json:
            sys.stdout.write(_json(row) + "\n")
            sys.stdout.flush()
            return
        self.show(*lines)

    def show(self, *lines: str) -> None:
        """Lines of rich markup for people, on stdout."""
        for line in lines:
            self.results.print(line)

    @property
    def colours(self) -> bool:
        """Whether stdout shows colours; where it does not, marks must be signs."""
        return self.results.is_terminal and not self.results.no_color

    def table(self, table: Table) -> None:
        """A table for people; scripts get rows through :meth:`emit`."""
        if not self.as_json:
            self.results.print(table)

    def say(self, message: str) -> None:
        """A remark, on stderr."""
        self.messages.print(message)

    def error(self, error: GuardError) -> None:
        """What went wrong and what to do next."""
        if self.as_json:
            self.emit({"error": error_row(error)})
        self.messages.print(f"[bold red]error:[/] {escape(error.message)}")
        if error.hint:
            self.messages.print(f"[dim]  →[/] {escape(error.hint)}")

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """A spinner while something of unknown length goes on."""
        if not self.messages.is_terminal:
            self.messages.print(f"[dim]{escape(what)} …[/]")
            yield
            return
        with self.messages.status(f"{escape(what)} …"):
            yield

    def track(self, items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
        """``items`` with a progress bar, where a person looks on and there are several."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        if not self.messages.is_terminal or (total is not None and total < 2):
            yield from items
            return
        with progress(self.messages) as bar:
            yield from bar.track(items, total=total, description=escape(what))


def progress(console: Console) -> Progress:
    """The progress bar of every long job."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # else results for a file would go to the terminal
    )


def _json(row: dict[str, Any]) -> str:
    """One line, readable where the terminal can write it: file names may hold any byte."""
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(row)
    return text


def error_row(error: GuardError) -> dict[str, str]:
    """An error as scripts read it."""
    row = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, DuplicateRequest):
        row |= {"record_id": error.record_id, "outcome": error.outcome}
    return row
