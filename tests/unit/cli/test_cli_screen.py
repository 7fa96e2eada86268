"""``guard screen`` and ``guard policy``."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from guard.cli.exits import Exit

from tests.support.desk import Desk
from tests.support.house import FLAGGED, FORBIDDEN, PROMPT

ACTIONS = {PROMPT: ("allow", 0), FLAGGED: ("flag", 3), FORBIDDEN: ("block", 1)}


@pytest.mark.parametrize(("prompt", "expected"), ACTIONS.items())
def test_action_and_exit_code(desk: Desk, prompt: str, expected: tuple[str, int]) -> None:
    answer = desk.json("screen", prompt)

    row = answer.row
    assert (row["action"], answer.code) == expected
    assert row["prompt"] == prompt
    assert set(row["policy"]) == {"name", "digest"}
    for finding in row["findings"]:
        start, end = finding["span"]
        assert prompt[start:end] == finding["matched"]
        assert set(finding) >= {"rule", "category", "score", "source", "explanation"}


def test_review_outranks_a_block(desk: Desk) -> None:
    assert desk("screen", PROMPT, FORBIDDEN, FLAGGED).code == Exit.REVIEW
    assert desk("screen", PROMPT, FORBIDDEN).code == Exit.FINDING


def test_lines_for_people(desk: Desk) -> None:
    answer = desk("screen", FORBIDDEN, "a [bold]red[/] square")

    assert "block" in answer.stdout
    assert "a [bold]red[/] square" in answer.stdout
    assert "lexicons" in answer.stderr


def test_file_of_lines_and_objects(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    lines = [
        PROMPT,
        "",
        json.dumps({"prompt": FORBIDDEN}),
        "{a brace that is no JSON",
        json.dumps({"text": "no prompt in it"}),
        json.dumps({"prompt": PROMPT, "negative_prompt": "fog"}),
    ]
    file.write_bytes("\n".join(lines).encode() + b"\r\n\xff\xfe broken\n")

    answer = desk.json("screen", "--input", file)

    assert [row["prompt"] for row in answer.rows] == [
        PROMPT, FORBIDDEN, lines[3], lines[4], PROMPT, "�� broken",
    ]  # fmt: skip
    assert answer.code == Exit.FINDING


def test_stdin(desk: Desk) -> None:
    answer = desk.json(
        "screen", "first", "--input", "-", stdin=f"{PROMPT}\n{FORBIDDEN}\n".encode() + b"\xff\n"
    )

    assert [row["action"] for row in answer.rows] == ["allow", "allow", "block", "allow"]


def test_pipe_is_read_once(desk: Desk, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(f"{PROMPT}\n{FORBIDDEN}\n",))
    writer.start()

    answer = desk.json("screen", "--input", pipe)

    writer.join()
    assert [row["action"] for row in answer.rows] == ["allow", "block"]


@pytest.mark.parametrize("prompt", ["", "  ", "a" * 20_001, "a \udcff boat"])
def test_unusable_prompt_has_its_row_too(desk: Desk, prompt: str) -> None:
    answer = desk.json("screen", PROMPT, prompt)

    good, bad = answer.rows
    assert good["action"] == "allow"
    assert bad["prompt"] == prompt
    assert bad["error"]["code"] == "invalid_request"
    assert bad["error"]["hint"]
    assert answer.code == Exit.FINDING


@pytest.mark.parametrize("args", [(), ("--input", "gone.txt"), ("--input", ".")])
def test_no_prompt(desk: Desk, args: tuple[str, ...]) -> None:
    answer = desk.json("screen", *args)

    assert answer.code == Exit.USAGE
    assert answer.row["error"]["hint"]


# -- policy -----------------------------------------------------------------------------------

POLICY = """\
name: own
prompt_rules:
  - id: sexual
    category: sexual
    lists: [sexual]
    action: block
    threshold: 0.5
    message: No.
required_detectors: []
"""


def test_policies_that_ship(desk: Desk) -> None:
    rows = desk.json("policy", "list").rows

    assert {"default", "strict", "permissive"} <= {row["name"] for row in rows}
    assert all(len(row["digest"]) == 64 for row in rows)
    assert "strict" in desk("policy", "list").stdout


def test_show(desk: Desk) -> None:
    assert desk.json("policy", "show", "strict").row["name"] == "strict"
    assert desk.json("policy", "show").row["name"] == "default"
    assert "on_flag: hold" in desk("policy", "show").stdout


def test_lint_of_a_good_policy(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(POLICY)

    answer = desk.json("policy", "lint", file)

    assert answer.code == 0
    assert answer.row["ok"] is True
    assert answer.row["rules"] == 1


def test_lint_names_line_and_field(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(POLICY.replace("threshold", "treshold"))

    answer = desk.json("policy", "lint", file)

    assert answer.code == Exit.CONFIGURATION
    assert answer.row["ok"] is False
    assert ":7:" in answer.row["error"]["message"]
    assert "treshold" in answer.row["error"]["message"]
    assert ":7:" in desk("policy", "lint", file).stdout


@pytest.mark.parametrize(
    ("expect", "code", "failed"), [("block", Exit.DONE, 0), ("allow", Exit.FINDING, 1)]
)
def test_policy_tests(desk: Desk, tmp_path: Path, expect: str, code: Exit, failed: int) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(POLICY)
    cases = {
        "cases": [{"prompt": FORBIDDEN, "expect": expect}, {"prompt": PROMPT, "expect": "allow"}]
    }
    (tmp_path / "own.test.yaml").write_text(json.dumps(cases))

    answer = desk.json("policy", "test", file)

    assert answer.code == code
    assert (answer.row["total"], answer.row["failed"]) == (2, failed)
    assert len(answer.row["failures"]) == failed
    assert "2 tests" in desk("policy", "test", file).stdout
