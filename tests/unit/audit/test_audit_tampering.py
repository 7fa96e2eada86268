"""Someone who rewrites everything is found by what was published, and from which row on."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.audit.checkpoints.known import Known
from guard.audit.verify import verify_log
from guard.errors import CheckpointUnavailable, LogTampered
from guard.store.engine import Store, open_store
from tests.support.publishing import publisher
from tests.support.tampering import Attack, attacks, new_leaves, rebuild

ROWS = 300
"""A full tile, and part of a second."""

SIZES = (100, 260, ROWS)
EDITS = 49
"""Of each kind as many; tests/benchmarks/bench_tampering.py makes a thousand in a larger log."""


@pytest.fixture(scope="module")
def scene(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("tampering")
    yield (made := Scene(shutil.copy(empty_database, folder / "audit.sqlite3"), folder))
    made.store.close()


class Scene:
    """A log whose checkpoints at 100, 260 and 300 rows were published, in both ways."""

    def __init__(self, database: Path, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.store: Store = open_store(f"sqlite:///{database}")
        rng = random.Random(1)  # noqa: S311
        self.leaves = new_leaves(self.store.log_id, ROWS, rng)
        self.known = {}
        for size in SIZES:
            rebuild(database, self.leaves[:size])
            for way in ("tiles", "file.jsonl"):
                publisher(self.store, folder / "home", str(folder / way)).publish()
        for way in ("tiles", "file.jsonl"):
            ours = publisher(self.store, folder / "home", str(folder / way))
            self.known[way] = ours.known_roots()

    def suffer(self, attack: Attack) -> None:
        rebuild(self.database, attack.leaves)


def test_the_untouched_log_is_good(scene: Scene) -> None:
    rebuild(scene.database, scene.leaves)
    for known in scene.known.values():
        check = verify_log(scene.store, known=known)
        assert check.ok
        assert check.checkpoint == ROWS


def test_every_rewriting_is_found_with_its_first_row(scene: Scene) -> None:
    for attack in attacks(scene.leaves, EDITS, seed=7):
        scene.suffer(attack)
        check = verify_log(scene.store, known=scene.known["tiles"])
        assert not check.ok, attack.name
        assert check.first_bad == attack.first_bad, (attack.name, check.problems)


def test_the_rewriting_itself_leaves_no_trace(scene: Scene) -> None:
    for attack in attacks(scene.leaves, 7, seed=8):
        scene.suffer(attack)
        assert verify_log(scene.store).ok, attack.name


def test_without_tiles_the_history_says_between_which_rows(scene: Scene) -> None:
    for attack in attacks(scene.leaves, 14, seed=9):
        scene.suffer(attack)
        check = verify_log(scene.store, known=scene.known["file.jsonl"])
        assert not check.ok
        good = max(size for size in (0, *SIZES) if size <= attack.first_bad)
        bad = min(size for size in SIZES if size > attack.first_bad)
        said = f"The first {bad} rows are not those noted earlier"
        said += f"; the first {good} still are." if good else "."
        assert (said in check.problems) == (bad <= len(attack.leaves))


def test_rows_after_the_checkpoint_are_not_called_tampered(scene: Scene) -> None:
    more = new_leaves(scene.store.log_id, 5, random.Random(3))  # noqa: S311
    rebuild(scene.database, scene.leaves + more)
    for known in scene.known.values():
        assert verify_log(scene.store, known=known).ok


def test_tiles_that_were_changed_too_are_not_believed(scene: Scene, tmp_path: Path) -> None:
    place = tmp_path / "tiles"
    shutil.copytree(scene.folder / "tiles", place)
    known = Known(scene.known["tiles"].roots, publisher(
        scene.store, tmp_path / "home", str(place)
    ).place)  # fmt: skip
    some = attacks(scene.leaves, 30, seed=10)
    attack = next(one for one in some if one.first_bad < 256 and len(one.leaves) >= ROWS)
    scene.suffer(attack)
    (place / "tile/1/000.p/1").write_bytes(bytes(32))
    check = verify_log(scene.store, known=known)
    assert "The published tiles do not lead to the published checkpoint." in check.problems
    assert (check.ok, check.first_bad) == (False, None)
    shutil.copy(scene.folder / "tiles/tile/1/000.p/1", place / "tile/1/000.p/1")
    (place / "tile/0/000").write_bytes(bytes(8192))
    check = verify_log(scene.store, known=known)
    assert "The published tile of row 0 is broken." in check.problems
    assert (check.ok, check.first_bad) == (False, None)
    shutil.rmtree(place / "tile")
    check = verify_log(scene.store, known=known)
    assert (check.ok, check.first_bad) == (False, None)


def test_a_stored_tile_that_is_not_of_its_rows_is_found(scene: Scene, tmp_path: Path) -> None:
    import sqlite3

    for sql, index in (
        ("UPDATE audit_tile SET hashes = zeroblob(8192) WHERE level = 0", 0),
        ("UPDATE audit_tile SET root = zeroblob(32)", 0),
        ("DELETE FROM audit_tile", 0),
        ("INSERT INTO audit_tile SELECT 3, 0, root, hashes FROM audit_tile LIMIT 1", None),
    ):
        rebuild(scene.database, scene.leaves)
        with sqlite3.connect(scene.database, isolation_level=None) as connection:
            connection.execute(sql)
        connection.close()
        check = verify_log(scene.store)
        assert not check.ok, sql
        assert check.first_bad == index
        assert "ile" in check.problems[0]


def test_what_was_noted_must_not_contradict_a_checkpoint(scene: Scene) -> None:
    rebuild(scene.database, scene.leaves)
    check = verify_log(scene.store, known=scene.known["tiles"], expected=(ROWS, "00" * 32))
    assert not check.ok
    assert f"The checkpoint of {ROWS} rows is not what was noted." in check.problems


def test_two_checkpoints_of_one_size_are_not_reconciled(scene: Scene) -> None:
    rebuild(scene.database, scene.leaves)
    ours = publisher(scene.store, scene.folder / "home", str(scene.folder / "file.jsonl"))
    key = ours.keys.signer(scene.store.log_id, first=False)
    assert ours.place is not None
    before = (scene.folder / "file.jsonl").read_bytes()
    ours.place.publish(ROWS, str(key.sign(ROWS, bytes(32))), [])
    with pytest.raises(LogTampered, match="two different checkpoints of 300 rows"):
        ours.known_roots()
    (scene.folder / "file.jsonl").write_bytes(before)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 260, 299])
def test_a_cut_at_the_edges_of_tiles(scene: Scene, size: int) -> None:
    rebuild(scene.database, scene.leaves[:size])
    check = verify_log(scene.store, known=scene.known["tiles"])
    assert check.first_bad == size
    assert f"The log once had {ROWS} rows." in check.problems


def test_a_place_that_is_gone_is_no_excuse(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from guard.audit.checkpoints.place_files import LocalFiles

    def fail(*_: object) -> None:
        raise CheckpointUnavailable("gone")

    rebuild(scene.database, scene.leaves[:-1])
    monkeypatch.setattr(LocalFiles, "read", fail)
    with pytest.raises(CheckpointUnavailable):
        verify_log(scene.store, known=scene.known["tiles"])


def test_tiles_are_compared_in_portions(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from guard.audit.tree import tile_check

    monkeypatch.setattr(tile_check, "AT_ONCE", 1)
    rebuild(scene.database, scene.leaves)
    assert verify_log(scene.store, known=scene.known["tiles"]).ok
