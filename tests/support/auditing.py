"""What tests of the audit log share: records to write, and where to write them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from uuid6 import uuid7

# Alembic runs steps under names of its own; coverage counts them once they have their real one.
import guard.store.migrations.versions.r0001_first_tables
import guard.store.migrations.versions.r0002_own_lists
import guard.store.migrations.versions.r0003_picture_blocks
import guard.store.migrations.versions.r0004_manifest_repository
import guard.store.migrations.versions.r0005_acts
import guard.store.migrations.versions.r0006_vault
import guard.store.migrations.versions.r0007_outbox
import guard.store.migrations.versions.r0008_tiles
import guard.store.migrations.versions.r0009_questions
import guard.store.migrations.versions.r0010_banks
import guard.store.migrations.versions.r0011_revoke  # noqa: F401
from guard.audit.log import SqlAuditLog
from guard.types import (
    Action,
    AuditReceipt,
    AuditRecord,
    Event,
    Fingerprint,
    Mark,
    Score,
)

POSTGRES_VARIABLE = "GUARD_TEST_POSTGRES_URL"
NO_POSTGRES = (
    f"{POSTGRES_VARIABLE} is not set: run tests/support/with_postgres.sh pytest …, "
    "or name a server whose user may create schemas"
)


def new_record_id() -> str:
    return str(uuid7())


def started(record_id: str | None = None, **facts: object) -> AuditRecord:
    """A record as the pipeline opens it."""
    values: dict[str, object] = {
        "policy": "default",
        "policy_digest": "ab" * 32,
        "action": Action.ALLOW,
        "software": "genguard/test",
    }
    values |= facts
    return AuditRecord(  # type: ignore[arg-type]
        record_id=record_id or new_record_id(),
        event=values.pop("event", Event.STARTED),
        at=values.pop("at", datetime.now(UTC)),
        **values,
    )


def pictured(record_id: str, event: Event = Event.RELEASED, **facts: object) -> AuditRecord:
    """A record whose picture was made, marked and signed."""
    values: dict[str, object] = {
        "model": "demo-1",
        "seed": 7,
        "scores": (Score("nudity", 0.125, 0.5, "opennsfw", "cd" * 32),),
        "mark": Mark("genguard-pilot-1", secrets.token_hex(8), 42.5),
        "fingerprint": Fingerprint("pdq", secrets.token_hex(32)),
        "asset_sha256": secrets.token_hex(32),
        "media_type": "image/png",
        "manifest_label": "urn:c2pa:test",
        "certificate_fingerprint": "ef" * 32,
    }
    return started(record_id, event=event, **(values | facts))


def write_released(log: SqlAuditLog, **facts: object) -> tuple[AuditRecord, AuditReceipt]:
    """A record from start to release."""
    record_id = new_record_id()
    log.start(started(record_id), prompt="a lighthouse", user="user-1")
    record = pictured(record_id, **facts)
    return record, log.finish(record, manifest=b"manifest of " + record_id.encode())


@contextmanager
def fresh_postgres() -> Iterator[str]:
    """The URL of a new, empty schema on the test server; dropped afterwards.

    A schema is made in a moment; a database takes the server a checkpoint.
    """
    import psycopg
    from sqlalchemy import make_url

    url = make_url(os.environ[POSTGRES_VARIABLE])
    server = url.set(drivername="postgresql").render_as_string(hide_password=False)
    name = f"guard_test_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{name}"')
    try:
        chosen = url.update_query_dict({"options": f"-csearch_path={name}"})
        yield chosen.render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP SCHEMA "{name}" CASCADE')
