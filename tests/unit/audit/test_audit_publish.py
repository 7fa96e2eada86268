"""Publishing checkpoints: every place, every step failing, and never one that does not follow."""

from __future__ import annotations

import itertools
import logging
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.audit import files
from guard.audit.checkpoints import publish
from guard.audit.checkpoints.checkpoint import open_checkpoint
from guard.audit.checkpoints.checkpoint_key import (
    CheckpointKey,
    load_key,
    load_verifiers,
    make_key,
    write_verifier,
)
from guard.audit.checkpoints.place_files import LocalFiles, RemoteFiles
from guard.audit.checkpoints.places import PublishedFile, PublishedFolder, open_place
from guard.audit.checkpoints.publish import Publisher, Rhythm
from guard.audit.log import SqlAuditLog
from guard.audit.tree.merkle import Frontier, root
from guard.audit.tree.tile_paths import Tile, history_path, number_path, tiles_of
from guard.errors import (
    CheckpointUnavailable,
    GuardError,
    KeyInvalid,
    LogTampered,
    OutputUnwritable,
    ProofInvalid,
)
from tests.support.publishing import fill, publisher

_counter = itertools.count()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(params=["folder", "file", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where checkpoints go, in each of the three ways."""
    ways = {
        "folder": str(tmp_path / "outside" / "log"),
        "file": str(tmp_path / "outside" / "checkpoints.jsonl"),
        "store": f"memory://bucket-{next(_counter)}/log",
    }
    return ways[request.param]


def roots(log: SqlAuditLog) -> list[bytes]:
    """The root at every size."""
    frontier = Frontier()
    found = [frontier.root]
    with log.store.read() as reader:
        for row in reader.leaves(0, 100_000):
            frontier.append(row.leaf_hash)
            found.append(frontier.root)
    return found


def test_what_is_published_is_the_log(log: SqlAuditLog, home: Path, place: str) -> None:
    ours = publisher(log.store, home, place)
    sizes = []
    for rows in (1, 2, 40):
        fill(log, rows)
        sizes.append(ours.publish().size)
        assert ours.published_size == sizes[-1]
    assert sizes == [1, 3, 43]
    verifiers = load_verifiers(home / "keys" / "checkpoint.vkey", log.log_id)
    there = open_place(place)
    notes = [open_checkpoint(note, verifiers, log.log_id) for note in there.history()]
    assert [one.size for one in notes] == sizes
    expected = roots(log)
    assert all(one.root == expected[one.size] for one in notes)
    assert there.newest() == str(notes[-1])


def test_nothing_new_is_nothing_signed(log: SqlAuditLog, home: Path, place: str) -> None:
    fill(log, 3)
    ours = publisher(log.store, home, place)
    assert str(ours.publish()) == str(ours.publish())
    assert len([*open_place(place).history()]) == 1


def test_an_empty_log_has_a_checkpoint(log: SqlAuditLog, home: Path, place: str) -> None:
    ours = publisher(log.store, home, place)
    assert ours.publish().size == 0
    fill(log, 2)
    assert ours.publish().size == 2


def test_without_a_place_it_only_signs(log: SqlAuditLog, home: Path) -> None:
    fill(log, 3)
    ours = publisher(log.store, home)
    assert ours.publish().size == 3
    assert publisher(log.store, home).publish() == ours.publish()


@pytest.mark.parametrize("sizes", [(300, 600), (256, 257), (255, 512), (600,)])
def test_a_folder_holds_the_tiles_of_the_specification(
    log: SqlAuditLog, home: Path, tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    there, before = tmp_path / "outside", 0
    ours = publisher(log.store, home, str(there))
    for size in sizes:
        fill(log, size - before)
        ours.publish()
        before = size
    with log.store.read() as reader:
        hashes = [row.leaf_hash for row in reader.leaves(0, 1000)]
    full, rest = divmod(before, 256)
    for index in range(full):
        tile = (there / f"tile/0/{index:03}").read_bytes()
        assert tile == b"".join(hashes[256 * index : 256 * (index + 1)])
    if rest:
        partial = there / f"tile/0/{full:03}.p/{rest}"
        assert partial.read_bytes() == b"".join(hashes[256 * full :])
    if full:
        above = (there / f"tile/1/000.p/{full}").read_bytes()
        assert above == b"".join(root(hashes[256 * i : 256 * (i + 1)]) for i in range(full))
    assert (there / "checkpoint").stat().st_mode & 0o777 == 0o644


def test_tile_paths_are_those_of_the_specification() -> None:
    assert number_path(1234067) == "x001/x234/067"
    assert number_path(0) == "000"
    tiles = list(tiles_of(70_000))
    assert sum(tile.level == 0 and tile.width == 256 for tile in tiles) == 273
    assert [tile for tile in tiles if tile.width < 256] == [
        Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1),
    ]  # fmt: skip
    assert [*tiles_of(256)] == [Tile(0, 0), Tile(1, 0, 1)]
    assert [*tiles_of(70_000, 70_000)] == []
    assert Tile(0, 273, 112).path == "tile/0/273.p/112"
    assert Tile(0, 1234067).entries_path == "tile/entries/x001/x234/067"
    assert sorted(map(history_path, (1000, 999, 10**7))) == [
        history_path(999), history_path(1000), history_path(10**7),
    ]  # fmt: skip


# -- every step failed, and failed but persisted -----------------------------------------------


class Breaking:
    """Counts the steps of a publication; fails one of them, before or after it did its work."""

    def __init__(self, step: int, *, after: bool) -> None:
        self.step, self.after, self.seen = step, after, 0

    def around(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            self.seen += 1
            if self.seen == self.step and not self.after:
                raise OSError(28, "No space left on device")
            answer = real(*args, **kwargs)
            if self.seen == self.step and self.after:
                raise OSError(5, "Input/output error")
            return answer

        return call


PERSISTING = ("write_private", "put_in_place")


def break_step(monkeypatch: pytest.MonkeyPatch, breaking: Breaking) -> None:
    """Whatever writes to a disk or to an object store counts as a step."""
    from guard.audit.checkpoints import checkpoint_key, place_files, signed_state

    for module in (checkpoint_key, place_files, signed_state):
        for name in PERSISTING:
            monkeypatch.setattr(module, name, breaking.around(getattr(files, name)))
    monkeypatch.setattr("os.fsync", breaking.around(lambda _: None))
    from fsspec.implementations import memory

    for name in ("pipe_file", "makedirs", "cat_file"):
        real = getattr(memory.MemoryFileSystem, name)
        monkeypatch.setattr(memory.MemoryFileSystem, name, breaking.around(real))


def signed_during(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bytes]]:
    """What was signed, whatever became of it."""
    real, signed = CheckpointKey.sign, []

    def sign(self: CheckpointKey, size: int, root_: bytes) -> object:
        signed.append((size, root_))
        return real(self, size, root_)

    monkeypatch.setattr(CheckpointKey, "sign", sign)
    return signed


def check_after_failure(log: SqlAuditLog, ours: Publisher, signed: list[tuple[int, bytes]]) -> None:
    """Publishing goes on, and everything that was ever signed is one log."""
    fill(log, 1)
    again = publisher(log.store, ours.state.folder.parent, ours.place).publish()
    expected = roots(log)
    assert all(expected[size] == one for size, one in signed)
    assert (again.size, again.root) == (len(expected) - 1, expected[-1])
    assert ours.place is not None
    notes = [open_checkpoint(one, ours.keys.verifiers(log.log_id)) for one in ours.place.history()]
    assert all(one.root == expected[one.size] for one in notes)
    assert [one.size for one in notes] == sorted({one.size for one in notes})
    assert notes[-1].size == again.size


@pytest.mark.parametrize("after", [False, True], ids=["failed", "failed-but-persisted"])
@pytest.mark.parametrize("begun", [False, True], ids=["first", "later"])
def test_every_step_may_fail(
    log: SqlAuditLog, home: Path, place: str, *, begun: bool, after: bool
) -> None:
    fill(log, 3)
    for step in range(1, 60):
        suffix = ".jsonl" if place.endswith(".jsonl") else ""
        where = f"{place.removesuffix(suffix)}-{step}{suffix}"
        ours = publisher(log.store, home / str(step), where)
        with pytest.MonkeyPatch.context() as monkeypatch:
            signed = signed_during(monkeypatch)
            if begun:
                ours.publish()
                fill(log, 1)
            breaking, error = Breaking(step, after=after), None
            with pytest.MonkeyPatch.context() as inner:
                break_step(inner, breaking)
                try:
                    ours.publish()
                except GuardError as caught:
                    error = caught
            check_after_failure(log, ours, signed)
        if breaking.seen < step:
            assert error is None
            break
    assert 3 < step < 59


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints.jsonl"


def test_a_torn_line_is_passed_over(log: SqlAuditLog, home: Path, torn: Path) -> None:
    ours = publisher(log.store, home, str(torn))
    fill(log, 2)
    ours.publish()
    whole = torn.read_bytes()
    with torn.open("ab") as file:
        file.write(whole[:50])
    fill(log, 2)
    assert ours.publish().size == 4
    lines = torn.read_bytes().splitlines()
    assert len(lines) == 3
    assert len([*PublishedFile(torn).history()]) == 2
    torn.write_bytes(torn.read_bytes() + b'{"note": 7}\n[]\nnull\n')
    assert len([*PublishedFile(torn).history()]) == 2


# -- what must not be signed -------------------------------------------------------------------


def replace_log(database: Path, other: Path) -> None:
    """Put another copy of the database in its place, as from a backup."""
    with sqlite3.connect(other) as source, sqlite3.connect(database) as target:
        source.backup(target)
    source.close()
    target.close()


@pytest.mark.parametrize("keeps_state", [True, False], ids=["with-state", "place-alone"])
def test_a_log_that_shrank_or_forked_is_not_signed(
    log: SqlAuditLog, home: Path, place: str, database: Path, tmp_path: Path, *, keeps_state: bool
) -> None:
    fill(log, 3)
    old = tmp_path / "backup.sqlite3"
    replace_log(old, database)
    fill(log, 3)
    ours = publisher(log.store, home, place)
    ours.publish()
    if not keeps_state:
        shutil.rmtree(home / "checkpoints")
    replace_log(database, old)
    with pytest.raises(LogTampered, match="once had 6 rows, and has 3"):
        publisher(log.store, home, place).publish()
    fill(log, 5)
    with pytest.raises(LogTampered, match="first 6 rows differ"):
        publisher(log.store, home, place).publish()
    assert len([*open_place(place).history()]) == 1


def test_a_signature_that_was_never_published_binds_too(
    log: SqlAuditLog, home: Path, database: Path, tmp_path: Path
) -> None:
    fill(log, 3)
    old = tmp_path / "backup.sqlite3"
    replace_log(old, database)
    fill(log, 1)
    publisher(log.store, home).publish()  # signs only
    replace_log(database, old)
    fill(log, 1)
    with pytest.raises(LogTampered, match="first 4 rows differ"):
        publisher(log.store, home, str(tmp_path / "outside")).publish()


def test_a_place_that_lost_what_it_had_is_noticed(
    log: SqlAuditLog, home: Path, tmp_path: Path
) -> None:
    place = tmp_path / "outside"
    fill(log, 3)
    publisher(log.store, home, str(place)).publish()
    shutil.copytree(place, tmp_path / "old")
    fill(log, 1)
    publisher(log.store, home, str(place)).publish()
    for left in (tmp_path / "old", None):
        shutil.rmtree(place)
        if left:
            shutil.copytree(left, place)
        with pytest.raises(LogTampered, match="has lost the checkpoint of 4 rows"):
            publisher(log.store, home, str(place)).publish()


def test_an_old_checkpoint_put_back_is_passed_over(
    log: SqlAuditLog, home: Path, tmp_path: Path
) -> None:
    place = tmp_path / "outside"
    fill(log, 3)
    ours = publisher(log.store, home, str(place))
    ours.publish()
    old = (place / "checkpoint").read_bytes()
    fill(log, 1)
    new = ours.publish()
    (place / "checkpoint").write_bytes(old)
    assert open_place(str(place)).newest() == str(new)


def test_a_forged_checkpoint_stops_everything(log: SqlAuditLog, home: Path, tmp_path: Path) -> None:
    place = tmp_path / "outside"
    fill(log, 3)
    ours = publisher(log.store, home, str(place))
    ours.publish()
    forger = make_key(tmp_path / "forger.pem", log.log_id)
    for forged in (str(forger.sign(9, bytes(32))), "garbage"):
        target = place / history_path(9)
        target.write_text(forged)
        with pytest.raises(ProofInvalid):
            ours.publish()
        target.unlink()
    assert ours.publish().size == 3


def test_tiles_that_others_changed_are_not_overwritten(
    log: SqlAuditLog, home: Path, tmp_path: Path
) -> None:
    place = tmp_path / "outside"
    fill(log, 3)
    ours = publisher(log.store, home, str(place))
    (place / "tile" / "0" / "000.p").mkdir(parents=True)
    (place / "tile" / "0" / "000.p" / "3").write_bytes(bytes(96))
    with pytest.raises(LogTampered, match=r"published as tile/0/000\.p/3"):
        ours.publish()
    assert (place / "tile" / "0" / "000.p" / "3").read_bytes() == bytes(96)


def test_a_log_whose_head_does_not_fit_is_not_signed(
    log: SqlAuditLog, home: Path, vandal: Callable[..., None]
) -> None:
    fill(log, 3)
    vandal("UPDATE audit_head SET root = zeroblob(32)")
    with pytest.raises(LogTampered, match="root is not that of its rows"):
        publisher(log.store, home).publish()
    assert not (home / "keys" / "checkpoint.pem").exists()


# -- keys --------------------------------------------------------------------------------------


def test_the_key_is_private_and_its_public_line_is_beside_it(log: SqlAuditLog, home: Path) -> None:
    publisher(log.store, home).publish()
    path = home / "keys" / "checkpoint.pem"
    assert path.stat().st_mode & 0o077 == 0
    (line,) = (home / "keys" / "checkpoint.vkey").read_text().splitlines()
    assert line == str(load_key(path, log.log_id).verifier)
    assert line.startswith(f"{log.log_id}+")


def test_a_lost_key_is_not_made_anew(log: SqlAuditLog, home: Path, place: str) -> None:
    ours = publisher(log.store, home, place)
    fill(log, 1)
    ours.publish()
    fill(log, 1)
    (home / "keys" / "checkpoint.pem").unlink()
    with pytest.raises(KeyInvalid, match="There is no key"):
        ours.publish()
    make_key(home / "keys" / "checkpoint.pem", log.log_id)
    with pytest.raises(KeyInvalid, match="none that this log's verifiers believe"):
        ours.publish()


def test_a_rotated_key_goes_on_where_verifiers_know_both(
    log: SqlAuditLog, home: Path, place: str
) -> None:
    ours = publisher(log.store, home, place)
    fill(log, 1)
    ours.publish()
    fill(log, 1)
    private, public = home / "keys" / "checkpoint.pem", home / "keys" / "checkpoint.vkey"
    private.unlink()
    new = make_key(private, log.log_id)
    public.write_text(f"{new.verifier}\n{public.read_text()}")
    assert ours.publish().size == 2


def test_given_verifiers_take_the_place_of_the_homes(log: SqlAuditLog, home: Path) -> None:
    key = make_key(home / "keys" / "checkpoint.pem", log.log_id)
    other = CheckpointKey("another-log", key.private).verifier
    public = home / "keys" / "checkpoint.vkey"
    assert load_verifiers(public, log.log_id) == ()
    assert load_verifiers(public, log.log_id, f"{other}, {key.verifier}") == (key.verifier,)
    keys = publish.Keys(home / "keys" / "checkpoint.pem", public, str(other))
    with pytest.raises(KeyInvalid, match="none that this log's verifiers believe"):
        keys.signer(log.log_id, first=True)
    assert not public.exists()


@pytest.mark.parametrize("data", [b"", b"garbage", b"rsa"])
def test_what_is_no_key_is_refused(tmp_path: Path, data: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path = tmp_path / "checkpoint.pem"
    other = X25519PrivateKey.generate()
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem if data == b"rsa" else data)
    with pytest.raises(KeyInvalid, match="no Ed25519 private key"):
        make_key(path, "log")
    path.unlink()
    path.mkdir()
    with pytest.raises(KeyInvalid, match="cannot be read"):
        load_key(path, "log")


# -- places that fail --------------------------------------------------------------------------


def test_a_failure_is_visible_and_kept(
    log: SqlAuditLog, home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "outside"
    blocked.write_text("a file where a folder should be")
    fill(log, 1)
    ours = publisher(log.store, home, str(blocked))
    with caplog.at_level(logging.WARNING), pytest.raises(CheckpointUnavailable) as caught:
        ours.publish()
    assert "GUARD_CHECKPOINTS" in caught.value.hint
    assert "No checkpoint of the audit log was published" in caplog.text
    state = ours.state.read()
    assert state.failure == caught.value.message
    assert state.failed_at > 0
    blocked.unlink()
    ours.publish()
    assert (ours.state.read().failure, ours.state.read().failed_at) == ("", 0.0)


def test_a_home_that_cannot_be_written_signs_nothing(
    log: SqlAuditLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "home"
    home.write_text("no folder")
    with pytest.raises((CheckpointUnavailable, LogTampered, OutputUnwritable)):
        publisher(log.store, home, str(tmp_path / "outside")).publish()
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("data", ["", "{", "[]", '{"unknown": 1}'])
def test_a_broken_state_signs_nothing(log: SqlAuditLog, home: Path, data: str) -> None:
    ours = publisher(log.store, home)
    ours.publish()
    ours.state.path.write_text(data)
    with pytest.raises(LogTampered, match="cannot be read"):
        ours.publish()


def test_places_are_told_apart(tmp_path: Path) -> None:
    assert isinstance(open_place(str(tmp_path)), PublishedFolder)
    assert isinstance(open_place(f"file://{tmp_path}"), PublishedFolder)
    assert isinstance(open_place(str(tmp_path / "x.jsonl")), PublishedFile)
    assert open_place(str(tmp_path / "x.jsonl")).tile(Tile(0, 0)) is None
    remote = open_place("memory://user:secret@host/path?token=1")
    assert remote.name == "memory://host/path"
    assert remote.newest() is None
    assert [*remote.history()] == []
    assert remote.tile(Tile(0, 0)) is None
    with pytest.raises(CheckpointUnavailable):
        open_place("nosuchscheme://x")


def test_a_store_whose_package_is_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(CheckpointUnavailable, match="not installed") as caught:
        RemoteFiles("s3://bucket/log")
    assert "genguard[cloud]" in caught.value.hint


def test_places_that_cannot_be_read_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(CheckpointUnavailable, match="cannot be read"):
        LocalFiles(tmp_path).read("checkpoint")
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(CheckpointUnavailable, match="cannot be read"):
        LocalFiles(tmp_path).names("checkpoints")
    (tmp_path / "x.jsonl").mkdir()
    with pytest.raises(CheckpointUnavailable, match="cannot be read"):
        PublishedFile(tmp_path / "x.jsonl").newest()
    remote = RemoteFiles("memory://x")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    for name in ("cat_file", "ls", "pipe_file"):
        monkeypatch.setattr(type(remote._system), name, fail)
    for call in (
        lambda: remote.read("a"), lambda: remote.names("a"), lambda: remote.write("a", b"")
    ):  # fmt: skip
        with pytest.raises(CheckpointUnavailable) as caught:
            call()
        assert "secret" not in caught.value.diagnostics()


def test_a_checkpoint_that_goes_away_while_it_is_read(
    log: SqlAuditLog, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "outside"
    fill(log, 1)
    publisher(log.store, home, str(place)).publish()
    monkeypatch.setattr(LocalFiles, "read", lambda *_: None)
    there = open_place(str(place))
    with pytest.raises(CheckpointUnavailable, match="went away"):
        there.newest()
    with pytest.raises(CheckpointUnavailable, match="went away"):
        list(there.history())


def test_a_folder_that_cannot_be_written(
    log: SqlAuditLog, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, 1)
    (tmp_path / "file").write_text("")
    for where in ("file/log", "file/log.jsonl"):
        ours = publisher(log.store, home, str(tmp_path / where))
        with pytest.raises(CheckpointUnavailable, match="cannot be"):
            ours.publish()

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("guard.audit.checkpoints.place_files.write_private", refuse)
    with pytest.raises(CheckpointUnavailable, match="cannot be written: Permission denied"):
        publisher(log.store, home, str(tmp_path / "outside")).publish()


def test_a_home_that_becomes_a_file(log: SqlAuditLog, home: Path) -> None:
    ours = publisher(log.store, home)
    home.write_text("in the way")
    with pytest.raises(CheckpointUnavailable, match="cannot be made"):
        ours.publish()


def test_two_that_make_the_key_at_once_use_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pem"
    first = make_key(path, "log").verifier
    monkeypatch.setattr(Path, "exists", lambda _: False)  # as the second saw it
    assert make_key(path, "log").verifier == first
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.pem"]


def test_a_public_line_is_written_once(log: SqlAuditLog, home: Path) -> None:
    key = make_key(home / "keys" / "checkpoint.pem", log.log_id).verifier
    public = home / "keys" / "checkpoint.vkey"
    for _ in range(2):
        write_verifier(public, key)
    assert public.read_text() == f"{key}\n"


def test_check_signs_nothing(log: SqlAuditLog, home: Path, place: str) -> None:
    ours = publisher(log.store, home, place)
    assert ours.check() is None
    fill(log, 2)
    signed = ours.publish()
    fill(log, 1)
    assert ours.check() == signed
    assert len([*open_place(place).history()]) == 1


def test_a_folder_with_checkpoint_alone_has_a_history_of_one(
    log: SqlAuditLog, home: Path, tmp_path: Path
) -> None:
    place = tmp_path / "outside"
    fill(log, 1)
    note = str(publisher(log.store, home, str(place)).publish())
    shutil.rmtree(place / "checkpoints")
    there = open_place(str(place))
    assert there.newest() == note
    assert [*there.history()] == [note]


def test_a_full_tile_serves_for_the_partial_one_before(
    log: SqlAuditLog, home: Path, tmp_path: Path
) -> None:
    place = tmp_path / "outside"
    ours = publisher(log.store, home, str(place))
    fill(log, 100)
    ours.publish()
    fill(log, 156)
    ours.publish()
    shutil.rmtree(place / "tile" / "0" / "000.p")
    with log.store.read() as reader:
        hashes = [row.leaf_hash for row in reader.leaves(0, 100)]
    assert open_place(str(place)).tile(Tile(0, 0, 100)) == b"".join(hashes)


# -- when --------------------------------------------------------------------------------------


def test_when_a_checkpoint_is_due(log: SqlAuditLog, home: Path, tmp_path: Path) -> None:
    ours = publisher(log.store, home, str(tmp_path / "outside"), Rhythm(rows=3, seconds=60))
    now = 1_000_000.0
    assert not ours.due(0, now)
    assert ours.due(1, now)  # nothing was ever published
    fill(log, 1)
    ours.publish()
    at = ours.state.read().published_at
    assert not ours.due(1, at + 1000)
    assert not ours.due(3, at + 59)
    assert ours.due(2, at + 60)
    assert ours.due(4, at + 1)


def test_two_homes_may_publish_one_log_under_one_key(
    log: SqlAuditLog, tmp_path: Path, place: str
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    first = publisher(log.store, one, place)
    fill(log, 1)
    first.publish()
    with pytest.raises(ProofInvalid, match="no signature of a key that is trusted"):
        publisher(log.store, two, place).publish()
    shutil.copytree(one / "keys", two / "keys")
    fill(log, 1)
    assert publisher(log.store, two, place).publish().size == 2
    fill(log, 1)
    assert first.publish().size == 3
