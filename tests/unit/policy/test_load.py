"""Policies load from names and files, and errors say where."""

from pathlib import Path

import pytest

from guard.errors import PolicyInvalid
from guard.policy.document import MAX_BYTES, field_name, parse
from guard.policy.load import available_policies, load_policy, read_document
from guard.types import Action

RULE = "  - {id: a, category: a, lists: [sexual], action: block, message: m}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_three_policies_ship() -> None:
    assert available_policies() == ("default", "permissive", "strict")
    for name in available_policies():
        assert load_policy(name).name == name


def test_a_file_of_the_users_own(tmp_path: Path) -> None:
    path = write(tmp_path, f"name: mine\nprompt_rules:\n{RULE}")
    for given in (path, str(path)):
        assert load_policy(given).prompt_rules[0].action is Action.BLOCK


def test_a_stance_that_every_policy_keeps() -> None:
    for name in available_policies():
        policy = load_policy(name)
        minors = [c for c in policy.combinations if c.category == "minors-sexual"]
        assert minors
        assert all(c.action is Action.BLOCK for c in minors)
        lowest = min(c.threshold for c in policy.combinations)
        assert lowest == min(c.threshold for c in minors)
        assert "opennsfw" in policy.required_detectors
    assert "clip" in load_policy("strict").required_detectors


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (f"name: m\nprompt_rules:\n{RULE}colour: red\n", ":4: colour", "no such field"),
        (
            "name: m\nprompt_rules:\n  - id: a\n    category: a\n",
            ":3: prompt_rules[0].",
            "required",
        ),
        (
            (
                "name: m\nprompt_rules:\n  - id: a\n    category: a\n    lists: [sexual]\n"
                "    action: block\n    message: m\n    threshold: 3\n"
            ),
            ":8: prompt_rules[0].threshold",
            "less than or equal to 1",
        ),
        (f"name: m\nprompt_rules:\n{RULE}{RULE}", ":1: the policy", "used twice: a"),
        ("name: m\n", ":1:", "no rules"),
        (
            f"name: m\nprompt_rules:\n{RULE}required_detectors: [clip]\n",
            ":1:",
            "'clip' is required",
        ),
        (
            (
                f"name: m\nprompt_rules:\n{RULE}combinations:\n"
                "  - {id: c, category: c, all_of: [a, z], action: flag, message: m}\n"
            ),
            ":1:",
            "no prompt rule has: z",
        ),
        (
            "name: m\noutput_rules:\n  - {id: o, category: o, detectors: [d], message: m}\n",
            ":3: output_rules[0]",
            "at least one",
        ),
        (
            (
                "name: m\noutput_rules:\n"
                "  - {id: o, category: o, detectors: [d], message: m, block: 0.1, review: 0.2}\n"
            ),
            ":3: output_rules[0]",
            "must not be above",
        ),
        ("name: m\nname: n\n", ":2:", "twice"),
        ("? [a]\n: b\n", ":1:", "no plain text"),
        ("a: &x [1]\nb: *x\n", ":2:", "aliases"),
        ("name: [\n", ":2:", "not valid YAML"),
        ("a: \x07\n", ":1:", "not valid YAML"),
        ("- a\n", ":1:", "mapping"),
        ("", ":1:", "mapping"),
        ("a: 2026-02-31\n", "", "month"),
        ("a: " + "[" * 50 + "]" * 50, ":1:", "nested"),
        ("a: " + "x" * MAX_BYTES, "", "larger"),
    ],
)
def test_errors_name_file_line_and_field(tmp_path: Path, text: str, where: str, what: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(path)
    assert f"{path}{where}" in caught.value.message
    assert what in caught.value.message
    assert caught.value.hint


def test_several_errors_are_counted(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="and 1 more"):
        load_policy(write(tmp_path, "name: m\nx: 1\ny: 2\n"))


def test_no_such_policy_lists_those_that_are() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load_policy("nonsuch")
    assert "default, permissive, strict" in caught.value.hint


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="cannot be read"):
        load_policy(tmp_path)
    with pytest.raises(PolicyInvalid, match="cannot be read"):
        load_policy("a\0b")
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolicyInvalid, match="cannot be read"):
        load_policy(binary)


def test_the_test_file_stands_beside_the_policy(tmp_path: Path) -> None:
    path = write(tmp_path, "name: m\n")
    (tmp_path / "mine.test.yaml").write_text("cases: []\n")
    assert read_document(path, tests=True).data == {"cases": []}
    assert read_document(tmp_path / "mine.test.yaml", tests=True).data == {"cases": []}


def test_paths_are_written_as_people_do() -> None:
    assert field_name(("prompt_rules", 2, "threshold")) == "prompt_rules[2].threshold"
    assert field_name(()) == "the policy"
    document = parse("a:\n  b: 1\n", "f")
    assert document.line(("a", "b", "c")) == 2
    assert document.line(("z",)) == 1
