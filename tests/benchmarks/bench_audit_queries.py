"""How long the questions of a trust-and-safety team take in a long log.

    python tests/benchmarks/bench_audit_queries.py [--rows 1000000] [--database URL]

Fills a log with made-up records (two rows each: started, and how it ended), whose leaves are
filler: the columns beside them are what is asked. Without a URL a SQLite file in a temporary
folder is used; a PostgreSQL URL must name an empty schema. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from guard.audit.frame import to_us
from guard.audit.log import SqlAuditLog
from guard.audit.query import RECORD_EVENTS, id_bounds
from guard.audit.report.statistics import count
from guard.store.engine import Store, open_store
from guard.store.rows import LeafColumns, LeafRow, Query

BATCH = 20_000
DAYS = 365
BEGIN = datetime(2025, 11, 24, tzinfo=UTC)
LEAF_BYTES = {"started": 420, "released": 900, "blocked": 560}
"""About what leaves take; those that are not named take as much as a started one."""

ENDS = ("released", "blocked", "failed", "held", "abandoned")
CHANCES = (90, 7, 1.5, 1, 0.5)
RULES = [f"rule-{number}" for number in range(40)]
CATEGORIES = [f"category-{number}" for number in range(12)]
RARE = 50_000
"""Of so many records one is of the rare model, tenant, policy and rule."""

RUNS = 5
PAGE = 50


def uuid_of(at_us: int, chance: random.Random) -> str:
    """A UUIDv7 of that moment."""
    value = (at_us // 1000) << 80 | 0x7 << 76 | chance.getrandbits(12) << 64
    return str(UUID(int=value | 0b10 << 62 | chance.getrandbits(62)))


def records(count: int) -> Iterator[tuple[LeafColumns, LeafColumns]]:
    """Made-up records, each as the columns of its two rows."""
    chance = random.Random(6)  # noqa: S311 - made-up records
    step = DAYS * 86_400_000_000 // count
    zipf = [1 / (place + 1) for place in range(len(RULES))]
    for number in range(count):
        at_us = to_us(BEGIN) + number * step
        rare = number % RARE == RARE // 2
        names: dict[str, Any] = {
            "record_id": uuid_of(at_us, chance),
            "origin": "generated",
            "tenant": "rare" if rare else f"tenant-{chance.randrange(20)}",
            "policy": "rare" if rare else "default",
            "policy_digest": "ab" * 32,
        }
        nothing = dict.fromkeys(
            ("action", "stage", "model", "mark", "fingerprint", "asset_sha256",
             "manifest_sha256", "idempotency_key", "reviewer"),
        )  # fmt: skip
        started = {**nothing, **names, "action": "allow", "rules": "", "categories": ""}
        event = "blocked" if rare else chance.choices(ENDS, CHANCES)[0]
        ended = dict(started)
        if event in {"blocked", "held"}:
            rule = "rule-rare" if rare else chance.choices(RULES, zipf)[0]
            category = chance.choice(CATEGORIES)
            ended |= {"rules": f"\n{rule}\n", "categories": f"\n{category}\n", "action": "block"}
            ended |= {"stage": chance.choice(("prompt", "classify"))}
        if event in {"released", "held"}:
            ended |= {"mark": chance.randbytes(8).hex(), "asset_sha256": chance.randbytes(32).hex()}
            ended |= {"fingerprint": chance.randbytes(32).hex()}
            ended |= {"manifest_sha256": chance.randbytes(32).hex()}
        ended["model"] = "rare" if rare else f"model-{chance.randrange(3)}"
        yield (
            LeafColumns(event="started", at_us=at_us, **started),
            LeafColumns(event=event, at_us=at_us + 9_000_000, **ended),
        )


def fill(store: Store, rows: int) -> None:
    """Store the rows as they are: no tree is built, and nobody verifies this log."""
    filler = secrets.token_bytes(1_000)
    index = itertools.count()
    pairs = records(rows // 2)
    while chunk := list(itertools.islice(pairs, BATCH // 2)):
        leaves: list[LeafRow] = []
        for columns in itertools.chain.from_iterable(chunk):
            size = LEAF_BYTES.get(columns.event, LEAF_BYTES["started"])
            place = next(index)
            leaves.append(LeafRow(place, filler[:size], place.to_bytes(32, "big"), columns))
        with store.write() as writer:
            writer.add_leaves(leaves)
            for row in leaves:
                if row.columns.mark is not None:
                    writer.add_mark(row.columns.mark, row.columns.record_id)


def questions(store: Store) -> dict[str, Query]:
    """What is asked: common things, rare ones, and those that are not there."""
    with store.read() as reader:
        (some,) = reader.search(Query(event="released"), before=None, limit=1)
    columns = some.columns
    end = to_us(BEGIN + timedelta(days=DAYS))
    day = 86_400_000_000
    then = end - 180 * day
    asked: dict[str, dict[str, Any]] = {
        "the newest": {},
        "by event": {"event": "failed"},
        "by rule": {"rule": "rule-3"},
        "by a rare rule": {"rule": "rule-rare"},
        "by a rule that never acted": {"rule": "none"},
        "by category": {"category": "category-3"},
        "by tenant": {"tenant": "tenant-3"},
        "by a rare tenant": {"tenant": "rare"},
        "by stage": {"stage": "prompt"},
        "by model": {"model": "model-1"},
        "by a rare model": {"model": "rare"},
        "by a rare policy": {"policy": "rare"},
        "by mark": {"mark": columns.mark},
        "by file": {"asset_sha256": columns.asset_sha256},
        "by the beginning of an id": {"between": id_bounds(columns.record_id[:12])},
        "by 1,000 ids": {"records": (columns.record_id,) * 1_000},
        "of an hour half a year ago": {"since_us": then, "until_us": then + day // 24},
        "blocked, tenant, category, a month": {
            "event": "blocked", "tenant": "tenant-1", "category": "category-3",
            "since_us": end - 30 * day,
        },
    }  # fmt: skip
    return {name: Query(events=RECORD_EVENTS, **one) for name, one in asked.items()}


def timed(work: Callable[[], object]) -> float:
    """The median of some runs, in milliseconds."""
    seconds = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return round(1_000 * sorted(seconds)[RUNS // 2], 1)


def measure(store: Store) -> dict[str, Any]:
    log = SqlAuditLog(store)
    answers: dict[str, float] = {}
    for name, query in questions(store).items():

        def ask(query: Query = query) -> object:
            with store.read() as reader:
                return reader.search(query, before=None, limit=PAGE)

        answers[name] = timed(ask)
    end = BEGIN + timedelta(days=DAYS)
    counted = {
        "everything": timed(lambda: count(log)),
        "30 days": timed(lambda: count(log, since=end - timedelta(days=30))),
        "one tenant": timed(lambda: count(log, tenant="tenant-3")),
    }
    return {"list_ms": answers, "stats_ms": counted}


def sizes(store: Store, rows: int) -> dict[str, float]:
    """Bytes a row of the table and of each of its indexes."""
    with store.read() as reader:
        connection = reader._connection
        statement = text(
            "SELECT name, sum(pgsize) FROM dbstat WHERE name LIKE '%audit_leaf%' GROUP BY name"
            if store.dialect == "sqlite"
            else "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relname LIKE "
            "'%audit_leaf%' AND relnamespace = CAST(current_schema() AS regnamespace)"
        )
        found = connection.execute(statement).fetchall()
    return {name: round(int(size) / rows, 1) for name, size in sorted(found)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database", default=None)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(chosen.database or f"sqlite:///{folder}/audit.sqlite3")
        fill(store, chosen.rows)
        result = {"database": store.dialect, "rows": chosen.rows, **measure(store)}
        result["bytes_a_row"] = sizes(store, chosen.rows)
        store.close()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
