"""Quarantine: pictures that wait for a reviewer.

A folder in the home that only its owner may read (0700), two files a record (0600): the picture
and what it is. Files are written under a temporary name, synced and renamed, the description
last: what is listed is complete.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from guard.audit.files import put_in_place, writable, write_private
from guard.errors import InvalidRequest, LogTampered, OutputUnwritable, RecordNotFound
from guard.types import SignedAsset

FOLDER = "held"


@dataclass(frozen=True, slots=True)
class HeldPicture:
    """A picture in quarantine; ``kept_at`` is ISO 8601 in UTC, ``path`` where its bytes lie."""

    record_id: str
    media_type: str
    sha256: str
    manifest_label: str
    certificate_fingerprint: str
    kept_at: str
    path: Path

    def __str__(self) -> str:
        return self.record_id


class HeldPictures:
    """The quarantine of one home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER

    def keep(self, record_id: str, asset: SignedAsset) -> Path:
        """Put a picture away; durable on return. Answers where it lies.

        Raises OutputUnwritable when it cannot be written, or one is kept for the record already.
        """
        picture, about = self._paths(record_id)
        if about.exists():
            raise OutputUnwritable(f"A picture of record {record_id} is in quarantine already.")
        plain = dataclasses.asdict(asset)
        del plain["bytes"], plain["notices"]
        plain["kept_at"] = datetime.now(UTC).isoformat()
        with writable(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder.chmod(0o700)
            put_in_place(write_private(picture, asset.bytes), picture)
            put_in_place(write_private(about, json.dumps(plain).encode()), about)
        return picture

    def list(self) -> tuple[HeldPicture, ...]:
        """What waits, oldest first (record ids sort by time)."""
        names = sorted(path.stem for path in self._folder.glob("*.json"))
        return tuple(self.find(name) for name in names)

    def find(self, record_id: str) -> HeldPicture:
        """What is known about the picture of a record. Raises RecordNotFound."""
        picture, about = self._paths(record_id)
        try:
            plain = json.loads(about.read_bytes())
            return HeldPicture(record_id=record_id, path=picture, **plain)
        except FileNotFoundError:
            raise RecordNotFound(
                f"No picture of record {record_id} is in quarantine.",
                hint="List what waits with: guard review list",
            ) from None
        except (ValueError, TypeError) as error:
            raise _not_ours(record_id) from error

    def take(self, record_id: str) -> bytes:
        """The bytes of a picture, which stays until it is discarded.

        Raises RecordNotFound, and LogTampered when it is not the picture that was kept.
        """
        found = self.find(record_id)
        try:
            data = found.path.read_bytes()
        except FileNotFoundError:
            raise _not_ours(record_id) from None
        if hashlib.sha256(data).hexdigest() != found.sha256:
            raise _not_ours(record_id)
        return data

    def discard(self, record_id: str) -> None:
        """Remove a picture, the bytes first. Nothing happens when there is none."""
        with writable(self._folder):
            for path in self._paths(record_id):
                path.unlink(missing_ok=True)

    def _paths(self, record_id: str) -> tuple[Path, Path]:
        try:
            name = str(UUID(record_id))
        except (ValueError, AttributeError, TypeError):
            raise InvalidRequest(f"{record_id!r} is not a record id.") from None
        return self._folder / f"{name}.picture", self._folder / f"{name}.json"


def _not_ours(record_id: str) -> LogTampered:
    return LogTampered(
        f"The quarantined picture of record {record_id} is not the one that was put there.",
        hint="Reject it: guard review reject " + record_id,
    )
