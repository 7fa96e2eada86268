"""Erase 1,000 of 10,000 people, then look for them in every byte that is left.

::

    python tests/benchmarks/bench_erasure.py
    tests/support/with_postgres.sh python tests/benchmarks/bench_erasure.py --postgres

Looked for, as bytes, hex and base64: user ids, prompts, negative prompts, the salts of the
commitments, data keys, and those keys as they lay wrapped in the key database; on SQLite their
ciphertext, too. Looked through, with the databases still open: every file of the home
(databases, ``-wal``, ``-shm``, locks, exports, all that was logged) and, on PostgreSQL, every value
of every table and every file of the server's data directory where it can be read; what is encrypted
is only told there. Exit 1 when a byte is left.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from guard.audit.verify import verify_log
from guard.settings import Settings
from tests.support.auditing import POSTGRES_VARIABLE, fresh_postgres
from tests.support.people import People, logged
from tests.support.residue import Residue, files, look, tables

STAGES_AT = 100
"""People between two words on how far it is."""


def main() -> int:
    """Run it, and say what was found."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--people", type=int, default=10_000)
    asked.add_argument("--erase", type=int, default=1_000)
    asked.add_argument("--threads", type=int, default=16)
    asked.add_argument("--postgres", action="store_true", help=f"on {POSTGRES_VARIABLE}")
    given = asked.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "home"
        urls = ()
        if given.postgres:
            urls = (stack.enter_context(fresh_postgres()), stack.enter_context(fresh_postgres()))
        settings = Settings(
            home=home,
            database_url=urls[0] if urls else None,
            keys_database_url=urls[1] if urls else None,
        )
        return run(People(settings), given, urls)


def run(people: People, given: argparse.Namespace, urls: tuple[str, ...]) -> int:
    """The whole of it; answers the exit status."""
    home = people.settings.home
    began = time.perf_counter()
    everybody = people.ask(given.people, threads=given.threads)
    say(f"asked: {given.people} people in {time.perf_counter() - began:.0f} s")
    step = given.people // given.erase
    gone = everybody[::step][: given.erase]
    erased = set(gone)
    stay = [one for one in everybody if one not in erased]
    people.note(gone)
    with logged(home / "everything.log"):
        began = time.perf_counter()
        people.erase(gone, lambda n: n % STAGES_AT or say(f"erased: {n}"))
        each = (time.perf_counter() - began) / len(gone)
        people.export()
    say(f"erased: {len(gone)} people, {1000 * each:.0f} ms each")
    found = search(people, gone, urls)
    for one in found:
        say(f"LEFT: {one.what} in {one.where}, {one.count} times")
    intact = verify_log(people.log)
    readable = people.readable(stay, given.threads)
    say(f"readable of the others: {readable} of {len(stay)}; log intact: {intact.ok}")
    people.close()
    good = not found and readable == len(stay) and intact.ok
    say("PASSED" if good else "FAILED")
    return 0 if good else 1


def search(people: People, gone: list[str], urls: tuple[str, ...]) -> list[Residue]:
    """What is left of who was erased."""
    forbidden = people.forbidden(gone)
    size = sum(len(secrets) for secrets in forbidden.values())
    measured = Measured()
    found = look(forbidden, measured.of(files(people.settings.home)))
    for url in urls:
        found += look(forbidden, measured.of(tables(url)))
    if urls:
        found += search_server(forbidden, measured)
    say(f"looked for {size} secrets in {measured.bytes / 1e6:.0f} MB, {measured.places} places")
    return found


def search_server(forbidden: dict[str, list[bytes]], measured: Measured) -> list[Residue]:
    """The server's own files. Its write-ahead log may hold what was encrypted, never more."""
    import psycopg

    with psycopg.connect(os.environ[POSTGRES_VARIABLE], autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute("SHOW data_directory").fetchone()
    folder = Path(str(row[0])) if row else Path()
    if not os.access(folder, os.R_OK):
        say(f"the data directory {folder} cannot be read here: it was not searched")
        return []
    encrypted = {name: forbidden.pop(name) for name in ("wrapped key", "ciphertext")}
    found = look(forbidden, measured.of(files(folder)))
    for one in look(encrypted, files(folder)):
        say(f"encrypted, for as long as the server keeps it: {one.what} in {one.where}")
    return found


class Measured:
    """How much was looked through."""

    def __init__(self) -> None:
        self.bytes = 0
        self.places = 0

    def of(self, places: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        """The same places, counted."""
        for name, data in places:
            self.bytes += len(data)
            self.places += 1
            yield name, data


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
