"""How released files reach the disk: under a temporary name first, renamed when recorded.

A crash between the record and the rename leaves a record that says *released* and a ``.part``
file that nobody takes for a picture: released, not delivered.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from guard.errors import InvalidRequest, OutputUnwritable
from guard.image.encode import EXTENSIONS, MEDIA_TYPES
from guard.types import SignedAsset


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where pictures go, and in which format.

    ``directory`` None keeps them in memory only; ``format`` is png, jpeg, webp, avif or tiff.
    Raises InvalidRequest for another format.
    """

    directory: Path | None = None
    format: str = "png"

    def __post_init__(self) -> None:
        if self.format not in MEDIA_TYPES:
            raise InvalidRequest(
                f"Unknown picture format {self.format!r}.",
                hint=f"Choose one of: {', '.join(MEDIA_TYPES)}.",
            )

    @property
    def media_type(self) -> str:
        """IANA media type, e.g. ``image/png``."""
        return MEDIA_TYPES[self.format]

    def check(self) -> None:
        """Make the directory and try to write in it, before anything is generated.

        Raises OutputUnwritable.
        """
        if self.directory is None:
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory):
                pass
        except OSError as error:
            raise _unwritable(self.directory, error) from error

    def stage(self, record_id: str, asset: SignedAsset) -> PendingFile | None:
        """Write the asset under a temporary name; None when nothing goes to disk.

        Raises OutputUnwritable; nothing is left behind then.
        """
        if self.directory is None:
            return None
        return self._stage(self.directory, record_id, (asset.bytes, asset.media_type))

    def write(self, record_id: str, data: bytes, media_type: str) -> Path:
        """Write at once: for what is recorded as released already. Raises OutputUnwritable."""
        directory = self.directory or Path()
        return self._stage(directory, record_id, (data, media_type)).commit()

    @staticmethod
    def _stage(directory: Path, record_id: str, content: tuple[bytes, str]) -> PendingFile:
        data, media_type = content
        final = directory / f"{record_id}{EXTENSIONS[media_type]}"
        pending = PendingFile(final.with_name(f".{final.name}.part"), final)
        try:
            pending.write(data)
        except OSError as error:
            pending.discard()
            raise _unwritable(directory, error) from error
        return pending


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A file that waits for its record."""

    temporary: Path
    final: Path

    def write(self, data: bytes) -> None:
        """Bytes to the disk, durably."""
        with self.temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def commit(self) -> Path:
        """Give it its name. Raises OutputUnwritable."""
        try:
            self.temporary.replace(self.final)
        except OSError as error:
            raise _unwritable(self.final.parent, error) from error
        return self.final

    def discard(self) -> None:
        """Leave nothing behind."""
        self.temporary.unlink(missing_ok=True)


def _unwritable(directory: Path, error: OSError) -> OutputUnwritable:
    return OutputUnwritable(
        f"Cannot write to {directory}: {error.strerror or error}.",
        hint="Choose another --out directory, or free space and mend its permissions.",
    )
