"""Many processes write to one log at once: is it whole, and how long did anybody wait?

    python -m tests.support.crowd_run DATABASE_URL [--processes 16] [--appends 300]

Every append is one row, durable when it returns. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

from guard.audit.log import SqlAuditLog
from guard.audit.verify import verify_log
from guard.store.engine import open_store
from tests.support.auditing import started, write_released


def _write(url: str, barrier: Barrier, count: int, say: Callable[[str], None]) -> None:
    log = SqlAuditLog(open_store(url, create=False))
    records = [started() for _ in range(count)]
    barrier.wait(60)
    done = []
    for record in records:
        begun = time.perf_counter()
        receipt = log.start(record, prompt="a lighthouse", user=None)
        done.append((record.record_id, receipt.index, time.perf_counter() - begun))
    log.store.close()
    say(json.dumps(done))


def _fork(work: Callable[[Callable[[str], None]], None]) -> tuple[int, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as pipe:
                work(lambda text: pipe.write(text) and None)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    return child, reading


def run(url: str, processes: int, appends: int) -> dict[str, Any]:
    """What came of it; ``ok``: contiguous, nothing lost or doubled, the log is good."""
    log = SqlAuditLog(open_store(url))
    write_released(log)  # loads what is loaded at first use
    before = verify_log(log).records
    log.store.close()
    barrier = multiprocessing.get_context("fork").Barrier(processes + 1)
    children = [_fork(lambda say: _write(url, barrier, appends, say)) for _ in range(processes)]
    barrier.wait(60)
    begun = time.perf_counter()
    done = []
    for child, reading in children:
        with os.fdopen(reading) as pipe:
            done += json.load(pipe)
        os.waitpid(child, 0)
    seconds = time.perf_counter() - begun
    store = open_store(url, create=False)
    check = verify_log(store)
    with store.read() as reader:
        kept = {(row.columns.record_id, row.index) for row in reader.leaves(0, 10**6)}
    store.close()
    told = {(record_id, index) for record_id, index, _ in done}
    waits = sorted(wait for _, _, wait in done)
    whole = sorted(index for _, index in told) == list(range(before, before + len(done)))
    return {
        "ok": check.ok and whole and told <= kept and check.records == before + len(done),
        "rows": len(done),
        "appends_per_second": round(len(done) / seconds, 1),
        "p50_ms": round(1000 * waits[len(waits) // 2], 1),
        "p99_ms": round(1000 * waits[int(len(waits) * 0.99)], 1),
        "longest_ms": round(1000 * waits[-1], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database")
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--appends", type=int, default=300)
    chosen = parser.parse_args()
    result = run(chosen.database, chosen.processes, chosen.appends)
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(not result["ok"])


if __name__ == "__main__":
    main()
