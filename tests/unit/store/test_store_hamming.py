"""The Hamming index: exact, and its file is believed only where it fits itself and the database."""

from __future__ import annotations

import json
import multiprocessing
import secrets
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.store import fingerprint_index, hamming
from guard.store.engine import Store, open_store
from guard.store.fingerprint_index import FingerprintIndex
from guard.store.hamming import ROW_BYTES, BitRows, Hit

ALG = "org.genguard.pdq.v0"
LOG = "genguard-0123456789abcdef"


def flip(row: bytes, bits: int) -> bytes:
    return (int.from_bytes(row, "big") ^ ((1 << bits) - 1)).to_bytes(ROW_BYTES, "big")


def random_rows(count: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(count * ROW_BYTES)


def row_of(rows: bytes, place: int) -> bytes:
    return rows[place * ROW_BYTES : (place + 1) * ROW_BYTES]


def saved(stem: Path, count: int = 100, name: str = "x") -> bytes:
    rows = random_rows(count)
    held = BitRows(name, stem)
    held.add(range(1, count + 1), rows)
    held.save()
    return rows


# -- rows ------------------------------------------------------------------------------------


def test_nothing_is_near_to_nothing(tmp_path: Path) -> None:
    rows = BitRows("x", tmp_path / "a")
    assert rows.nearest([b"\0" * 32], 3) == []
    assert (len(rows), rows.last, rows.last_row, rows.load()) == (0, -1, b"", False)
    rows.add([], b"")
    rows.save()
    assert list(tmp_path.iterdir()) == []
    rows.add([4], b"\1" * 32)
    assert rows.nearest([], 3) == []


@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    distance=st.integers(0, 60),
    seed=st.integers(0, 1000),
    limit=st.integers(1, 5),
)
def test_the_nearest_are_those_that_counting_finds(
    counts: list[int], distance: int, seed: int, limit: int
) -> None:
    rows, held, first = random_rows(sum(counts), seed), BitRows("x", None), 0
    for count in counts:
        part = rows[first * ROW_BYTES : (first + count) * ROW_BYTES]
        held.add([10 * (first + place) for place in range(count)], part)
        first += count
    asked = flip(row_of(rows, seed % first), distance)
    apart = [
        (
            (int.from_bytes(row_of(rows, n), "big") ^ int.from_bytes(asked, "big")).bit_count(),
            10 * n,
        )
        for n in range(first)
    ]
    expected = [Hit(number, bits, 0) for bits, number in sorted(apart)]
    assert [hit.distance for hit in held.nearest([asked], limit)][:limit] == [
        hit.distance for hit in expected[:limit]
    ]
    assert held.nearest([asked], first) == expected


def test_many_questions_and_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "LEAST_PER_THREAD", 10)
    monkeypatch.setattr(hamming, "THREADS", 3)
    rows, held = random_rows(100), BitRows("x", None)
    held.add(range(100), rows)
    questions = [flip(row_of(rows, place), 5) for place in (3, 50, 99)]
    hits = held.nearest(questions, 1)
    assert {(hit.number, hit.question) for hit in hits if hit.distance == 5} == {
        (3, 0),
        (50, 1),
        (99, 2),
    }


def test_what_was_saved_is_there_again_and_goes_on(tmp_path: Path) -> None:
    stem = tmp_path / "a"
    rows = saved(stem)
    again = BitRows("x", stem)
    assert again.load()
    assert (len(again), again.last, again.saved, again.unsaved) == (100, 100, 100, 0)
    assert again.last_row == row_of(rows, 99)
    assert again.nearest([row_of(rows, 41)], 1) == [Hit(42, 0, 0)]
    more = random_rows(3, seed=1)
    again.add([101, 105, 109], more)
    assert again.nearest([row_of(more, 1)], 1)[0] == Hit(105, 0, 0)
    again.save()
    assert again.unsaved == 0
    third = BitRows("x", stem)
    assert third.load()
    assert (len(third), third.last) == (103, 109)
    assert third.nearest([row_of(more, 2)], 1)[0] == Hit(109, 0, 0)
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.glob("a.[bn]*"))


def damage(kind: str, at: int) -> Callable[[Path], None]:
    def work(stem: Path) -> None:
        file = stem.with_name(f"{stem.name}.{kind}")
        data = bytearray(file.read_bytes())
        data[at] ^= 1
        file.write_bytes(data)

    return work


def rewrite(**changes: object) -> Callable[[Path], None]:
    def work(stem: Path) -> None:
        file = stem.with_name(f"{stem.name}.json")
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return work


def cut(kind: str, to: int) -> Callable[[Path], None]:
    def work(stem: Path) -> None:
        file = stem.with_name(f"{stem.name}.{kind}")
        file.write_bytes(file.read_bytes()[:to])

    return work


DAMAGES = {
    "a bit of a row": damage("bits", 1234),
    "a bit of a number": damage("numbers", 99),
    "the last bit": damage("bits", -1),
    "rows cut off": cut("bits", 99 * ROW_BYTES),
    "numbers cut off": cut("numbers", 5),
    "empty": cut("bits", 0),
    "no header": lambda stem: stem.with_name("a.json").unlink(),
    "half a header": cut("json", 20),
    "another name": rewrite(name="y"),
    "another format": rewrite(version=99),
    "more rows": rewrite(rows=101),
    "fewer rows": rewrite(rows=99),
    "no rows": rewrite(rows=0),
    "many rows": rewrite(rows=10**15),
    "negative rows": rewrite(rows=-1),
    "another last": rewrite(last=7),
    "other fields": rewrite(more=1),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_files_are_not_believed(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    stem = tmp_path / "a"
    saved(stem)
    damage(stem)
    rows = BitRows("x", stem)
    assert not rows.load()
    assert (len(rows), rows.last) == (0, -1)
    rows.add([1], b"\1" * 32)
    rows.save()
    assert BitRows("x", stem).load()


def test_a_writer_that_was_killed_leaves_the_older_state(tmp_path: Path) -> None:
    """Rows behind those that the header counts are written over."""
    stem = tmp_path / "a"
    rows = saved(stem)
    for kind in ("bits", "numbers"):
        with (tmp_path / f"a.{kind}").open("ab") as file:
            file.write(b"half of a row")
    again = BitRows("x", stem)
    assert again.load()
    again.add([200], row_of(rows, 0))
    again.save()
    third = BitRows("x", stem)
    assert third.load()
    assert (len(third), third.last_row) == (101, row_of(rows, 0))


def test_a_file_that_another_process_replaced_is_not_written_into(tmp_path: Path) -> None:
    stem = tmp_path / "a"
    rows = saved(stem)
    mine, other = BitRows("x", stem), BitRows("x", stem)
    assert mine.load()
    assert other.load()
    other.add([101], b"\1" * 32)
    other.save()
    mine.add([101, 102], b"\1" * 32 + b"\2" * 32)
    assert not mine.is_newest
    mine.save()
    third = BitRows("x", stem)
    assert third.load()
    assert (len(third), third.last_row) == (102, b"\2" * 32)
    assert other.nearest([row_of(rows, 9)], 1)[0].distance == 0  # what it mapped is still whole


# -- the index over the database -------------------------------------------------------------


def keep(store: Store, count: int, *, algorithm: str = ALG, first: int = 0) -> list[bytes]:
    rows = [secrets.token_bytes(ROW_BYTES) for _ in range(count)]
    with store.write() as writer:
        for place, bits in enumerate(rows, first):
            writer.add_fingerprint(f"record-{place}", place, algorithm, bits)
    return rows


def ask(store: Store, index: FingerprintIndex, bits: bytes, most: int = 31) -> list[str]:
    with store.read() as reader:
        return [one.record_id for one in index.nearest(reader, [bits], most)]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written at once, and read in small portions."""
    monkeypatch.setattr(fingerprint_index, "SAVE_AFTER", 1)
    monkeypatch.setattr(fingerprint_index, "FETCH", 3)


@pytest.mark.usefixtures("eager")
def test_the_index_survives_a_restart(store: Store, tmp_path: Path) -> None:
    rows = keep(store, 10)
    folder = tmp_path / "index"
    assert ask(store, FingerprintIndex(ALG, LOG, folder), flip(rows[4], 31)) == ["record-4"]
    fetched: list[int] = []
    again = FingerprintIndex(ALG, LOG, folder)
    with store.read() as reader, pytest.MonkeyPatch.context() as patch:
        real = type(reader).fingerprints

        def counted(*asked: object) -> object:
            found = real(*asked)  # type: ignore[arg-type]
            fetched.append(len(found))
            return found

        patch.setattr(type(reader), "fingerprints", counted)
        assert [one.record_id for one in again.nearest(reader, [rows[9]], 0)] == ["record-9"]
    assert fetched == [0]
    newer = keep(store, 2, first=10)
    assert ask(store, again, newer[1]) == ["record-11"]
    assert len(again) == 12
    assert ask(store, FingerprintIndex(ALG, LOG, folder), newer[0]) == ["record-10"]


@pytest.mark.usefixtures("eager")
def test_a_file_that_does_not_fit_the_database_is_made_again(store: Store, tmp_path: Path) -> None:
    rows = keep(store, 5)
    folder = tmp_path / "index"
    ask(store, FingerprintIndex(ALG, LOG, folder), rows[0])
    other = open_store(f"sqlite:///{tmp_path / 'other.sqlite3'}")
    try:
        for count in (3, 5, 9):  # fewer, as many but others, more than the file has
            fresh = keep(other, count - 3 if count > 3 else 3, first=0 if count == 3 else count)
            index = FingerprintIndex(ALG, LOG, folder)
            assert ask(other, index, fresh[-1], 0)[0].startswith("record-")
            assert ask(other, index, rows[0], 0) == []
    finally:
        other.close()


@pytest.mark.usefixtures("eager")
def test_a_damaged_file_is_made_again(store: Store, tmp_path: Path) -> None:
    rows = keep(store, 5)
    folder = tmp_path / "index"
    ask(store, FingerprintIndex(ALG, LOG, folder), rows[0])
    file = next(folder.glob("*.bits"))
    file.write_bytes(b"\0" * len(file.read_bytes()))
    index = FingerprintIndex(ALG, LOG, folder)
    assert ask(store, index, rows[2]) == ["record-2"]
    assert ask(store, index, b"\0" * 32, 0) == []
    assert file.read_bytes() == b"".join(rows)


def test_what_the_database_no_longer_says_is_not_answered(
    store: Store, database: Path, tmp_path: Path
) -> None:
    """Somebody changed rows under a running process."""
    import sqlite3

    rows = keep(store, 5)
    index = FingerprintIndex(ALG, LOG, tmp_path / "index")
    assert ask(store, index, rows[1]) == ["record-1"]
    with sqlite3.connect(database) as raw:
        raw.execute("UPDATE picture_fingerprint SET bits = zeroblob(32) WHERE leaf_index = 1")
        raw.execute("DELETE FROM picture_fingerprint WHERE leaf_index = 2")
    raw.close()
    assert ask(store, index, rows[1]) == []
    assert ask(store, index, rows[2]) == []
    assert ask(store, index, b"\0" * 32) == ["record-1"]
    assert ask(store, index, rows[3]) == ["record-3"]


def test_other_lengths_and_algorithms_are_passed_over(store: Store) -> None:
    with store.write() as writer:
        writer.add_fingerprint("short", 1, ALG, b"\1" * 8)
        writer.add_fingerprint("other", 2, "other", b"\1" * 32)
        writer.add_fingerprint("right", 3, ALG, b"\2" * 32)
    index = FingerprintIndex(ALG, LOG)
    assert ask(store, index, b"\1" * 8, 256) == []
    assert ask(store, index, b"\1" * 32, 256) == ["right"]
    with store.read() as reader:
        found = index.nearest(reader, [b"\1" * 8, b"\2" * 32], 256, 5)
        assert [(one.record_id, one.question) for one in found] == [("right", 1)]


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    store: Store, tmp_path: Path, eager: None
) -> None:
    rows = keep(store, 5)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    for folder in (blocked, tmp_path / "no" / "such" / "home"):
        assert ask(store, FingerprintIndex(ALG, LOG, folder), rows[3]) == ["record-3"]
    assert not (tmp_path / "no").exists()


@pytest.mark.usefixtures("eager")
def test_a_newer_file_of_another_process_is_taken_over(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    first, second = (FingerprintIndex(ALG, LOG, folder) for _ in range(2))
    rows = keep(store, 4)
    assert ask(store, first, rows[0]) == ["record-0"]
    assert ask(store, second, rows[0]) == ["record-0"]
    rows += keep(store, 4, first=4)
    assert ask(store, first, rows[7]) == ["record-7"]
    before = next(folder.glob("*.bits")).stat()
    assert ask(store, second, rows[7]) == ["record-7"]
    after = next(folder.glob("*.bits")).stat()
    assert (before.st_ino, before.st_size) == (after.st_ino, after.st_size)
    assert second._rows.unsaved == 0


def test_much_is_written_in_between(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint_index, "HOLD", 4)
    monkeypatch.setattr(fingerprint_index, "FETCH", 2)
    rows = keep(store, 9)
    index = FingerprintIndex(ALG, LOG, tmp_path / "index")
    assert ask(store, index, rows[8]) == ["record-8"]
    assert (index._rows.saved, index._rows.unsaved) == (7, 1)


def _in_child(url: str, folder: Path, asked: bytes) -> list[str]:
    store = open_store(url, create=False)
    try:
        return ask(store, FingerprintIndex(ALG, LOG, folder), asked)
    finally:
        store.close()


@pytest.mark.usefixtures("eager")
def test_another_process_searches_the_same_file(
    store: Store, database: Path, tmp_path: Path
) -> None:
    rows = keep(store, 30)
    folder = tmp_path / "index"
    assert ask(store, FingerprintIndex(ALG, LOG, folder), rows[29]) == ["record-29"]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(_in_child, (f"sqlite:///{database}", folder, rows[7]))
    assert found == ["record-7"]
