"""What was cut off is ended, what nobody decided, too; what lives or is held is left alone."""

from __future__ import annotations

import dataclasses
import os
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from guard.assemble import tidy
from guard.audit import reap as reap_module
from guard.audit.log import SqlAuditLog
from guard.audit.query import acts, show
from guard.audit.reap import expire, longest_run, reap
from guard.audit.review import access
from guard.audit.review.decisions import approve, reject
from guard.audit.review.held import HeldPictures
from guard.audit.vault import holds
from guard.audit.verify import verify_log
from guard.errors import (
    AuditUnavailable,
    DuplicateRequest,
    InvalidRequest,
    LogTampered,
    OutputUnwritable,
    RecordNotFound,
)
from guard.settings import Settings
from guard.types import Act, Event, SignedAsset
from tests.support.auditing import new_record_id, pictured, started
from tests.support.house import FLAGGED, House

HOUR = timedelta(hours=1)


def begin(log: SqlAuditLog, ago: timedelta = timedelta(0), **facts: object) -> str:
    record_id = new_record_id()
    log.start(started(record_id, at=datetime.now(UTC) - ago, **facts), prompt="p", user=None)
    return record_id


def last(log: SqlAuditLog, record_id: str) -> str:
    return show(log, record_id)[-1].record.event.value


def test_how_far_a_start_up_looks_back(log: SqlAuditLog) -> None:
    ancient, old, young = begin(log, 9 * HOUR), begin(log, 2 * HOUR), begin(log)
    assert len(reap(log, HOUR, within=3 * HOUR)) == 1
    assert [last(log, one) for one in (ancient, old, young)] == ["started", "abandoned", "started"]
    assert len(reap(log, HOUR)) == 1


def test_what_ends_meanwhile_is_left_alone(
    log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and closing the run's own last write came first."""
    record_id, other = begin(log, 2 * HOUR), begin(log, 2 * HOUR)
    real = log.run

    def late(job: object) -> object:
        if isinstance(job, reap_module.End):
            monkeypatch.setattr(log, "run", real)
            log.finish(pictured(record_id))
        return real(job)  # type: ignore[arg-type]

    monkeypatch.setattr(log, "run", late)
    assert len(reap(log, HOUR)) == 1
    assert (last(log, record_id), last(log, other)) == ("released", "abandoned")
    assert verify_log(log).ok


def test_no_living_run_is_as_old_as_that() -> None:
    """The most pictures at once, every stage at its limit, each asked as often as it is."""
    seconds = {f"{one}_seconds": 1.0 for one in ("prompt", "generate", "classify", "watermark")}
    settings = Settings(**seconds, sign_seconds=1.0, audit_seconds=1.0)  # type: ignore[arg-type]
    assert longest_run(settings) > timedelta(seconds=1 + 1 + 2 + 64 * (1 + 3 + 5 + 4))
    assert longest_run(Settings(reap_seconds=90)) == timedelta(seconds=90)


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "hint"),
    [
        (Event.STARTED, "under way, or was cut off"),
        (Event.RELEASED, "what became of it"),
        (Event.BLOCKED, "what became of it"),
        (Event.FAILED, "nothing left. Ask again under a new key"),
        (Event.ABANDONED, "nothing left. Ask again under a new key"),
    ],
)
def test_a_repeated_key_says_what_the_first_came_to(
    log: SqlAuditLog, outcome: Event, hint: str
) -> None:
    record_id = begin(log, 2 * HOUR, idempotency_key="k", tenant="t")
    if outcome is Event.ABANDONED:
        log.reap(HOUR)
    elif outcome is not Event.STARTED:
        log.finish(pictured(record_id, outcome, idempotency_key="k", tenant="t"))
    with pytest.raises(DuplicateRequest) as caught:
        begin(log, idempotency_key="k", tenant="t")
    assert caught.value.record_id == record_id
    assert caught.value.outcome == outcome.value
    assert hint in caught.value.hint
    assert record_id in caught.value.hint
    begin(log, idempotency_key="k", tenant="other")


def test_a_spent_key_stays_spent_and_a_new_one_works(house: House) -> None:
    """From the front door: the client learns the record, and asks again under another key."""

    def die(_: object) -> None:
        raise SystemExit

    house.generator.on_draw = die
    house.generate(idempotency_key="order-1")
    house.generator.on_draw = lambda _: None
    with pytest.raises(DuplicateRequest) as caught:
        house.generate(idempotency_key="order-1")
    assert caught.value.outcome == "failed"
    assert house.files() == []
    assert house.generate(idempotency_key="order-1-again").status == "released"


# -- reviews ---------------------------------------------------------------------------------------


def hold(log: SqlAuditLog, held: HeldPictures, ago: timedelta, user: str | None = None) -> str:
    record_id, at = new_record_id(), datetime.now(UTC) - ago
    log.start(started(record_id, at=at), prompt="p", user=user)
    record = pictured(record_id, Event.HELD, at=at)
    log.finish(record)
    asset = SignedAsset(b"picture", "image/png", record.asset_sha256 or "", "l", "c")
    held.keep(record_id, asset)
    return record_id


def test_a_review_that_nobody_held_in_time_is_a_block(log: SqlAuditLog, tmp_path: Path) -> None:
    held = HeldPictures(tmp_path)
    old, young = hold(log, held, 31 * 24 * HOUR), hold(log, held, 29 * 24 * HOUR)
    assert expire(log, held, 30 * 24 * HOUR, within=HOUR) == ()
    (receipt,) = expire(log, held, 30 * 24 * HOUR)
    ended = show(log, old)[-1]
    assert ended.receipt == receipt
    assert (ended.record.event, ended.record.reviewer) == (Event.BLOCKED, "policy")
    assert ended.record.reasons[-1] == "review_expired"
    assert [one.record_id for one in held.list()] == [young]
    assert expire(log, held, 30 * 24 * HOUR) == ()
    with pytest.raises(InvalidRequest, match="does not wait"):
        approve(log, held, old, "dana")


def test_what_is_under_legal_hold_stays_to_be_seen(log: SqlAuditLog, tmp_path: Path) -> None:
    held = HeldPictures(tmp_path)
    record_id = hold(log, held, 31 * 24 * HOUR)
    holds.place(log, record_id, who="dana", reason="case-1")
    assert expire(log, held, HOUR) == ()
    assert held.find(record_id)
    holds.lift(log, record_id, who="dana", reason="case-1")
    assert len(expire(log, held, HOUR)) == 1


def test_so_does_what_belongs_to_a_person_under_hold(house: House) -> None:
    log, held = house.log, HeldPictures(house.home)
    outcome = house.generate(FLAGGED, user="ann")
    holds.place(log, holds.Person("ann"), who="dana", reason="case-2")
    assert expire(log, held, timedelta(0)) == ()
    assert held.find(outcome.record_id)


# -- at start --------------------------------------------------------------------------------------


def test_a_guard_ends_at_its_start_what_was_cut_off(house: House) -> None:
    age = longest_run(Settings())
    old, young = begin(house.log, age + HOUR), begin(house.log, age - HOUR)
    waiting = hold(house.log, HeldPictures(house.home), 31 * 24 * HOUR)
    tidy(house.policy, Settings(reap_at_start=False), house.rooms)
    assert last(house.log, old) == "started"
    tidy(house.policy, Settings(), house.rooms)
    assert [last(house.log, one) for one in (old, young)] == ["abandoned", "started"]
    assert last(house.log, waiting) == "blocked"


def test_a_start_looks_once_an_hour(house: House) -> None:
    settings, age = Settings(home=house.home), longest_run(Settings())
    tidy(house.policy, settings, house.rooms)
    cut = begin(house.log, age + HOUR)
    tidy(house.policy, settings, house.rooms)
    assert last(house.log, cut) == "started"
    for wrong in (-3601, +60):
        at = time.time() + wrong
        os.utime(house.home / "reaped", (at, at))
        tidy(house.policy, settings, house.rooms)
        assert last(house.log, cut) == "abandoned"
        cut = begin(house.log, age + HOUR)


def test_a_start_does_not_need_the_database(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It will be needed soon enough."""

    def gone(*_: object, **__: object) -> None:
        raise AuditUnavailable("gone")

    monkeypatch.setattr(reap_module, "reap", gone)
    tidy(house.policy, Settings(), house.rooms)


# -- who looked at what ----------------------------------------------------------------------------


def test_looking_is_recorded_before_anything_is_shown(house: House) -> None:
    outcome = house.generate(FLAGGED)
    held = HeldPictures(house.home)
    seen = access.view(house.log, held, outcome.record_id, "dana")
    assert seen.picture == held.take(outcome.record_id)
    (viewed,) = acts(house.log, act=Act.VIEWED)
    assert viewed.receipt == seen.receipt
    assert (viewed.act.who, viewed.act.about) == ("dana", outcome.record_id)
    approve(house.log, held, outcome.record_id, "dana")
    with pytest.raises(InvalidRequest, match="does not wait"):
        access.view(house.log, held, outcome.record_id, "dana")


def test_nothing_is_shown_that_was_not_recorded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome, held = house.generate(FLAGGED), HeldPictures(house.home)

    def gone(*_: object) -> None:
        raise AuditUnavailable("gone")

    monkeypatch.setattr(house.log, "act", gone)
    with pytest.raises(AuditUnavailable):
        access.view(house.log, held, outcome.record_id, "dana")


def test_what_cannot_be_looked_at(house: House) -> None:
    outcome, held = house.generate(FLAGGED), HeldPictures(house.home)
    with pytest.raises(InvalidRequest, match="name"):
        access.view(house.log, held, outcome.record_id, " ")
    with pytest.raises(RecordNotFound):
        access.view(house.log, held, new_record_id(), "dana")
    other = house.generate(FLAGGED, seed=2)
    held.discard(outcome.record_id)
    asset = SignedAsset(b"another", "image/png", sha256(b"another").hexdigest(), "l", "c")
    held.keep(outcome.record_id, asset)
    with pytest.raises(LogTampered, match="not the one on record"):
        access.view(house.log, held, outcome.record_id, "dana")
    held.discard(other.record_id)
    with pytest.raises(RecordNotFound):
        access.view(house.log, held, other.record_id, "dana")
    assert acts(house.log) == []


def test_exports_and_reports_are_recorded(log: SqlAuditLog) -> None:
    record_id = begin(log)
    access.record_export(log, "dana", "jsonl")
    access.record_report(log, record_id, "dana", "ncmec:1")
    said = [(one.act.act, one.act.reason, one.act.about) for one in acts(log)]
    assert said == [(Act.REPORTED, "ncmec:1", record_id), (Act.EXPORTED, "export:jsonl", None)]
    with pytest.raises(RecordNotFound):
        access.record_report(log, new_record_id(), "dana", "ncmec:1")
    with pytest.raises(InvalidRequest):
        access.record_export(log, "", "jsonl")


def test_a_picture_that_cannot_be_removed_is_said(
    log: SqlAuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldPictures(tmp_path)
    record_id = hold(log, held, 31 * 24 * HOUR)

    def full(_: str) -> None:
        raise OutputUnwritable("no")

    monkeypatch.setattr(held, "discard", full)
    with pytest.raises(OutputUnwritable):
        expire(log, held, HOUR)
    assert last(log, record_id) == "blocked"  # and no reviewer can release it any more


def test_a_review_that_is_decided_meanwhile_keeps_its_decision(
    log: SqlAuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldPictures(tmp_path)
    record_id = hold(log, held, 31 * 24 * HOUR)
    waiting = show(log, record_id)[-1].record
    real = log.run

    def late(job: object) -> object:
        if isinstance(job, reap_module.End):
            monkeypatch.setattr(log, "run", real)
            log.finish(dataclasses.replace(waiting, event=Event.RELEASED, reviewer="dana"))
        return real(job)  # type: ignore[arg-type]

    monkeypatch.setattr(log, "run", late)
    assert expire(log, held, HOUR) == ()
    assert last(log, record_id) == "released"
    assert held.find(record_id)  # the reviewer delivers it


def test_what_is_rejected_under_legal_hold_is_kept_until_it_is_lifted(
    log: SqlAuditLog, tmp_path: Path
) -> None:
    held = HeldPictures(tmp_path)
    record_id, other = hold(log, held, HOUR), hold(log, held, HOUR)
    holds.place(log, record_id, who="dana", reason="case-1")
    reject(log, held, record_id, "dana")
    reject(log, held, other, "dana")
    assert [one.record_id for one in held.list()] == [record_id]
    with pytest.raises(InvalidRequest, match="does not wait"):
        approve(log, held, record_id, "dana")
    expire(log, held, 9 * HOUR)
    assert held.find(record_id)
    holds.lift(log, record_id, who="dana", reason="case-1")
    expire(log, held, 9 * HOUR)
    assert held.list() == ()


def test_a_damaged_quarantine_does_not_stop_the_rest(log: SqlAuditLog, tmp_path: Path) -> None:
    held = HeldPictures(tmp_path)
    record_id = hold(log, held, 31 * 24 * HOUR)
    (tmp_path / "held" / f"{new_record_id()}.json").write_text("{")
    assert len(expire(log, held, HOUR)) == 1
    assert last(log, record_id) == "blocked"
