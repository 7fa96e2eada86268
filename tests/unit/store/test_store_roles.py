"""PostgreSQL: what each of the documented roles may do, and what nobody may."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from guard.audit.log import SqlAuditLog
from guard.audit.query import show
from guard.audit.verify import verify_log
from guard.errors import AuditUnavailable
from guard.store.engine import open_store
from tests.support.auditing import (
    NO_POSTGRES,
    POSTGRES_VARIABLE,
    fresh_postgres,
    started,
    write_released,
)

SQL = Path(__file__).parents[3] / "docs" / "how-to" / "postgresql-roles.sql"
ROLES = ("reader", "auditor", "writer", "investigator", "eraser")
APPEND_ONLY = ("audit_leaf", "audit_tile", "mark_id", "picture_blocks", "own_list_change")

pytestmark = pytest.mark.postgres


@dataclass(frozen=True, slots=True)
class Server:
    """A log whose roles are set up; their names begin with ``prefix``."""

    url: str
    prefix: str

    def as_role(self, role: str) -> str:
        """The URL of an account that has this role only."""
        from sqlalchemy import make_url

        url = make_url(self.url)
        options = f"{url.query['options']} -crole={self.prefix}_{role}"
        return url.update_query_dict({"options": options}).render_as_string(hide_password=False)

    def run(self, role: str, sql: str) -> Any:
        """Run a statement as a role; its first row, if it has any."""
        import psycopg
        from sqlalchemy import make_url

        url = make_url(self.as_role(role)).set(drivername="postgresql")
        options = str(url.query["options"])  # libpq reads no plus sign as a space
        plain = url.difference_update_query(["options"]).render_as_string(hide_password=False)
        with psycopg.connect(plain, options=options) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchone() if cursor.description else None


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if not os.environ.get(POSTGRES_VARIABLE):
        pytest.skip(NO_POSTGRES)
    import psycopg
    from sqlalchemy import make_url

    with fresh_postgres() as url:
        log = SqlAuditLog(open_store(url))
        for _ in range(2):
            write_released(log)
        log.store.close()
        schema = make_url(url).query["options"].partition("search_path=")[2]
        prefix = f"t{secrets.token_hex(4)}"
        script = SQL.read_text().replace("genguard_", f"{prefix}_")
        script = script.replace("SCHEMA public", f"SCHEMA {schema}")
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            for role in ROLES:
                connection.execute(f"CREATE ROLE {prefix}_{role}")
            connection.execute(script)
        yield Server(url, prefix)
        with psycopg.connect(plain, autocommit=True) as connection:
            for role in reversed(ROLES):
                connection.execute(f"DROP OWNED BY {prefix}_{role}")
                connection.execute(f"DROP ROLE {prefix}_{role}")


def _denied(server: Server, role: str, sql: str, said: str = "denied|must be owner") -> None:
    import psycopg

    with pytest.raises(psycopg.Error, match=said):
        server.run(role, sql)


def test_the_writer_writes(server: Server) -> None:
    log = SqlAuditLog(open_store(server.as_role("writer"), create=False))
    record, receipt = write_released(log)
    assert show(log, record.record_id)[-1].receipt == receipt
    assert verify_log(log).ok
    log.store.close()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_nobody_changes_what_was_written(server: Server, role: str, table: str) -> None:
    _denied(server, role, f"DELETE FROM {table}")  # noqa: S608
    _denied(server, role, f"TRUNCATE {table}")
    _denied(server, role, f"ALTER TABLE {table} DISABLE TRIGGER ALL")


@pytest.mark.parametrize("role", ROLES)
def test_nobody_moves_the_head_back(server: Server, role: str) -> None:
    _denied(server, role, "DELETE FROM audit_head")
    _denied(server, role, "UPDATE audit_head SET size = 0", "denied|only grows")
    _denied(server, role, "UPDATE audit_leaf SET model = 'x'")
    _denied(server, role, "SET session_replication_role = replica")


@pytest.mark.parametrize("role", ["reader", "auditor"])
def test_readers_read_and_cannot_write(server: Server, role: str) -> None:
    store = open_store(server.as_role(role), create=False)
    with store.read() as reader:
        assert reader.head().size >= 4
    with pytest.raises(AuditUnavailable, match="denied"):
        SqlAuditLog(store).start(started(), prompt="p", user=None)
    store.close()


@pytest.mark.parametrize("table", ["commitment_salt", "vault_entry", "vault_subject", "vault_key"])
def test_readers_see_nothing_personal(server: Server, table: str) -> None:
    for role in ("reader", "auditor"):
        _denied(server, role, f"SELECT * FROM {table}")  # noqa: S608
    assert server.run("investigator", f"SELECT count(*) FROM {table}")[0] >= 0  # noqa: S608


def test_the_auditor_verifies(server: Server) -> None:
    store = open_store(server.as_role("auditor"), create=False)
    check = verify_log(store)
    assert check.ok, check.problems
    store.close()


def test_only_the_eraser_removes_what_is_personal(server: Server) -> None:
    gone = "DELETE FROM commitment_salt WHERE record_id = (SELECT min(record_id) FROM audit_leaf)"
    for role in ("writer", "investigator", "auditor"):
        _denied(server, role, gone)
    server.run("eraser", gone)


def test_every_table_is_given_to_somebody(server: Server) -> None:
    """A new table must be thought of: the reader's list is written by hand."""
    from sqlmodel import SQLModel

    personal = {"commitment_salt", "vault_subject", "vault_key", "vault_entry"}
    personal |= {"vault_erasure", "vault_doomed"}
    text = SQL.read_text()
    for name in set(SQLModel.metadata.tables) - personal:
        assert name in text, f"say in {SQL.name} who may read {name}"
