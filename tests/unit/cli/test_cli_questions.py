"""``guard audit list``, ``show``, ``stats``, ``report`` and appeals, as people and scripts ask."""

from __future__ import annotations

import dataclasses
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from guard.cli.audit_stats import duration
from guard.cli.charts import bar, merge, sparkline
from guard.cli.exits import Exit
from guard.cli.times import parse_time
from PIL import Image

from guard.audit.report.statistics import Disputed, Reviews, Statistics, count
from guard.errors import InvalidRequest
from guard.types import Detection
from tests.support.desk import Desk
from tests.support.house import FORBIDDEN, PROMPT


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves the home that all others begin with."""
    return tmp_path_factory.mktemp("busy") / "kept"


@pytest.fixture
def busy(desk: Desk, lived_in: Path, request: pytest.FixtureRequest) -> Desk:
    """A home in which one picture was released and one prompt blocked."""
    home = Path(os.environ["GUARD_HOME"])
    if lived_in.exists():
        shutil.copytree(lived_in / "home", home)
        shutil.copytree(lived_in / "out", desk.out)
        return desk
    request.getfixturevalue("furnished")
    whose = ("--tenant", "acme", "--user", "user-1")
    desk("generate", PROMPT, FORBIDDEN, "--out", desk.out, *whose)
    shutil.copytree(home, lived_in / "home")
    shutil.copytree(desk.out, lived_in / "out")
    return desk


def blocked(desk: Desk) -> str:
    record: str = desk.json("audit", "list", "--event", "blocked").row["record_id"]
    return record


# -- list -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--action", "block", "--event", "blocked"), 1),
        (("--action", "flag"), 0),
        (("--under", "default"), 4),
        (("--under", "strict"), 0),
        (("--model", "fake@1"), 1),
        (("--model", "other"), 0),
        (("--category", "sexual"), 0),
        (("--since", "1h"), 4),
        (("--until", "1h"), 0),
        (("--user", "user-1", "--tenant", "acme"), 4),
        (("--user", "user-1"), 0),  # users of no tenant are other people
        (("--user", "user-2", "--tenant", "acme"), 0),
        (("--before", "2"), 2),
        (("--sha256", "AB" * 32), 0),
        (("--mark", "AB" * 8), 0),
        (("--user", "user-1", "--tenant", "acme", "--event", "blocked"), 1),
    ],
)
def test_questions_narrow(busy: Desk, options: tuple[str, ...], count: int) -> None:
    answer = busy.json("audit", "list", *options)
    assert answer.code == Exit.DONE
    assert len(answer.rows) == count


def test_a_page_says_where_the_next_begins(busy: Desk) -> None:
    first = busy.json("audit", "list", "--limit", "2")
    assert [row["index"] for row in first.rows] == [3, 2]
    assert "--before 2" in first.stderr
    second = busy.json("audit", "list", "--limit", "3", "--before", "2")
    assert [row["index"] for row in second.rows] == [1, 0]
    assert "--before" not in second.stderr


class Blind:
    """Finds no mark, and needs no time for it."""

    def detect(self, pixels: object) -> Detection:
        return Detection(detected=False, payload=None, method="none", p_value=1.0)


def test_a_picture_leads_to_its_record_by_file_mark_or_looks(
    busy: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = busy.json("audit", "list", "--event", "released").row
    (file,) = busy.out.glob("*.png")

    def found(image: Path) -> tuple[set[str], str]:
        answer = busy.json("audit", "list", "--image", image)
        assert answer.code == Exit.DONE
        return {row["record_id"] for row in answer.rows}, answer.stderr

    ids, said = found(file)
    assert ids == {released["record_id"]}
    assert "is the released file" in said
    copy = tmp_path / "copy.jpg"
    with Image.open(file) as picture:
        picture.convert("RGB").save(copy, quality=85)
    ids, said = found(copy)
    assert ids == {released["record_id"]}
    assert f"carries mark {released['mark']['payload']}" in said.replace("\n", " ")
    monkeypatch.setattr("guard.assemble.build_watermark", lambda *_: Blind())
    ids, said = found(copy)
    assert ids == {released["record_id"]}
    assert "looks like a recorded picture" in said
    other = tmp_path / "other.png"
    Image.effect_noise((256, 256), 80).convert("RGB").save(other)
    assert found(other)[0] == set()
    mark = busy.json("audit", "list", "--mark", released["mark"]["payload"].upper())
    assert [row["event"] for row in mark.rows] == ["released"]


def test_what_is_no_picture_is_refused(busy: Desk, tmp_path: Path) -> None:
    assert busy("audit", "list", "--image", tmp_path / "missing.png").code == Exit.USAGE
    assert busy("audit", "list", "--image", busy.broken_picture()).code == Exit.USAGE
    assert busy("audit", "list", "--record", "nonsense").code == Exit.USAGE
    assert busy("audit", "list", "--since", "soon").code == Exit.USAGE


def test_many_records_of_a_user_are_cut(busy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.cli.audit_questions.MOST_RECORDS", 1)
    answer = busy.json("audit", "list", "--user", "user-1", "--tenant", "acme")
    assert [row["event"] for row in answer.rows] == ["blocked", "started"]
    assert "newest 1" in answer.stderr


def test_without_a_vault_nobody_is_found(busy: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.assemble.build_vault", lambda *_: None)
    answer = busy("audit", "list", "--user", "user-1")
    assert answer.code == Exit.UNAVAILABLE
    assert "no vault" in answer.stderr


def test_people_see_a_table(busy: Desk) -> None:
    answer = busy("audit", "list", "--rule", "sexual")
    assert "blocked" in answer.stdout
    assert blocked(busy) in answer.stdout
    assert "No such events" in busy("audit", "list", "--rule", "none").stderr


def test_a_user_and_a_picture_must_both_lead_there(busy: Desk) -> None:
    (file,) = busy.out.glob("*.png")
    of_both = ("--image", file, "--tenant", "acme", "--user")
    assert len(busy.json("audit", "list", *of_both, "user-1").rows) == 2
    assert busy.json("audit", "list", *of_both, "user-2").rows == []


# -- show and appeals -------------------------------------------------------------------------


def test_an_appeal_from_block_to_statistics(busy: Desk) -> None:
    record = blocked(busy)
    assert busy("review", "appeals").code == Exit.DONE
    made = busy.json("review", "appeal", record, "--who", "dana", "--reason", "case-1")
    assert made.code == Exit.DONE
    assert (made.row["status"], made.row["record_id"]) == ("appealed", record)
    waiting = busy.json("review", "appeals")
    assert waiting.code == Exit.REVIEW
    assert waiting.row["record_id"] == record
    assert waiting.row["by"] == "user"
    assert "sexual" in waiting.row["block"]["rules"]
    assert record in busy("review", "appeals").stdout

    again = busy("review", "appeal", record, "--who", "dana", "--reason", "case-2")
    assert again.code == Exit.USAGE
    assert "open already" in again.stderr
    decided = busy.json("review", "grant", record, "--who", "erin", "--reason", "art")
    assert decided.row["status"] == "appeal_granted"
    assert busy("review", "deny", record, "--who", "erin", "--reason", "art").code == Exit.USAGE

    shown = busy.json("audit", "show", record).rows
    assert [row.get("event") or row["act"] for row in shown] == [
        "started", "blocked", "appealed", "appeal_granted",
    ]  # fmt: skip
    assert shown[2]["details"] == {"by": "user"}
    text = busy("audit", "show", record).stdout
    assert "appeal_granted" in text
    assert "erin" in text
    row = busy.json("audit", "stats").row
    assert row["appeals"] == {"made": 1, "granted": 1, "denied": 0, "open": 0}
    assert {one["name"]: one["wrong"] for one in row["by_rule"]}["sexual"] == 1.0
    assert "100.0 %" in busy("audit", "stats").stdout


def test_staff_do_not_decide_on_their_own_and_denials_stand(busy: Desk) -> None:
    record = blocked(busy)
    mine = ("--who", "dana", "--reason", "art")
    assert busy("review", "appeal", record, *mine, "--by", "staff").code == Exit.DONE
    answer = busy("review", "grant", record, *mine)
    assert answer.code == Exit.USAGE
    assert "somebody else" in answer.stderr
    assert (
        "appeal denied" in busy("review", "deny", record, "--who", "erin", "--reason", "x").stdout
    )
    assert "1 denied" in busy("audit", "stats").stdout


def test_the_first_digits_of_a_record_will_do(busy: Desk) -> None:
    record = blocked(busy)
    assert busy.json("audit", "show", record[:-2]).rows[0]["record_id"] == record
    assert busy("audit", "show", "0").code == Exit.USAGE  # several
    assert busy("audit", "show", "ffff").code == Exit.USAGE


# -- stats and report -------------------------------------------------------------------------


def test_stats_of_a_period_and_tenant(busy: Desk) -> None:
    row = busy.json("audit", "stats", "--since", "1h", "--tenant", "acme", "--by", "hour").row
    assert row["records"] == 2
    assert row["step"] == "hour"
    assert row["block_rate"] == 0.5
    assert sum(one.get("started", 0) for one in row["over_time"]) == 2
    assert busy.json("audit", "stats", "--until", "1h").row["records"] == 0
    assert busy("audit", "stats", "--until", "1h").code == Exit.DONE
    answer = busy("audit", "stats", "--since", "2000-01-01", "--by", "hour")
    assert answer.code == Exit.USAGE
    assert "--by" in answer.stderr


def test_stats_show_reviews_and_cut_long_tables(
    busy: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews = Reviews(3, 1, 2, 60.0, 5_400.0, 9_000.0)
    rules = tuple(Disputed(f"rule-{number}", blocked=1) for number in range(13))

    def counted(*args: object, **named: object) -> Statistics:
        found = count(*args, **named)  # type: ignore[arg-type]
        return dataclasses.replace(found, reviews=reviews, rules=rules, tenant="acme")

    monkeypatch.setattr("guard.audit.report.statistics.count", counted)
    text = busy("audit", "stats").stdout
    assert "3 approved, 1 rejected, 2 held now · decided in 1 min, 90 % in 1.5 h" in text
    assert "rule-9 " in text
    assert "rule-10" not in text
    assert "and 3 more" in text
    assert "tenant acme" in text
    reviews = Reviews(0, 0, 1)
    assert "0 approved, 0 rejected, 1 held now\n" in busy("audit", "stats").stdout


def test_the_report_is_a_page_and_a_row(busy: Desk, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    row = busy.json("audit", "report", "--from", "7d", "--to", today, "--html", page).row
    html = page.read_text(encoding="utf-8")
    assert row["path"] == str(page)
    assert row["records"] == 2, "the last day belongs to the period"
    assert row["log"]["root"] in html
    assert row["by_tenant"] == {}
    assert "acme" not in html
    row = busy.json("audit", "report", "--tenants", "--title", "Ours").row
    assert row["path"] is None
    assert row["title"] == "Ours"
    assert row["by_tenant"] == {"acme": {"released": "<5", "blocked": "<5"}}
    assert str(page) in busy("audit", "report", "--html", page, "--tenants").stdout
    assert "acme" in page.read_text(encoding="utf-8")


def test_a_report_needs_a_place(busy: Desk, tmp_path: Path) -> None:
    assert busy("audit", "report").code == Exit.USAGE
    answer = busy("audit", "report", "--html", tmp_path / "no" / "where.html")
    assert answer.code == Exit.USAGE
    assert "--html" in answer.stderr


# -- times, bars and lines --------------------------------------------------------------------


def test_times_are_moments_or_ago() -> None:
    now = datetime.now(UTC)
    for text, ago in (
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(14)),
    ):
        moment = parse_time("since", text)
        assert moment is not None
        assert abs(now - ago - moment) < timedelta(minutes=1)
    assert parse_time("since", "2026-11-24") == datetime(2026, 11, 24, tzinfo=UTC)
    assert parse_time("since", None) is None
    for wrong in ("", "7", "d", "7m", "-7d", "7 d", "999999w", "yesterday", "2026-13-01"):
        with pytest.raises(InvalidRequest, match="no time"):
            parse_time("since", wrong)


def test_bars_and_lines() -> None:
    assert bar(0, 10, 8) == bar(1, 0, 8) == ""
    assert bar(10, 10, 8) == "████████"
    assert bar(1, 1_000_000, 8) == "▏", "a little is not nothing"
    assert bar(5, 10, 3) == "█▌"
    assert sparkline([0, 1, 4, 8], 10) == " ▁▄█"
    assert sparkline([], 10) == ""
    assert sparkline([0, 0], 10) == "  "
    assert merge([1, 2, 3, 4, 5], 2) == [6, 9]
    assert merge([1, 2], 5) == [1, 2]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (5_400, "1.5 h"), (172_800, "2.0 d")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
