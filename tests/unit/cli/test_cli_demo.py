"""``guard demo`` with a fake generator: what the tour says, and where it leaves things."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from guard.cli.exits import Exit
from guard.cli.output import Output
from guard.cli.rows import marked_prompt
from rich.text import Text

from guard.types import Finding
from tests.support.desk import Desk


def test_tour(desk: Desk) -> None:
    answer = desk.json("demo")

    generate, refuse, verify, copy = answer.rows
    assert answer.code == 0
    assert (generate["status"], refuse["status"]) == ("released", "blocked")
    assert (verify["verdict"], copy["verdict"]) == ("trusted", "recovered")
    assert len(desk.generator.requests) == 1
    assert Path(generate["path"]).parent == Path("guard-demo")
    assert Path("guard-demo/home/keys/signing.key").is_file()


def test_tour_for_people_says_where_things_are(desk: Desk) -> None:
    answer = desk("demo", "--out", "tour")

    assert answer.code == 0
    for words in ("trusted", "recovered", "blocked", "tour/home", "guard audit list --home"):
        assert words in answer.stdout
    assert desk("demo", "--out", "tour").code == 0


def test_tour_in_a_home_of_ones_own(desk: Desk, furnished: Path) -> None:
    answer = desk("demo", "--home", furnished)

    assert answer.code == 0
    assert not Path("guard-demo/home").exists()


def test_tour_ends_where_generation_fails(desk: Desk) -> None:
    desk.detector.value = float("nan")

    answer = desk.json("demo")

    assert answer.code == Exit.UNAVAILABLE
    assert answer.row["status"] == "failed"
    assert desk("demo").code == Exit.UNAVAILABLE


def test_found_words_are_underlined() -> None:
    findings = tuple(Finding("r", "c", span, "", 1.0, "s", "e") for span in ((2, 5), (4, 7)))

    shown = Text.from_markup(marked_prompt("a [bad] one", findings))

    assert shown.plain == "a [bad] one"
    assert [(span.start, span.end) for span in shown.spans] == [(2, 4), (4, 5), (5, 7)]
    assert marked_prompt("plain", ()) == "plain"


class Terminal:
    """A stream that says that it is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing to do."""

    def isatty(self) -> bool:
        return True


def test_progress_is_shown_to_people_only(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal: Any = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    voice = Output(as_json=False)

    assert list(voice.track([1, 2, 3], "Counting")) == [1, 2, 3]
    with voice.working("Thinking"):
        pass

    assert "Counting" in terminal.text
    assert "Thinking" in terminal.text
    assert list(voice.track([1], "One")) == [1]
    assert "One" not in terminal.text
