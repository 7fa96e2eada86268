"""The contract of an audit log, on SQLite and on PostgreSQL."""

from __future__ import annotations

import dataclasses
import io
import re
import secrets
import traceback
from datetime import UTC, datetime, timedelta

import pytest

from guard.audit.base import AuditLog
from guard.audit.export import export_csv, export_jsonl
from guard.audit.log import SqlAuditLog
from guard.audit.query import list_records, show
from guard.audit.report.periods import Step
from guard.audit.report.statistics import count
from guard.audit.verify import verify_log
from guard.errors import AuditUnavailable, DuplicateRequest, GuardError
from guard.store.engine import open_store
from guard.types import AuditReceipt, AuditRecord, Event, Fingerprint, Mark, Origin, Stage
from tests.support.auditing import new_record_id, pictured, started, write_released

ENDS = [Event.RELEASED, Event.BLOCKED, Event.FAILED, Event.ABANDONED]


def begin(log: AuditLog, **facts: object) -> str:
    record_id = new_record_id()
    log.start(started(record_id, **facts), prompt="a lighthouse", user="user-1")
    return record_id


def test_it_is_an_audit_log(log: SqlAuditLog) -> None:
    as_protocol: AuditLog = log
    assert re.fullmatch(r"genguard-[0-9a-f]{16}", as_protocol.log_id)


def test_receipts_say_where_a_row_is(log: SqlAuditLog) -> None:
    record_id = new_record_id()
    first = log.start(started(record_id), prompt="x", user=None)
    second = log.finish(pictured(record_id))
    assert (first.index, second.index) == (0, 1)
    assert first.log_id == second.log_id == log.log_id
    assert re.fullmatch(r"[0-9a-f]{64}", first.leaf_hash)
    assert [entry.receipt for entry in show(log, record_id)] == [first, second]


def test_records_come_back_as_they_went_in(log: SqlAuditLog) -> None:
    record_id = begin(log, tenant="müller", idempotency_key="schlüssel", origin=Origin.EDITED)
    record = pictured(record_id, tenant="müller", seed=2**63 - 1, stage=Stage.SIGN)
    log.finish(record)
    assert show(log, record_id)[1].record == record
    begun = show(log, record_id)[0].record
    assert begun.tenant == "müller"
    assert begun.prompt_commitment != begun.user_commitment
    assert log.confirm(record_id, prompt="a lighthouse", user="user-1")


@pytest.mark.parametrize("end", ENDS)
def test_a_record_ends_once(log: SqlAuditLog, end: Event) -> None:
    record_id = begin(log)
    log.finish(started(record_id, event=end))
    for again in (*ENDS, Event.HELD):
        with pytest.raises(AuditUnavailable, match=f"last event is '{end}'"):
            log.finish(started(record_id, event=again))
    with pytest.raises(AuditUnavailable, match=f"last event is '{end}'"):
        log.start(started(record_id), prompt="x", user=None)
    assert len(show(log, record_id)) == 2


def test_a_record_starts_once(log: SqlAuditLog) -> None:
    record_id = begin(log)
    with pytest.raises(AuditUnavailable, match="last event is 'started'"):
        log.start(started(record_id), prompt="x", user=None)


@pytest.mark.parametrize("event", [*ENDS, Event.HELD])
def test_what_never_started_cannot_go_on(log: SqlAuditLog, event: Event) -> None:
    with pytest.raises(AuditUnavailable, match="never started"):
        log.finish(started(event=event))
    assert list_records(log) == []


@pytest.mark.parametrize("end", [Event.RELEASED, Event.BLOCKED])
def test_what_is_held_is_released_or_blocked(log: SqlAuditLog, end: Event) -> None:
    record_id = begin(log)
    held = pictured(record_id, Event.HELD)
    log.finish(held, manifest=b"m")
    for wrong in (Event.HELD, Event.FAILED, Event.ABANDONED):
        with pytest.raises(AuditUnavailable, match="last event is 'held'"):
            log.finish(dataclasses.replace(held, event=wrong))
    log.finish(dataclasses.replace(held, event=end, reviewer="dana"))
    assert [entry.record.event for entry in show(log, record_id)] == [
        Event.STARTED,
        Event.HELD,
        end,
    ]
    assert verify_log(log).ok


@pytest.mark.parametrize(
    "change",
    [
        {"mark": Mark("genguard-pilot-1", "ff" * 8, 40.0)},
        {"fingerprint": Fingerprint("pdq", "ff" * 32)},
        {"asset_sha256": "ff" * 32},
        {"manifest_label": "urn:other"},
        {"certificate_fingerprint": "ff" * 32},
        {"mark": None},
    ],
)
def test_what_is_released_is_what_was_held(log: SqlAuditLog, change: dict[str, object]) -> None:
    record_id = begin(log)
    held = pictured(record_id, Event.HELD)
    log.finish(held)
    with pytest.raises(AuditUnavailable, match="not that of the picture that was held"):
        log.finish(dataclasses.replace(held, event=Event.RELEASED, **change))  # type: ignore[arg-type]


def test_idempotency_keys_are_used_once_a_tenant(log: SqlAuditLog) -> None:
    record_id = begin(log, tenant="a", idempotency_key="order-1")
    with pytest.raises(DuplicateRequest, match=record_id):
        begin(log, tenant="a", idempotency_key="order-1")
    begin(log, tenant="b", idempotency_key="order-1")
    begin(log, idempotency_key="order-1")
    with pytest.raises(DuplicateRequest):
        begin(log, idempotency_key="order-1")
    begin(log, tenant="a", idempotency_key="order-2")
    begin(log, tenant="a")
    begin(log, tenant="a")
    assert verify_log(log).ok


def test_marks_lead_to_their_record(log: SqlAuditLog) -> None:
    record, _ = write_released(log)
    write_released(log)
    assert record.mark is not None
    for payload in (record.mark.payload, record.mark.payload.upper()):
        found = log.find_by_mark(payload)
        assert found is not None
        assert found.record == record
        assert found.manifest == b"manifest of " + record.record_id.encode()
    assert log.find_by_mark(secrets.token_hex(8)) is None
    assert log.find_by_mark("") is None


def test_a_record_without_a_manifest_is_found_too(log: SqlAuditLog) -> None:
    record_id = begin(log)
    record = pictured(record_id)
    log.finish(record)
    assert record.mark is not None
    found = log.find_by_mark(record.mark.payload)
    assert found is not None
    assert found.manifest is None


def test_a_mark_has_one_record(log: SqlAuditLog) -> None:
    record, _ = write_released(log)
    other = begin(log)
    with pytest.raises(AuditUnavailable, match=record.record_id):
        log.finish(pictured(other, mark=record.mark))
    assert len(show(log, other)) == 1
    assert verify_log(log).ok


def test_mark_ids_are_eight_random_bytes(log: SqlAuditLog) -> None:
    drawn = {log.new_mark_id() for _ in range(20)}
    assert len(drawn) == 20
    assert {len(one) for one in drawn} == {8}


def _flip(bits: str, count: int) -> str:
    return f"{int(bits, 16) ^ ((1 << count) - 1):064x}"


@pytest.mark.parametrize(
    ("distance", "limit", "found"), [(0, 0, True), (31, 31, True), (32, 31, False)]
)
def test_fingerprints_lead_to_the_nearest(
    log: SqlAuditLog, distance: int, limit: int, found: bool
) -> None:
    record, _ = write_released(log)
    write_released(log)
    assert record.fingerprint is not None
    near = Fingerprint("pdq", _flip(record.fingerprint.bits, distance))
    answer = log.find_by_fingerprint(near, limit)
    if found:
        assert answer is not None
        assert answer[0].record == record
        assert answer[1] == distance
    else:
        assert answer is None


def test_several_fingerprints_of_a_picture(log: SqlAuditLog) -> None:
    other = Fingerprint("io.iscc.v0", "5a" * 32)
    record, _ = write_released(log, other_fingerprints=(other,))
    write_released(log)
    near = Fingerprint("io.iscc.v0", _flip(other.bits, 9))
    found = log.find_similar([near, Fingerprint("pdq", "00" * 32)], 31)
    assert [(one.stored.record, one.distance, one.asked) for one in found] == [(record, 9, 0)]
    assert log.find_by_manifest(record.manifest_label or "") is not None
    assert verify_log(log).ok


def test_no_fingerprint_in_an_empty_log(log: SqlAuditLog) -> None:
    assert log.find_by_fingerprint(Fingerprint("pdq", "00" * 32), 256) is None


def test_a_found_record_shows_its_last_event(log: SqlAuditLog) -> None:
    record_id = begin(log)
    held = pictured(record_id, Event.HELD)
    log.finish(held, manifest=b"m")
    released = dataclasses.replace(held, event=Event.RELEASED, reviewer="dana")
    assert held.mark is not None
    assert held.fingerprint is not None
    for last in (held, released):
        found = log.find_by_mark(held.mark.payload)
        assert found is not None
        assert found.record == last
        near = log.find_by_fingerprint(held.fingerprint, 0)
        assert near is not None
        assert near[0].record == last
        assert near[0].manifest == b"m"
        if last is held:
            log.finish(released)


def test_what_is_written_is_there_after_reopening(log_url: str) -> None:
    store = open_store(log_url)
    record, receipt = write_released(SqlAuditLog(store))
    store.close()
    again = open_store(log_url, create=False)
    log = SqlAuditLog(again)
    assert log.log_id == receipt.log_id
    assert show(log, record.record_id)[1].receipt == receipt
    assert verify_log(log).records == 2
    again.close()


def test_a_log_is_not_made_where_one_was_expected(log_url: str) -> None:
    with pytest.raises(AuditUnavailable, match="no audit log"):
        open_store(log_url, create=False)
    open_store(log_url).close()
    open_store(log_url, create=False).close()


def test_what_cannot_be_recorded_leaves_nothing(log: SqlAuditLog) -> None:
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        begin(log, rules=("what the user typed",))
    record_id = begin(log)
    with pytest.raises(AuditUnavailable, match="cannot be written"):
        log.finish(pictured(record_id, reasons=("what the user typed",)), manifest=b"m")
    assert [entry.index for entry in list_records(log)] == [0]
    log.finish(pictured(record_id))
    assert verify_log(log).ok


def test_reports_work_on_every_database(log: SqlAuditLog) -> None:
    at = datetime(2026, 11, 23, 23, 59, 59, 999_999, tzinfo=UTC)
    record_id = begin(log, at=at, tenant="a")
    log.finish(
        started(
            record_id,
            event=Event.BLOCKED,
            at=at + timedelta(microseconds=1),
            tenant="a",
            stage=Stage.PROMPT,
            rules=("real_people", "x%"[:1]),
        )
    )
    write_released(log)
    assert [e.index for e in list_records(log, tenant="a")] == [1, 0]
    assert [e.index for e in list_records(log, rule="real_people")] == [1]
    assert list_records(log, rule="real%") == []
    assert [e.index for e in list_records(log, until=at + timedelta(microseconds=1))] == [0]
    days = {f"{one.begin:%m-%d}": one.counts for one in count(log, step=Step.DAY).over_time}
    assert days["11-23"] == {"started": 1}
    assert days["11-24"]["blocked"] == 1
    assert export_jsonl(log, io.StringIO()) == export_csv(log, io.StringIO()) == 4
    assert log.reap(timedelta(0)) == ()


def test_reaping_works_on_every_database(log: SqlAuditLog) -> None:
    record_id = begin(log, at=datetime.now(UTC) - timedelta(hours=1))
    begin(log)
    assert [receipt.index for receipt in log.reap(timedelta(minutes=30))] == [2]
    assert show(log, record_id)[-1].record.event is Event.ABANDONED
    assert verify_log(log).ok


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_leaf SET model = 'x'",
        "DELETE FROM audit_leaf",
        "UPDATE audit_leaf SET leaf = leaf, leaf_hash = leaf_hash WHERE leaf_index = 0",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET size = size",
        "UPDATE audit_head SET size = 0",
        "INSERT INTO audit_head SELECT 'other', size, root, frontier FROM audit_head",
        "DELETE FROM mark_id",
        "UPDATE mark_id SET record_id = 'x'",
    ],
)
def test_triggers_refuse_to_change_what_is_written(log: SqlAuditLog, sql: str) -> None:
    write_released(log)
    with pytest.raises(AuditUnavailable) as caught:
        run_sql(log, sql)
    assert re.search(r"append-only|only grows|one log", caught.value.message)
    assert "audit verify" in caught.value.hint or "one log" in caught.value.message
    assert verify_log(log).ok


def run_sql(log: SqlAuditLog, sql: str) -> None:
    """As the log's own database user, through the log's own connection."""
    from sqlalchemy import text

    with log.store.write() as writer:
        writer._connection.execute(text(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "TRUNCATE audit_leaf",
        "TRUNCATE audit_head",
        "TRUNCATE mark_id",
        "SET LOCAL session_replication_role = replica; DELETE FROM audit_leaf",
    ],
)
def test_postgresql_has_more_ways_which_are_refused_too(log: SqlAuditLog, sql: str) -> None:
    if log.store.dialect != "postgresql":
        assert "TRUNCATE" in sql or "replica" in sql  # SQLite has neither
        return
    write_released(log)
    with pytest.raises(AuditUnavailable, match="append-only"):
        run_sql(log, sql)
    assert verify_log(log).ok


def test_migrations_make_what_the_models_say(log: SqlAuditLog) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlmodel import SQLModel

    with log.store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_commits_are_durable(log: SqlAuditLog) -> None:
    from sqlalchemy import text

    settings = {
        "sqlite": ("PRAGMA synchronous", 2),
        "postgresql": ("SHOW synchronous_commit", "on"),
    }
    question, answer = settings[log.store.dialect]
    with log.store._engine.connect() as connection:
        assert connection.execute(text(question)).scalar() == answer


def test_tampering_is_found_on_every_database(log: SqlAuditLog) -> None:
    from sqlalchemy import text

    for _ in range(3):
        write_released(log)
    with log.store.write() as writer:
        connection = writer._connection
        if log.store.dialect == "sqlite":
            connection.execute(text("DROP TRIGGER audit_leaf_update"))
        else:
            connection.execute(text("ALTER TABLE audit_leaf DISABLE TRIGGER audit_leaf_update"))
        connection.execute(text("UPDATE audit_leaf SET model = 'x' WHERE leaf_index = 3"))
    check = verify_log(log)
    assert not check.ok
    assert check.first_bad == 3
    assert check.problems == ("Row 3: not what the leaf says: model.",)


def test_errors_never_show_what_was_written(log: SqlAuditLog) -> None:
    from sqlalchemy import text

    secret = "s3cret-value"
    with pytest.raises(GuardError) as caught, log.store.write() as writer:
        writer._connection.execute(text("INSERT INTO nowhere VALUES (:x)"), {"x": secret})
    assert secret not in caught.value.diagnostics()
    shown = "".join(traceback.format_exception(caught.value))
    assert secret not in shown.replace(f'secret = "{secret}"', "")


def test_receipts_are_for_releases(log: SqlAuditLog) -> None:
    """What a caller holds is enough to find the row again, and the row is what was said."""
    record, receipt = write_released(log)
    assert isinstance(receipt, AuditReceipt)
    entry = next(e for e in list_records(log) if e.index == receipt.index)
    assert isinstance(entry.record, AuditRecord)
    assert entry.record == record
