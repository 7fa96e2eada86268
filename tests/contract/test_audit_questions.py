"""Questions, counts and appeals answer alike on every database."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from guard.audit.log import SqlAuditLog
from guard.audit.query import full_id, list_records, show
from guard.audit.report.periods import Step
from guard.audit.report.statistics import Statistics, count
from guard.audit.review.appeals import appeal, decide, open_appeals
from guard.errors import InvalidRequest
from guard.store import search
from guard.types import Action, Event, Score, Stage
from tests.support.auditing import new_record_id, pictured, started

BEGIN = datetime(2025, 11, 23, 12, tzinfo=UTC)
GORE = Score("gore", 0.9, 0.5, "clip", "")


def end(log: SqlAuditLog, event: Event, hour: int, **facts: object) -> str:
    record_id, at = new_record_id(), BEGIN + timedelta(hours=hour)
    names = {"tenant": facts.get("tenant")}
    log.start(started(record_id, at=at, **names), prompt="x", user=None)
    make = pictured if event in {Event.RELEASED, Event.HELD} else started
    log.finish(make(record_id, event=event, at=at + timedelta(seconds=9), **facts))
    return record_id


@pytest.fixture
def ids(log: SqlAuditLog) -> list[str]:
    blocked = {"stage": Stage.PROMPT, "rules": ("real_people",), "action": Action.BLOCK}
    found = [
        end(log, Event.RELEASED, 0, tenant="a"),
        end(log, Event.BLOCKED, 1, tenant="b", **blocked),
        end(log, Event.BLOCKED, 30, tenant="a", scores=(GORE,), rules=("gore",), model="m"),
        end(log, Event.HELD, 31, tenant="a", rules=("real_people",)),
    ]
    held = show(log, found[3])[-1].record
    at = held.at + timedelta(minutes=2)
    log.finish(dataclasses.replace(held, event=Event.RELEASED, at=at, reviewer="dana"))
    return found


def indexes(log: SqlAuditLog, **narrow: object) -> list[int]:
    return [entry.index for entry in list_records(log, **narrow)]  # type: ignore[arg-type]


@pytest.mark.parametrize("few", [0, 20_000])
def test_questions(
    log: SqlAuditLog, ids: list[str], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW", few)
    assert indexes(log) == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert indexes(log, rule="real_people") == [8, 7, 3]
    assert indexes(log, rule="realXpeople") == []
    assert indexes(log, rule="real_people", tenant="a", event="held") == [7]
    assert indexes(log, category="gore") == [5]
    assert indexes(log, model="m", action="allow", stage=None) == [5]
    assert indexes(log, action="block", stage="prompt") == [3]
    assert indexes(log, policy="abab" * 16) == indexes(log, policy="default")
    assert indexes(log, tenant="b", since=BEGIN, until=BEGIN + timedelta(hours=2)) == [3, 2]
    assert indexes(log, since=BEGIN + timedelta(hours=31), limit=2) == [8, 7]
    assert indexes(log, event="started", before=4) == [2, 0]
    assert indexes(log, records=ids[:2], event="blocked") == [3]
    assert indexes(log, record_id=ids[2][:-3]) == [5, 4]
    assert full_id(log, ids[2][:-1].upper()) == ids[2]
    record = list_records(log, record_id=ids[0])[0].record
    assert record.mark is not None
    assert indexes(log, mark=record.mark.payload) == [1]
    assert indexes(log, asset_sha256=record.asset_sha256) == [1]


def shown(found: Statistics) -> dict[str, object]:
    return {
        "events": {name: rows for name, rows in found.events.items() if rows},
        "days": [(one.begin.day, dict(one.counts)) for one in found.over_time],
        "rules": [(one.name, one.blocked, one.held, one.granted) for one in found.rules],
        "categories": [(one.name, one.blocked) for one in found.categories],
        "reviews": (found.reviews.approved, found.reviews.waiting, found.reviews.median_s),
        "open": found.open_appeals,
    }


def test_appeals_and_counts(log: SqlAuditLog, ids: list[str]) -> None:
    appeal(log, ids[1], who="dana", reason="case-1")
    appeal(log, ids[2], who="dana", reason="case-2")
    with pytest.raises(InvalidRequest, match="open already"):
        appeal(log, ids[1], who="dana", reason="case-1")
    assert [one.block.record.record_id for one in open_appeals(log)] == ids[1:3]
    decide(log, ids[2], granted=True, who="erin", reason="art")
    with pytest.raises(InvalidRequest, match="wrong already"):
        appeal(log, ids[2], who="dana", reason="case-2")
    until = BEGIN + timedelta(days=2)
    assert shown(count(log, until=until, step=Step.DAY)) == {
        "events": {"started": 4, "released": 2, "blocked": 2, "held": 1},
        "days": [
            (23, {"started": 2, "released": 1, "blocked": 1}),
            (24, {"started": 2, "blocked": 1, "held": 1, "released": 1}),
            (25, {}),
        ],
        "rules": [("real_people", 1, 1, 0), ("gore", 1, 0, 0)],
        "categories": [("gore", 1)],
        "reviews": (1, 0, 120.0),
        "open": 1,
    }
    everything = count(log)
    assert all("appealed" not in one.counts for one in everything.over_time)
    assert {one.name: one.granted for one in everything.rules} == {"real_people": 0, "gore": 1}
    assert count(log, tenant="b").acts["appealed"] == 1
    assert count(log, tenant="b").open_appeals == 1
    assert count(log, tenant="a").open_appeals == 0
