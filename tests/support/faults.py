"""Ways in which a stage can break, and a guard in whose rooms one does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from guard.pipeline import Guard
from guard.types import Stage
from tests.support.house import House

LIMIT = 0.2
"""Seconds that a stage that hangs may take."""

Fault = Callable[[Callable[[], Any]], Any]
"""What happens in place of a call; it is handed the real one."""


@dataclass
class Hang:
    """Waits until ``go`` is set, then answers as the real thing would have."""

    go: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def __call__(self, real: Callable[[], Any]) -> Any:
        self.go.wait(30)
        try:
            return real()
        finally:
            self.done.set()

    def finish(self) -> None:
        """Let the late result come in."""
        self.go.set()
        assert self.done.wait(30)


def raises(error: BaseException) -> Fault:
    """The call raises ``error``."""

    def fault(_real: Callable[[], Any]) -> Any:
        raise error

    return fault


def answers(value: Any) -> Fault:
    """The call answers ``value``."""
    return lambda _real: value


def twisted(twist: Callable[[Any], Any]) -> Fault:
    """The call answers ``twist(the right answer)``."""
    return lambda real: twist(real())


class Broken:
    """``room``, with ``fault`` in place of one of its methods."""

    def __init__(self, room: Any, method: str, fault: Fault) -> None:
        self._room, self._method, self._fault = room, method, fault

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._room, name)
        if name != self._method:
            return real
        return lambda *args, **kwargs: self._fault(lambda: real(*args, **kwargs))


@dataclass(frozen=True, slots=True)
class Point:
    """A call that the hallway makes: the stage it belongs to, the room and its method."""

    stage: Stage
    room: str
    method: str

    def __str__(self) -> str:
        return f"{self.room}.{self.method}"

    def broken(self, house: House, fault: Fault, seconds: float | None = None) -> Guard:
        """A guard in which this call goes wrong; ``seconds`` is its stage's limit."""
        limits = {self.stage: seconds} if seconds is not None else None
        if self.room == "generator":
            drawer = Broken(house.generator, self.method, fault)
            return house.guard(seconds=limits, open_generator=lambda _: drawer)
        if self.room == "open_generator":
            return house.guard(
                seconds=limits, open_generator=lambda _: fault(lambda: house.generator)
            )
        room = Broken(getattr(house.rooms, self.room), self.method, fault)
        return house.guard(seconds=limits, **{self.room: room})


SCREEN = Point(Stage.PROMPT, "screener", "screen")
OPEN = Point(Stage.GENERATE, "open_generator", "__call__")
DRAW = Point(Stage.GENERATE, "generator", "generate")
NOTICES = Point(Stage.GENERATE, "generator", "notices")
PREPARE = Point(Stage.CLASSIFY, "classifier", "prepare")
SCORE = Point(Stage.CLASSIFY, "classifier", "score")
EMBED = Point(Stage.WATERMARK, "watermark", "embed")
DETECT = Point(Stage.WATERMARK, "watermark", "detect")
SIGN = Point(Stage.SIGN, "signer", "sign")
MARK_ID = Point(Stage.AUDIT, "log", "new_mark_id")
START = Point(Stage.AUDIT, "log", "start")
FINISH = Point(Stage.AUDIT, "log", "finish")

BEFORE_THE_AUDIT = (SCREEN, OPEN, DRAW, NOTICES, PREPARE, SCORE, EMBED, DETECT, SIGN)
THE_AUDIT = (MARK_ID, START, FINISH)
