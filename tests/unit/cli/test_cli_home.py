"""``guard audit``, ``keys`` and ``doctor``."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
from pathlib import Path

import pytest
from guard.cli.exits import Exit

from guard.audit.checkpoints import background
from tests.support.desk import Desk
from tests.support.house import FORBIDDEN, PROMPT


@pytest.fixture
def busy(desk: Desk, furnished: Path) -> Desk:
    """A home in which one picture was released and one prompt blocked."""
    desk("generate", PROMPT, FORBIDDEN, "--out", desk.out, "--tenant", "acme")
    return desk


# -- audit ------------------------------------------------------------------------------------


def test_list(busy: Desk) -> None:
    rows = busy.json("audit", "list").rows

    assert [row["event"] for row in rows] == ["blocked", "started", "released", "started"]
    assert [row["index"] for row in rows] == [3, 2, 1, 0]
    assert "blocked" in busy("audit", "list").stdout


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--event", "blocked"), 1),
        (("--stage", "prompt"), 1),
        (("--rule", "sexual"), 2),
        (("--tenant", "acme"), 4),
        (("--tenant", "other"), 0),
        (("--since", "2020-01-01"), 4),
        (("--until", "2020-01-01T00:00+00:00"), 0),
        (("--limit", "1"), 1),
    ],
)
def test_list_narrowed(busy: Desk, options: tuple[str, ...], count: int) -> None:
    answer = busy.json("audit", "list", *options)

    assert answer.code == 0
    assert len(answer.rows) == count
    assert busy("audit", "list", *options).code == 0


def test_show(busy: Desk) -> None:
    record = busy.json("audit", "list", "--event", "released").row["record_id"]

    assert [row["event"] for row in busy.json("audit", "show", record).rows] == [
        "started",
        "released",
    ]
    text = busy("audit", "show", record).stdout
    assert record in text
    assert "fake@1" in text


def test_stats(busy: Desk) -> None:
    row = busy.json("audit", "stats").row

    assert row["records"] == 2
    assert row["by_event"] == {"started": 2, "released": 1, "blocked": 1}
    assert "sexual" in busy("audit", "stats").stdout


def test_verify_intact(busy: Desk) -> None:
    answer = busy.json("audit", "verify")

    assert answer.code == 0
    assert (answer.row["ok"], answer.row["records"], answer.row["first_bad"]) == (True, 4, None)
    assert len(answer.row["root"]) == 64
    assert "intact" in busy("audit", "verify").stdout


def test_verify_tampered(busy: Desk, furnished: Path) -> None:
    with sqlite3.connect(furnished / "audit.sqlite3") as database:
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE audit_leaf SET event = 'released' WHERE event = 'blocked'")
    database.close()

    answer = busy.json("audit", "verify")

    assert answer.code == Exit.TAMPERED
    assert (answer.row["ok"], answer.row["first_bad"]) == (False, 3)
    assert answer.row["problems"]
    assert "tampered" in busy("audit", "verify").stdout
    assert busy("doctor").code == Exit.TAMPERED


def test_export(busy: Desk) -> None:
    lines = busy.json("audit", "export", "log.jsonl")
    table = busy.json("audit", "export", "log.csv", "--format", "csv")

    assert (lines.code, lines.row["rows"], table.row["rows"]) == (0, 5, 6)  # exports are acts
    leaves = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert [leaf["index"] for leaf in leaves] == [0, 1, 2, 3, 4]
    with Path("log.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 6
    assert PROMPT not in Path("log.jsonl").read_text() + Path("log.csv").read_text()


UNUSABLE = {
    "an unknown record": (("show", "01934a7e-0000-7000-8000-000000000001"), Exit.USAGE),
    "no time": (("list", "--since", "yesterday"), Exit.USAGE),
    "an impossible file": (("export", "/proc/x/log.jsonl"), Exit.USAGE),
}


@pytest.mark.parametrize(("args", "code"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable(busy: Desk, args: tuple[str, ...], code: Exit) -> None:
    answer = busy.json("audit", *args)

    assert answer.code == code
    assert answer.row["error"]["hint"]


@pytest.mark.parametrize("verb", ["list", "verify", "stats"])
def test_log_that_is_not_there_is_not_called_intact(desk: Desk, verb: str) -> None:
    answer = desk.json("audit", verb)

    assert answer.code == Exit.UNAVAILABLE
    assert answer.row["error"]["hint"]
    assert not (Path(os.environ["GUARD_HOME"]) / "audit.sqlite3").exists()


def test_bad_database_url(desk: Desk) -> None:
    answer = desk.json("audit", "list", "--database", "oracle://x")

    assert answer.code == Exit.CONFIGURATION
    assert answer.row["error"]["hint"]


def test_generating_publishes_what_was_recorded(
    desk: Desk, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARD_CHECKPOINTS", str(tmp_path / "outside"))
    assert desk("generate", PROMPT, "--out", desk.out).code == 0
    background._close_all()  # as the process does when it ends
    size = int((tmp_path / "outside" / "checkpoint").read_text().split("\n")[1])
    answer = desk.json("audit", "verify")
    assert (answer.code, answer.row["records"], answer.row["checkpoint"]) == (0, size, size)
    assert answer.row["notices"] == []
    assert (furnished / "keys" / "checkpoint.vkey").exists()


# -- keys -------------------------------------------------------------------------------------


def test_keys(desk: Desk) -> None:
    missing = desk.json("keys", "check")
    made = desk.json("keys", "dev")
    again = desk.json("keys", "dev")
    replaced = desk.json("keys", "dev", "--replace")
    checked = desk.json("keys", "check")

    assert missing.code == Exit.CONFIGURATION
    assert "guard keys dev" in missing.row["error"]["hint"]
    assert (made.code, made.row["development"]) == (0, True)
    assert Path(made.row["key"]).stat().st_mode & 0o077 == 0
    assert again.code == Exit.CONFIGURATION
    assert "--replace" in again.row["error"]["hint"]
    assert replaced.row["fingerprint"] != made.row["fingerprint"]
    assert checked.row["fingerprint"] == replaced.row["fingerprint"]
    assert "development only" in desk("keys", "check").stdout


def test_no_key_is_ever_printed(desk: Desk) -> None:
    answer = desk("keys", "dev")

    assert "PRIVATE" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("args", [("generate", PROMPT), ("protect", "in.png", "--out", "out")])
def test_what_signs_says_how_to_get_a_key(desk: Desk, args: tuple[str, ...]) -> None:
    desk.picture()

    answer = desk.json(*args)

    assert answer.code == Exit.CONFIGURATION
    assert "guard keys dev" in answer.rows[-1]["error"]["hint"]


# -- doctor -----------------------------------------------------------------------------------


CHECKS = [
    "policy",
    "lexicons",
    "detectors",
    "signing key",
    "mark secret",
    "audit log",
    "checkpoints",
    "vault",
    "demo model",
]


def test_doctor_in_a_furnished_home(desk: Desk, furnished: Path) -> None:
    answer = desk.json("doctor")

    assert answer.code == 0, answer.rows
    assert [row["check"] for row in answer.rows] == CHECKS
    assert "back up" in desk("doctor").stdout


def test_doctor_in_an_empty_home_says_what_to_do(desk: Desk) -> None:
    answer = desk.json("doctor")

    bad = {row["check"]: row["error"] for row in answer.rows if not row["ok"]}
    assert "signing key" in bad
    assert all(error["hint"] for error in bad.values())
    assert answer.code == Exit.CONFIGURATION


def test_doctor_knows_a_secret_that_is_not_in_the_home(
    desk: Desk, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARD_MARK_SECRET", "ab" * 32)

    remarks = {row["check"]: row.get("remark") for row in desk.json("doctor").rows}

    assert remarks["mark secret"] == "from GUARD_MARK_SECRET"
