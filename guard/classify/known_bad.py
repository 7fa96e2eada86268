"""Banks of known pictures: looked up by fingerprint, before any model looks at a picture.

A bank holds PDQ fingerprints and no picture. One is found again after re-encoding and scaling, and
turned or mirrored, not after cropping or drawing over much of it. No bank is shipped.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from guard.classify.bank_files import BankEntry
from guard.errors import DetectorUnavailable, InvalidRequest
from guard.image.fingerprint import BITS, measured, pdq_variants
from guard.policy.model import KNOWN_BAD
from guard.store.bank_rows import BankChange
from guard.store.engine import Store
from guard.store.fingerprint_index import FingerprintIndex
from guard.types import Pixels

LEAST_QUALITY = 50
"""PDQ's authors: hashes of pictures flatter than this are near to hashes of anything flat."""

TAKEN_OFF = 8
"""Entries looked at first; more only when all of them were taken off the bank."""


@dataclass(frozen=True, slots=True)
class Match:
    """The nearest entry of a bank, and how many of 256 bits differ."""

    entry: BankChange
    distance: int


@dataclass(frozen=True, slots=True)
class Changed:
    """How many entries were added or removed, and how many were as asked already."""

    changed: int
    same: int


class Bank:
    """One bank of the database. Thread-safe; a change is in force at the next look-up."""

    def __init__(
        self, name: str, open_store: Callable[[], Store], folder: Path | None = None
    ) -> None:
        """``folder`` is where the index of fingerprints is kept; None: in memory."""
        self.name = name
        self._open = open_store
        self._folder = folder
        self._index: FingerprintIndex | None = None
        self._lock = threading.Lock()

    def version(self) -> int:
        """The number of the last change. Raises DetectorUnavailable when there is no such bank."""
        with self._open().read() as reader:
            version = reader.banks.version(self.name)
        if not version:
            raise DetectorUnavailable(
                f"There is no bank '{self.name}' of known pictures in the database.",
                hint=f"guard lists import known-bad FILE --list {self.name}, or take the rule out "
                "of the policy's known_bad.",
            )
        return version

    def nearest(self, questions: list[bytes]) -> Match | None:
        """The entry in force that is nearest to any of some fingerprints of 32 bytes."""
        self.version()
        with self._open().read() as reader:
            prints, limit = reader.bank_prints(self.name), TAKEN_OFF
            while True:
                near = self._indexed(reader.find_log_id()).nearest(prints, questions, BITS, limit)
                for one in near:
                    entry = reader.banks.latest(self.name, bytes.fromhex(one.record_id))
                    if entry is not None and entry.change == "add":
                        return Match(entry, one.distance)
                if len(near) < limit:
                    return None
                limit *= TAKEN_OFF

    def _indexed(self, log_id: str | None) -> FingerprintIndex:
        with self._lock:
            if self._index is None:
                name = f"{KNOWN_BAD}-{self.name}"
                self._index = FingerprintIndex(name, log_id or "", self._folder)
            return self._index

    def add(self, entries: Iterable[BankEntry], who: str, note: str = "") -> Changed:
        """Put entries on the bank, all or none. Raises InvalidRequest when nobody does it."""
        return self._change("add", entries, who, note)

    def remove(self, entries: Iterable[BankEntry], who: str, note: str = "") -> Changed:
        """Take entries off the bank; that they were there, and who took them off, stays."""
        return self._change("remove", entries, who, note)

    def _change(self, change: str, entries: Iterable[BankEntry], who: str, note: str) -> Changed:
        if not who.strip():
            raise InvalidRequest(
                "A change of a bank needs the name of who makes it.", hint="Add --who NAME."
            )
        at_us = int(datetime.now(UTC).timestamp() * 1_000_000)
        same = 0
        with self._open().write() as writer:
            writer.lock_head()
            held = writer.banks.in_force(self.name)

            def changes() -> Iterator[BankChange]:
                nonlocal same
                for one in entries:
                    if (one.bits in held) == (change == "add"):
                        same += 1
                        continue
                    (held.add if change == "add" else held.discard)(one.bits)
                    yield BankChange(
                        self.name, change, one.bits, one.label, note or one.note, who, at_us
                    )

            written = writer.banks.add(changes())
        return Changed(written, same)


def open_bank(name: str, database: str, folder: Path, timeout_seconds: float) -> Bank:
    """A bank of the database at a URL, which is opened, and must be there, when it is asked."""
    from guard.store.engine import open_store

    opened = cache(lambda: open_store(database, create=False, timeout_seconds=timeout_seconds))
    return Bank(name, opened, folder)


class KnownBadDetector:
    """Scores one category, ``known-bad``: the share of bits that agree with the nearest entry.

    A picture too flat for a fingerprint is near to nothing, and so is any where a bank is empty.
    """

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    @property
    def id(self) -> str:
        """``known-bad:BANK``."""
        return f"{KNOWN_BAD}:{self._bank.name}"

    @property
    def model_digest(self) -> str:
        """SHA-256 (hex) over the bank's name and the number of its last change."""
        text = f"{self._bank.name}\n{self._bank.version()}"
        return hashlib.sha256(text.encode()).hexdigest()

    def prepare(self) -> None:
        """Raises DetectorUnavailable when there is no such bank."""
        self._bank.version()

    def score(self, pixels: Pixels) -> Mapping[str, float]:
        """``{"known-bad": share}`` for an (h, w, 3) picture. Raises Unavailable."""
        match = self.match(pixels)
        return {KNOWN_BAD: 0.0 if match is None else 1.0 - match.distance / BITS}

    def match(self, pixels: Pixels) -> Match | None:
        """The entry that the picture, in any of eight positions, is nearest to."""
        asked = prints(pixels)
        if not asked:
            self._bank.version()
            return None
        return self._bank.nearest(asked)


def prints(pixels: Pixels) -> list[bytes]:
    """The fingerprints of an (h, w, 3) picture in eight positions; none of one that is too flat."""
    upright, quality = measured(pixels)
    if quality < LEAST_QUALITY:
        return []
    return [bytes.fromhex(one.bits) for one in pdq_variants(pixels, upright)]
