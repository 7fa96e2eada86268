"""``guard policy lint``, ``diff`` and ``replay``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from guard.cli.exits import Exit
from guard.cli.replay import NO_PROMPT, NO_SCORES, NO_TEXT

from guard.image.encode import encode
from tests.support.desk import Desk
from tests.support.house import FLAGGED, FORBIDDEN, PROMPT, picture

if TYPE_CHECKING:
    from tests.support.house import House

POLICY = """\
name: own
prompt_rules:
  - id: sexual
    category: sexual
    lists: [sexual, nosuch]
    action: block
    message: No.
  - {id: dull, category: dull, lists: [nudity], action: allow, message: Fine.}
own_lists:
  - {kind: allow, source: gone.txt}
required_detectors: []
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.yaml"
    file.write_text(POLICY)
    return file


# -- lint ------------------------------------------------------------------------------------------


def test_lint_says_where_and_what(desk: Desk, own: Path) -> None:
    answer = desk.json("policy", "lint", own)

    assert (answer.code, answer.row["ok"]) == (Exit.CONFIGURATION, False)
    gone, nosuch, dull = answer.row["problems"]
    assert (gone["level"], gone["where"]) == ("error", "gone.txt")
    assert (nosuch["level"], nosuch["where"]) == ("error", f"{own}:5")
    assert (dull["level"], dull["where"]) == ("warning", f"{own}:8")
    told = desk("policy", "lint", own).stdout
    assert "nosuch" in told
    assert "invalid" in told


def test_warnings_alone_leave_a_policy_valid(desk: Desk, own: Path) -> None:
    own.write_text(POLICY.replace(", nosuch", ""))
    (own.parent / "gone.txt").write_text("")
    answer = desk.json("policy", "lint", own)
    assert (answer.code, answer.row["ok"]) == (Exit.DONE, True)
    assert [one["level"] for one in answer.row["problems"]] == ["warning"]


# -- diff ------------------------------------------------------------------------------------------


def test_a_policy_against_itself(desk: Desk) -> None:
    answer = desk.json("policy", "diff", "default", "default")
    assert (answer.code, answer.row["changes"]) == (Exit.DONE, [])
    assert "say the same" in desk("policy", "diff", "strict", "strict").stdout


def test_changes_and_prompts(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text(f"{PROMPT}\n\n{FLAGGED}\n{FORBIDDEN}\n{'x' * 30_000}\n")

    answer = desk.json("policy", "diff", "default", "strict", "--prompts", file)

    assert answer.code == Exit.FINDING
    fields = {(one["name"], one["field"]) for one in answer.row["changes"]}
    assert ("nudity", "action") in fields
    told = answer.row["prompts"]
    assert (told["total"], told["changed"]) == (3, 1)
    assert told["transitions"] == {"allow->allow": 1, "flag->block": 1, "block->block": 1}
    ((example,),) = told["examples"].values()
    assert example["prompt"] == FLAGGED
    assert "nudity" in example["after"]
    shown = desk("policy", "diff", "default", "strict", "--prompts", file).stdout
    assert "nudity.action" in shown
    assert "flag → block  1" in shown
    assert "strict.yaml:" in shown


# -- replay ----------------------------------------------------------------------------------------


@pytest.fixture
def recorded(house: House, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> House:
    """A log with a released, a held and a blocked prompt, and a picture from elsewhere."""
    for prompt in (PROMPT, FLAGGED, FORBIDDEN):
        house.generate(prompt)
    house.guard().protect(encode(picture(), "image/png"))
    house.log.store.close()
    return house


def replay(desk: Desk, *args: object) -> dict[str, Any]:
    return desk.json("policy", "replay", *args).row


def test_without_prompts_only_pictures_are_decided_anew(desk: Desk, recorded: House) -> None:
    row = replay(desk, "default")
    assert row["records"] == 4
    assert row["prompts"] == {"replayed": 0, "not_replayed": {NO_PROMPT: 1, NO_TEXT: 3}}
    assert row["pictures"] == {"replayed": 3, "not_replayed": {NO_SCORES: 1}}
    assert row["replayed"] == 3
    assert row["transitions"] == {"allow->allow": 2, "flag->flag": 1}
    assert desk.json("policy", "replay", "default").code == Exit.DONE


def test_with_their_prompts_decisions_change(desk: Desk, recorded: House, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text(f"{FLAGGED}\n{FORBIDDEN}\nunrelated\n")

    answer = desk.json("policy", "replay", "permissive", "--prompts", file)

    row = answer.row
    assert answer.code == Exit.FINDING
    assert row["prompts"] == {"replayed": 2, "not_replayed": {NO_PROMPT: 1, NO_TEXT: 1}}
    changed = {
        name: count for name, count in row["transitions"].items() if len(set(name.split("->"))) > 1
    }
    assert changed == {"flag->allow": 1, "block->flag": 1}
    ((example,),) = (row["examples"]["block->flag"],)
    assert example["prompt"] == "replayed"
    assert example["picture"] == NO_SCORES
    told = desk("policy", "replay", "permissive", "--prompts", file).stdout
    assert "block → flag  1" in told
    assert example["record_id"] in told
    assert "permissive.yaml:" in told


def test_a_detector_that_never_looked_is_named(desk: Desk, recorded: House) -> None:
    reasons = replay(desk, "strict")["pictures"]["not_replayed"]
    assert any("clip" in reason for reason in reasons)


def test_times_narrow_what_is_replayed(desk: Desk, recorded: House) -> None:
    assert replay(desk, "default", "--from", "2999-01-01")["records"] == 0
    assert replay(desk, "default", "--to", "2000-01-01")["records"] == 0
    assert replay(desk, "default", "--from", "2000-01-01", "--to", "2999-01-01")["records"] == 4
    assert desk.json("policy", "replay", "default", "--from", "soon").code == Exit.USAGE


def test_a_reviewers_word_is_not_the_policys(desk: Desk, recorded: House) -> None:
    (held,) = desk.json("review", "list").rows
    desk.json("review", "reject", held["record_id"], "--reviewer", "dana")
    assert replay(desk, "default")["transitions"] == {"allow->allow": 2, "flag->flag": 1}


def test_without_a_log_there_is_nothing_to_replay(desk: Desk, recorded: House) -> None:
    shutil.rmtree(recorded.home)
    assert desk.json("policy", "replay", "default").code == Exit.UNAVAILABLE
