"""Lists, single records and exports."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from guard.audit import export, query
from guard.audit.acts import new_act
from guard.audit.canonical import canonical_json
from guard.audit.export import export_csv, export_jsonl
from guard.audit.log import SqlAuditLog
from guard.audit.query import acts, full_id, iterate, list_records, show
from guard.audit.tree.merkle import leaf_hash, root
from guard.audit.verify import verify_log
from guard.errors import InvalidRequest, RecordNotFound
from guard.store import search
from guard.store.rows import Query
from guard.types import Act, Event, Score, Stage
from tests.support.auditing import new_record_id, pictured, started, write_released

DAY = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def story(log: SqlAuditLog) -> SqlAuditLog:
    """Three records: one released (tenant a), one blocked at the prompt, one failed (tenant b)."""
    ids = [new_record_id() for _ in range(3)]
    at = [DAY + timedelta(hours=6 * step) for step in range(6)]
    log.start(started(ids[0], at=at[0], tenant="a"), prompt="x", user=None)
    shown = (Score("gore", 0.9, 0.5, "clip", ""), Score("nudity", 0.1, 0.5, "opennsfw", ""))
    log.finish(pictured(ids[0], at=at[1], tenant="a", scores=shown))
    log.start(started(ids[1], at=at[2]), prompt="x", user=None)
    log.finish(
        started(
            ids[1],
            event=Event.BLOCKED,
            at=at[3],
            stage=Stage.PROMPT,
            rules=("real_people", "hate-100%"[:8]),
            reasons=("hate",),
        )
    )
    log.start(started(ids[2], at=at[4], tenant="b", policy="strict"), prompt="x", user=None)
    log.finish(
        started(
            ids[2],
            event=Event.FAILED,
            at=at[5],
            tenant="b",
            policy="strict",
            stage=Stage.GENERATE,
            rules=("real-people",),
        )
    )
    return log


def indexes(log: SqlAuditLog, **narrow: object) -> list[int]:
    return [entry.index for entry in list_records(log, **narrow)]  # type: ignore[arg-type]


def test_lists_are_newest_first(story: SqlAuditLog) -> None:
    assert indexes(story) == [5, 4, 3, 2, 1, 0]
    assert indexes(story, limit=2) == [5, 4]


@pytest.mark.parametrize(
    ("narrow", "expected"),
    [
        ({"event": Event.STARTED}, [4, 2, 0]),
        ({"event": "failed"}, [5]),
        ({"stage": Stage.PROMPT}, [3]),
        ({"stage": "sign"}, []),
        ({"tenant": "a"}, [1, 0]),
        ({"rule": "real_people"}, [3]),  # '_' is no wildcard
        ({"rule": "real-people"}, [5]),
        ({"rule": "real"}, []),  # nor is a part of a rule the rule
        ({"rule": "%"}, []),
        ({"category": "gore"}, [1]),
        ({"category": "nudity"}, []),  # scored, but below its threshold
        ({"since": DAY + timedelta(hours=18)}, [5, 4, 3]),
        ({"until": DAY + timedelta(hours=18)}, [2, 1, 0]),
        ({"since": DAY, "until": DAY + timedelta(hours=7)}, [1, 0]),
        ({"tenant": "b", "event": "started"}, [4]),
        ({"tenant": "' OR 1=1 --"}, []),
        ({"policy": "strict"}, [5, 4]),
        ({"policy": "stric"}, []),
        ({"policy": "abab" * 3}, [5, 4, 3, 2, 1, 0]),  # a digest, by its beginning
        ({"policy": "bbab" * 3}, []),
        ({"policy": "abab"}, []),  # too short to be the beginning of one
        ({"policy": "ab%bab"}, []),
        ({"model": "demo-1"}, [1]),
        ({"model": "demo"}, []),
        ({"action": "allow"}, [5, 4, 3, 2, 1, 0]),
        ({"action": "block"}, []),
        ({"before": 3}, [2, 1, 0]),
        ({"before": 3, "tenant": "a"}, [1, 0]),
        ({"before": 0}, []),
        ({"rule": "real_people", "event": "blocked", "stage": "prompt"}, [3]),
        ({"rule": "real_people", "event": "failed"}, []),
        ({"category": "gore", "tenant": "b"}, []),
        ({"records": ()}, []),
    ],
)
def test_lists_narrow(story: SqlAuditLog, narrow: dict[str, object], expected: list[int]) -> None:
    assert indexes(story, **narrow) == expected


def test_a_picture_is_found_by_file_mark_and_id(story: SqlAuditLog) -> None:
    record = list_records(story, event="released")[0].record
    other = list_records(story, event="blocked")[0].record.record_id
    assert record.mark is not None
    assert indexes(story, mark=record.mark.payload) == [1]
    assert indexes(story, mark="00" * 8) == []
    assert indexes(story, asset_sha256=record.asset_sha256) == [1]
    assert indexes(story, asset_sha256="00" * 32) == []
    assert indexes(story, record_id=record.record_id) == [1, 0]
    assert indexes(story, record_id=record.record_id.replace("-", "").upper()) == [1, 0]
    assert indexes(story, records=[record.record_id, other]) == [3, 2, 1, 0]
    assert indexes(story, records=[record.record_id], rule="real_people") == []
    assert set(indexes(story, record_id=record.record_id[:6])) >= {0, 1}
    assert full_id(story, record.record_id[:-1]) == record.record_id
    assert full_id(story, record.record_id) == record.record_id


@pytest.mark.parametrize("start", ["", "x", "%", "0199b2c4-9d3a-7c11-8a52-3f0d6c1e2b900", "../"])
def test_what_is_no_beginning_of_an_id_is_refused(story: SqlAuditLog, start: str) -> None:
    with pytest.raises(InvalidRequest, match="No record id begins"):
        list_records(story, record_id=start)
    with pytest.raises(InvalidRequest, match="No record id begins"):
        full_id(story, start)


def test_a_beginning_names_one_record_or_none(story: SqlAuditLog) -> None:
    with pytest.raises(InvalidRequest, match="Several"):
        full_id(story, "0")
    with pytest.raises(RecordNotFound, match="no record ffff"):
        full_id(story, "ffff")


def test_many_matches_are_read_in_order_and_few_are_looked_up(
    story: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the database goes about it, the answer is the same."""
    monkeypatch.setattr(search, "FEW", 1)
    assert indexes(story, tenant="a") == [1, 0]
    assert indexes(story, event="failed", tenant="b") == [5]
    assert indexes(story, since=DAY, until=DAY + timedelta(hours=7)) == [1, 0]
    assert indexes(story, since=DAY, tenant="b", event="started", limit=1) == [4]


def test_acts_are_no_records(story: SqlAuditLog) -> None:
    record_id = list_records(story, event="blocked")[0].record.record_id
    story.act(new_act(Act.VIEWED, "dana", "case-1", about=record_id))
    assert indexes(story) == [5, 4, 3, 2, 1, 0]
    assert [one.index for one in iterate(story, Query())] == [5, 4, 3, 2, 1, 0]
    found = acts(story, about=record_id)
    assert [one.act.who for one in found] == ["dana"]
    assert acts(story, before=found[0].index) == []
    with pytest.raises(RecordNotFound):
        show(story, found[0].act.act_id)


def test_pages_do_not_show(story: SqlAuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "PAGE", 2)
    assert indexes(story) == [5, 4, 3, 2, 1, 0]
    assert indexes(story, limit=3) == [5, 4, 3]


def test_one_record_shows_all_its_events(story: SqlAuditLog) -> None:
    record_id = list_records(story, tenant="a")[0].record.record_id
    entries = show(story, record_id)
    assert [entry.record.event for entry in entries] == [Event.STARTED, Event.RELEASED]
    assert [entry.receipt.index for entry in entries] == [0, 1]
    assert indexes(story, record_id=record_id) == [1, 0]
    with pytest.raises(RecordNotFound, match="no record"):
        show(story, new_record_id())


def test_times_need_a_zone(story: SqlAuditLog) -> None:
    with pytest.raises(ValueError, match="no zone"):
        list_records(story, since=datetime(2026, 1, 1))  # noqa: DTZ001 - the point


def test_json_lines_let_the_tree_be_rebuilt(
    story: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 4)
    file = io.StringIO()
    assert export_jsonl(story, file) == 6
    rows = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [row["index"] for row in rows] == list(range(6))
    hashes = [leaf_hash(canonical_json(row["leaf"])) for row in rows]
    assert [row["leaf_hash"] for row in rows] == [one.hex() for one in hashes]
    assert root(hashes).hex() == verify_log(story).root


def test_csv_has_a_column_for_everything(story: SqlAuditLog) -> None:
    file = io.StringIO()
    assert export_csv(story, file) == 6
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [row["index"] for row in rows] == [str(i) for i in range(6)]
    assert rows[3]["rules"] == "real_people hate-100"
    assert rows[3]["at"] == "2026-11-24T06:00:00+00:00"
    assert rows[0]["tenant"] == "a"
    assert rows[2]["tenant"] == ""


@pytest.mark.parametrize("tenant", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_csv_cells_are_no_formulas(log: SqlAuditLog, tenant: str) -> None:
    write_released(log, tenant=tenant)
    file = io.StringIO()
    export_csv(log, file)
    assert list(csv.DictReader(io.StringIO(file.getvalue())))[1]["tenant"] == f"'{tenant}"


def test_exports_of_nothing(log: SqlAuditLog) -> None:
    assert export_jsonl(log, io.StringIO()) == 0
    file = io.StringIO()
    assert export_csv(log, file) == 0
    assert file.getvalue().startswith("index,leaf_hash,record_id,event,at,")
