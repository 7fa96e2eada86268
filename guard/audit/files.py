"""Writing a file so that it is either there as a whole, and durable, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guard.errors import OutputUnwritable


@contextmanager
def writable(place: Path) -> Iterator[None]:
    """Turn OSError inside into OutputUnwritable about ``place``."""
    try:
        yield
    except OSError as error:
        raise OutputUnwritable(
            f"{place} cannot be written: {error.strerror or error}.",
            hint="Check its permissions and the free space.",
        ) from error


def write_private(path: Path, data: bytes) -> Path:
    """Write ``data`` beside ``path`` under a temporary name, synced, mode 0600; answers the name.

    :func:`put_in_place` gives it its own.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename, and sync the folder, so that the name is durable too."""
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
