"""Where checkpoints are published: outside the database, so that who writes there cannot forge.

A folder or an object store holds a log as C2SP tlog-tiles lays it out, with every checkpoint in
a file of its own besides; a ``.jsonl`` file gets a line a checkpoint, and no tiles. Nothing is
ever overwritten but ``checkpoint``, the newest: a place that refuses overwriting and deleting
(append-only file, object lock) fits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from guard.audit.checkpoints.place_files import (
    READABLE,
    Files,
    LocalFiles,
    RemoteFiles,
    make_folders,
    unavailable,
)
from guard.audit.files import sync_folder
from guard.audit.tree.tile_paths import CHECKPOINT, HISTORY, Tile, history_path
from guard.errors import CheckpointUnavailable, LogTampered


class Place(Protocol):
    """A place where checkpoints are published.

    Everything raises CheckpointUnavailable when the place cannot be read or written.
    """

    @property
    def name(self) -> str:
        """For messages; without secrets."""
        ...

    @property
    def keeps_tiles(self) -> bool:
        """Whether tiles are published there, too."""
        ...

    def newest(self) -> str | None:
        """The newest note there, or None."""
        ...

    def history(self) -> Iterator[str]:
        """Every note there, the oldest first."""
        ...

    def publish(self, size: int, note: str, tiles: Iterable[tuple[Tile, bytes]]) -> None:
        """Put a checkpoint there, durable on return; its tiles first."""
        ...

    def tile(self, tile: Tile) -> bytes | None:
        """The hashes of a tile, if it is there."""
        ...


class PublishedFolder:
    """A log in the layout of tlog-tiles, on any :class:`Files`."""

    keeps_tiles = True

    def __init__(self, files: Files) -> None:
        self._files = files

    @property
    def name(self) -> str:
        """Where it is."""
        return self._files.name

    def newest(self) -> str | None:
        """The larger of ``checkpoint`` and the last of the history.

        Whoever puts an old ``checkpoint`` back must remove the files of all later ones too.
        """
        path = self._last(HISTORY)
        return self._text(CHECKPOINT) if path is None else self._there(path)

    def _there(self, path: str) -> str:
        """A note that is named in its folder."""
        found = self._text(path)
        if found is None:
            raise CheckpointUnavailable(
                f"A checkpoint in {self.name} went away while it was read.",
                hint="Try again, and see who else writes there.",
            )
        return found

    def _last(self, folder: str) -> str | None:
        for name in reversed(self._files.names(folder)):
            inside = f"{folder}/{name}"
            found = self._last(inside) if name.startswith("x") else inside
            if found is not None:
                return found
        return None

    def history(self) -> Iterator[str]:
        """Every checkpoint, the oldest first."""
        paths = list(self._walk(HISTORY))
        yield from map(self._there, paths)
        newest = None if paths else self._text(CHECKPOINT)
        if newest is not None:
            yield newest

    def _walk(self, folder: str) -> Iterator[str]:
        for name in self._files.names(folder):
            inside = f"{folder}/{name}"
            if name.startswith("x"):
                yield from self._walk(inside)
            else:
                yield inside

    def publish(self, size: int, note: str, tiles: Iterable[tuple[Tile, bytes]]) -> None:
        """Tiles, then the history, then ``checkpoint``: what is named is always there."""
        for tile, data in tiles:
            self.write_once(tile.path, data)
        self.write_once(history_path(size), note.encode())
        self._files.write(CHECKPOINT, note.encode())

    def write_once(self, path: str, data: bytes) -> None:
        """Put a file there that never changes. Raises LogTampered when there is another."""
        there = self._files.read(path)
        if there is None:
            self._files.write(path, data)
        elif there != data:
            raise LogTampered(
                f"What was published as {path} in {self.name} is not what the log has.",
                hint="Do not remove it. Run guard audit fsck.",
            )

    def tile(self, tile: Tile) -> bytes | None:
        """The hashes of a tile, or the beginning of the full tile that took its place."""
        found = self._files.read(tile.path)
        if found is None and tile.width < 256:
            found = self._files.read(Tile(tile.level, tile.index).path)
        return None if found is None else found[: 32 * tile.width]

    def _text(self, path: str) -> str | None:
        data = self._files.read(path)
        return None if data is None else data.decode("utf-8", "surrogateescape")


class PublishedFile:
    """A file that only grows: one JSON line a checkpoint, ``{"size", "note"}``. No tiles."""

    keeps_tiles = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def newest(self) -> str | None:
        """The last whole line's note."""
        last = None
        for last in self.history():  # noqa: B007  # the last one is wanted
            pass
        return last

    def history(self) -> Iterator[str]:
        """The notes; a line that an interrupted write left half is passed over."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            raise unavailable(self.name, "read", error) from error
        for line in lines:
            try:
                note = json.loads(line)["note"]
            except (ValueError, TypeError, KeyError):
                continue
            if isinstance(note, str):
                yield note

    def publish(self, size: int, note: str, tiles: Iterable[tuple[Tile, bytes]]) -> None:
        """Add a line. Opened for appending only, so that ``chattr +a`` may guard the file."""
        del tiles
        line = json.dumps({"size": size, "note": note}, ensure_ascii=False).encode()
        try:
            new = not self._path.exists()
            make_folders(self._path.parent)
            with self._path.open("ab") as file:
                file.write(self._end_torn_line() + line + b"\n")
                file.flush()
                os.fsync(file.fileno())
            if new:
                self._path.chmod(READABLE)
                sync_folder(self._path.parent)
        except OSError as error:
            raise unavailable(self.name, "written", error) from error

    def _end_torn_line(self) -> bytes:
        with self._path.open("rb") as file:
            size = file.seek(0, 2)
            if not size:
                return b""
            file.seek(size - 1)
            return b"" if file.read(1) == b"\n" else b"\n"

    def tile(self, tile: Tile) -> bytes | None:
        """There are none."""
        del tile
        return None


def open_place(where: str) -> Place:
    """A folder, a ``.jsonl`` file, or a URL that fsspec knows.

    Raises CheckpointUnavailable.
    """
    if "://" in where and not where.startswith("file://"):
        return PublishedFolder(RemoteFiles(where.rstrip("/")))
    path = Path(where.removeprefix("file://"))
    if path.suffix == ".jsonl" and not path.is_dir():
        return PublishedFile(path)
    return PublishedFolder(LocalFiles(path))
