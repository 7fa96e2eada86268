"""The bar of erasure, small: no byte left of who was erased, everything left of the others.

``tests/benchmarks/bench_erasure.py`` runs the same on 1,000 of 10,000.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from guard.audit import query
from guard.audit.verify import verify_log
from guard.settings import Settings
from guard.types import Act
from tests.support.auditing import NO_POSTGRES, POSTGRES_VARIABLE, fresh_postgres
from tests.support.people import People, logged
from tests.support.residue import files, look, tables


@pytest.mark.parametrize("secret", [b"\x00\xff secret \x80", b"plain words"])
def test_the_search_finds_what_is_there(secret: bytes) -> None:
    """A search that finds nothing proves nothing unless it would find something."""
    hidden = [b"..", b"__" + secret, secret.hex().encode(), secret.hex().upper().encode()]
    hidden += [base64.b64encode(b"x" * n + secret + b"y" * 9) for n in range(7)]
    found = look({"it": [secret]}, [(str(n), data) for n, data in enumerate(hidden)])
    assert {one.where for one in found} == {str(n) for n in range(1, len(hidden))}


def check(
    people: People, gone: list[str], stay: list[str], places: list[tuple[str, bytes]]
) -> None:
    assert look(people.forbidden(gone), places) == []
    assert people.readable(stay, threads=4) == sum(len(people.records[one]) for one in stay)
    assert all(people.vault.records_of(user, "shop") == [] for user in gone)
    assert len(query.acts(people.log, act=Act.ERASED, limit=1000)) == len(gone)
    assert verify_log(people.log).ok


def test_nothing_is_left_on_sqlite(tmp_path: Path) -> None:
    home = tmp_path / "home"
    people = People(Settings(home=home))
    with logged(home / "everything.log"):
        everybody = people.ask(200, times=2, threads=8)
        gone, stay = everybody[::10], [one for n, one in enumerate(everybody) if n % 10]
        people.note(everybody)
        before = look(people.forbidden(gone), files(home))
        people.erase(gone)
        people.export()
    assert {one.what for one in before} == {"wrapped key", "ciphertext"}  # they were there
    # While the databases are still open: nothing waits for a tidy end.
    places = list(files(home))
    assert {name for name, _ in places} >= {
        "audit.sqlite3",
        "audit.sqlite3-wal",
        "keys.sqlite3",
        "exports/log.jsonl",
        "everything.log",
    }
    assert look({"wrapped": people.forbidden(stay)["wrapped key"]}, places)
    check(people, gone, stay[:20], places)
    # Of the others there is no plaintext, salt or key either: it is encrypted, not only erased.
    others = people.forbidden(stay)
    del others["wrapped key"], others["ciphertext"]
    assert look(others, files(home)) == []
    people.close()


@pytest.mark.postgres
def test_nothing_is_left_on_postgresql(tmp_path: Path) -> None:
    if POSTGRES_VARIABLE not in os.environ:
        pytest.skip(NO_POSTGRES)
    home = tmp_path / "home"
    with fresh_postgres() as url, fresh_postgres() as keys_url:
        people = People(Settings(home=home, database_url=url, keys_database_url=keys_url))
        everybody = people.ask(40, times=2, threads=4)
        gone, stay = everybody[::10], [one for n, one in enumerate(everybody) if n % 10]
        people.note(everybody)
        people.erase(gone)
        people.export()
        places = [*files(home), *tables(url), *tables(keys_url)]
        assert look({"wrapped": people.forbidden(stay)["wrapped key"]}, places)
        check(people, gone, stay, places)
        people.close()
