"""Open the database that keeps the audit log, and hand out transactions.

Writers queue: on SQLite behind a file lock and ``BEGIN IMMEDIATE``, on PostgreSQL on the head
row (``FOR UPDATE``, READ COMMITTED: lock first, then read). A transaction that returns is
durable: WAL with ``synchronous=FULL`` on SQLite, ``synchronous_commit=on`` on PostgreSQL.
"""

from __future__ import annotations

import os
import secrets
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from guard.errors import AuditUnavailable, LogTampered
from guard.store.border import border
from guard.store.lock import FileLock
from guard.store.migrate import migrate
from guard.store.reader import Reader
from guard.store.scrub import Scrubber
from guard.store.url import Place, parse_url
from guard.store.writer import Writer, plant_head

POOL_SIZE = 5
"""Connections kept open; writers queue anyway, so more would only wait."""


class Store:
    """One database with one log in it. Thread-safe; survives forking. Made by open_store."""

    def __init__(self, place: Place, timeout_seconds: float) -> None:
        self._place = place
        self._timeout = timeout_seconds
        self._pid = os.getpid()
        self._engine = make_engine(place, timeout_seconds)
        self._lock: FileLock | None = None
        if place.file is not None:
            self._lock = FileLock(place.file.with_name(place.file.name + ".lock"), timeout_seconds)
        self._log_id = ""
        self._busy_at_fork = False
        _STORES.add(self)

    @property
    def name(self) -> str:
        """The database's URL without user, password and options; safe to show."""
        return self._place.name

    @property
    def log_id(self) -> str:
        """Names the log in this database."""
        return self._log_id

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    def open(self, *, create: bool) -> None:
        """Migrate, and find or plant the head. Called once, by open_store."""
        with border(self._place), self._exclusive() as connection:
            migrate(connection, create=create)
            reader = Reader(connection, "")
            log_id = reader.find_log_id()
            if log_id is None:
                if reader.has_leaves():
                    raise LogTampered(
                        f"The audit database {self.name} has records but no head row.",
                        hint="Someone removed it. Restore the database from a backup.",
                    )
                log_id = plant_head(connection, f"genguard-{secrets.token_hex(8)}")
            self._log_id = log_id

    @property
    def timeout_seconds(self) -> float:
        """How long a writer waits for others at most."""
        return self._timeout

    def border(self) -> AbstractContextManager[None]:
        """Errors of this database inside become AuditUnavailable, without secrets."""
        return border(self._place)

    @contextmanager
    def write(self, *, until: float | None = None) -> Iterator[Writer]:
        """A transaction that holds the head. Durable when the block ends without an exception.

        ``until``: by ``time.monotonic()``, how long to queue for the file lock, where that is less
        than the time limit. Raises AuditUnavailable when the database cannot be written or the
        wait is too long.
        """
        with border(self._place), self._exclusive(until) as connection:
            writer = Writer(connection, self._log_id)
            yield writer
            writer.complete()

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """A transaction that only reads; it neither waits for writers nor makes them wait."""
        with border(self._place), self._connect() as bare:
            connection = bare.execution_options(guard_reads=True)
            with connection.begin():
                yield Reader(connection, self._log_id)

    @contextmanager
    def _exclusive(self, until: float | None = None) -> Iterator[Connection]:
        queue = self._lock.held(until) if self._lock else nullcontext()
        with queue, self._connect() as connection, connection.begin():
            yield connection

    def _connect(self) -> Connection:
        if self._pid != os.getpid():
            if self._busy_at_fork:
                raise AuditUnavailable(
                    "This process was forked in the middle of a write to the audit log.",
                    hint="Open the log after forking, or start processes by spawning.",
                )
            self._pid = os.getpid()
            self._engine.dispose(close=False)
        return self._engine.connect()

    def scrub(self, tables: Sequence[str]) -> None:
        """Leave no bytes of rows deleted from ``tables`` in the database's own files.

        Raises AuditUnavailable when a reader stands in the way for too long.
        """
        queue = self._lock.held() if self._lock else nullcontext()
        with border(self._place), queue:
            Scrubber(self._connect, self._place, self._timeout).clean(", ".join(tables))

    def prepare_fork(self) -> None:
        """Close what is idle: neither SQLite's locks nor a socket can be shared with a child.

        SQLite keeps its locks in memory of the process: a child that inherits an open database
        believes in locks it does not hold, and may corrupt it (sqlite.org/howtocorrupt.html,
        section 2.6).
        """
        pool = self._engine.pool
        self._busy_at_fork = isinstance(pool, QueuePool) and pool.checkedout() > 0
        self._engine.dispose()

    def close(self) -> None:
        """Give connections and the lock file back."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()


_STORES: weakref.WeakSet[Store] = weakref.WeakSet()


def _prepare_fork() -> None:
    for store in list(_STORES):
        store.prepare_fork()


os.register_at_fork(before=_prepare_fork)


def open_store(url: str, *, create: bool = True, timeout_seconds: float = 30.0) -> Store:
    """Open the log's database and bring its schema up to date.

    ``create`` false refuses to make a log where one was expected to be. ``timeout_seconds``
    bounds every wait for another writer. Raises SettingsInvalid for a URL that cannot be used,
    AuditUnavailable when the database cannot be reached or written, LogTampered when the log
    has lost its head.
    """
    place = parse_url(url)
    with border(place):
        if place.file is not None:
            prepare_file(place.file, create=create)
        store = Store(place, timeout_seconds)
    try:
        store.open(create=create)
    except BaseException:
        store.close()
        raise
    return store


def prepare_file(file: Path, *, create: bool) -> None:
    """Make the file with mode 0600 before SQLite does, so that -wal and -shm inherit it."""
    if file.exists():
        return
    if not create:
        raise AuditUnavailable(
            f"There is no audit log at {file}.",
            hint="Check GUARD_DATABASE_URL or --database; it must name an existing log.",
        )
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_engine(place: Place, timeout_seconds: float) -> Engine:
    """Durable connections to ``place``; transactions that only read say ``guard_reads``."""
    milliseconds = max(1, round(timeout_seconds * 1000))
    if place.file is not None:
        engine = create_engine(
            place.url,
            hide_parameters=True,
            pool_size=POOL_SIZE,
            max_overflow=-1,
            connect_args={"timeout": timeout_seconds, "check_same_thread": False},
        )
        event.listen(engine, "connect", _SqliteSetup(milliseconds))
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        place.url,
        hide_parameters=True,
        pool_size=POOL_SIZE,
        max_overflow=-1,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": max(2, round(timeout_seconds))},
    )
    event.listen(engine, "connect", _PostgresqlSetup(milliseconds))
    return engine


class _SqliteSetup:
    """Sets up each SQLite connection: durable, private, with transactions in our hands."""

    def __init__(self, milliseconds: int) -> None:
        self._pragmas = (
            f"busy_timeout = {milliseconds}",
            "synchronous = FULL",
            "fullfsync = ON",  # macOS: fsync alone leaves data in the drive's cache
            "secure_delete = ON",
            "foreign_keys = ON",
            "trusted_schema = OFF",
        )

    def __call__(self, connection: Any, entry: ConnectionPoolEntry) -> None:
        del entry
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            for pragma in self._pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            mode = cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        finally:
            cursor.close()
        if mode != "wal":
            raise OSError(f"SQLite cannot use a write-ahead log here (journal mode {mode})")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred BEGIN that reads, then writes, gets SQLITE_BUSY at once, whatever the timeout.
    reads = connection.get_execution_options().get("guard_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


class _PostgresqlSetup:
    """Sets up each PostgreSQL connection: durable commits, bounded waits."""

    def __init__(self, milliseconds: int) -> None:
        self._statements = (
            "SET synchronous_commit = on",
            f"SET lock_timeout = {milliseconds}",
            f"SET idle_in_transaction_session_timeout = {milliseconds}",
        )

    def __call__(self, connection: Any, entry: ConnectionPoolEntry) -> None:
        del entry
        cursor = connection.cursor()
        try:
            for statement in self._statements:
                cursor.execute(statement)
            connection.commit()
        finally:
            cursor.close()
