"""Time-stamps that are fetched after signing, because the authority did not answer then.

A time-stamp speaks of the signature and stands beside it, where neither the signature nor the
hash of the file reaches. So it can be put in later, into the room that was left for it: of a
manifest store (the repository's, when a picture is recovered) or of a file. It then says the
truth: that the signature was there at the later time.

The queue is a directory: ``NAME.json`` waits, ``NAME.tst`` is there, NAME being the SHA-256 of the
signature. It holds no pixels and nothing private.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from guard.errors import InvalidImage, TimestampUnavailable
from guard.provenance.container import extract_manifest_store, replace_manifest_store
from guard.provenance.cose import active_label
from guard.provenance.envelope import Sealed, read_envelope, with_envelope
from guard.provenance.private import private_directory, write_private
from guard.provenance.timestamps import TimestampSource


@dataclass(frozen=True, slots=True)
class Waiting:
    """A signature that waits. ``queued`` is ISO 8601, ``message`` what a time-stamp speaks of."""

    name: str
    record_id: str
    queued: str
    message: bytes


class StampQueue:
    """The queue in ``home/timestamps``; made at the first entry."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / "timestamps"

    def add(self, sealed: Sealed, record_id: str) -> None:
        """Durable when this returns. Raises OutputUnwritable."""
        private_directory(self._home)
        entry = {
            "record_id": record_id,
            "queued": datetime.now(UTC).isoformat(timespec="seconds"),
            "message": base64.b64encode(sealed.stamped).decode("ascii"),
        }
        path = private_directory(self._folder) / f"{name_of(sealed)}.json"
        write_private(path, json.dumps(entry).encode(), replace=True)

    def waiting(self) -> Iterator[Waiting]:
        """What waits, by name. Entries that cannot be read are passed over."""
        for path in sorted(self._folder.glob("*.json")):
            with suppress(ValueError, KeyError, TypeError, OSError):
                told = json.loads(path.read_bytes())
                message = base64.b64decode(told["message"], validate=True)
                yield Waiting(path.stem, str(told["record_id"]), str(told["queued"]), message)

    def fetch(self, source: TimestampSource) -> tuple[int, TimestampUnavailable | None]:
        """Fetch time-stamps for what waits, up to the first failure: how many, and that failure.

        Raises OutputUnwritable.
        """
        done = 0
        for entry in self.waiting():
            try:
                token = source.token(entry.message)
            except TimestampUnavailable as error:
                return done, error
            write_private(self._folder / f"{entry.name}.tst", token, replace=True)
            (self._folder / f"{entry.name}.json").unlink(missing_ok=True)
            done += 1
        return done, None

    def completed(self, store: bytes) -> bytes:
        """A manifest store with the time-stamp that came later; as it was where there is none."""
        try:
            label = active_label(store)
            sealed = read_envelope(store, label)
            if sealed.token is not None:
                return store
            token = (self._folder / f"{name_of(sealed)}.tst").read_bytes()
            return with_envelope(store, label, replace(sealed, token=token))
        except (ValueError, OSError):
            return store

    def completed_file(self, data: bytes, media_type: str) -> bytes:
        """The same of a signed file. Raises InvalidImage for one without a manifest."""
        store = extract_manifest_store(data, media_type)
        if store is None:
            raise InvalidImage("The file holds no manifest.", hint="Name a file that was signed.")
        return replace_manifest_store(data, media_type, self.completed(store))


def name_of(sealed: Sealed) -> str:
    """What a signature is called in the queue."""
    return hashlib.sha256(sealed.signature).hexdigest()
