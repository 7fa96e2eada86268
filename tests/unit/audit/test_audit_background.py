"""Publishing beside the work: when it is due, after failures, at the end, after forking."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.audit.checkpoints import background
from guard.audit.checkpoints.background import BackgroundPublisher
from guard.audit.checkpoints.places import open_place
from guard.audit.checkpoints.publish import Publisher, Rhythm
from guard.audit.checkpoints.publishing import build_publisher, publish_in_background
from guard.audit.log import SqlAuditLog
from guard.errors import CheckpointUnavailable
from guard.settings import Settings
from tests.support.auditing import new_record_id, started
from tests.support.publishing import fill, publisher


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return tmp_path / "outside"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.01)


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def open_record(log: SqlAuditLog) -> None:
    log.start(started(new_record_id()), prompt="a lighthouse", user=None)


def attach(log: SqlAuditLog, home: Path, place: Path, rhythm: Rhythm) -> BackgroundPublisher:
    log.publishing = BackgroundPublisher(publisher(log.store, home, str(place), rhythm))
    return log.publishing


def sizes(place: Path) -> list[int]:
    return [int(note.splitlines()[1]) for note in open_place(str(place)).history()]


def test_rows_are_published_when_there_are_enough(
    log: SqlAuditLog, tmp_path: Path, outside: Path
) -> None:
    beside = attach(log, tmp_path / "home", outside, Rhythm(rows=3, seconds=3600))
    open_record(log)  # nothing was ever published: due at once
    wait_for(lambda: beside.publisher.published_size == 1)
    open_record(log)
    open_record(log)
    time.sleep(0.1)
    assert sizes(outside) == [1]
    open_record(log)
    wait_for(lambda: beside.publisher.published_size == 4)
    assert sizes(outside) == [1, 4]
    beside.close()


def test_rows_are_published_when_they_waited_enough(
    log: SqlAuditLog, tmp_path: Path, outside: Path
) -> None:
    beside = attach(log, tmp_path / "home", outside, Rhythm(rows=1000, seconds=0.2))
    open_record(log)
    wait_for(lambda: beside.publisher.published_size == 1)
    open_record(log)
    wait_for(lambda: beside.publisher.published_size == 2)
    beside.close()


def test_what_is_left_is_published_at_the_end(
    log: SqlAuditLog, tmp_path: Path, outside: Path
) -> None:
    beside = attach(log, tmp_path / "home", outside, Rhythm(rows=1000, seconds=3600))
    open_record(log)
    wait_for(lambda: beside.publisher.published_size == 1)
    open_record(log)
    background._close_all()
    assert sizes(outside) == [1, 2]
    open_record(log)  # nobody is there to publish it: no thread begins while the process ends
    assert beside.publisher.published_size == 2


def test_nothing_written_is_no_thread(log: SqlAuditLog, tmp_path: Path, outside: Path) -> None:
    beside = attach(log, tmp_path / "home", outside, Rhythm())
    beside.close()
    assert beside._thread is None


def test_a_failure_is_tried_again(log: SqlAuditLog, tmp_path: Path, outside: Path) -> None:
    outside.write_text("in the way")
    beside = attach(log, tmp_path / "home", outside, Rhythm(rows=1, seconds=3600))
    open_record(log)
    wait_for(lambda: bool(beside.publisher.state.read().failure))
    outside.unlink()
    wait_for(lambda: beside.publisher.published_size == 1)
    beside.close()


def test_a_bug_does_not_end_the_thread(
    log: SqlAuditLog,
    tmp_path: Path,
    outside: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    beside = attach(log, tmp_path / "home", outside, Rhythm(rows=1, seconds=3600))
    with monkeypatch.context() as broken:
        broken.setattr(Publisher, "size", lambda _: 1 // 0)
        open_record(log)
        wait_for(lambda: "ZeroDivisionError" in caplog.text)
    wait_for(lambda: beside.publisher.published_size == 1)
    beside.close()


def test_a_failure_at_the_end_ends_nevertheless(
    log: SqlAuditLog, tmp_path: Path, outside: Path
) -> None:
    outside.write_text("in the way")
    beside = attach(log, tmp_path / "home", outside, Rhythm(rows=1, seconds=3600))
    open_record(log)
    beside.close()
    thread = beside._thread
    assert thread is not None
    assert not thread.is_alive()


def test_a_child_publishes_too(log: SqlAuditLog, tmp_path: Path, outside: Path) -> None:
    beside = attach(log, tmp_path / "home", outside, Rhythm(rows=1, seconds=3600))
    open_record(log)
    wait_for(lambda: beside.publisher.published_size == 1)
    beside._pid = -1  # as a child sees it: the thread belongs to another process
    first = beside._thread
    open_record(log)
    wait_for(lambda: beside.publisher.published_size == 2)
    assert beside._thread is not first
    beside._pid = os.getpid()
    beside.close()


# -- failing closed ----------------------------------------------------------------------------


def test_rows_that_wait_too_long_stop_the_log(
    log: SqlAuditLog, tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rhythm = Rhythm(rows=1, seconds=3600, max_age=0.05)
    beside = attach(log, tmp_path / "home", outside, rhythm)
    monkeypatch.setattr(beside, "wake", lambda: None)
    outside.write_text("in the way")
    open_record(log)  # an empty log is not too old
    time.sleep(0.06)
    with pytest.raises(CheckpointUnavailable, match=r"more than 0\.05 s") as caught:
        open_record(log)
    assert caught.value.hint
    with log.store.read() as reader:
        assert reader.head().size == 1
    outside.unlink()
    open_record(log)  # publishing works again, so it is done here and now
    assert sizes(outside) == [1]


def test_rows_that_another_process_published_do_not_stop_it(
    log: SqlAuditLog, tmp_path: Path, outside: Path
) -> None:
    here = publisher(log.store, tmp_path / "home", str(outside), Rhythm(max_age=0.01))
    there = publisher(log.store, tmp_path / "home", str(outside))
    fill(log, 2)
    assert here.waited(time.time() + 100) == pytest.approx(100, abs=10)
    there.publish()
    assert here.waited(time.time() + 100) == 0
    BackgroundPublisher(here).check_fresh()


def test_without_a_limit_nothing_stops(log: SqlAuditLog, tmp_path: Path, outside: Path) -> None:
    outside.write_text("in the way")
    beside = attach(log, tmp_path / "home", outside, Rhythm(rows=1, seconds=0.01))
    for _ in range(3):
        open_record(log)
    beside.close()


# -- settings ----------------------------------------------------------------------------------


def test_settings_say_where_and_when(log: SqlAuditLog, tmp_path: Path, outside: Path) -> None:
    home = tmp_path / "home"
    assert publish_in_background(log, Settings(home=home)).publishing is None
    settings = Settings(
        home=home,
        checkpoints=str(outside),
        checkpoint_rows=7,
        checkpoint_seconds=8,
        checkpoint_max_age_seconds=9,
        checkpoint_key=tmp_path / "elsewhere.pem",
        checkpoint_verifiers="",
    )
    beside = publish_in_background(log, settings).publishing
    assert beside is not None
    assert beside.publisher.rhythm == Rhythm(7, 8, 9)
    assert beside.publisher.keys.private == tmp_path / "elsewhere.pem"
    assert beside.publisher.place is not None
    assert beside.publisher.place.name == str(outside)
    only_signs = build_publisher(Settings(home=home), log.store)
    assert isinstance(only_signs, Publisher)
    assert only_signs.place is None
