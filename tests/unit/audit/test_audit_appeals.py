"""Appeals: who may dispute what, who may decide, and what the log says of it."""

from __future__ import annotations

import threading

import pytest

from guard.audit.log import SqlAuditLog
from guard.audit.query import acts, show
from guard.audit.review.appeals import By, appeal, decide, open_appeals
from guard.audit.verify import verify_log
from guard.errors import AuditUnavailable, InvalidRequest, RecordNotFound
from guard.types import Act, Event
from tests.support.auditing import new_record_id, pictured, started, write_released


def block(log: SqlAuditLog, **facts: object) -> str:
    record_id = new_record_id()
    log.start(started(record_id), prompt="x", user="user-1")
    log.finish(started(record_id, event=Event.BLOCKED, rules=("gore",), **facts))
    return record_id


def steps(log: SqlAuditLog, record_id: str) -> list[Act]:
    return [one.act.act for one in acts(log, about=record_id)][::-1]


@pytest.mark.parametrize("granted", [True, False])
def test_an_appeal_is_made_and_decided(log: SqlAuditLog, granted: bool) -> None:
    record_id = block(log)
    made = appeal(log, record_id, who="dana", reason="case-4711")
    (waiting,) = open_appeals(log)
    assert waiting.appeal.receipt == made
    assert waiting.by is By.USER
    assert waiting.block.record.rules == ("gore",)
    decided = decide(log, record_id, granted=granted, who="erin", reason="art")
    assert decided.index == made.index + 1
    assert open_appeals(log) == []
    assert steps(log, record_id) == [
        Act.APPEALED, Act.APPEAL_GRANTED if granted else Act.APPEAL_DENIED,
    ]  # fmt: skip
    assert show(log, record_id)[-1].record.event is Event.BLOCKED, "what happened, happened"
    assert verify_log(log).ok


def test_only_what_was_blocked_can_be_disputed(log: SqlAuditLog) -> None:
    released, _ = write_released(log)
    begun = new_record_id()
    log.start(started(begun), prompt="x", user=None)
    for record_id in (released.record_id, begun):
        with pytest.raises(InvalidRequest, match="only a block"):
            appeal(log, record_id, who="dana", reason="art")
        assert steps(log, record_id) == []
    with pytest.raises(RecordNotFound):
        appeal(log, new_record_id(), who="dana", reason="art")
    with pytest.raises(RecordNotFound):
        appeal(log, "ffff", who="dana", reason="art")
    with pytest.raises(InvalidRequest, match="No record id"):
        appeal(log, "x", who="dana", reason="art")


def test_one_appeal_is_open_at_a_time(log: SqlAuditLog) -> None:
    record_id = block(log)
    with pytest.raises(InvalidRequest, match="no open appeal"):
        decide(log, record_id, granted=True, who="erin", reason="art")
    appeal(log, record_id, who="dana", reason="case-1")
    with pytest.raises(InvalidRequest, match="open already"):
        appeal(log, record_id, who="frank", reason="case-2")
    decide(log, record_id, granted=False, who="erin", reason="right")
    with pytest.raises(InvalidRequest, match="no open appeal"):
        decide(log, record_id, granted=True, who="erin", reason="art")
    appeal(log, record_id, who="dana", reason="case-3")  # a new case
    decide(log, record_id, granted=True, who="erin", reason="art")
    with pytest.raises(InvalidRequest, match="found wrong already"):
        appeal(log, record_id, who="dana", reason="case-4")
    assert len(steps(log, record_id)) == 4


def test_nobody_decides_on_their_own_appeal(log: SqlAuditLog) -> None:
    record_id = block(log)
    appeal(log, record_id, who="Dana Ä", reason="art", by=By.STAFF)
    assert open_appeals(log)[0].by is By.STAFF
    for name in ("Dana Ä", " dana  ä ", "DANA A\u0308"):
        with pytest.raises(InvalidRequest, match="somebody else"):
            decide(log, record_id, granted=True, who=name, reason="art")
    decide(log, record_id, granted=True, who="Dana Äh", reason="art")


def test_who_writes_a_users_appeal_down_may_decide(log: SqlAuditLog) -> None:
    record_id = block(log)
    appeal(log, record_id, who="dana", reason="case-1", by=By.USER)
    decide(log, record_id, granted=True, who="dana", reason="art")


def test_who_blocked_after_a_review_does_not_decide(log: SqlAuditLog) -> None:
    record_id = new_record_id()
    log.start(started(record_id), prompt="x", user=None)
    log.finish(pictured(record_id, Event.HELD))
    record = show(log, record_id)[-1].record
    with pytest.raises(InvalidRequest, match="only a block"):
        appeal(log, record_id, who="frank", reason="art")
    log.finish(started(record_id, event=Event.BLOCKED, reviewer="dana", mark=record.mark))
    appeal(log, record_id, who="frank", reason="art")
    with pytest.raises(InvalidRequest, match="dana blocked it"):
        decide(log, record_id, granted=False, who="dana", reason="right")
    decide(log, record_id, granted=False, who="erin", reason="right")


@pytest.mark.parametrize("reason", ["", "a sentence about a user", "x\n", "ü"])
def test_reasons_are_codes(log: SqlAuditLog, reason: str) -> None:
    record_id = block(log)
    with pytest.raises(AuditUnavailable, match="reason"):
        appeal(log, record_id, who="dana", reason=reason)
    assert open_appeals(log) == []


@pytest.mark.parametrize("who", ["", "  "])
def test_somebody_acts(log: SqlAuditLog, who: str) -> None:
    record_id = block(log)
    with pytest.raises(InvalidRequest, match="name"):
        appeal(log, record_id, who=who, reason="art")
    appeal(log, record_id, who="dana", reason="art")
    with pytest.raises(InvalidRequest, match="name"):
        decide(log, record_id, granted=True, who=who, reason="art")


def test_of_two_who_decide_at_once_one_does(log: SqlAuditLog) -> None:
    record_id = block(log)
    appeal(log, record_id, who="dana", reason="art")
    said: list[str] = []

    def work(granted: bool) -> None:
        try:
            decide(log, record_id, granted=granted, who="erin", reason="art")
            said.append("done")
        except InvalidRequest:
            said.append("refused")

    threads = [threading.Thread(target=work, args=(one % 2 == 0,)) for one in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["done", *["refused"] * 5]
    assert len(steps(log, record_id)) == 2


def test_open_appeals_are_listed_oldest_first(log: SqlAuditLog) -> None:
    ids = [block(log) for _ in range(3)]
    for record_id in reversed(ids):
        appeal(log, record_id, who="dana", reason="art")
    assert [one.block.record.record_id for one in open_appeals(log)] == ids[::-1]
    assert len(open_appeals(log, limit=2)) == 2
