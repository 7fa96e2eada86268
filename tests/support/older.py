"""Databases as earlier versions made them: at any step of the schema, with rows of today's log.

    python -m tests.support.older          writes the golden databases that are missing

A golden database is a dump of a small SQLite log at one step. It is written once, when its step
is new, and never again: what stands in it must be readable for ever. That of the first steps was
made later, of the same leaves, whose format is the same since version 1.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, create_engine, insert, select

import guard.store.migrate
from guard.audit.log import SqlAuditLog
from guard.store.engine import open_store
from guard.store.url import parse_url
from guard.types import Action, Event, Fingerprint, Mark
from tests.support.auditing import pictured, started

GOLDEN = Path(__file__).parents[1] / "golden"
FACTS = GOLDEN / "facts.json"
"""What every golden database holds: the log's id, its root, and the hashes of its leaves."""

_STEPS = Path(guard.store.migrate.__file__).parent / "migrations" / "versions"
REVISIONS = sorted(file.name.split("_")[0] for file in _STEPS.glob("r*.py"))
GOLDEN_REVISIONS = sorted(file.stem for file in GOLDEN.glob("r*.sql"))

_IDS = [f"01934a7e-0000-7000-8000-00000000000{n}" for n in range(3)]


def make(url: str, revision: str, rows: Path) -> None:
    """A database at ``revision`` in the place of ``url``, with the rows of a SQLite log.

    Tables and columns that this step does not have are left out.
    """
    engine = create_engine(parse_url(url).url)
    with engine.begin() as connection:
        _upgrade(connection, revision)
        _copy(rows, connection)
    engine.dispose()


def put_back(database: Path, revision: str) -> None:
    """Replace a closed SQLite log with what it would be at an earlier step."""
    older = database.with_name(f"{revision}.sqlite3")
    make(f"sqlite:///{older}", revision, database)
    for end in ("-wal", "-shm"):
        database.with_name(database.name + end).unlink(missing_ok=True)
    older.replace(database)


def load(revision: str, database: Path) -> None:
    """The golden database of a step, as a SQLite file."""
    connection = sqlite3.connect(database)
    connection.executescript((GOLDEN / f"{revision}.sql").read_text())
    connection.close()


def facts() -> dict[str, Any]:
    """What every golden database holds."""
    return dict(json.loads(FACTS.read_text()))


def _upgrade(connection: Connection, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_STEPS.parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _copy(rows: Path, target: Connection) -> None:
    source = create_engine(f"sqlite:///{rows}")
    old, new = MetaData(), MetaData()
    with source.connect() as connection:
        old.reflect(connection)
        new.reflect(target)
        for name in sorted(set(old.tables) & set(new.tables) - {"alembic_version"}):
            there, here = old.tables[name], new.tables[name]
            shared = [column.name for column in here.columns if column.name in there.columns]
            order = there.c.leaf_index if "leaf_index" in there.c else next(iter(there.columns))
            found = connection.execute(select(*[there.c[one] for one in shared]).order_by(order))
            for row in found.mappings().fetchall():
                target.execute(insert(here), dict(row))
    source.dispose()


def _write_log(database: Path) -> None:
    """Three records: released, blocked, and held until a reviewer released it."""
    log = SqlAuditLog(open_store(f"sqlite:///{database}"))
    mark, print_ = Mark("genguard-pilot-1", "00" * 7 + "01", 42.5), Fingerprint("pdq", "5a" * 32)
    for record_id in _IDS:
        log.start(started(record_id, tenant="tenant"), prompt="a lighthouse", user="user-1")
    log.finish(
        pictured(_IDS[0], mark=mark, fingerprint=print_, manifest_label="urn:c2pa:golden"),
        manifest=b"manifest",
    )
    log.finish(started(_IDS[1], event=Event.BLOCKED, action=Action.BLOCK, rules=("a.rule",)))
    held = pictured(_IDS[2], Event.HELD)
    log.finish(held)
    log.finish(dataclasses.replace(held, event=Event.RELEASED, reviewer="reviewer"))
    log.store.close()


def _note_facts(database: Path) -> None:
    connection = sqlite3.connect(database)
    log_id, root = connection.execute("SELECT log_id, hex(root) FROM audit_head").fetchone()
    leaves = connection.execute("SELECT hex(leaf) FROM audit_leaf ORDER BY leaf_index").fetchall()
    connection.close()
    found = {"log_id": log_id, "root": root.lower(), "leaves": [one.lower() for (one,) in leaves]}
    FACTS.write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Write what is missing, of the same leaves."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.sqlite3"
        if GOLDEN_REVISIONS:
            load(GOLDEN_REVISIONS[-1], rows)
        else:
            _write_log(rows)
            _note_facts(rows)
        for revision in sorted(set(REVISIONS) - set(GOLDEN_REVISIONS)):
            made = Path(folder) / f"{revision}.sqlite3"
            make(f"sqlite:///{made}", revision, rows)
            connection = sqlite3.connect(made)
            dump = "\n".join(connection.iterdump())
            connection.close()
            (GOLDEN / f"{revision}.sql").write_text(dump + "\n")


if __name__ == "__main__":
    main()
