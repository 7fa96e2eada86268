"""When it is the audit that breaks, there is no record, and nothing leaves."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from guard.cli.exits import Exit, of_error

from guard.errors import AuditUnavailable, GuardError, LogTampered
from guard.types import Event, GenerationRequest, Released
from tests.support.faults import (
    FINISH,
    LIMIT,
    MARK_ID,
    START,
    THE_AUDIT,
    Fault,
    Hang,
    Point,
    answers,
    raises,
)
from tests.support.house import FLAGGED, FORBIDDEN, PROMPT, House

FAULTS = {
    "raises": raises(RuntimeError("the database is on fire")),
    "exits": raises(SystemExit(0)),
    "is out of memory": raises(MemoryError()),
    "is unavailable": raises(AuditUnavailable("The database is gone.", hint="Bring it back.")),
    "answers None": answers(None),
    "answers an object": answers(object()),
    "answers text": answers("ok"),
}

LEFT = {START: [], MARK_ID: [Event.STARTED], FINISH: [Event.STARTED]}
"""What the log holds when it broke at a call: never an ending."""

CASES = [
    pytest.param(point, fault, id=f"{point} {name}")
    for point in THE_AUDIT
    for name, fault in FAULTS.items()
]


def _expect_nothing(house: House, raised: pytest.ExceptionInfo[GuardError]) -> None:
    assert house.files() == []
    assert of_error(raised.value) is Exit.UNAVAILABLE
    assert raised.value.hint


@pytest.mark.parametrize(("point", "fault"), CASES)
def test_broken_log_lets_nothing_out(house: House, point: Point, fault: Fault) -> None:
    with pytest.raises(AuditUnavailable) as raised:
        house.generate(guard=point.broken(house, fault))

    _expect_nothing(house, raised)
    assert house.events() == LEFT[point]
    assert bool(house.generator.requests) is (point is not START)


@pytest.mark.parametrize("point", THE_AUDIT, ids=str)
def test_hanging_log_lets_nothing_out(house: House, point: Point) -> None:
    hang = Hang()

    with pytest.raises(AuditUnavailable) as raised:
        house.generate(guard=point.broken(house, hang, LIMIT))

    hang.finish()
    _expect_nothing(house, raised)


@pytest.mark.parametrize("prompt", [FORBIDDEN, FLAGGED])
def test_neither_blocked_nor_held_without_a_record(house: House, prompt: str) -> None:
    with pytest.raises(AuditUnavailable):
        house.generate(prompt, guard=FINISH.broken(house, raises(OSError())))

    assert house.files() == []
    assert list(house.rooms.quarantine.list()) == []


def test_failure_of_another_stage_needs_its_record_too(house: House) -> None:
    guard = FINISH.broken(house, raises(OSError()))
    house.detector.value = float("nan")

    with pytest.raises(AuditUnavailable):
        house.generate(guard=guard)


def test_pictures_recorded_before_the_log_broke_are_told(house: House) -> None:
    calls: list[None] = []

    def fault(real: Any) -> Any:
        calls.append(None)
        if len(calls) == 3:
            raise OSError
        return real()

    request = GenerationRequest(prompt=PROMPT, count=3)
    with pytest.raises(AuditUnavailable) as raised:
        FINISH.broken(house, fault).generate_each(request, delivery=house.delivery)

    told = raised.value.outcomes
    assert [type(one) for one in told] == [Released, Released]
    assert sorted(house.files()) == sorted(one.path for one in told)


def test_picture_written_when_the_log_broke_is_removed(house: House) -> None:
    """The bytes are on the disk under a temporary name by then."""
    seen: list[Path] = []

    def fault(_real: Any) -> Any:
        seen.extend(house.files())
        raise LogTampered("The log is not what was written.", hint="Look at it.")

    with pytest.raises(LogTampered):
        house.generate(guard=FINISH.broken(house, fault))

    assert [one.suffix for one in seen] == [".part"]
    assert house.files() == []


def test_database_that_vanishes_between_start_and_release(house: House) -> None:
    def vandalise(_request: object) -> None:
        with sqlite3.connect(house.home / "audit.sqlite3") as connection:
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute("DROP TABLE audit_leaf")

    house.generator.on_draw = vandalise

    with pytest.raises((AuditUnavailable, LogTampered)):
        house.generate(PROMPT)

    assert house.files() == []


def test_locked_database_is_waited_for_only_so_long(house: House) -> None:
    other = sqlite3.connect(house.home / "audit.sqlite3", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(AuditUnavailable) as raised:
            house.generate(guard=house.guard(seconds={START.stage: LIMIT}))
    finally:
        other.rollback()
        other.close()

    _expect_nothing(house, raised)
    assert house.generator.requests == []
