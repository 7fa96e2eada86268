"""Acts: what somebody did about records, in the same tree."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from uuid6 import uuid7

from guard.audit.acts import ActLeaf, new_act, parse, to_leaf
from guard.audit.log import SqlAuditLog
from guard.audit.query import acts, list_records, show
from guard.audit.report.statistics import count
from guard.audit.verify import verify_log
from guard.errors import AuditUnavailable, LogTampered, RecordNotFound
from guard.types import Act, AuditAct
from tests.support.auditing import new_record_id, started

SUBJECT = "5e" * 32
FIXED = AuditAct(
    act_id="0199b2c4-0000-7000-8000-000000000001",
    act=Act.DECRYPTED,
    at=datetime(2026, 11, 24, 12, 0, 0, 250, tzinfo=UTC),
    who="Dana",
    reason="case-4711",
    about="0199b2c4-0000-7000-8000-000000000002",
    subject=SUBJECT,
    details=(("field", "prompt"),),
)
GOLDEN = (
    b'{"about":"0199b2c4-0000-7000-8000-000000000002","act":"decrypted",'
    b'"act_id":"0199b2c4-0000-7000-8000-000000000001","at":"2026-11-24T12:00:00.000250Z",'
    b'"details":{"field":"prompt"},"log":"log-1","reason":"case-4711",'
    b'"subject":"5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e","v":1,"who":"Dana"}'
)


def begin(log: SqlAuditLog) -> str:
    record_id = new_record_id()
    log.start(started(record_id), prompt="a lighthouse", user="u")
    return record_id


def test_the_bytes_of_an_act_are_frozen() -> None:
    assert to_leaf(ActLeaf(FIXED, "log-1")) == GOLDEN
    assert parse(GOLDEN) == ActLeaf(FIXED, "log-1")


@pytest.mark.parametrize(
    "changed",
    [
        GOLDEN.replace(b'"v":1', b'"v":2'),
        GOLDEN.replace(b"decrypted", b"released"),
        GOLDEN.replace(b'"who":"Dana"', b'"who":"Dana","more":1'),
        GOLDEN.replace(b'"log"', b' "log"'),
        GOLDEN.replace(b'"who":"Dana"', b'"who":""'),
        GOLDEN[:-1],
        b"[]",
    ],
)
def test_another_leaf_is_not_an_act(changed: bytes) -> None:
    with pytest.raises(LogTampered):
        parse(changed)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("who", " "),
        ("who", "two\nlines"),
        ("reason", "a whole sentence"),
        ("reason", ""),
        ("subject", "dana@example.org"),
        ("about", "not-a-record"),
        ("act_id", "0199B2C4-0000-7000-8000-000000000001"),
        ("details", (("field", "what was asked for"),)),
        ("details", (("b", "1"), ("a", "2"))),
        ("details", (("a", "1"), ("a", "2"))),
    ],
)
def test_what_is_no_identifier_is_not_recorded(log: SqlAuditLog, name: str, value: object) -> None:
    act = dataclasses.replace(FIXED, **({"about": None} | {name: value}))
    with pytest.raises((AuditUnavailable, RecordNotFound)) as raised:
        log.act(act)
    assert str(value) not in str(raised.value) or name == "about" or not str(value).strip()
    assert acts(log) == []


def test_acts_stand_beside_records(log: SqlAuditLog) -> None:
    record_id = begin(log)
    viewed = new_act(Act.VIEWED, "dana", "case-1", about=record_id)
    erased = new_act(Act.ERASED, "dana", "case-2", subject=SUBJECT, details=(("records", "3"),))
    receipts = [log.act(viewed), log.act(erased)]
    assert [one.index for one in receipts] == [1, 2]
    assert [one.act for one in acts(log)] == [erased, viewed]
    assert [one.receipt for one in acts(log, about=record_id)] == [receipts[0]]
    assert [one.act for one in acts(log, subject=SUBJECT)] == [erased]
    assert [one.act for one in acts(log, act=Act.VIEWED)] == [viewed]
    assert acts(log, act=Act.APPEALED) == acts(log, subject="00" * 32) == []
    assert acts(log, until=viewed.at) == []
    assert [one.act for one in acts(log, since=erased.at, limit=1)] == [erased]
    assert [one.record.record_id for one in list_records(log)] == [record_id]
    assert sum(count(log).events.values()) == 1
    assert verify_log(log).problems == ()
    with pytest.raises(RecordNotFound):
        show(log, viewed.act_id)


def test_an_act_about_an_unknown_record_is_refused(log: SqlAuditLog) -> None:
    with pytest.raises(RecordNotFound):
        log.act(new_act(Act.VIEWED, "dana", "case-1", about=str(uuid7())))
    assert verify_log(log).records == 0


def test_nothing_follows_an_act(log: SqlAuditLog) -> None:
    act = new_act(Act.VIEWED, "dana", "case-1")
    log.act(act)
    with pytest.raises(AuditUnavailable):
        log.start(started(act.act_id), prompt="", user=None)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_leaf SET about = 'other' WHERE leaf_index = 1",
        "UPDATE audit_leaf SET subject = NULL WHERE leaf_index = 1",
        "UPDATE audit_leaf SET reviewer = 'eve' WHERE leaf_index = 1",
        "UPDATE audit_leaf SET event = 'expired' WHERE leaf_index = 1",
        "UPDATE audit_leaf SET event = 'released' WHERE leaf_index = 1",
    ],
)
def test_a_changed_column_is_seen(log: SqlAuditLog, vandal: Callable[..., None], sql: str) -> None:
    record_id = begin(log)
    log.act(new_act(Act.ERASED, "dana", "case-2", about=record_id, subject=SUBJECT))
    assert verify_log(log).ok
    vandal(sql)
    check = verify_log(log)
    assert (check.ok, check.first_bad) == (False, 1)
