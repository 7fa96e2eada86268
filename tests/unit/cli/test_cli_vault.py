"""``guard audit erase``, ``reveal``, ``expire``, ``hold``; ``guard keys rotate-vault``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from guard.cli import audit_vault, doctor
from guard.cli.exits import Exit

from guard.assemble import build_log
from guard.settings import Settings
from tests.support.auditing import started
from tests.support.desk import Desk

WHY = ("--reason", "case-1", "--who", "dana")


@pytest.fixture
def home() -> Path:
    return Path(os.environ["GUARD_HOME"])


@pytest.fixture
def record(desk: Desk, home: Path) -> str:
    """A record that ann began."""
    assert desk
    log = build_log(Settings(home=home))
    opened = started()
    log.start(opened, prompt="a red kite", user="ann", negative_prompt="clouds")
    log.store.close()
    return opened.record_id


def test_what_a_request_says_goes_into_the_vault(desk: Desk) -> None:
    desk("keys", "dev")
    asked = ("generate", "a red kite", "--user", "ann", "--negative-prompt", "clouds")
    record_id = desk.json(*asked, "--out", "out").row["record_id"]
    row = desk.json("audit", "reveal", record_id, *WHY).row
    assert (row["prompt"], row["negative_prompt"], row["user"]) == ("a red kite", "clouds", "ann")


def test_a_record_is_revealed_and_that_is_recorded(desk: Desk, record: str) -> None:
    row = desk.json("audit", "reveal", record, *WHY).row
    assert (row["prompt"], row["negative_prompt"], row["user"]) == ("a red kite", "clouds", "ann")
    assert row["receipt"]["index"] == 1
    only = desk.json("audit", "reveal", record, *WHY, "--field", "user").row
    assert set(only) == {"record_id", "user", "receipt"}
    shown = desk("audit", "reveal", record, *WHY)
    assert "a red kite" in shown.stdout
    assert "recorded in row 3" in shown.stdout
    assert desk("audit", "reveal", record, "--reason", "two words", "--who", "dana").code != 0


def test_a_person_is_erased(desk: Desk, record: str) -> None:
    planned = desk.json("audit", "erase", "--subject", "ann", *WHY, "--dry-run")
    assert planned.code == Exit.DONE
    assert planned.row["record_ids"] == [record]
    assert planned.row["status"] == "planned"
    assert "would erase" in desk("audit", "erase", "--subject", "ann", *WHY, "--dry-run").stdout

    row = desk.json("audit", "erase", "--subject", "ann", *WHY).row
    assert (row["status"], row["records"], row["keys"]) == ("erased", 1, 1)

    assert desk("audit", "reveal", record, *WHY).code == Exit.USAGE
    assert desk("audit", "erase", "--subject", "ann", *WHY).code == Exit.USAGE
    assert desk("audit", "verify").code == Exit.DONE


@pytest.mark.parametrize("target", [(), ("--subject", "ann", "--record", "x")])
def test_exactly_one_is_erased(desk: Desk, record: str, target: tuple[str, ...]) -> None:
    assert record
    assert desk("audit", "erase", *target, *WHY).code == Exit.USAGE


def test_on_a_terminal_it_is_asked_first(
    desk: Desk, record: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, True])

    def confirm(text: str, **_: object) -> None:
        assert "1 records" in text
        if not next(answers):
            raise audit_vault.typer.Abort

    monkeypatch.setattr(audit_vault, "at_terminal", lambda: True)
    monkeypatch.setattr(audit_vault.typer, "confirm", confirm)
    assert desk("audit", "erase", "--subject", "ann", *WHY).code != Exit.DONE
    assert desk("audit", "reveal", record, *WHY).code == Exit.DONE
    assert desk("audit", "erase", "--record", record, *WHY).code == Exit.DONE


def test_what_is_held_is_not_erased(desk: Desk, record: str) -> None:
    assert desk.json("audit", "hold", "list").rows == []
    assert desk("audit", "hold", "place", "--record", record, *WHY).code == Exit.DONE
    assert desk("audit", "hold", "place", "--subject", "ann", *WHY).code == Exit.DONE
    refused = desk.json("audit", "erase", "--subject", "ann", *WHY)
    assert refused.code == Exit.FINDING
    assert refused.row["error"]["code"] == "legal_hold"
    assert "case-1" in refused.row["error"]["message"]
    planned = desk.json("audit", "erase", "--subject", "ann", *WHY, "--dry-run")
    assert (planned.code, planned.row["status"], planned.row["holds"]) == (1, "held", ["case-1"])
    held = desk.json("audit", "hold", "list").rows
    assert [(one["record"], one["reason"]) for one in held] == [
        (record, "case-1"),
        (None, "case-1"),
    ]
    assert "person" in desk("audit", "hold", "list").stdout
    assert desk("audit", "hold", "lift", "--record", record, *WHY).code == Exit.DONE
    assert desk("audit", "hold", "lift", "--subject", "ann", *WHY).code == Exit.DONE
    assert desk("audit", "hold", "lift", "--subject", "ann", *WHY).code == Exit.USAGE
    assert desk("audit", "erase", "--subject", "ann", *WHY).code == Exit.DONE


def test_expiring_says_what_went(desk: Desk, record: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing is older than 180 days" in desk("audit", "expire").stderr
    from datetime import UTC, datetime, timedelta

    from guard.audit.vault import erasure

    real = erasure.expire
    later = datetime.now(UTC) + timedelta(days=200)
    monkeypatch.setattr(erasure, "expire", lambda *a, **k: real(*a, now=later, **k))
    row = desk.json("audit", "expire").row
    assert (row["status"], row["records"]) == ("expired", 1)
    assert desk("audit", "reveal", record, *WHY).code == Exit.USAGE


def test_the_vaults_key_is_rotated_and_looked_after(desk: Desk, record: str, home: Path) -> None:
    before = (home / "keys" / "vault.kek").read_text()
    row = desk.json("keys", "rotate-vault").row
    assert row["keys"] == 1
    assert (home / "keys" / "vault.kek").read_text() != before
    assert desk.json("audit", "reveal", record, *WHY).row["prompt"] == "a red kite"
    assert desk("keys", "rotate-vault").code == Exit.DONE


def test_doctor_says_what_to_back_up(
    desk: Desk, record: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        doctor, "CHECKS", tuple(one for one in doctor.CHECKS if one.name == "vault")
    )
    answer = desk.json("doctor")
    assert answer.row["ok"]
    assert answer.row["remark"].startswith("1 records; back up")
    (home / "keys" / "vault.kek").rename(home / "kek")
    lost = desk.json("doctor")
    assert lost.code == Exit.UNAVAILABLE
    assert lost.row["error"]["code"] == "vault_unavailable"
    monkeypatch.setenv("GUARD_KEY_ENCRYPTION_KEY", (home / "kek").read_text().strip())
    assert "GUARD_KEY_ENCRYPTION_KEY" in desk.json("doctor").row["remark"]
    assert record


def test_keys_never_lie_in_the_logs_database(
    desk: Desk, record: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARD_KEYS_DATABASE_URL", Settings.load().database)
    answer = desk.json("audit", "reveal", record, *WHY)
    assert answer.code == Exit.CONFIGURATION
    assert answer.row["error"]["code"] == "settings_invalid"


def test_no_secret_of_the_settings_is_shown(
    desk: Desk, record: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARD_KEY_ENCRYPTION_KEY", "not-a-key-at-all")
    answer = desk.json("audit", "reveal", record, *WHY)
    assert answer.code == Exit.CONFIGURATION
    assert "not-a-key-at-all" not in answer.stdout + answer.stderr
