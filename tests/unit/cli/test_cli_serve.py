"""``guard serve``: what it says before it answers, and what it says instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from guard.cli.exits import Exit

from guard.errors import Unavailable
from guard.server import build
from tests.support.desk import Desk


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the service was started with; it returns at once."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(build, "serve", lambda *asked: calls.append(asked))
    return calls


def test_it_says_where_it_answers(
    desk: Desk, furnished: Path, listened: list[tuple[Any, ...]]
) -> None:
    answer = desk.json("serve", "--port", 9999)
    assert answer.code == Exit.DONE
    assert answer.rows == [
        {
            "url": "http://127.0.0.1:9999",
            "api": "http://127.0.0.1:9999/v1",
            "openapi": "http://127.0.0.1:9999/openapi.json",
        }
    ]
    assert listened[0][1:] == ("127.0.0.1", 9999)


def test_what_cannot_be_served(
    desk: Desk, furnished: Path, monkeypatch: pytest.MonkeyPatch, listened: list[tuple[Any, ...]]
) -> None:
    monkeypatch.setenv("GUARD_SERVER_TOKEN", "short")
    assert desk("serve").code == Exit.CONFIGURATION
    monkeypatch.delenv("GUARD_SERVER_TOKEN")
    assert desk("serve", "--port", "0").code == Exit.USAGE

    def missing(*_: object) -> None:
        raise Unavailable("fastapi is missing.", hint="pip install 'genguard[server]'")

    monkeypatch.setattr(build, "build_app", missing)
    answer = desk("serve")
    assert answer.code == Exit.UNAVAILABLE
    assert "genguard[server]" in answer.stderr
    assert listened == []


def test_a_home_without_a_log(desk: Desk, listened: list[tuple[Any, ...]]) -> None:
    assert desk("serve").code == Exit.UNAVAILABLE
    assert listened == []
