"""Help, global options, and errors that every command shares."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
import typer
from guard.cli import main
from guard.cli.command import command
from guard.cli.exits import Exit, of_error, of_row_error, worst

from guard import errors
from guard.errors import GuardError
from guard.version import __version__
from tests.support.desk import Desk
from tests.support.house import PROMPT


def _commands(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    children = getattr(node, "commands", None)
    if children is None:
        yield path
        return
    for name, child in children.items():
        yield from _commands(child, (*path, name))


COMMANDS = sorted(_commands(typer.main.get_command(main.app)))

EXPECTED = {
    ("demo",), ("generate",), ("screen",), ("classify",), ("protect",), ("verify",), ("doctor",),
    ("watermark", "embed"), ("watermark", "detect"),
    ("audit", "list"), ("audit", "show"), ("audit", "stats"), ("audit", "verify"),
    ("audit", "export"), ("review", "list"), ("review", "approve"), ("review", "reject"),
    ("policy", "list"), ("policy", "show"), ("policy", "lint"), ("policy", "test"),
    ("keys", "dev"), ("keys", "check"), ("keys", "rotate-watermark"),
    ("models", "list"), ("models", "pull"),
    ("models", "check"), ("models", "import-head"),
}  # fmt: skip


def test_commands_are_those_of_the_design() -> None:
    assert set(COMMANDS) >= EXPECTED


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_an_example_and_the_global_options(desk: Desk, path: tuple[str, ...]) -> None:
    answer = desk(*path, "--help")

    assert answer.code == 0
    assert f"guard {' '.join(path)}" in answer.stdout.partition("Example")[2]
    for option in ("--json", "--policy", "--database", "--home"):
        assert option in answer.stdout


@pytest.mark.parametrize("noun", [(), ("audit",), ("review",), ("policy",), ("keys",), ("models",)])
def test_bare_noun_shows_help(desk: Desk, noun: tuple[str, ...]) -> None:
    answer = desk(*noun)

    assert answer.code in {0, 2}
    assert "Usage: guard" in answer.stdout + answer.stderr


def test_version(desk: Desk) -> None:
    assert desk("--version").stdout.strip() == f"genguard {__version__}"


def test_help_names_every_exit_code(desk: Desk) -> None:
    text = " ".join(desk("--help").stdout.split())

    assert all(f"{code.value} " in text for code in Exit)


@pytest.mark.parametrize(
    "args",
    [("--policy", "strict", "screen", PROMPT), ("screen", PROMPT, "--policy", "strict")],
    ids=["before", "after"],
)
def test_global_options_before_and_after_the_command(desk: Desk, args: tuple[str, ...]) -> None:
    assert desk.json(*args).row["policy"]["name"] == "strict"
    assert desk("--json", *args).row["policy"]["name"] == "strict"


def test_option_after_the_command_wins(desk: Desk) -> None:
    row = desk.json("--policy", "strict", "screen", PROMPT, "--policy", "permissive").row

    assert row["policy"]["name"] == "permissive"


def test_environment_is_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_POLICY", "permissive")

    assert desk.json("screen", PROMPT).row["policy"]["name"] == "permissive"


def test_home_and_database_are_where_they_are_said_to_be(desk: Desk, tmp_path: Path) -> None:
    home, database = tmp_path / "h", tmp_path / "d" / "log.sqlite3"

    assert desk("keys", "dev", "--home", home).code == 0
    answer = desk.json(
        "protect", desk.picture(), "--out", desk.out, "--home", home,
        "--database", f"sqlite:///{database}",
    )  # fmt: skip

    assert answer.code == 0
    assert database.exists()
    assert not (home / "audit.sqlite3").exists()


def test_impossible_setting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_SIGN_SECONDS", "soon")

    answer = desk.json("audit", "list")

    assert answer.code == Exit.CONFIGURATION
    assert "GUARD_SIGN_SECONDS" in answer.row["error"]["message"]
    assert answer.row["error"]["hint"]


def test_unknown_policy(desk: Desk) -> None:
    answer = desk.json("screen", PROMPT, "--policy", "lenient")

    assert answer.code == Exit.CONFIGURATION
    assert answer.row["error"]["code"] == "policy_invalid"
    assert "default" in answer.row["error"]["hint"]


@pytest.mark.parametrize(
    "args", [("fly",), ("screen", "--wings"), ("generate", PROMPT, "--count", "x")]
)
def test_usage_errors(desk: Desk, args: tuple[str, ...]) -> None:
    answer = desk(*args)

    assert answer.code == Exit.USAGE
    assert answer.stdout == ""
    assert answer.stderr


def _raiser(error: BaseException) -> typer.Typer:
    own = typer.Typer()

    def fail(run: object) -> None:
        """Fails."""
        raise error

    command(own, "fail")(fail)
    own.callback()(lambda: None)
    return own


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidImage("x", hint="y"), 2),
        (errors.DuplicateRequest("x", hint="y"), 2),
        (errors.KeyInvalid("x", hint="y"), 4),
        (errors.LogTampered("x", hint="y"), 5),
        (errors.AuditUnavailable("x", hint="y"), 6),
        (errors.StageTimeout("x", hint="y"), 6),
        (errors.MarkRejected("x", hint="y"), 1),
        (ZeroDivisionError("division"), 70),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_become_exit_codes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    monkeypatch.setattr("guard.cli.main.app", _raiser(error))

    answer = desk("fail")

    assert answer.code == code
    assert answer.stdout == ""
    if isinstance(error, GuardError):
        assert "error: x" in answer.stderr
        assert "→ y" in answer.stderr


def test_bug_shows_its_traceback_when_asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.cli.main.app", _raiser(ZeroDivisionError("division")))
    plain = desk("fail")
    monkeypatch.setenv("GUARD_DEBUG", "1")
    telling = desk("fail")

    assert "Traceback" not in plain.stderr
    assert "GUARD_DEBUG=1" in plain.stderr
    assert "Traceback" in telling.stderr


def test_every_error_has_an_exit_code_of_its_own_kind() -> None:
    kinds = [
        one for one in vars(errors).values() if isinstance(one, type) and one is not GuardError
    ]
    kinds = [one for one in kinds if issubclass(one, GuardError)]

    assert kinds
    assert all(of_error(kind("x")) is not Exit.BUG for kind in kinds)
    assert of_error(GuardError("x")) is Exit.BUG
    assert of_row_error(errors.InvalidImage("x")) is Exit.FINDING
    assert of_row_error(errors.AuditUnavailable("x")) is Exit.UNAVAILABLE


def test_most_urgent_code_wins() -> None:
    order = [Exit(code) for code in (70, 5, 6, 4, 2, 3, 1, 0)]

    for index, code in enumerate(order):
        assert worst(reversed(order[index:])) is code
    assert set(order) == set(Exit)
    assert worst([]) is Exit.DONE


def test_terminal_that_cannot_write_a_character_gets_its_escape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = [TextIOWrapper(BytesIO(), "ascii") for _ in range(2)]
    monkeypatch.setattr("sys.stdout", streams[0])
    monkeypatch.setattr("sys.stderr", streams[1])
    monkeypatch.setattr(main, "app", lambda: print("caf\u00e9 \udcff"))  # noqa: T201

    main.run()

    streams[0].flush()
    assert streams[0].buffer.getvalue() == b"caf\\xe9 \\udcff\n"  # type: ignore[attr-defined]
