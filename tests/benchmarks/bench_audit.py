"""How fast and how large the audit log is: additions, a full check, proofs, bytes a row.

    python tests/benchmarks/bench_audit.py [--rows 100000] [--database URL] [--keep FILE] [--quick]

In one run and on the same disk: rows inserted with bare SQLAlchemy, one commit each, equally
durable; rows through the whole library, alone and from 64 waiting threads; then a log of
``--rows`` rows is filled, checked and asked for proofs. ``--quick`` leaves the long log out.

Without a URL a SQLite file in a temporary folder is used, on whatever disk that folder is on: the
figures of single additions are those of its fsync. A PostgreSQL URL must name an empty schema.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Column, LargeBinary, MetaData, Table, Text, func, insert, text

from guard.audit.append import Finish, Start, Tree
from guard.audit.log import SqlAuditLog
from guard.audit.tree.merkle import verify_inclusion
from guard.audit.tree.tiles import TileReader
from guard.audit.verify import verify_log
from guard.store.engine import open_store

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.support.auditing import new_record_id, pictured, started

THREADS = (16, 64)
ROUNDS = 5
"""Bare and ours take turns: other work on the machine then slows both alike."""

EACH = 150
"""Additions a round."""

BATCH = 500
"""Records a transaction while the long log is filled."""

PROOFS = 1_000


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def figures(waits: list[float], seconds: float) -> dict[str, float]:
    ordered = sorted(waits)
    return {
        "appends_per_second": round(len(waits) / seconds, 1),
        "p50_ms": round(1000 * ordered[len(ordered) // 2], 2),
        "p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)], 2),
        "longest_ms": round(1000 * ordered[-1], 2),
    }


class Bare:
    """Rows of as many bytes as a leaf in a table without anything, one commit each."""

    def __init__(self, log: SqlAuditLog) -> None:
        self._engine = log.store._engine  # the same durability: the same connections
        self._rows = Table(
            "bench_bare",
            MetaData(),
            Column("id", Text, primary_key=True),
            Column("leaf", LargeBinary),
        )
        self._rows.create(self._engine)

    def add(self, leaf: bytes = bytes(480)) -> None:
        with self._engine.begin() as connection:
            connection.execute(insert(self._rows), {"id": new_record_id(), "leaf": leaf})


def append(log: SqlAuditLog) -> None:
    log.start(started(), prompt="a lighthouse", user="user")


def side_by_side(log: SqlAuditLog) -> dict[str, Any]:
    """Bare inserts and additions, in turns."""
    bare, waits = Bare(log), {"bare": list[float](), "library": list[float]()}
    for _ in range(20):
        bare.add()
        append(log)
    for _ in range(ROUNDS):
        waits["bare"] += [timed(bare.add) for _ in range(EACH)]
        waits["library"] += [timed(lambda: append(log)) for _ in range(EACH)]
    result: dict[str, Any] = {name: figures(each, sum(each)) for name, each in waits.items()}
    result["ratio"] = round(sum(waits["bare"]) / sum(waits["library"]), 3)
    return result


def crowded(log: SqlAuditLog, threads: int, each: int) -> dict[str, float]:
    """Threads that wait for every row of theirs."""
    waits: list[float] = []

    def work() -> None:
        waits.extend([timed(lambda: append(log)) for _ in range(each)])

    crowd = [threading.Thread(target=work) for _ in range(threads)]
    begin = time.perf_counter()
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    return figures(waits, time.perf_counter() - begin)


def fill(log: SqlAuditLog, rows: int) -> float:
    """Records begun and released, without manifests; seconds."""

    def work() -> None:
        for begin in range(0, rows // 2, BATCH):
            with log.store.write() as writer:
                tree = Tree(writer)
                for _ in range(min(BATCH, rows // 2 - begin)):
                    record_id = new_record_id()
                    Start(started(record_id), "a lighthouse", "user").apply(tree)
                    released = pictured(record_id, manifest_label=f"urn:c2pa:{record_id}")
                    Finish(released).apply(tree)

    return timed(work)


def size(log: SqlAuditLog, before: int, rows: int) -> dict[str, float]:
    """Bytes a row, indexes and lookup tables included; and of that the leaf itself."""
    with log.store.read() as reader:
        connection = reader._connection
        leaf = connection.execute(text("SELECT avg(length(leaf)) FROM audit_leaf")).scalar()
    return {
        "bytes_a_row": round((stored_bytes(log) - before) / rows, 1),
        "leaf_bytes": round(float(leaf or 0), 1),
    }


def stored_bytes(log: SqlAuditLog) -> int:
    engine = log.store._engine
    with engine.connect() as connection:
        if log.store.dialect == "sqlite":
            pages = connection.execute(text("PRAGMA page_count")).scalar()
            return int(pages or 0) * int(connection.execute(text("PRAGMA page_size")).scalar() or 0)
        total = func.sum(func.pg_total_relation_size(text("c.oid")))
        found = connection.execute(
            text(
                f"SELECT {total} FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = "  # noqa: S608
                "current_schema()::regnamespace"
            )
        ).scalar()
        return int(found or 0)


def check(log: SqlAuditLog) -> dict[str, Any]:
    begin = time.perf_counter()
    found = verify_log(log)
    seconds = time.perf_counter() - begin
    assert found.ok, found.problems
    per_second = round(found.records / seconds)
    return {"rows": found.records, "seconds": round(seconds, 2), "rows_per_second": per_second}


def proofs(log: SqlAuditLog) -> dict[str, float]:
    """Of random leaves in the whole tree, each by a reader of its own; all are verified."""
    waits, chance = [], random.Random(1)  # noqa: S311
    for _ in range(PROOFS):
        with log.store.read() as reader:
            head = reader.head()
            index = chance.randrange(head.size)
            begin = time.perf_counter()
            proof = TileReader(reader).inclusion_proof(index, head.size)
            waits.append(time.perf_counter() - begin)
            leaf = reader.tiles.leaf_hashes(index, 1)[0]
        assert verify_inclusion(leaf, index, head.size, proof, head.root)
    ordered = sorted(waits)
    return {
        "p50_ms": round(1000 * ordered[PROOFS // 2], 2),
        "p99_ms": round(1000 * ordered[int(PROOFS * 0.99)], 2),
        "longest_ms": round(1000 * ordered[-1], 2),
    }


def long_log(log: SqlAuditLog, rows: int) -> dict[str, Any]:
    before = stored_bytes(log)
    seconds = fill(log, rows)
    result: dict[str, Any] = {"rows": rows, "fill_seconds": round(seconds, 1)}
    result |= size(log, before, rows)
    result["verify"] = check(log)
    result["proof"] = proofs(log)
    waits = [timed(lambda: append(log)) for _ in range(200)]
    result["alone_in_a_long_log"] = figures(waits, sum(waits))
    return result


def measure(url: str, rows: int, *, quick: bool) -> dict[str, Any]:
    log = SqlAuditLog(open_store(url))
    result: dict[str, Any] = {"database": log.store.dialect, "load": os.getloadavg()[0]}
    result["one_by_one"] = side_by_side(log)
    for threads in THREADS:
        result[f"threads_{threads}"] = crowded(log, threads, 3_200 // threads)
    alone = result["one_by_one"]["library"]["appends_per_second"]
    result["64_threads_to_one"] = round(result["threads_64"]["appends_per_second"] / alone, 2)
    if not quick:
        result["long_log"] = long_log(log, rows)
    log.store.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--database", default=None)
    parser.add_argument("--keep", type=Path, default=None, help="SQLite file to leave behind")
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = chosen.keep or Path(folder) / "audit.sqlite3"
        url = chosen.database or f"sqlite:///{file}"
        print(json.dumps(measure(url, chosen.rows, quick=chosen.quick), indent=2))


if __name__ == "__main__":
    main()
