"""Every call to the database of one generation fails, before and after it took effect."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from guard.audit.log import SqlAuditLog
from guard.audit.verify import verify_log
from guard.errors import AuditUnavailable, GuardError
from guard.store.engine import open_store
from guard.types import Event, Outcome, Released
from tests.support.auditing import (
    NO_POSTGRES,
    POSTGRES_VARIABLE,
    fresh_postgres,
    write_released,
)
from tests.support.database_faults import Calls, failing
from tests.support.house import House

ENDS = {Event.RELEASED, Event.BLOCKED, Event.FAILED, Event.ABANDONED}
PLACES = ("before", "after")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def log(request: pytest.FixtureRequest, house: House) -> Iterator[SqlAuditLog]:
    """The house's log, or one on PostgreSQL in its place."""
    if request.param == "sqlite":
        yield house.log
        return
    if not os.environ.get(POSTGRES_VARIABLE):
        pytest.skip(NO_POSTGRES)
    with fresh_postgres() as url:
        store = open_store(url)
        yield SqlAuditLog(store)
        store.close()


def _attempt(house: House, log: SqlAuditLog) -> Outcome | None:
    """One generation; None when the log could not be written."""
    try:
        return house.generate(guard=house.guard(log=log))
    except AuditUnavailable:
        return None


def _check(house: House, log: SqlAuditLog, outcome: Outcome | None, files: set[Path]) -> None:
    """Nothing left without its record, the log is whole, and what was cut off is closed."""
    new = set(house.files()) - files
    assert new == ({outcome.path} if isinstance(outcome, Released) else set())
    log.reap(timedelta(0))
    check = verify_log(log)
    assert check.ok, check.problems
    events: dict[str, list[str]] = {}
    with log.store.read() as reader:
        for row in reader.leaves(0, 10_000):
            events.setdefault(row.columns.record_id, []).append(row.columns.event)
    assert all(one[0] == Event.STARTED and one[-1] in ENDS for one in events.values())
    if isinstance(outcome, Released):
        assert events[outcome.record_id][-1] == Event.RELEASED


@pytest.mark.parametrize("place", PLACES)
def test_every_call_of_a_generation_may_fail(house: House, log: SqlAuditLog, place: str) -> None:
    with failing(log.store._engine, Calls()) as counted:
        assert isinstance(_attempt(house, log), Released)
    assert counted.seen.count("do_commit") >= 3
    number, lost = 0, 0
    while True:
        files = set(house.files())
        calls = Calls(fail_at=number, persists=place == "after")
        with failing(log.store._engine, calls):
            outcome = _attempt(house, log)
        failed_one = len(calls.seen) > number
        _check(house, log, outcome, files)
        if not failed_one:
            break
        lost += outcome is None
        number += 1
    assert isinstance(outcome, Released)
    assert number >= 10
    assert lost >= number - 2, "nearly every call is needed"


def test_a_release_that_was_recorded_but_not_confirmed_is_not_delivered(house: House) -> None:
    """Durable and never acknowledged: the row says released, and nothing left."""
    house.generate()
    with failing(house.log.store._engine, Calls()) as counted:
        house.generate()
    last = max(n for n, name in enumerate(counted.seen) if name == "do_commit")
    files = house.files()
    calls = Calls(fail_at=last, persists=True)
    with failing(house.log.store._engine, calls), pytest.raises(AuditUnavailable):
        house.generate()
    assert house.events()[-1] is Event.RELEASED
    assert house.files() == files


_DISK = """
import sys
from pathlib import Path
from guard.audit.log import SqlAuditLog
from guard.errors import AuditUnavailable
from guard.store.engine import open_store
from tests.support.auditing import write_released
log = SqlAuditLog(open_store("sqlite:///" + sys.argv[1] + "/audit.sqlite3"))
done = []
try:
    while len(done) < 10_000:
        done.append(write_released(log)[1].index)
except AuditUnavailable as error:
    print(len(done), done[-1], error.hint)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        # No skip, which CI refuses: where nothing may be mounted, the store's test in which the
        # system refuses to write has to do.
        pytest.xfail(f"a small disk takes the right to mount one: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nothing_that_was_acknowledged(small_disk: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _DISK, str(small_disk)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    count, last, hint = ran.stdout.split(maxsplit=2)
    assert "Free some space" in hint
    assert int(count) >= 10
    copy = small_disk.parent / "copy"
    copy.mkdir()
    for file in small_disk.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    store = open_store(f"sqlite:///{copy}/audit.sqlite3", create=False)
    check = verify_log(store)
    assert check.ok, check.problems
    assert check.records > int(last)
    store.close()


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


def _write_many(log: SqlAuditLog) -> None:
    for _ in range(500):
        write_released(log)


def test_space_that_is_made_is_used(small_disk: Path) -> None:
    """The same process goes on once there is room: nothing has to be restarted."""
    store = open_store(f"sqlite:///{small_disk}/audit.sqlite3")
    log = SqlAuditLog(store)
    ballast = small_disk / "ballast"
    write_released(log)
    with pytest.raises(OSError, match="space"):
        _fill(ballast)
    with pytest.raises(AuditUnavailable, match=r"full|space|disk I/O"):
        _write_many(log)
    ballast.unlink()
    write_released(log)
    log.reap(timedelta(0))
    assert verify_log(log).ok
    store.close()


def test_errors_of_the_driver_are_typed(house: House) -> None:
    calls = Calls(fail_at=0, error=lambda: sqlite3.OperationalError("disk I/O error"))
    with failing(house.log.store._engine, calls), pytest.raises(GuardError) as caught:
        house.generate()
    assert isinstance(caught.value, AuditUnavailable)
    assert house.files() == []
