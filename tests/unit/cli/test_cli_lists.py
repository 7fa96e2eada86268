"""``guard lists``, and what own lists do to ``guard screen``."""

from __future__ import annotations

from pathlib import Path

import pytest
from guard.cli.exits import Exit

from tests.support.desk import Desk
from tests.support.house import FLAGGED, PROMPT

POLICY = """\
name: house
prompt_rules:
  - id: house
    category: house
    action: block
    message: This is not made here.
  - {id: nudity, category: nudity, lists: [nudity], action: flag, message: Wait.}
own_lists:
  - {kind: deny, source: "database:main", rule: house}
  - {kind: allow, source: allow.txt}
required_detectors: []
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "allow.txt").write_text("nude lipstick\n")
    file = tmp_path / "policies" / "house.yaml"
    file.write_text(POLICY)
    return file


@pytest.fixture
def listed(desk: Desk, policy: Path) -> Path:
    """The policy, and a deny list in the database with one entry."""
    add = ("lists", "add", "deny", "Acme Robot", "--who", "dana", "--note", "trade mark")
    assert desk.json(*add, "--policy", policy).row["added"] == ["Acme Robot"]
    return policy


def test_a_new_entry_blocks_and_a_removed_one_does_not(desk: Desk, listed: Path) -> None:
    prompt = "an acme-robot at dawn"

    answer = desk.json("screen", prompt, "--policy", listed)
    (finding,) = answer.row["findings"]
    assert (answer.code, finding["tier"], finding["rule"]) == (Exit.FINDING, "own", "house")
    assert finding["policy_line"] == "house.yaml:3"

    gone = desk.json("lists", "remove", "deny", "ACME robot", "--who", "eve", "--policy", listed)
    assert (gone.code, gone.row["removed"]) == (Exit.DONE, ["Acme Robot"])
    assert desk.json("screen", prompt, "--policy", listed).code == Exit.DONE
    history = desk.json("lists", "show", "deny", "--history").rows
    assert [(one["change"], one["who"]) for one in history] == [("add", "dana"), ("remove", "eve")]
    assert history[0]["note"] == "trade mark"
    assert history[0]["at"].endswith("+00:00")


def test_a_policy_whose_list_is_not_there_screens_nothing(desk: Desk, policy: Path) -> None:
    answer = desk.json("screen", PROMPT, "--policy", policy)
    assert answer.code == Exit.UNAVAILABLE
    assert "guard lists add" in answer.row["error"]["hint"]

    (policy.parent / "allow.txt").unlink()
    desk.json("lists", "add", "deny", "x", "--who", "dana")
    answer = desk.json("screen", PROMPT, "--policy", policy)
    assert answer.code == Exit.CONFIGURATION
    assert "allow.txt" in answer.row["error"]["message"]


def test_import_takes_all_or_nothing(desk: Desk, listed: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("term,category,note\nfoo,,from legal\nAcme Robot\n# no\nbar\n")
    bad.write_text('new\n"open\n')

    row = desk.json("lists", "import", "deny", good, "--who", "dana", "--note", "batch").row
    assert (row["added"], row["same"]) == (["foo", "Acme Robot", "bar"], [])
    again = desk.json("lists", "import", "deny", good, "--who", "dana", "--note", "batch").row
    assert (again["added"], len(again["same"])) == ([], 3)
    refused = desk.json("lists", "import", "deny", bad, "--who", "dana")
    assert refused.code == Exit.CONFIGURATION
    assert "bad.csv:2:" in refused.row["error"]["message"]

    shown = desk.json("lists", "show", "deny").rows
    assert [one["term"] for one in shown] == ["foo", "Acme Robot", "bar"]
    assert [one["note"] for one in shown] == ["from legal", "batch", "batch"]
    (tmp_path / "none.txt").write_text("# nothing\n")
    empty = desk.json("lists", "import", "deny", tmp_path / "none.txt", "--who", "dana")
    assert empty.code == Exit.USAGE


def test_list_says_what_is_in_force(desk: Desk, listed: Path) -> None:
    desk.json("lists", "add", "opted-in", "Jane Painter", "--list", "friends", "--who", "dana")

    rows = {(one["kind"], one["source"]): one for one in desk.json(
        "lists", "list", "--policy", listed).rows}  # fmt: skip

    assert rows["deny", "database:main"]["rule"] == "house"
    assert rows["deny", "database:main"]["entries"] == 1
    assert rows["allow", "allow.txt"]["in_force"] is True
    assert rows["opted-in", "database:friends"]["in_force"] is False
    told = desk("lists", "list", "--policy", listed).stdout
    assert "acts under house" in told
    assert "not named by the policy" in told


def test_no_lists_at_all(desk: Desk) -> None:
    answer = desk("lists", "list")
    assert (answer.code, answer.stdout) == (Exit.DONE, "")
    assert "guard lists add" in answer.stderr


def test_check_says_which_entries_would_act(desk: Desk, listed: Path) -> None:
    desk.json("lists", "add", "allow", "boat", "--list", "spare", "--who", "dana")
    prompt = "an acm3 robot, nude lipstick and a boat"

    answer = desk.json("lists", "check", prompt, "--policy", listed)

    found = {one["entry"]: one for one in answer.row["matches"]}
    assert set(found) == {"Acme Robot", "nude lipstick", "boat"}
    assert (found["Acme Robot"]["rule"], found["Acme Robot"]["how"]) == ("house", "leetspeak")
    assert found["boat"]["in_force"] is False
    for one in found.values():
        assert prompt[slice(*one["span"])]
    assert answer.code == Exit.FINDING
    told = desk("lists", "check", prompt, "--policy", listed).stdout
    assert "‹acm3 robot›" in told
    assert "trade mark" in told
    clean = desk.json("lists", "check", "a boat", "--policy", listed)
    assert clean.code == Exit.DONE


def test_a_note_says_that_no_policy_names_the_list(desk: Desk) -> None:
    answer = desk("lists", "add", "deny", *[f"w{n}x" for n in range(25)], "--who", "dana")
    assert "own_lists: [{kind: deny, source: 'database:main', rule: RULE}]" in answer.stderr
    assert "and 5 more" in answer.stdout


@pytest.mark.parametrize(
    "args",
    [
        ("add", "deny", "x", "--list", "Bad Name", "--who", "d"),
        ("add", "deny", " ", "--who", "d"),
        ("add", "deny", "x", "--who", " "),
        ("show", "deny", "--list", "none"),
    ],
)
def test_what_cannot_be_done(desk: Desk, args: tuple[str, ...]) -> None:
    desk.json("lists", "add", "allow", "y", "--who", "dana")
    answer = desk.json("lists", *args)
    assert answer.code == Exit.USAGE
    assert answer.row["error"]["hint"]


def test_removing_what_is_not_there_is_a_finding(desk: Desk, listed: Path) -> None:
    answer = desk("lists", "remove", "deny", "nothere", "--who", "eve", "--policy", listed)
    assert answer.code == Exit.FINDING
    assert "1 not on it: nothere" in answer.stdout


def test_an_emptied_list_is_shown_as_empty(desk: Desk, listed: Path) -> None:
    desk.json("lists", "remove", "deny", "acme robot", "--who", "eve")
    answer = desk("lists", "show", "deny")
    assert (answer.code, answer.stdout) == (Exit.DONE, "")
    assert "−" in desk("lists", "show", "deny", "--history").stdout


# -- dry run ---------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_tiers_apart(desk: Desk, listed: Path) -> None:
    prompt = "an acme robot, a nude woman, nude lipstick"

    row = desk.json("screen", "--dry-run", prompt, "--policy", listed).row

    assert row["action"] == "block"
    assert row["tiers"]["lexical"]["action"] == "flag"
    assert row["tiers"]["own"]["action"] == "block"
    assert row["tiers"]["semantic"]["findings"] == []
    assert [one["id"] for one in row["tiers"]["own"]["rules"]] == ["house"]
    told = desk("screen", "--explain", prompt, "--policy", listed).stdout
    assert "lexical" in told
    assert "alone would block" in told


def test_a_dry_run_says_what_was_taken_away(desk: Desk, listed: Path) -> None:
    (listed.parent / "allow.txt").write_text("nude\n")
    answer = desk.json("screen", "--dry-run", FLAGGED, "--policy", listed)
    assert answer.row["action"] == "allow"
    assert answer.row["tiers"]["lexical"]["action"] == "flag"
    (taken,) = answer.row["removed"]
    assert (taken["rule"], taken["entry"]) == ("nudity", "nude")
    assert "taken away" in desk("screen", "--dry-run", FLAGGED, "--policy", listed).stdout


def test_a_dry_run_names_combinations_and_refuses_what_is_no_prompt(desk: Desk) -> None:
    answer = desk.json("screen", "--dry-run", "Emma Watson nude", " ", "--negative-prompt", "fog")
    good, bad = answer.rows
    assert [one["id"] for one in good["combinations"]] == ["person-nudity"]
    assert good["combinations"][0]["policy_line"].startswith("default.yaml:")
    assert good["negative_prompt"] == "fog"
    assert bad["error"]["code"] == "invalid_request"
    assert "error" in desk("screen", "--dry-run", " ").stdout


# -- lines for people ------------------------------------------------------------------------------


def test_marks_without_colours_and_with(desk: Desk) -> None:
    from guard.cli.verdicts import marked, visible

    found = [
        {"span": [2, 6], "action": "flag"},
        {"span": [4, 9], "action": "block"},
        {"span": [90, 99], "action": "block"},
    ]
    text = "a [nude] 裸\x1b[31m\u202e"
    assert marked(text, found, colours=False) == "a ‹\\[nude] ›裸␛[31m⇄"
    shown = marked(text, found, colours=True)
    assert "[bold underline yellow]" in shown
    assert "[bold underline red]" in shown
    assert "\x1b" not in shown
    assert len(visible(text)) == len(text)


def test_spans_of_the_negative_prompt_are_marked_there(desk: Desk) -> None:
    answer = desk("screen", "a woman", "--negative-prompt", "fog, clothes, hat")
    assert "not  fog, ‹clothes›, hat" in answer.stdout
