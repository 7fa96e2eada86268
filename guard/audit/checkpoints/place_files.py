"""The files of a published log: in a folder on this machine, or in an object store."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from guard.audit.files import put_in_place, sync_folder, write_private
from guard.errors import CheckpointUnavailable

READABLE = 0o644
"""What is published is for others to read."""


class Files(Protocol):
    """The few things asked of a folder or an object store."""

    name: str

    def read(self, path: str) -> bytes | None:
        """None when there is no such file."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Put a file there, in place of another, durable on return."""
        ...

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none when there is no such folder."""
        ...


class LocalFiles:
    """A folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def read(self, path: str) -> bytes | None:
        """A file's bytes, or None."""
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unavailable(self.name, "read", error) from error

    def write(self, path: str, data: bytes) -> None:
        """Atomic: readers see the old file or the new one."""
        target = self._folder / path
        try:
            make_folders(target.parent)
            temporary = write_private(target, data)
            temporary.chmod(READABLE)
            put_in_place(temporary, target)
        except OSError as error:
            raise unavailable(self.name, "written", error) from error

    def names(self, folder: str) -> list[str]:
        """Sorted; without what an interrupted write left."""
        try:
            found = sorted(one.name for one in (self._folder / folder).iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unavailable(self.name, "read", error) from error
        return [name for name in found if not name.startswith(".")]


def make_folders(folder: Path) -> None:
    """Like ``mkdir -p``, and durable."""
    if not folder.is_dir():
        make_folders(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


class RemoteFiles:
    """An object store or whatever else fsspec reaches."""

    def __init__(self, url: str) -> None:
        """Raises CheckpointUnavailable when fsspec or the store's package is missing."""
        self.name = _without_secrets(url)
        try:
            import fsspec

            self._system, self._root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise CheckpointUnavailable(
                f"{self.name} needs a package that is not installed: {error}.",
                hint="Install genguard[cloud] and the package that the message names.",
            ) from error
        except Exception as error:
            raise unavailable(self.name, "opened", error) from error

    def read(self, path: str) -> bytes | None:
        """A file's bytes, or None."""
        try:
            return bytes(self._system.cat_file(f"{self._root}/{path}"))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise unavailable(self.name, "read", error) from error

    def write(self, path: str, data: bytes) -> None:
        """Object stores put objects atomically."""
        target = f"{self._root}/{path}"
        try:
            self._system.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(target, data)
        except Exception as error:
            raise unavailable(self.name, "written", error) from error

    def names(self, folder: str) -> list[str]:
        """Sorted."""
        try:
            self._system.invalidate_cache()
            found = self._system.ls(f"{self._root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise unavailable(self.name, "read", error) from error
        return sorted(str(one).rstrip("/").rpartition("/")[2] for one in found)


def _without_secrets(url: str) -> str:
    """The URL without user, password and query."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def unavailable(name: str, what: str, error: BaseException) -> CheckpointUnavailable:
    """What to raise for an error of a file system or an object store."""
    reason = getattr(error, "strerror", None) or type(error).__name__
    return CheckpointUnavailable(
        f"The place of the log's checkpoints, {name}, cannot be {what}: {reason}.",
        hint="Check GUARD_CHECKPOINTS and who may read and write there.",
    )
