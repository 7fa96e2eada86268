"""What this home signed and published last: kept beside the keys, written before it is sent.

Two things rest on it. A signature is on disk here before anybody else can see it, so that after
a crash nothing else is signed for a tree that does not contain it. And a place that has lost
what was published there is noticed, for here stands what it had.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from guard.audit.files import put_in_place, writable, write_private
from guard.errors import LogTampered


@dataclass(frozen=True, slots=True)
class SignedState:
    """The last note that was signed, and the last publication.

    ``published`` are leaves by place, ``published_at`` (seconds since 1970) when it last worked;
    ``failed_at`` and ``failure`` are of the last try, when that went wrong.
    """

    signed: str = ""
    published: dict[str, int] = field(default_factory=dict)
    published_at: float = 0.0
    failed_at: float = 0.0
    failure: str = ""

    def after(self, place: str, size: int, at: float) -> SignedState:
        """What to write once a checkpoint is out."""
        published = {**self.published, place: size}
        return replace(self, published=published, published_at=at, failed_at=0.0, failure="")


class StateFile:
    """One log's state, in ``checkpoints/`` of the home."""

    def __init__(self, home: Path, origin: str) -> None:
        self.folder = home / "checkpoints"
        self.path = self.folder / f"{origin}.json"

    def read(self) -> SignedState:
        """The state; an empty one when nothing was signed yet. Raises LogTampered."""
        try:
            return SignedState(**json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return SignedState()
        except (OSError, ValueError, TypeError) as error:
            raise LogTampered(
                f"What was signed last cannot be read: {self.path}.",
                hint="Restore the home from a backup; nothing is signed until then.",
            ) from error

    def write(self, state: SignedState) -> None:
        """Durable on return. Raises OutputUnwritable."""
        data = json.dumps(asdict(state), ensure_ascii=False, indent=1).encode()
        with writable(self.path):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            put_in_place(write_private(self.path, data), self.path)
