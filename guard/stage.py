"""Running one stage so that whatever it does, the guard fails closed.

A stage may raise, hang, or answer nonsense. Here the first two become typed errors; the third is
checked where the answer is used, with :func:`expect`.
"""

from __future__ import annotations

import contextvars
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from guard.errors import GuardError, StageMisbehaved, StageTimeout
from guard.settings import Settings
from guard.types import Pixels, Stage

T = TypeVar("T")

_deadline: contextvars.ContextVar[float] = contextvars.ContextVar("_deadline", default=math.inf)

SMALLEST_SIDE = 8
"""Pixels; a smaller answer is no picture."""


@dataclass(frozen=True, slots=True)
class StageLimits:
    """Seconds that each stage may take."""

    seconds: dict[Stage, float]

    @classmethod
    def from_settings(cls, settings: Settings) -> StageLimits:
        """The limits of ``GUARD_PROMPT_SECONDS`` and its siblings."""
        return cls({stage: getattr(settings, f"{stage.value}_seconds") for stage in Stage})


def run_stage(stage: Stage, seconds: float, work: Callable[[], T]) -> T:
    """``work()``, given ``seconds`` of wall time.

    The work runs in a thread of its own; when it is late the thread is abandoned and whatever it
    still answers is discarded. Raises StageTimeout, or StageMisbehaved for whatever ``work``
    raises that is not a GuardError already.
    """
    answers: queue.SimpleQueue[tuple[bool, T | BaseException]] = queue.SimpleQueue()
    context = contextvars.copy_context()
    context.run(_deadline.set, min(_deadline.get(), time.monotonic() + seconds))

    def worker() -> None:
        try:
            answers.put((True, context.run(work)))
        except BaseException as error:  # noqa: BLE001  # even SystemExit must not release a picture
            answers.put((False, error))

    threading.Thread(target=worker, name=f"guard-{stage.value}", daemon=True).start()
    try:
        good, answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise StageTimeout(
            f"The {stage.value} stage took longer than {seconds:g} s.",
            hint=f"Raise GUARD_{stage.value.upper()}_SECONDS if the machine is merely slow.",
        ) from None
    if good:
        return answer  # type: ignore[return-value]  # ``good`` says which half of the union it is
    if isinstance(answer, GuardError):
        raise answer
    assert isinstance(answer, BaseException)  # noqa: S101  # the other half of the union
    raise StageMisbehaved(
        f"The {stage.value} stage raised {type(answer).__name__}: {answer}".rstrip(": "),
        hint="See the operator's log; nothing was released.",
    ) from answer


def seconds_left() -> float:
    """How long the answer of the work at hand will still be waited for; infinite outside stages."""
    return _deadline.get() - time.monotonic()


def expect(condition: bool, stage: Stage, what: str) -> None:  # reads as a sentence
    """Raise StageMisbehaved, saying that ``stage`` answered ``what``, unless ``condition``."""
    if not condition:
        raise StageMisbehaved(
            f"The {stage.value} stage answered {what}.",
            hint="The plug-in or model behind this stage is broken; nothing was released.",
        )


def expect_picture(pixels: object, stage: Stage) -> Pixels:
    """``pixels`` when they are a picture: uint8, (height, width, 3), not tiny.

    Raises StageMisbehaved for None, NaN, other types and other shapes.
    """
    expect(isinstance(pixels, np.ndarray), stage, f"{type(pixels).__name__} instead of pixels")
    assert isinstance(pixels, np.ndarray)  # noqa: S101  # for the type checker
    expect(pixels.dtype == np.uint8, stage, f"{pixels.dtype} pixels instead of uint8")
    fits = pixels.ndim == 3 and pixels.shape[2] == 3 and min(pixels.shape[:2]) >= SMALLEST_SIDE
    expect(fits, stage, f"pixels of shape {pixels.shape}")
    return pixels
