"""The schema: migrations and models say the same, and the triggers hold the fence."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_store_engine import append

from guard.store.engine import Store
from guard.store.migrate import REVISION

_SAME_EVENT_AT_A_NEW_PLACE = (
    "INSERT OR REPLACE INTO audit_leaf SELECT log_id, 2, leaf, leaf_hash, record_id, event, "
    "at_us, origin, tenant, action, stage, rules, categories, policy, policy_digest, model, "
    "mark, fingerprint, asset_sha256, manifest_sha256, idempotency_key, reviewer, about, subject "
    "FROM audit_leaf WHERE leaf_index = 0"
)


@pytest.fixture
def raw(store: Store, database: Path) -> Iterator[sqlite3.Connection]:
    """Two rows, and a connection of someone who may write to the file."""
    append(store, "r", "started")
    append(store, "r", "released")
    with store.write() as writer:
        writer.add_mark("00" * 8, "r")
        writer.add_blocks("r", b"blocks")
    connection = sqlite3.connect(database, isolation_level=None)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_leaf SET model = 'x'",
        "UPDATE audit_leaf SET leaf = leaf",
        "DELETE FROM audit_leaf",
        "DELETE FROM audit_leaf WHERE leaf_index = 1",
        "UPDATE audit_head SET size = 1",
        "UPDATE audit_head SET root = zeroblob(32)",
        "UPDATE audit_head SET log_id = 'x', size = size + 1",
        "DELETE FROM audit_head",
        "INSERT INTO audit_head VALUES ('other', 0, zeroblob(32), x'')",
        "INSERT OR REPLACE INTO audit_head SELECT log_id, 9, root, frontier FROM audit_head",
        "UPDATE mark_id SET record_id = 'x'",
        "DELETE FROM mark_id",
        "INSERT OR REPLACE INTO mark_id VALUES ('0000000000000000', 'x')",
        "UPDATE picture_blocks SET blocks = x'00'",
        "DELETE FROM picture_blocks",
        "INSERT OR REPLACE INTO picture_blocks VALUES ('r', '', x'00')",
        # REPLACE removes rows without firing DELETE triggers.
        "INSERT OR REPLACE INTO audit_leaf SELECT * FROM audit_leaf WHERE leaf_index = 0",
        "REPLACE INTO audit_leaf SELECT * FROM audit_leaf WHERE leaf_index = 1",
        _SAME_EVENT_AT_A_NEW_PLACE,
        "UPDATE OR REPLACE audit_leaf SET leaf_index = 0 WHERE leaf_index = 1",
    ],
)
def test_triggers_refuse(raw: sqlite3.Connection, sql: str) -> None:
    before = raw.execute("SELECT * FROM audit_leaf").fetchall()
    with pytest.raises(sqlite3.IntegrityError, match=r"append-only|only grows|one log|next leaf"):
        raw.execute(sql)
    assert raw.execute("SELECT * FROM audit_leaf").fetchall() == before


@pytest.mark.parametrize("place", [1, 3, 99])
def test_only_the_next_leaf_is_taken(raw: sqlite3.Connection, place: int) -> None:
    columns = [row[1] for row in raw.execute("PRAGMA table_info(audit_leaf)")]
    values = ["'s'" if name == "record_id" else name for name in columns]
    values[columns.index("leaf_index")] = str(place)
    copy = f"INSERT INTO audit_leaf SELECT {', '.join(values)} FROM audit_leaf LIMIT 1"  # noqa: S608
    with pytest.raises(sqlite3.IntegrityError, match="next leaf"):
        raw.execute(copy)
    values[columns.index("leaf_index")] = "2"
    raw.execute(f"INSERT INTO audit_leaf SELECT {', '.join(values)} FROM audit_leaf LIMIT 1")  # noqa: S608


def test_migrations_make_what_the_models_say(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlmodel import SQLModel

    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_the_revision_is_the_newest_step() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import guard.store.migrations as package

    config = Config()
    config.set_main_option("script_location", str(Path(package.__file__ or "").parent))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_every_step_can_be_imported() -> None:
    folder = Path(__file__).parents[3] / "guard" / "store" / "migrations" / "versions"
    for file in folder.glob("r*.py"):
        step = importlib.import_module(f"guard.store.migrations.versions.{file.stem}")
        assert step.revision == file.stem.split("_")[0]


def test_the_first_step_stands_by_itself(tmp_path: Path) -> None:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from sqlalchemy import create_engine, inspect

    from guard.store.migrations.versions import r0001_first_tables as step

    engine = create_engine(f"sqlite:///{tmp_path}/x.sqlite3")
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        step.upgrade()
        assert "audit_leaf" in inspect(connection).get_table_names()
    engine.dispose()


def test_opening_a_current_database_does_not_load_alembic(database: Path, store: Store) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from guard.store.engine import open_store; open_store(sys.argv[1]).close(); "
        "sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, f"sqlite:///{database}"], check=True)


def test_long_logs_append_without_scanning(raw: sqlite3.Connection) -> None:
    """The insert trigger looks the last index up; a scan would make a log slower with its age."""
    plan = raw.execute(
        "EXPLAIN QUERY PLAN SELECT COALESCE(MAX(leaf_index) + 1, 0) FROM audit_leaf "
        "WHERE log_id = 'x'"
    ).fetchall()
    assert all("SEARCH" in step[3] and "INDEX" in step[3] for step in plan)
