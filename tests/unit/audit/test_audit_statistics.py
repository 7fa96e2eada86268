"""Counts: over time, by what acted, of appeals and reviews."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from guard.audit.acts import new_act
from guard.audit.log import SqlAuditLog
from guard.audit.query import show
from guard.audit.report import periods
from guard.audit.report.periods import Step
from guard.audit.report.statistics import Disputed, count
from guard.errors import InvalidRequest
from guard.types import Act, Action, Event, Stage
from tests.support.auditing import new_record_id, pictured, started

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def end(log: SqlAuditLog, event: Event, at: datetime, **facts: object) -> str:
    """A record that ends so at that time, having started an hour earlier."""
    record_id = new_record_id()
    tenant = facts.get("tenant")
    log.start(started(record_id, at=at - HOUR, tenant=tenant), prompt="x", user=None)
    make = pictured if event in {Event.RELEASED, Event.HELD} else started
    log.finish(make(record_id, event=event, at=at, **facts))
    return record_id


@pytest.fixture
def story(log: SqlAuditLog) -> SqlAuditLog:
    end(log, Event.RELEASED, MONDAY, tenant="a")
    end(log, Event.RELEASED, MONDAY + 25 * HOUR, tenant="b", policy="strict")
    for hours in (1, 2):
        end(
            log,
            Event.BLOCKED,
            MONDAY + hours * HOUR,
            tenant="a",
            stage=Stage.PROMPT,
            rules=("people", "hate"),
            action=Action.BLOCK,
        )
    end(log, Event.BLOCKED, MONDAY + 49 * HOUR, tenant="b", stage=Stage.CLASSIFY, rules=("gore",))
    end(log, Event.FAILED, MONDAY + 3 * HOUR, tenant="b", stage=Stage.SIGN)
    return log


def test_events_are_counted_as_a_whole_and_over_time(story: SqlAuditLog) -> None:
    found = count(story, step=Step.DAY)
    assert found.events == {
        "started": 6, "released": 2, "blocked": 3, "held": 0, "failed": 1, "abandoned": 0,
    }  # fmt: skip
    assert found.block_rate == 3 / 5
    assert found.size == 12
    days = {f"{one.begin:%m-%d}": dict(one.counts) for one in found.over_time}
    assert days == {
        "11-23": {"started": 4, "released": 1, "blocked": 2, "failed": 1},
        "11-24": {"started": 1, "released": 1},
        "11-25": {"started": 1, "blocked": 1},
    }


def test_a_period_is_half_open_and_its_empty_steps_are_there(story: SqlAuditLog) -> None:
    until = MONDAY + 2 * HOUR
    found = count(story, since=MONDAY - 26 * HOUR, until=until, step=Step.DAY)
    assert found.events["blocked"] == 1
    assert [f"{one.begin:%m-%d}" for one in found.over_time] == ["11-22", "11-23"]
    assert found.over_time[0].counts == {}
    found = count(story, since=until, until=until + HOUR)
    assert found.events["blocked"] == 1
    assert [one.begin for one in found.over_time] == [until]


def test_weeks_begin_on_mondays(story: SqlAuditLog) -> None:
    found = count(story, step=Step.WEEK)
    assert [one.begin for one in found.over_time] == [datetime(2026, 11, 23, tzinfo=UTC)]
    sunday = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
    end(story, Event.RELEASED, sunday)
    begins = [one.begin.weekday() for one in count(story, step=Step.WEEK).over_time]
    assert begins == [0, 0]


@pytest.mark.parametrize(
    ("days", "step"),
    [(2, Step.HOUR), (3, Step.HOUR), (4, Step.DAY), (120, Step.DAY), (121, Step.WEEK)],
)
def test_the_step_fits_the_period(story: SqlAuditLog, days: int, step: Step) -> None:
    until = MONDAY + timedelta(days=3)
    found = count(story, since=until - timedelta(days=days), until=until)
    assert found.step is step


def test_too_many_steps_are_refused(story: SqlAuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "MOST_STEPS", 50)
    with pytest.raises(InvalidRequest, match="51 steps of one hour") as caught:
        count(story, step=Step.HOUR)
    assert "--step" not in caught.value.hint
    assert "--by" in caught.value.hint


def test_endings_are_counted_by_what_they_came_from(story: SqlAuditLog) -> None:
    found = count(story)
    assert found.by["stage"] == {
        "prompt": {"blocked": 2}, "classify": {"blocked": 1}, "sign": {"failed": 1},
    }  # fmt: skip
    assert found.by["model"] == {"demo-1": {"released": 2}}
    assert found.by["tenant"]["a"] == {"released": 1, "blocked": 2}
    assert [(one.name, one.counts) for one in found.policies] == [
        ("default", {"released": 1, "blocked": 3, "failed": 1}),
        ("strict", {"released": 1}),
    ]
    names = [one.name for one in found.rules]
    assert names == ["hate", "people", "gore"]


def test_of_one_tenant_only(story: SqlAuditLog) -> None:
    found = count(story, tenant="b")
    assert (found.events["released"], found.events["blocked"]) == (1, 1)
    assert list(found.by["tenant"]) == ["b"]
    assert [one.name for one in found.rules] == ["gore"]
    nobody = count(story, tenant="nobody")
    assert sum(nobody.events.values()) == 0
    assert nobody.over_time == ()


def test_disputes_are_counted_by_what_had_blocked(story: SqlAuditLog) -> None:
    blocked = end(story, Event.BLOCKED, MONDAY, tenant="a", rules=("hate",))
    gore = end(story, Event.BLOCKED, MONDAY, tenant="b", rules=("gore",))
    for record_id, last in ((blocked, Act.APPEAL_GRANTED), (gore, Act.APPEAL_DENIED)):
        story.act(new_act(Act.APPEALED, "erin", "case-1", about=record_id))
        story.act(new_act(last, "dana", "wrong", about=record_id))
    story.act(new_act(Act.APPEALED, "erin", "case-2", about=gore))
    story.act(new_act(Act.VIEWED, "erin", "case-2"))
    found = count(story)
    rules = {one.name: one for one in found.rules}
    assert rules["hate"] == Disputed("hate", blocked=3, appealed=1, granted=1)
    assert rules["hate"].wrong == 1 / 3
    assert rules["people"] == Disputed("people", blocked=2)
    assert rules["gore"] == Disputed("gore", blocked=2, appealed=2, denied=1)
    assert found.open_appeals == 1
    assert found.acts["appealed"] == 3
    assert found.acts["viewed"] == 1
    assert count(story, tenant="a").open_appeals == 0
    assert count(story, tenant="b").open_appeals == 1
    assert count(story, tenant="a").acts["appealed"] == 1
    before = count(story, until=MONDAY + 60 * HOUR)
    assert before.acts["appealed"] == (3 if datetime.now(UTC) < MONDAY + 60 * HOUR else 0)


def test_reviews_say_how_long_pictures_waited(log: SqlAuditLog) -> None:
    for minutes, event in enumerate((Event.RELEASED, Event.RELEASED, Event.BLOCKED), 1):
        record_id = end(log, Event.HELD, MONDAY, rules=("nude",))
        record = show(log, record_id)[-1].record
        at = MONDAY + timedelta(minutes=minutes)
        log.finish(dataclasses.replace(record, event=event, at=at, reviewer="dana"))
    end(log, Event.HELD, MONDAY)
    reviews = count(log).reviews
    assert (reviews.approved, reviews.rejected, reviews.waiting) == (2, 1, 1)
    assert (reviews.median_s, reviews.p90_s, reviews.longest_s) == (120.0, 180.0, 180.0)
    assert count(log, tenant="nobody").reviews.waiting == 0


def test_nothing_is_counted_as_nothing(log: SqlAuditLog) -> None:
    found = count(log)
    assert sum(found.events.values()) == 0
    assert found.block_rate is None
    assert found.over_time == found.rules == found.policies == ()
    assert found.reviews.median_s is None
    assert Disputed("x").wrong is None
