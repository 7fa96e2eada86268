"""Each contract of a log runs on every database that is supported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.audit.log import SqlAuditLog
from guard.store.engine import open_store
from tests.support.auditing import NO_POSTGRES, POSTGRES_VARIABLE, fresh_postgres


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)],
)
def log_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a place for a log where there is none yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/audit.sqlite3"
    elif POSTGRES_VARIABLE not in os.environ:
        pytest.skip(NO_POSTGRES)
    else:
        with fresh_postgres() as url:
            yield url


@pytest.fixture
def log(log_url: str) -> Iterator[SqlAuditLog]:
    store = open_store(log_url)
    yield SqlAuditLog(store)
    store.close()
