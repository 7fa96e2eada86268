"""Opening: created privately, migrated once, refused where it cannot be right."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from guard.errors import AuditUnavailable, LogTampered
from guard.store.engine import Store, open_store
from guard.store.lock import FileLock
from guard.store.rows import Head, LeafColumns, LeafRow


def leaf(index: int, record_id: str = "r", event: str = "started") -> LeafRow:
    """A row whose content the store does not look at."""
    columns = LeafColumns(
        record_id,
        event,
        index,
        "generated",
        *[None] * 3,  # type: ignore[arg-type]
        "",
        "",
        "",
        "",
        *[None] * 7,  # type: ignore[arg-type]
    )
    return LeafRow(index, b"{}", bytes(32), columns)


def append(store: Store, record_id: str = "r", event: str = "started") -> int:
    with store.write() as writer:
        head = writer.lock_head()
        new = Head(head.log_id, head.size + 1, bytes([1 + head.size % 250]) * 32, b"")
        writer.append([leaf(head.size, record_id, event)], head, new)
        return head.size


def test_a_new_store_has_one_empty_log(store: Store, database: Path) -> None:
    assert store.log_id.startswith("genguard-")
    assert store.name == f"sqlite:///{database}"
    assert store.dialect == "sqlite"
    with store.read() as reader:
        head, count = reader.head_and_count()
        assert (head.size, count, head.log_id) == (0, 0, store.log_id)


def test_files_are_private(store: Store, database: Path) -> None:
    append(store)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in database.parent.iterdir()}
    ends = ("", "-wal", "-shm", ".lock", ".lock-turn")
    assert set(modes) == {database.name + end for end in ends}
    assert set(modes.values()) == {0o600}


def test_folders_are_made_private(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/a/b/audit.sqlite3").close()
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_connections_are_durable_and_private(store: Store) -> None:
    from sqlalchemy import text

    with store._engine.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "secure_delete", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "busy_timeout": 30_000,
    }


def test_opening_again_finds_the_same_log(store: Store, database: Path) -> None:
    append(store)
    again = open_store(f"sqlite:///{database}", create=False)
    assert again.log_id == store.log_id
    with again.read() as reader:
        assert reader.head().size == 1
    again.close()


def test_a_log_is_not_made_where_one_was_expected(tmp_path: Path) -> None:
    with pytest.raises(AuditUnavailable, match="no audit log at") as caught:
        open_store(f"sqlite:///{tmp_path}/audit.sqlite3", create=False)
    assert "existing log" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.sqlite3").touch()
    with pytest.raises(AuditUnavailable, match="no audit log in this database"):
        open_store(f"sqlite:///{tmp_path}/empty.sqlite3", create=False)


def test_a_log_that_lost_its_head_is_not_begun_anew(store: Store, database: Path) -> None:
    append(store)
    store.close()
    connection = sqlite3.connect(database)
    connection.execute("DROP TRIGGER audit_head_delete")
    connection.execute("DELETE FROM audit_head")
    connection.commit()
    connection.close()
    with pytest.raises(LogTampered, match="no head row"):
        open_store(f"sqlite:///{database}")


def test_a_newer_schema_is_refused(store: Store, database: Path) -> None:
    store.close()
    connection = sqlite3.connect(database)
    connection.execute("UPDATE alembic_version SET version_num = 'r9999'")
    connection.commit()
    connection.close()
    with pytest.raises(AuditUnavailable, match="schema that this version does not know") as caught:
        open_store(f"sqlite:///{database}")
    assert "newer" in caught.value.hint


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\x00" + b"x" * 200])
def test_a_file_that_is_no_database_is_refused(database: Path, content: bytes) -> None:
    database.write_bytes(content)
    with pytest.raises(AuditUnavailable, match=r"not a database|malformed"):
        open_store(f"sqlite:///{database}")
    assert database.read_bytes() == content


def test_a_folder_in_place_of_the_file_is_refused(database: Path) -> None:
    database.mkdir()
    with pytest.raises(AuditUnavailable, match="unable to open"):
        open_store(f"sqlite:///{database}")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditUnavailable):
        open_store(f"sqlite:///{tmp_path}/file/audit.sqlite3")


_AS_NOBODY = """
import os, sys
from guard.errors import AuditUnavailable
from guard.store.engine import open_store
import alembic.command, psycopg  # whatever must be read as root is read before
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    open_store(sys.argv[1])
except AuditUnavailable as error:
    sys.stdout.write(error.diagnostics())
"""


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_cannot_be_written_is_refused(what: str) -> None:
    # Not under tmp_path, whose parents are closed to the account that the script changes to.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if what == "file":
            open_store(f"sqlite:///{folder}/audit.sqlite3").close()
            (folder / "audit.sqlite3").chmod(0o444)
        folder.chmod(0o555)
        ran = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, f"sqlite:///{folder}/audit.sqlite3"],
            capture_output=True,
            text=True,
            check=True,
        )
        folder.chmod(0o755)
    assert f"sqlite:///{folder}/audit.sqlite3 failed" in ran.stdout
    assert "Check" in ran.stdout or "Make" in ran.stdout


def test_a_full_disk_is_unavailable_and_recoverable(store: Store) -> None:
    append(store, "r0")
    before = _size(store)
    _limit_pages(store, extra=2)
    with pytest.raises(AuditUnavailable, match="full") as caught:
        _append_many(store)
    assert "space" in caught.value.hint
    kept = _size(store)
    assert before <= kept < 99
    _limit_pages(store, extra=1_000)
    assert append(store, "after") == kept


def _append_many(store: Store) -> None:
    for number in range(1, 100):
        append(store, f"{number}-" + "x" * 2_000)


def _size(store: Store) -> int:
    with store.read() as reader:
        head, count = reader.head_and_count()
    assert head.size == count
    return count


def _limit_pages(store: Store, extra: int) -> None:
    """SQLite's own word for a disk that has room for so many more pages."""
    from sqlalchemy import event

    store._engine.dispose()
    with sqlite3.connect(store._place.file or "") as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.close()

    @event.listens_for(store._engine, "connect")
    def _limit(dbapi_connection: sqlite3.Connection, _: object) -> None:
        dbapi_connection.execute(f"PRAGMA max_page_count = {pages + extra}").close()


_FULL = """
import resource, sys
from guard.errors import AuditUnavailable
from guard.store.engine import open_store
sys.path.insert(0, sys.argv[2])
from test_store_engine import append
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, 900_000))
done = 0
try:
    for done in range(1000):
        append(store, f"{done}-" + "x" * 3000)
except AuditUnavailable as error:
    sys.stdout.write(f"{done} {error.message}")
"""


def test_a_write_that_the_system_refuses_is_unavailable(database: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _FULL, f"sqlite:///{database}", str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    done, _, message = ran.stdout.partition(" ")
    assert "failed:" in message
    store = open_store(f"sqlite:///{database}", create=False)
    assert _size(store) == int(done) > 0
    store.close()


def test_a_database_that_goes_away_is_unavailable(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    store = open_store(f"sqlite:///{folder}/audit.sqlite3")
    store.close()
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(AuditUnavailable), store.write():
        pytest.fail("nothing to write to")
    with pytest.raises(AuditUnavailable), store.read():
        pytest.fail("nothing to read from")


def test_a_write_that_raises_is_rolled_back(store: Store) -> None:
    def stumble() -> None:
        with store.write() as writer:
            head = writer.lock_head()
            writer.append([leaf(0)], head, Head(head.log_id, 1, b"x" * 32, b""))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stumble()
    assert _size(store) == 0
    assert append(store) == 0


def test_a_head_that_moved_is_not_overwritten(store: Store) -> None:
    append(store)

    def overtaken() -> None:
        with store.write() as writer:
            head = writer.lock_head()
            old = Head(head.log_id, 0, head.root, b"")
            writer.append([leaf(1, "s")], old, Head(head.log_id, 2, b"x" * 32, b""))

    with pytest.raises(AuditUnavailable, match="moved"):
        overtaken()
    assert _size(store) == 1


def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    append(store)
    with store.write() as writer:
        head = writer.lock_head()
        writer.append([leaf(1, "s")], head, Head(head.log_id, 2, b"x" * 32, b""))
        with store.read() as reader:
            assert reader.head().size == 1
    assert _size(store) == 2


def test_a_busy_log_is_unavailable_in_time(store: Store, database: Path) -> None:
    impatient = open_store(f"sqlite:///{database}", timeout_seconds=0.2)
    with store.write(), pytest.raises(AuditUnavailable, match=r"not free within 0\.2 s"):
        append(impatient)
    assert append(impatient) == 0
    impatient.close()


def test_a_writer_that_does_not_know_the_lock_is_waited_for(store: Store, database: Path) -> None:
    impatient = open_store(f"sqlite:///{database}", timeout_seconds=0.2)
    stranger = sqlite3.connect(database, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(AuditUnavailable, match="locked") as caught:
        append(impatient)
    assert "try again" in caught.value.hint
    stranger.execute("ROLLBACK")
    stranger.close()
    assert append(impatient) == 0
    impatient.close()


def test_threads_wait_for_one_another(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock", 0.2)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock.held():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    with pytest.raises(AuditUnavailable, match="lock"), lock.held():
        pytest.fail("two held it")
    leave.set()
    thread.join()
    with lock.held():
        pass
    lock.close()
    lock.close()


def test_a_link_in_place_of_the_lock_is_not_followed(store: Store, database: Path) -> None:
    store.close()
    lock = database.with_name(database.name + ".lock")
    lock.unlink()
    lock.symlink_to(database.parent / "elsewhere")
    with pytest.raises(AuditUnavailable):
        open_store(f"sqlite:///{database}")
    assert not (database.parent / "elsewhere").exists()


def _append_some(url: str, barrier: object, count: int) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    store = open_store(url)
    for number in range(count):
        append(store, f"{os.getpid()}-{number}")
    store.close()


def test_first_openings_at_the_same_time_make_one_log(database: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    workers = [
        context.Process(target=_append_some, args=(f"sqlite:///{database}", barrier, 5))
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 3
    store = open_store(f"sqlite:///{database}", create=False)
    assert _size(store) == 15
    store.close()


def _in_child(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked child; answers its pid. The child exits 0, or 1 if unavailable."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except AuditUnavailable:
            os._exit(1)
        finally:
            os._exit(2)
    return child


def _exit_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_has_its_own_connections(store: Store) -> None:
    append(store, "parent")
    assert _exit_of(_in_child(lambda: [append(store, f"child-{n}") for n in range(3)])) == 0
    assert append(store, "again") == 4
    assert _size(store) == 5


def test_a_forked_child_waits_for_its_parent(store: Store) -> None:
    assert store._lock is not None
    with store._lock.held():  # a lock that the child must not believe to have inherited
        child = _in_child(lambda: append(store, "child"))
        time.sleep(0.3)
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
    assert _exit_of(child) == 0
    assert _size(store) == 1


def test_a_child_forked_during_a_write_is_refused(store: Store) -> None:
    with store.write() as writer:
        head = writer.lock_head()
        writer.append([leaf(0)], head, Head(head.log_id, 1, b"x" * 32, b""))
        assert _exit_of(_in_child(lambda: _size(store))) == 1
    assert _size(store) == 1


def test_lock_files_are_opened_anew_in_a_child(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock", 0.2)
    with lock.held():
        assert _exit_of(_in_child(lambda: lock.held().__enter__())) == 1
    assert _exit_of(_in_child(lambda: lock.held().__enter__())) == 0
    lock.close()
