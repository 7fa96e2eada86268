"""Files that only their owner may read, written whole or not at all.

Content is written under a temporary name in the same directory, flushed to the disk, and only
then given its name: by rename where it may replace, by hard link where it must be new (POSIX
``link`` fails when the name is taken, so of two writers one wins and neither sees half a file).
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from guard.errors import OutputUnwritable

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def private_directory(path: Path) -> Path:
    """Make ``path`` if need be and close it to others. Raises OutputUnwritable."""
    try:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        path.chmod(DIRECTORY_MODE)
    except OSError as error:
        raise OutputUnwritable(
            f"The directory {path} cannot be made: {error.strerror}.",
            hint="Choose another with --home or GUARD_HOME.",
        ) from error
    return path


def write_private(path: Path, content: bytes, *, replace: bool = False) -> bool:
    """Write ``content`` with mode 0600; False when ``path`` is there and ``replace`` is not set.

    Raises OutputUnwritable when the disk is full or the directory read-only.
    """
    try:
        return _write(path, content, replace=replace)
    except OSError as error:
        raise OutputUnwritable(
            f"{path} cannot be written: {error.strerror}.",
            hint="Check free space and permissions of the directory.",
        ) from error


def _write(path: Path, content: bytes, *, replace: bool) -> bool:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            Path(temporary).replace(path)
        else:
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
        _sync_directory(path.parent)
        return True
    finally:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One process at a time changes the files of ``directory``."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
