"""Sixteen processes write to one log: contiguous, nothing lost or doubled, nobody waits for long.

CI appends 100 rows a process, ``make nightly`` 300 (GUARD_TEST_APPENDS).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.auditing import NO_POSTGRES, POSTGRES_VARIABLE, fresh_postgres

ROOT = Path(__file__).parents[2]
PROCESSES = 16
APPENDS = int(os.environ.get("GUARD_TEST_APPENDS", "100"))

LONGEST_MS = 1_000
USUAL_RATE = 250
"""Appends a second on an idle machine; on a slower or busier one waits are that much longer."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/audit.sqlite3"
        return
    if not os.environ.get(POSTGRES_VARIABLE):
        pytest.skip(NO_POSTGRES)
    with fresh_postgres() as fresh:
        yield fresh


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sixteen_processes_write_one_log(url: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.crowd_run", url, f"--appends={APPENDS}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=880,
    )
    assert ran.stdout, ran.stderr[-2000:]
    result = json.loads(ran.stdout)
    assert result["ok"]
    assert result["rows"] == PROCESSES * APPENDS
    slow = max(1.0, USUAL_RATE / result["appends_per_second"])
    assert result["longest_ms"] < LONGEST_MS * slow, result
