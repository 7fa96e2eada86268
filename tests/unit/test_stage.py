"""Running one stage: in time, in a thread of its own, and never believed without a look."""

from __future__ import annotations

import contextvars
import threading
import time
from typing import Any

import numpy as np
import pytest

from guard.errors import ModelUnavailable, StageMisbehaved, StageTimeout
from guard.stage import SMALLEST_SIDE, expect, expect_picture, run_stage
from guard.types import Stage


def test_answer_is_passed_on() -> None:
    assert run_stage(Stage.SIGN, 5, lambda: 42) == 42


def test_answer_may_be_an_exception_object() -> None:
    error = ValueError("an answer, not raised")

    assert run_stage(Stage.SIGN, 5, lambda: error) is error


def test_typed_error_is_passed_on_as_it_is() -> None:
    error = ModelUnavailable("gone", hint="pull it")

    with pytest.raises(ModelUnavailable) as raised:
        run_stage(Stage.GENERATE, 5, lambda: _raise(error))

    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("a: b"), "The sign stage raised RuntimeError: a: b"),
        (ValueError(), "The sign stage raised ValueError"),
        (SystemExit(0), "The sign stage raised SystemExit: 0"),
        (KeyboardInterrupt(), "The sign stage raised KeyboardInterrupt"),
        (MemoryError(), "The sign stage raised MemoryError"),
        (GeneratorExit(), "The sign stage raised GeneratorExit"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_becomes_a_typed_error(error: BaseException, message: str) -> None:
    with pytest.raises(StageMisbehaved) as raised:
        run_stage(Stage.SIGN, 5, lambda: _raise(error))

    assert raised.value.message == message
    assert raised.value.__cause__ is error


def _raise(error: BaseException) -> Any:
    raise error


def test_late_answer_is_not_waited_for() -> None:
    go = threading.Event()
    start = time.monotonic()

    with pytest.raises(StageTimeout) as raised:
        run_stage(Stage.CLASSIFY, 0.05, lambda: go.wait(20))

    assert time.monotonic() - start < 10
    assert "GUARD_CLASSIFY_SECONDS" in raised.value.hint
    go.set()


def test_stage_sees_the_callers_context() -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")
    tenant.set("acme")

    assert run_stage(Stage.PROMPT, 5, tenant.get) == "acme"


def test_stage_has_a_thread_of_its_own() -> None:
    name = run_stage(Stage.PROMPT, 5, lambda: threading.current_thread().name)

    assert name == "guard-prompt"


def test_expect() -> None:
    expect(True, Stage.SIGN, "anything")  # noqa: FBT003  # reads as a sentence
    with pytest.raises(StageMisbehaved, match="The sign stage answered nonsense"):
        expect(False, Stage.SIGN, "nonsense")  # noqa: FBT003


def test_picture_is_answered_as_it_is() -> None:
    pixels = np.zeros((SMALLEST_SIDE, SMALLEST_SIDE, 3), np.uint8)

    assert expect_picture(pixels, Stage.GENERATE) is pixels


@pytest.mark.parametrize(
    "pixels",
    [
        None,
        np.zeros((SMALLEST_SIDE - 1, 64, 3), np.uint8),
        np.zeros((64, SMALLEST_SIDE - 1, 3), np.uint8),
        np.full((64, 64, 3), np.nan),
        np.zeros((64, 64, 1), np.uint8),
    ],
    ids=["None", "too low", "too narrow", "NaN", "one channel"],
)
def test_what_is_no_picture(pixels: object) -> None:
    with pytest.raises(StageMisbehaved):
        expect_picture(pixels, Stage.GENERATE)
