"""A store on a fresh SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

# Alembic runs steps under names of its own; coverage counts them once they have their real one.
import guard.store.migrations.versions.r0001_first_tables
import guard.store.migrations.versions.r0002_own_lists
import guard.store.migrations.versions.r0003_picture_blocks
import guard.store.migrations.versions.r0004_manifest_repository  # noqa: F401
from guard.store.engine import Store, open_store


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "audit.sqlite3"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{database}")
    yield opened
    opened.close()
