"""Writers are killed at random moments: what was acknowledged is there, and nothing else left.

CI kills whole generations a hundred times, `make nightly` 500 times (GUARD_TEST_KILLS).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.auditing import NO_POSTGRES, POSTGRES_VARIABLE, fresh_postgres

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("GUARD_TEST_KILLS", "100"))


@pytest.fixture
def postgres() -> Iterator[str]:
    if not os.environ.get(POSTGRES_VARIABLE):
        pytest.skip(NO_POSTGRES)
    with fresh_postgres() as url:
        yield url


def _killed(home: Path, times: int, *more: str) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.kill_run", str(home), f"--times={times}", *more],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=280 + 3 * times,
    )
    assert ran.stdout, ran.stderr[-2000:]
    result: dict[str, Any] = json.loads(ran.stdout)
    assert result["lost"] == []
    assert result["unrecorded_files"] == []
    assert result["problems"] == []
    assert result["kills"] == times
    assert result["acknowledged"] > 0
    return result


@pytest.mark.slow
@pytest.mark.timeout(3 * KILLS + 300)
def test_generations_that_are_killed(tmp_path: Path) -> None:
    result = _killed(tmp_path / "home", KILLS)
    assert result["released_files"] > 0
    assert result["reaped"] > 0


@pytest.mark.slow
@pytest.mark.timeout(3 * KILLS + 300)
def test_crowded_writers_that_are_killed(tmp_path: Path) -> None:
    assert _killed(tmp_path / "home", KILLS // 4, "--work=appends")["reaped"] > 0


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(3 * KILLS + 300)
def test_crowded_writers_on_postgresql_that_are_killed(postgres: str, tmp_path: Path) -> None:
    more = ("--work=appends", f"--database={postgres}")
    assert _killed(tmp_path / "home", KILLS // 4, *more)["reaped"] > 0
