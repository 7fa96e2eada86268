"""Whatever is asked, and however the database goes about it: the answer is that of a plain scan."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.audit.acts import new_act
from guard.audit.log import SqlAuditLog
from guard.audit.query import Entry, iterate, list_records
from guard.store import search
from guard.store.engine import open_store
from guard.store.rows import Query
from guard.types import Act, Action, Event, Score, Stage
from tests.support.auditing import new_record_id, pictured, started

BEGIN = datetime(2025, 11, 23, tzinfo=UTC)
RULES = ("real_people", "real-people", "real", "x_y", "xay")
TENANTS = (None, "a", "b")
ENDS = (Event.RELEASED, Event.BLOCKED, Event.FAILED)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlAuditLog]:
    """Records of all kinds, with acts among them."""
    folder: Path = tmp_path_factory.mktemp("many")
    store = open_store(f"sqlite:///{folder}/audit.sqlite3")
    log, chance = SqlAuditLog(store), random.Random(4)  # noqa: S311 - a story, no secret
    for number in range(40):
        record_id, tenant = new_record_id(), chance.choice(TENANTS)
        at = BEGIN + timedelta(hours=chance.randrange(48))  # clocks differ: not in order
        policy = chance.choice(("default", "strict"))
        common: dict[str, Any] = {"tenant": tenant, "policy": policy, "at": at}
        log.start(started(record_id, **common), prompt="x", user=None)
        event = chance.choice(ENDS)
        facts: dict[str, Any] = {"model": chance.choice(("m", "m2")), **common}
        if event is Event.BLOCKED:
            facts |= {"rules": tuple(chance.sample(RULES, 2)), "action": Action.BLOCK}
            facts |= {"stage": chance.choice((Stage.PROMPT, Stage.CLASSIFY))}
            facts |= {"scores": (Score(chance.choice(RULES), 0.9, 0.5, "clip", ""),)}
        make = pictured if event is Event.RELEASED else started
        log.finish(make(record_id, event=event, **facts))
        if number % 5 == 0:
            log.act(new_act(Act.VIEWED, "dana", "case-1", about=record_id))
    yield log
    store.close()


@pytest.fixture(scope="module")
def everything(many: SqlAuditLog) -> list[Entry]:
    return list(iterate(many, Query()))


def holds(entry: Entry, asked: dict[str, Any]) -> bool:
    """Whether an entry is asked for, by what its leaf says."""
    record = entry.record
    over = {one.category for one in record.scores if one.value >= one.threshold}
    plain = all(
        getattr(record, name) == asked[name]
        for name in ("event", "action", "stage", "tenant", "model", "policy")
        if name in asked
    )
    return (
        plain
        and ("rule" not in asked or asked["rule"] in record.rules)
        and ("category" not in asked or asked["category"] in over)
        and ("since" not in asked or record.at >= asked["since"])
        and ("until" not in asked or record.at < asked["until"])
        and ("before" not in asked or entry.index < asked["before"])
    )


HOURS = st.integers(-1, 49).map(lambda hours: BEGIN + timedelta(hours=hours))
QUESTIONS = st.fixed_dictionaries(
    {},
    optional={
        "event": st.sampled_from(Event),
        "action": st.sampled_from(Action),
        "stage": st.sampled_from(Stage),
        "tenant": st.sampled_from(("a", "b", "c", "%")),
        "model": st.sampled_from(("m", "m2", "m_")),
        "policy": st.sampled_from(("default", "strict", "none")),
        "rule": st.sampled_from((*RULES, "%", "real%", "x")),
        "category": st.sampled_from((*RULES, "_")),
        "since": HOURS,
        "until": HOURS,
        "before": st.integers(0, 90),
    },
)


@settings(deadline=None, max_examples=100)
@given(asked=QUESTIONS, few=st.sampled_from((0, 5, 20_000)), limit=st.integers(1, 100))
def test_every_question_is_answered_as_a_scan_would(
    many: SqlAuditLog, everything: list[Entry], asked: dict[str, Any], few: int, limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "FEW", few)
        found = list_records(many, limit=limit, **asked)
    expected = [entry for entry in everything if holds(entry, asked)]
    assert [entry.index for entry in found] == [entry.index for entry in expected][:limit]


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({"rule": "real"}, "ix_audit_leaf_rules"),
        ({"category": "real"}, "ix_audit_leaf_categories"),
        ({"asset_sha256": "00" * 32}, "ix_audit_leaf_asset"),
        ({"records": ("x", "y")}, "ix_audit_leaf_record"),
        ({"between": ("0", "f")}, "ix_audit_leaf_record"),
        ({"mark": "00" * 8}, "ix_audit_leaf_record"),
        ({"about": "x"}, "ix_audit_leaf_about"),
        ({"subject": "x"}, "ix_audit_leaf_subject"),
        ({"tenant": "a"}, "ix_audit_leaf_tenant"),
        ({"event": "failed"}, "ix_audit_leaf_event"),
        ({"since_us": 0}, "ix_audit_leaf_at"),
        ({"model": "m"}, "sqlite_autoindex_audit_leaf_1"),  # in the log's order
        ({}, "sqlite_autoindex_audit_leaf_1"),
        ({"rule": "real", "tenant": "a", "since_us": 0}, "ix_audit_leaf_rules"),
        ({"tenant": "a", "event": "failed", "since_us": 0}, "ix_audit_leaf_tenant"),
    ],
)
def test_an_index_leads_to_what_is_asked_for(
    many: SqlAuditLog, asked: dict[str, Any], index: str
) -> None:
    """Without this, listing a log of a million rows takes seconds."""
    query = Query(events=tuple(Event), **asked)
    with many.store.read() as reader:
        connection = reader._connection
        one = search.Search(connection, many.log_id, query)
        text = str(
            one.indexes(before=None, limit=50).compile(
                connection, compile_kwargs={"literal_binds": True}
            )
        )
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert f"INDEX {index}" in plan[0], plan


def test_many_matches_are_not_gathered_and_sorted(
    many: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW", 0)
    for asked in ({"tenant": "a"}, {"event": "started"}, {"since_us": 0}):
        query = Query(events=tuple(Event), **asked)  # type: ignore[arg-type]
        with many.store.read() as reader:
            connection = reader._connection
            one = search.Search(connection, many.log_id, query)
            statement = one.indexes(before=None, limit=50)
            text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
        assert not [step for step in plan if "TEMP B-TREE" in step], (asked, plan)
