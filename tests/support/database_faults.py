"""Databases that fail at the n-th call, before it took effect or after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from sqlalchemy import Engine

_CALLS = ("do_execute", "do_execute_no_params", "do_executemany", "do_commit")
"""Where SQLAlchemy hands over to the driver: every statement, and the end of a transaction."""


@dataclass
class Calls:
    """Counts calls, and fails the one numbered ``fail_at`` (from 0) once."""

    fail_at: int | None = None
    persists: bool = False
    error: Callable[[], Exception] = lambda: OSError(5, "Input/output error")
    seen: list[str] = field(default_factory=list)

    def __call__(self, name: str, real: Callable[..., Any], *args: Any) -> Any:
        number = len(self.seen)
        self.seen.append(name if name == "do_commit" else str(args[1]))
        if number != self.fail_at:
            return real(*args)
        if self.persists:
            real(*args)
        raise self.error()


@contextmanager
def failing(engine: Engine, calls: Calls) -> Iterator[Calls]:
    """Every call of ``engine`` to its driver goes through ``calls``."""
    with mock.patch.multiple(
        engine.dialect, **{name: _through(calls, engine, name) for name in _CALLS}
    ):
        yield calls


def _through(calls: Calls, engine: Engine, name: str) -> Callable[..., Any]:
    real = getattr(engine.dialect, name)
    return lambda *args, **_: calls(name, real, *args)
