"""Where own lists are kept, and how a change is noticed without reading everything again."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from guard.errors import AuditUnavailable, PolicyInvalid
from guard.prompt.own.entries import OwnEntry, entry, parse_entries

if TYPE_CHECKING:
    from guard.store.engine import Store
    from guard.store.rows import ListChange

MAX_BYTES: Final = 64_000_000
"""Of a list's file: a million entries. A larger one is a mistake, and would stop the screening."""

SETTLED_NS: Final = 2_000_000_000
"""A file changed less than two seconds before it was read may change again within one tick of its
clock (FAT keeps two seconds): it is read again until it is older."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a list holds: ``digest`` is the SHA-256 (hex) of it."""

    entries: tuple[OwnEntry, ...]
    digest: str


class Source(Protocol):
    """A place where a list is kept."""

    @property
    def name(self) -> str:
        """The place, as people write it."""
        ...

    def version(self) -> object:
        """Something cheap that differs once the content does. Raises PolicyInvalid."""
        ...

    def read(self, known: str = "") -> Content | None:
        """The content now; None when its digest is the ``known`` one.

        Raises PolicyInvalid when it is gone or broken.
        """
        ...


class FileSource:
    """A list in a file; see :mod:`guard.prompt.own.entries` for its forms."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def version(self) -> object:
        """Time, size and identity of the file; never equal while the file is fresh."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - half the time of Path.stat, on every check
        except OSError as error:
            raise self._gone(error) from error
        if not stat.S_ISREG(found.st_mode):
            raise self._refused("is no plain file")
        settled = time.time_ns() - found.st_mtime_ns > SETTLED_NS
        return (found.st_mtime_ns, found.st_size, found.st_ino, settled or time.monotonic_ns())

    def read(self, known: str = "") -> Content | None:
        """All entries, or None. Raises PolicyInvalid naming file and line."""
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise self._gone(error) from error
        if len(data) > MAX_BYTES:
            raise self._refused(f"is larger than {MAX_BYTES:,} bytes")
        digest = hashlib.sha256(data).hexdigest()
        return None if digest == known else Content(parse_entries(data, self._path), digest)

    def _gone(self, error: OSError) -> PolicyInvalid:
        return self._refused(f"cannot be read: {error.strerror or error}")

    def _refused(self, why: str) -> PolicyInvalid:
        return PolicyInvalid(
            f"The own list {self._path} {why}.",
            hint="Put the file back (an empty file is an empty list), or take the list out of the "
            "policy's own_lists. Until then nothing passes the screening.",
        )


class DatabaseSource:
    """A list in the database, which ``guard lists`` keeps. ``open_store`` opens it when asked."""

    def __init__(self, open_store: Callable[[], Store], kind: str, name: str) -> None:
        self._open = open_store
        self._kind = kind
        self._name = name
        self._store: Store | None = None

    @property
    def name(self) -> str:
        """The list's name in a policy."""
        return f"database:{self._name}"

    def version(self) -> object:
        """The number of the last change. Raises AuditUnavailable when there is no database."""
        with self._database().read() as reader:
            return reader.list_version(self._kind, self._name)

    def read(self, known: str = "") -> Content | None:
        """What the changes add up to, or None. Raises PolicyInvalid for a list that never was."""
        with self._database().read() as reader:
            changes = reader.list_changes(self._kind, self._name)
        if not changes:
            raise PolicyInvalid(
                f"The database has no {self._kind} list '{self._name}'.",
                hint=f"Begin it: guard lists add {self._kind} TERM --list {self._name}",
            )
        entries = tuple(entry(c.term, c.category, c.note, c.number) for c in in_force(changes))
        lines = "\n".join(f"{one.term}\t{one.category}" for one in entries)
        digest = hashlib.sha256(lines.encode()).hexdigest()
        return None if digest == known else Content(entries, digest)

    def _database(self) -> Store:
        if self._store is None:
            try:
                self._store = self._open()
            except AuditUnavailable as error:
                raise AuditUnavailable(
                    f"The own list {self.name} cannot be read: {error.message}",
                    hint=f"Begin it with `guard lists add {self._kind} TERM`, or check --database "
                    "and GUARD_DATABASE_URL.",
                ) from error
        return self._store


def in_force(changes: Iterable[ListChange]) -> list[ListChange]:
    """The additions that no later change took back; a repeated one counts as the last said."""
    kept: dict[str, ListChange] = {}
    for change in changes:
        key = entry(change.term).text
        kept.pop(key, None)
        if change.change == "add":
            kept[key] = change
    return list(kept.values())
