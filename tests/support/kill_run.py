"""Kill whoever writes to the audit log, many times, and see that nothing is lost or let out.

    python -m tests.support.kill_run HOME [--times 500] [--work KIND] [--database URL]

Each time a child is forked that makes whole pictures one after another (or, with the kind
``appends``, writes records from eight threads) and says what was acknowledged; it is killed with
SIGKILL at a random moment. Then: every acknowledged row is in the log, every file that has its
final name has its released record, and now and then the whole log is checked. Prints one JSON
object.

The parent keeps no connection and no thread while it forks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from guard.audit.log import SqlAuditLog
from guard.audit.verify import verify_log
from guard.store.engine import open_store
from guard.types import Event, GenerationRequest
from tests.support.auditing import new_record_id, pictured, started, write_released

THREADS = 8
CHECK_EVERY = 50
"""Kills between two checks of the whole log."""

LINES = {"generations": 2, "appends": 40}
"""What a child that lives longest has said by its end: how long that takes is measured first."""

Say = Callable[[str], None]


@dataclass
class Tally:
    """What was seen so far."""

    kills: int = 0
    acknowledged: int = 0
    released_files: int = 0
    lost: list[str] = field(default_factory=list)
    unrecorded_files: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    leftover_parts: int = 0


def generations(home: Path, url: str) -> Callable[[Say], None]:
    """Rooms are made here, once; the child only opens the log."""
    from guard.assemble import build_quarantine, build_screener, build_signer, build_watermark
    from guard.classify.screen import Classifier
    from guard.delivery import Delivery
    from guard.pipeline import Guard
    from guard.policy.load import load_policy
    from guard.provenance.keys import create_development_keys
    from guard.rooms import Rooms
    from guard.settings import Settings
    from guard.stage import StageLimits
    from guard.types import Stage
    from tests.support.house import FakeGenerator, FixedDetector, picture

    if not any(home.iterdir()):
        create_development_keys(home)
    policy, settings, generator = load_policy("default"), Settings(home=home), FakeGenerator()
    kept: dict[str, Any] = {
        "screener": build_screener(policy),
        "watermark": build_watermark(policy, settings),
        "quarantine": build_quarantine(settings),
        "classifier": Classifier(policy, [FixedDetector()]),
        "open_generator": lambda _: generator,
    }

    def opened() -> Guard:
        log = SqlAuditLog(open_store(url))
        rooms = Rooms(log=log, signer=build_signer(settings), **kept)
        return Guard(policy, rooms, StageLimits(dict.fromkeys(Stage, 60.0)))

    def work(say: Say) -> None:
        guard = opened()
        prompts = ("a lighthouse in a storm", "hardcore pornography")
        for number in range(1_000):
            asked = GenerationRequest(prompt=prompts[number % 4 == 3], seed=number)
            outcome = guard.generate(asked, delivery=Delivery(home / "out"))
            say(f"{outcome.record_id} {outcome.status.value}")

    # What is loaded at first use is loaded before forking. But nothing is signed: c2pa refuses to
    # sign in a process whose parent did.
    first = opened()
    first.generate(GenerationRequest(prompt="hardcore pornography"))
    marked = kept["watermark"].embed(picture(), bytes(8))
    kept["watermark"].detect(marked.pixels)
    first.rooms.log.store.close()
    assert threading.active_count() == 1
    return work


def appends(url: str) -> Callable[[Say], None]:
    """Eight threads that begin and end records: several rows are in each transaction."""

    def work(say: Say) -> None:
        log = SqlAuditLog(open_store(url, create=False))

        def write() -> None:
            while True:
                record_id = new_record_id()
                log.start(started(record_id), prompt="a lighthouse", user=None)
                say(f"{record_id} {Event.STARTED}")
                log.finish(pictured(record_id), manifest=b"manifest")
                say(f"{record_id} {Event.RELEASED}")

        threads = [threading.Thread(target=write) for _ in range(THREADS)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()

    warm = SqlAuditLog(open_store(url))
    write_released(warm)
    warm.store.close()
    return work


def pace(work: Callable[[Say], None], lines: int) -> float:
    """Seconds until a child has said so many lines."""
    reading, child = _fork(work)
    begun = time.monotonic()
    with os.fdopen(reading, "rb") as pipe:
        said = [pipe.readline() for _ in range(lines)]
        seconds = time.monotonic() - begun
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert all(said), "it ended early"
    return seconds


def _fork(work: Callable[[Say], None]) -> tuple[int, int]:
    """A child that works, and where what it says can be read."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            work(lambda line: os.write(writing, f"{line}\n".encode()) and None)
        finally:
            os._exit(1)
    os.close(writing)
    return reading, child


def kill_once(work: Callable[[Say], None], seconds: float) -> list[tuple[str, str]]:
    """What a child that lived so long had acknowledged."""
    reading, child = _fork(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, "it ended early"
    return [(one.split()[0], one.split()[1]) for one in said.splitlines() if one.count(" ") == 1]


def check(url: str, said: list[tuple[str, str]], out: Path, tally: Tally) -> None:
    """Whether what one child said, and what it left, is recorded."""
    store = open_store(url, create=False)
    with store.read() as reader:
        for record_id, event in said:
            events = [row.columns.event for row in reader.events(record_id)]
            if event not in events:
                tally.lost.append(f"{record_id} {event}")
        for file in sorted(out.glob("*")) if out.exists() else []:
            if file.suffix == ".part":
                tally.leftover_parts += 1
            else:
                tally.released_files += 1
                _check_file(reader, file, tally)
            file.unlink()
    store.close()
    tally.acknowledged += len(said)
    tally.kills += 1


def _check_file(reader: Any, file: Path, tally: Tally) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    from guard.store.rows import Query

    found = reader.search(Query(asset_sha256=digest), before=None, limit=5)
    if Event.RELEASED not in [row.columns.event for row in found]:
        tally.unrecorded_files.append(file.name)


def check_all(url: str, tally: Tally) -> dict[str, Any]:
    """The whole log, after what was cut off has been closed."""
    log = SqlAuditLog(open_store(url, create=False))
    reaped = len(log.reap(timedelta(0)))
    found = verify_log(log)
    tally.problems += found.problems
    with log.store.read() as reader:
        tally.problems += [
            f"{row.columns.record_id} has no end" for row in reader.unended(2**62, 10)
        ]
    log.store.close()
    return {"rows": found.records, "reaped": reaped}


def run(home: Path, times: int, kind: str, url: str) -> dict[str, Any]:
    """``times`` kills; what came of them."""
    home.mkdir(parents=True, exist_ok=True)
    work = generations(home, url) if kind == "generations" else appends(url)
    open_store(url).close()
    longest = pace(work, LINES[kind])
    tally, reaped, chance = Tally(), 0, random.Random()  # noqa: S311
    begun = time.monotonic()
    for number in range(1, times + 1):
        said = kill_once(work, chance.uniform(0.0, longest))
        check(url, said, home / "out", tally)
        if number % CHECK_EVERY == 0 or number == times:
            whole = check_all(url, tally)
            reaped += whole["reaped"]
    good = not (tally.lost or tally.unrecorded_files or tally.problems)
    seconds = round(time.monotonic() - begun, 1)
    return {"ok": good, "seconds": seconds, "rows": whole["rows"], "reaped": reaped, **vars(tally)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--times", type=int, default=500)
    parser.add_argument("--work", choices=list(LINES), default="generations")
    parser.add_argument("--database", default=None)
    chosen = parser.parse_args()
    url = chosen.database or f"sqlite:///{chosen.home.resolve()}/audit.sqlite3"
    result = run(chosen.home, chosen.times, chosen.work, url)
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(not result["ok"])


if __name__ == "__main__":
    main()
