"""The transparency report: what it says, what it hides, and that names in it stay names."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.audit.log import SqlAuditLog
from guard.audit.report.charts import HEIGHT, LEFT, MOST_COLUMNS, TOP, WIDTH, column_chart
from guard.audit.report.periods import Bucket, Step
from guard.audit.report.report_page import (
    EVENTS,
    MOST_ROWS,
    ReportOptions,
    period,
    report_page,
    tenants_shown,
)
from guard.audit.report.statistics import Disputed, Reviews, count
from guard.audit.report.suppress import hide_small
from guard.types import Event, Stage
from tests.support.auditing import new_record_id, pictured, started

BEGIN = datetime(2026, 11, 2, tzinfo=UTC)
SCRIPT = "<script>document.title='pwned'</script>\"'&<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """What a page holds: tags, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def end(log: SqlAuditLog, event: Event, day: int, **facts: object) -> None:
    record_id, at = new_record_id(), BEGIN + timedelta(days=day, hours=3)
    names = {name: facts[name] for name in ("tenant", "policy") if name in facts}
    log.start(started(record_id, at=at, **names), prompt="x", user=None)
    make = pictured if event is Event.RELEASED else started
    log.finish(make(record_id, event=event, at=at, **facts))


@pytest.fixture
def story(log: SqlAuditLog) -> SqlAuditLog:
    for day in range(5):
        end(log, Event.RELEASED, day, tenant="big")
    end(log, Event.BLOCKED, 1, tenant="small", rules=("gore",), stage=Stage.PROMPT)
    end(log, Event.FAILED, 2, tenant="big", stage=Stage.SIGN)
    return log


def test_the_page_says_what_was_counted(story: SqlAuditLog) -> None:
    found = count(story, since=BEGIN, until=BEGIN + timedelta(days=7))
    text = Page(report_page(found)).text
    assert "2026-11-02 to 2026-11-08" in text
    for said in ("gore", "16.7 %", "prompt", found.root, "ab" * 32, "none was published"):
        assert said in text
    assert "tenant" not in text.lower(), "tenants are named on request only"


def test_the_page_loads_and_runs_nothing(story: SqlAuditLog) -> None:
    html = report_page(count(story), ReportOptions(tenants=True))
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    assert not {"src", "href", "onclick", "onload", "style"} & {name for name, _ in page.attributes}
    assert "default-src 'none'" in html
    assert not re.search(r"url\(|@import|https?:", html)


def test_names_stay_names(log: SqlAuditLog) -> None:
    facts = {"tenant": SCRIPT, "model": SCRIPT, "policy": SCRIPT}
    end(log, Event.BLOCKED, 0, rules=("gore",), stage=Stage.PROMPT, **facts)
    options = ReportOptions(title=SCRIPT + "\ud800", tenants=True, fewest=0, checkpoint=SCRIPT)
    html = report_page(count(log, tenant=SCRIPT), options)
    page = Page(html)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert page.text.count(SCRIPT) >= 5
    html.encode("utf-8")


def test_a_report_of_nothing_says_so(log: SqlAuditLog) -> None:
    text = Page(report_page(count(log), ReportOptions(tenants=True))).text
    assert "the whole log, which is empty" in text
    assert text.count("Nothing was") == 3
    assert "no review was decided" in text


def test_periods_are_said_in_days_or_to_the_minute(story: SqlAuditLog) -> None:
    day = timedelta(days=1)
    assert period(count(story)) == "2026-11-02 to now"
    assert period(count(story, since=BEGIN)) == "2026-11-02 to now"
    assert period(count(story, since=BEGIN, until=BEGIN + day)) == "2026-11-02 to 2026-11-02"
    until = BEGIN + timedelta(hours=30)
    assert period(count(story, since=BEGIN, until=until)) == "2026-11-02 to 2026-11-03 06:00"
    assert period(count(story, until=BEGIN)) == "until 2026-11-02"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(30.0, "30 seconds"), (120.0, "2 minutes"), (9_000.0, "2.5 hours"), (432_000.0, "5.0 days")],
)
def test_times_to_decision_are_said_in_words(log: SqlAuditLog, seconds: float, said: str) -> None:
    reviews = Reviews(2, 1, 0, seconds, seconds, seconds)
    found = dataclasses.replace(count(log), reviews=reviews)
    assert f"half within {said}" in Page(report_page(found)).text


def test_long_tables_are_cut(log: SqlAuditLog) -> None:
    rules = tuple(Disputed(f"rule-{number}", blocked=1) for number in range(MOST_ROWS + 1))
    text = Page(report_page(dataclasses.replace(count(log), rules=rules))).text
    assert f"rule-{MOST_ROWS - 1}" in text
    assert f"rule-{MOST_ROWS}" not in text
    assert f"The first {MOST_ROWS} are shown" in text


def test_every_chart_has_its_numbers_and_words(story: SqlAuditLog) -> None:
    page = Page(report_page(count(story, step=Step.DAY)))
    drawings = [value for name, value in page.attributes if name == "aria-labelledby"]
    assert {"caption-1", "caption-2"} <= set(drawings)
    ids = {value for name, value in page.attributes if name == "id"}
    named = {v for n, v in page.attributes if n in {"aria-labelledby", "aria-describedby"}}
    assert named <= ids
    assert "2026-11-03: 1 released, 1 blocked" in page.text
    assert "2026-11-02: nothing" in page.text, "of what was not released"


def test_small_counts_of_tenants_are_hidden(log: SqlAuditLog) -> None:
    for tenant, rows in (("big", 8), ("middle", 6), ("small", 1), ("none", 0)):
        for _ in range(rows):
            end(log, Event.RELEASED, 0, tenant=tenant)
        end(log, Event.FAILED, 0, tenant=tenant, stage=Stage.SIGN)
    found = count(log)
    assert tenants_shown(found, 5) == {
        "big": {"released": 8, "failed": "<5"},
        "middle": {"released": "≥5", "failed": "<5"},
        "small": {"released": "<5", "failed": "<5"},
        "none": {"failed": "<5"},
    }
    text = Page(report_page(found, ReportOptions(tenants=True, fewest=5))).text
    assert "<5" in text
    assert "Counts from 1 to 4 are hidden" in text
    assert tenants_shown(found, 1)["small"] == {"released": 1, "failed": 1}


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.dictionaries(st.sampled_from(EVENTS), st.integers(0, 12), max_size=5),
        max_size=6,
    ),
    st.integers(0, 8),
)
def test_no_small_count_can_be_read_or_worked_out(
    table: dict[str, dict[str, int]], fewest: int
) -> None:
    shown = hide_small(table, fewest)
    assert shown.keys() == table.keys()
    for event in EVENTS:
        column = {name: counts[event] for name, counts in shown.items() if event in counts}
        numbers = [value for value in column.values() if isinstance(value, int)]
        assert not [one for one in numbers if 0 < one < fewest]
        hidden = [name for name, value in column.items() if isinstance(value, str)]
        others = [n for n in column if table[n][event] >= fewest]
        if len(hidden) == 1:
            assert not others, "one hidden count beside the sum could be worked out"


@given(st.lists(st.dictionaries(st.sampled_from(EVENTS), st.integers(0, 10**6)), max_size=300))
def test_columns_stay_within_the_drawing(counts: list[dict[str, int]]) -> None:
    buckets = [Bucket(BEGIN + timedelta(days=day), one) for day, one in enumerate(counts)]
    chart = column_chart(buckets, EVENTS, Step.DAY)
    if not any(any(one.values()) for one in counts):
        assert chart is None
        return
    assert chart is not None
    assert 1 <= len(chart.columns) <= MOST_COLUMNS
    assert 2 <= len(chart.lines) <= 6
    for column in chart.columns:
        assert LEFT <= column.x <= column.x + column.width <= WIDTH
        for block in column.blocks:
            assert TOP - 0.02 <= block.y <= block.y + block.height <= HEIGHT
    tallest = max(sum(block.height for block in one.blocks) for one in chart.columns)
    assert tallest > (HEIGHT - TOP) / 3, "the drawing is used"


@pytest.mark.parametrize(
    ("most", "lines"),
    [
        (1, ["0", "1"]), (4, ["0", "1", "2", "3", "4"]), (5, ["0", "2", "4", "6"]),
        (17, ["0", "5", "10", "15", "20"]), (999, ["0", "500", "1,000"]),
    ],
)  # fmt: skip
def test_axes_have_round_numbers(most: int, lines: list[str]) -> None:
    chart = column_chart([Bucket(BEGIN, {"blocked": most})], EVENTS, Step.HOUR)
    assert chart is not None
    assert [one.label for one in chart.lines] == lines
    assert chart.columns[0].label == f"2026-11-02 00:00: {most:,} blocked"


def test_weeks_and_merged_steps_say_what_they_are() -> None:
    buckets = [Bucket(BEGIN + timedelta(weeks=n), {"failed": 1}) for n in range(MOST_COLUMNS + 1)]
    chart = column_chart(buckets, EVENTS, Step.WEEK)
    assert chart is not None
    assert chart.columns[0].label == "week of 2026-11-02 – week of 2026-11-09: 2 failed"
