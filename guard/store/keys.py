"""The database of the vault's keys: a small one beside the log's, never the same.

It holds wrapped keys under random ids and nothing about whose they are: that stands in the log's
database. Whoever has one of the two has nothing; whoever destroys a row here makes what was
encrypted under it unreadable in every copy of the other.
"""

from __future__ import annotations

import dataclasses
import os
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)

from guard.errors import AuditUnavailable
from guard.store.border import border
from guard.store.engine import make_engine, prepare_file
from guard.store.lock import FileLock
from guard.store.scrub import Scrubber
from guard.store.url import Place, parse_url

WHAT = "key database"
VERSION = 1
"""Of the schema. A newer one is refused; an older one would be brought up to date here."""

AT_ONCE = 500
"""Rows named in one statement: databases take so many parameters."""

_LOCK = 0x67_75_61_72_65
"""Names the creation lock on PostgreSQL."""

_TABLES = MetaData()
"""Not the log's metadata: these tables never stand in the log's database."""

_RING = Table(
    "key_ring",
    _TABLES,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("log_id", Text, nullable=False),
    Column("kek_id", Text, nullable=False),
    Column("pseudonym_key", LargeBinary, nullable=False),
)
_KEY = Table(
    "data_key",
    _TABLES,
    Column("key_id", LargeBinary, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("made_us", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Ring:
    """Which log the keys are for, which key-encryption key wraps them, the pseudonyms' key."""

    log_id: str
    kek_id: str
    pseudonym_key: bytes


class KeyStore:
    """The key database. Thread-safe; survives forking. Made by open_key_store."""

    def __init__(self, place: Place, timeout_seconds: float) -> None:
        self._place = place
        self._timeout = timeout_seconds
        self._pid = os.getpid()
        self._engine = make_engine(place, timeout_seconds)
        file = place.file
        self._lock = (
            FileLock(file.with_name(file.name + ".lock"), timeout_seconds) if file else None
        )
        _STORES.add(self)

    @property
    def name(self) -> str:
        """The database's URL without its secrets."""
        return self._place.name

    def create(self) -> None:
        """Make the tables where there are none. Raises AuditUnavailable for a newer schema."""
        with self._write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            if not inspect(connection).has_table(_RING.name):
                _TABLES.create_all(connection)
                if connection.dialect.name == "postgresql":
                    # The planner's statistics would keep samples of keys that are destroyed.
                    statement = "ALTER TABLE data_key ALTER COLUMN wrapped SET STATISTICS 0"
                    connection.execute(text(statement))
            version = connection.execute(select(_RING.c.version)).scalar()
        if version not in {None, VERSION}:
            raise AuditUnavailable(
                f"The key database {self.name} was made by a newer genguard.",
                hint="Upgrade genguard.",
            )

    def ring(self) -> Ring | None:
        """What the keys belong to; None before the first."""
        with self._read() as connection:
            return _ring(connection)

    def plant(self, ring: Ring) -> Ring:
        """Begin with ``ring`` unless another was planted before; answers the one that counts."""
        with self._write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            found = _ring(connection)
            if found is None:
                values = dataclasses.asdict(ring)
                connection.execute(insert(_RING), {"id": 1, "version": VERSION, **values})
            return found or ring

    def add(self, keys: dict[bytes, bytes], kek_id: str) -> bool:
        """Keep wrapped keys by id; durable on return.

        False, and nothing is kept, when they are wrapped with another key-encryption key than the
        database's: it was rotated meanwhile.
        """
        now = time.time_ns() // 1000
        rows = [{"key_id": one, "wrapped": key, "made_us": now} for one, key in keys.items()]
        with self._write() as connection:
            held = connection.execute(select(_RING.c.kek_id).with_for_update()).scalar()
            if held != kek_id:
                return False
            connection.execute(insert(_KEY), rows)
        return True

    def wrapped(self, key_ids: Sequence[bytes]) -> tuple[str, dict[bytes, bytes]]:
        """The wrapped keys that are there, by id, and the id of what wraps them."""
        found: dict[bytes, bytes] = {}
        with self._read() as connection:
            kek_id = connection.execute(select(_RING.c.kek_id)).scalar() or ""
            for start in range(0, len(key_ids), AT_ONCE):
                some = key_ids[start : start + AT_ONCE]
                rows = connection.execute(
                    select(_KEY.c.key_id, _KEY.c.wrapped).where(_KEY.c.key_id.in_(some))
                )
                found |= {bytes(row[0]): bytes(row[1]) for row in rows}
        return kek_id, found

    def count(self) -> int:
        """How many keys there are."""
        with self._read() as connection:
            return int(connection.execute(select(func.count()).select_from(_KEY)).scalar() or 0)

    def destroy(self, key_ids: Sequence[bytes]) -> int:
        """Remove keys for good; durable on return. Answers how many there were.

        Their bytes are overwritten on SQLite. See :meth:`scrub` for what copies may be left.
        """
        gone = 0
        with self._write() as connection:
            for start in range(0, len(key_ids), AT_ONCE):
                some = key_ids[start : start + AT_ONCE]
                gone += connection.execute(delete(_KEY).where(_KEY.c.key_id.in_(some))).rowcount
        return gone

    def rewrap(self, change: Callable[[bytes], bytes], old_id: str, new_id: str) -> int | None:
        """Pass every wrapped key through ``change``, all or nothing; answers how many.

        None, and nothing is changed, when they are no longer wrapped with ``old_id``.
        """
        by_id = update(_KEY).where(_KEY.c.key_id == bindparam("one")).values(wrapped=bindparam("w"))
        count, after = 0, b""
        with self._write() as connection:
            ring = _ring(connection, lock=True)
            if ring is None or ring.kek_id != old_id:
                return None
            values = {"kek_id": new_id, "pseudonym_key": change(ring.pseudonym_key)}
            connection.execute(update(_RING).values(**values))
            page = select(_KEY.c.key_id, _KEY.c.wrapped).order_by(_KEY.c.key_id).limit(AT_ONCE)
            while rows := connection.execute(page.where(_KEY.c.key_id > after)).fetchall():
                new = [{"one": row[0], "w": change(bytes(row[1]))} for row in rows]
                connection.execute(by_id, new)
                count, after = count + len(rows), bytes(rows[-1][0])
        return count

    def scrub(self) -> None:
        """Leave no bytes of destroyed keys in the database's own files.

        SQLite: the file is rebuilt and the write-ahead log emptied. PostgreSQL: the table is
        rebuilt; its write-ahead log and whatever archives or backs that up keep wrapped keys for
        as long as it is kept: only a new key-encryption key makes those useless.
        Raises AuditUnavailable when another connection stands in the way for too long.
        """
        queue = self._lock.held() if self._lock else nullcontext()
        with border(self._place, WHAT), queue:
            Scrubber(self._connect, self._place, self._timeout).rebuild(_KEY.name)

    def close(self) -> None:
        """Give connections and the lock file back."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()

    def prepare_fork(self) -> None:
        """Close what is idle: a child must not share connections."""
        self._engine.dispose()

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        queue = self._lock.held() if self._lock else nullcontext()
        with (
            border(self._place, WHAT),
            queue,
            self._connect() as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with border(self._place, WHAT), self._connect() as bare:
            connection = bare.execution_options(guard_reads=True)
            with connection.begin():
                yield connection

    def _connect(self) -> Connection:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._engine.dispose(close=False)
        return self._engine.connect()


_STORES: weakref.WeakSet[KeyStore] = weakref.WeakSet()


def _prepare_fork() -> None:
    for store in list(_STORES):
        store.prepare_fork()


os.register_at_fork(before=_prepare_fork)


def _ring(connection: Connection, *, lock: bool = False) -> Ring | None:
    statement = select(_RING.c.log_id, _RING.c.kek_id, _RING.c.pseudonym_key)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else Ring(row[0], row[1], bytes(row[2]))


def open_key_store(url: str, *, timeout_seconds: float = 30.0) -> KeyStore:
    """Open the key database, and make it where it is not there yet.

    Raises SettingsInvalid for a URL that cannot be used, AuditUnavailable when the database
    cannot be reached or written.
    """
    place = parse_url(url)
    with border(place, WHAT):
        if place.file is not None:
            prepare_file(place.file, create=True)
        store = KeyStore(place, timeout_seconds)
    try:
        store.create()
    except BaseException:
        store.close()
        raise
    return store
