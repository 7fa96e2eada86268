"""How fast the audit log is: additions alone and crowded, and a full check.

    python tests/benchmarks/bench_audit.py [--rows 20000] [--database URL]

Without a URL a SQLite file in a temporary folder is used, on whatever disk that folder is on:
the figures of single additions are those of its fsync. A PostgreSQL URL must name an empty
schema. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guard.audit.append import Tree
from guard.audit.log import SqlAuditLog
from guard.audit.record import Leaf
from guard.audit.verify import verify_log
from guard.store.engine import open_store

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.support.auditing import new_record_id, pictured, started

THREADS = 16
BATCH = 1_000
"""Rows a transaction while the log for the check is filled."""


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def request(log: SqlAuditLog) -> list[float]:
    """One request, from start to release: the seconds of its two additions."""
    record_id = new_record_id()
    manifest = bytes(20_000)
    return [
        timed(lambda: log.start(started(record_id), prompt="a lighthouse", user="user")),
        timed(lambda: log.finish(pictured(record_id), manifest=manifest)),
    ]


def figures(waits: list[float], seconds: float) -> dict[str, float]:
    ordered = sorted(waits)
    return {
        "appends_per_second": round(len(waits) / seconds, 1),
        "p50_ms": round(1000 * ordered[len(ordered) // 2], 2),
        "p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)], 2),
        "longest_ms": round(1000 * ordered[-1], 2),
    }


def alone(log: SqlAuditLog, requests: int) -> dict[str, float]:
    begin = time.perf_counter()
    waits = [wait for _ in range(requests) for wait in request(log)]
    return figures(waits, time.perf_counter() - begin)


def crowded(log: SqlAuditLog, requests: int) -> dict[str, float]:
    waits: list[float] = []

    def work() -> None:
        for _ in range(requests // THREADS):
            waits.extend(request(log))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return figures(waits, time.perf_counter() - begin)


def fill(log: SqlAuditLog, rows: int) -> None:
    """Many records, each only begun, with many rows a transaction."""
    for begin in range(0, rows, BATCH):
        with log.store.write() as writer:
            tree = Tree(writer)
            for _ in range(min(BATCH, rows - begin)):
                tree.add(Leaf(started(), log.log_id))


def measure(url: str, rows: int) -> dict[str, Any]:
    log = SqlAuditLog(open_store(url))
    result: dict[str, Any] = {"database": log.store.dialect}
    result["alone"] = alone(log, 200)
    result[f"threads_{THREADS}"] = crowded(log, 400)
    fill(log, rows)
    begin = time.perf_counter()
    check = verify_log(log)
    seconds = time.perf_counter() - begin
    assert check.ok, check.problems
    result["verify"] = {
        "rows": check.records,
        "rows_per_second": round(check.records / seconds),
        "seconds": round(seconds, 2),
    }
    lookups = sorted(timed(log.new_mark_id) for _ in range(200))
    result["new_mark_id_p50_ms"] = round(1000 * lookups[100], 2)
    waits = [wait for _ in range(50) for wait in request(log)]
    result["alone_in_a_long_log"] = figures(waits, sum(waits))
    log.store.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--database", default=None)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = chosen.database or f"sqlite:///{folder}/audit.sqlite3"
        print(json.dumps(measure(url, chosen.rows), indent=2))


if __name__ == "__main__":
    main()
