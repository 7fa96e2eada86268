"""``guard audit reap``, ``reported`` and ``outbox``, ``review show`` and ``serve --deliver``."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from guard.cli.audit_events import parse_span
from guard.cli.exits import Exit
from guard.cli.output import error_row

from guard.assemble import build_log
from guard.errors import DuplicateRequest, InvalidRequest
from guard.server import build
from guard.settings import Settings
from tests.support.auditing import started
from tests.support.desk import Desk
from tests.support.hooks import SECRET, Hook, hook
from tests.support.house import FLAGGED, PROMPT

SENSITIVE = "a naked child, hardcore pornography"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    """A webhook that settings name."""
    with hook() as there:
        monkeypatch.setenv("GUARD_WEBHOOK_URL", there.url)
        monkeypatch.setenv("GUARD_WEBHOOK_ALLOW_LOOPBACK", "true")
        monkeypatch.setenv("GUARD_WEBHOOK_SECRET", SECRET)
        yield there


def begin(ago: timedelta) -> None:
    log = build_log(Settings())
    log.start(started(at=datetime.now(UTC) - ago), prompt="p", user=None)
    log.store.close()


def test_runs_that_were_cut_off_are_ended(desk: Desk, furnished: Path) -> None:
    begin(timedelta(minutes=90))
    nothing = desk.json("audit", "reap")  # no living run is that old, but it might be
    assert (nothing.code, nothing.row["abandoned"]) == (Exit.DONE, 0)
    answer = desk.json("audit", "reap", "--older-than", "1h")
    assert answer.row["abandoned"] == len(answer.row["receipts"]) == 1
    assert answer.row["expired"] == 0
    assert "0 abandoned" in desk("audit", "reap", "--older-than", "1h").stdout


def test_a_watch_is_stopped_by_a_signal(desk: Desk, furnished: Path) -> None:
    begin(timedelta(minutes=90))
    before = signal.getsignal(signal.SIGTERM)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    answer = desk.json("audit", "reap", "--older-than", "1h", "--watch")
    timer.join()
    assert (answer.code, answer.row["abandoned"]) == (Exit.DONE, 1)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), (" 1h ", 3600), ("2d", 172_800), ("0s", 0)]
)
def test_spans(text: str, seconds: int) -> None:
    assert parse_span("x", text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1.5h", "1w", "1h30m", "9999999s"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--x"):
        parse_span("x", text)


def test_a_report_is_delivered_and_recorded(desk: Desk, furnished: Path, seen: Hook) -> None:
    blocked = desk.json("generate", SENSITIVE, "--out", desk.out).row
    assert blocked["status"] == "blocked"
    waiting = desk.json("audit", "outbox", "list")
    assert waiting.code == Exit.DONE
    assert [row["kind"] for row in waiting.rows] == ["record.blocked", "report.required"]
    assert {row["about"] for row in waiting.rows} == {blocked["record_id"]}
    assert desk.json("audit", "outbox", "deliver").row == {"delivered": 2, "pending": 0, "dead": 0}
    assert len(seen.got) == 2
    assert "delivered" in desk("audit", "outbox", "list", "--state", "delivered").stdout
    assert desk.json("audit", "outbox", "clear").row == {"cleared": 0}
    assert desk.json("audit", "outbox", "clear", "--older-than", "0s").row == {"cleared": 2}
    answer = desk.json(
        "audit", "reported", blocked["record_id"], "--reason", "ncmec:1", "--who", "d"
    )
    assert answer.row["status"] == "reported"
    assert "No messages" in desk("audit", "outbox", "list", "--state", "dead").stderr


def test_a_message_that_nobody_wants_asks_for_attention(desk: Desk, furnished: Path) -> None:
    desk("generate", SENSITIVE, "--out", desk.out)
    answer = desk("audit", "outbox", "list")
    assert answer.code == Exit.REVIEW
    assert "no endpoint" in answer.stdout
    (row,) = desk.json("audit", "outbox", "list").rows
    assert row["endpoint"] is None
    assert desk("audit", "outbox", "deliver").code == Exit.CONFIGURATION
    refused = desk("audit", "outbox", "drop", row["message_id"])
    assert refused.code == Exit.USAGE
    assert "audit reported" in refused.stderr


def test_a_dead_message_is_tried_again_or_dropped(
    desk: Desk, furnished: Path, seen: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARD_WEBHOOK_EVENTS", "record.blocked")
    monkeypatch.setenv("GUARD_WEBHOOK_ATTEMPTS", "1")
    seen.answers = [500]
    desk("generate", "hardcore pornography", "--out", desk.out)
    answer = desk.json("audit", "outbox", "deliver")
    assert (answer.code, answer.row["dead"]) == (Exit.FINDING, 1)
    listed = desk.json("audit", "outbox", "list", "--state", "dead")
    assert (listed.code, listed.row["last_error"]) == (Exit.REVIEW, "HTTP 500")
    message_id = listed.row["message_id"]
    assert "HTTP 500" in desk("audit", "outbox", "list").stdout
    assert desk.json("audit", "outbox", "retry", message_id).row["state"] == "pending"
    assert desk.json("audit", "outbox", "drop", message_id).row["dropped"]
    assert desk("audit", "outbox", "retry", message_id).code == Exit.USAGE


def test_delivering_goes_on_until_it_is_stopped(desk: Desk, furnished: Path, seen: Hook) -> None:
    desk("generate", SENSITIVE, "--out", desk.out)

    def stop_when_done() -> None:
        deadline = time.monotonic() + 20
        while len(seen.got) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop_when_done)
    thread.start()
    answer = desk.json("audit", "outbox", "deliver", "--watch")
    thread.join()
    assert answer.code == Exit.DONE
    assert answer.row["delivered"] == 2


def test_the_service_delivers_meanwhile(
    desk: Desk, furnished: Path, seen: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk("generate", SENSITIVE, "--out", desk.out)

    def listen(*_: Any) -> None:
        deadline = time.monotonic() + 20
        while len(seen.got) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)

    monkeypatch.setattr(build, "serve", listen)
    assert desk("serve", "--deliver").code == Exit.DONE
    assert len(seen.got) == 2
    states = {row["state"] for row in desk.json("audit", "outbox", "list").rows}
    assert states == {"delivered"}


def test_a_copy_to_look_at_is_on_record(desk: Desk, furnished: Path) -> None:
    held = desk.json("generate", FLAGGED, "--out", desk.out).row
    copy = desk.folder / "look.png"
    answer = desk.json("review", "show", held["record_id"], "--out", copy, "--reviewer", "dana")
    assert answer.row["status"] == "viewed"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.read_bytes().startswith(b"\x89PNG")
    nowhere = desk("review", "show", held["record_id"], "--out", "none/x.png", "--reviewer", "d")
    assert nowhere.code == Exit.USAGE
    assert desk("review", "list").code == Exit.REVIEW


def test_a_spent_key_is_said_to_scripts() -> None:
    error = DuplicateRequest("used", hint="h", record_id="r", outcome="released")
    assert error_row(error) == {
        "code": "duplicate_request", "message": "used", "hint": "h",
        "record_id": "r", "outcome": "released",
    }  # fmt: skip


def test_a_bad_webhook_stops_before_anything_is_drawn(
    desk: Desk, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARD_WEBHOOK_URL", "http://hooks.example.com")
    answer = desk("generate", PROMPT, "--out", desk.out)
    assert answer.code == Exit.CONFIGURATION
    assert "https" in answer.stderr
