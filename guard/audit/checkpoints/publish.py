"""Signing and publishing checkpoints: never one that the last does not lead to.

In this order, under a lock: what was signed and published last is read and verified; the tree is
shown to contain it; the new checkpoint is signed and kept in the home; then it is published. Each
step may fail, or do its work and seem to fail: the next try finds what is there, and goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from guard.audit.checkpoints.checkpoint import SignedCheckpoint, open_checkpoint
from guard.audit.checkpoints.checkpoint_key import (
    CheckpointKey,
    load_key,
    load_verifiers,
    make_key,
    write_verifier,
)
from guard.audit.checkpoints.known import Known
from guard.audit.checkpoints.note import VerifierKey
from guard.audit.checkpoints.places import Place
from guard.audit.checkpoints.signed_state import SignedState, StateFile
from guard.audit.tree.merkle import verify_consistency
from guard.audit.tree.tile_paths import Tile, tiles_of
from guard.audit.tree.tiles import TileReader
from guard.errors import CheckpointUnavailable, GuardError, KeyInvalid, LogTampered
from guard.store.lock import FileLock

if TYPE_CHECKING:
    from guard.store.engine import Store
    from guard.store.rows import Head

LOCK_SECONDS = 30.0
_LOGGER = logging.getLogger("guard.audit")


@dataclass(frozen=True, slots=True)
class Keys:
    """Where a log's checkpoint keys are: ``private`` a PEM file, ``public`` verifier keys.

    ``given`` are verifier keys from the setting, in place of those in ``public``.
    """

    private: Path
    public: Path
    given: str | None = None

    def verifiers(self, origin: str) -> tuple[VerifierKey, ...]:
        """Keys whose checkpoints are believed."""
        return load_verifiers(self.public, origin, self.given)

    def signer(self, origin: str, *, first: bool) -> CheckpointKey:
        """The signing key, made for the ``first`` checkpoint of a log.

        Raises KeyInvalid when it is missing, or is none of those that are believed.
        """
        if first:
            key = make_key(self.private, origin)
            if self.given is None:
                write_verifier(self.public, key.verifier)
        else:
            key = load_key(self.private, origin)
        if key.verifier not in self.verifiers(origin):
            raise KeyInvalid(
                f"The checkpoint key {self.private} is none that this log's verifiers believe.",
                hint=f"Restore the earlier key, or add this line to {self.public}: {key.verifier}",
            )
        return key


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a checkpoint is due: after so many rows, or so many seconds with any.

    ``max_age``: seconds after which a row that no published checkpoint covers stops the log from
    opening records; None: never.
    """

    rows: int = 1_000
    seconds: float = 60.0
    max_age: float | None = None


class Publisher:
    """Signs checkpoints of one log, and publishes them at ``place`` (None: only signs)."""

    def __init__(
        self, store: Store, keys: Keys, state: StateFile, place: Place | None = None,
        rhythm: Rhythm | None = None,
    ) -> None:  # fmt: skip
        self.store = store
        self.keys = keys
        self.state = state
        self.place = place
        self.rhythm = rhythm or Rhythm()
        self._threads = threading.Lock()
        self._size, self._at = 0, 0.0
        self._read_state()

    @property
    def origin(self) -> str:
        """The log's id."""
        return self.store.log_id

    @property
    def published_size(self) -> int:
        """Leaves that the last published checkpoint covers, as far as this home knows."""
        return self._size

    def due(self, size: int, now: float) -> bool:
        """Whether a log of ``size`` rows wants a checkpoint at ``now`` (seconds since 1970)."""
        new = size - self._size
        return new >= self.rhythm.rows or (new > 0 and now - self._at >= self.rhythm.seconds)

    def seconds_left(self, now: float) -> float:
        """Until a log that has grown at all wants a checkpoint."""
        return max(0.0, self._at + self.rhythm.seconds - now)

    def size(self) -> int:
        """Rows in the log now."""
        with self.store.read() as reader:
            return reader.head().size

    def waited(self, now: float) -> float:
        """Seconds since the oldest row was written that no published checkpoint covers.

        By the times that rows claim, and 0 when all are covered.
        """
        self._read_state()  # other processes of this home may have published meanwhile
        with self.store.read() as reader:
            rows = reader.leaves(self._size, 1)
        return now - rows[0].columns.at_us / 1e6 if rows else 0.0

    def publish(self) -> SignedCheckpoint:
        """Sign the log as it is now, publish it, and answer the checkpoint.

        When nothing was added since the last one, that is answered. Raises LogTampered when the
        log does not contain what was signed or published before, KeyInvalid, OutputUnwritable,
        CheckpointUnavailable, AuditUnavailable. A failure is kept in the home, and logged.
        """
        with self._threads:
            try:
                return self._publish()
            except GuardError as error:
                self._note_failure(error)
                raise

    def _publish(self) -> SignedCheckpoint:
        self._prepare()
        lock = FileLock(self.state.path.with_suffix(".lock"), LOCK_SECONDS)
        try:
            with lock.held():
                state = self.state.read()
                ours, theirs = self.known(state)
                with self.store.read() as reader:
                    head = reader.head()
                self._check_contained(head, [one for one in (ours, theirs) if one])
                last = max((one for one in (ours, theirs) if one), key=_size, default=None)
                signed = last if last and last.size == head.size else self._sign(head, state, last)
                self._send(signed, theirs)
                return signed
        finally:
            lock.close()

    def _prepare(self) -> None:
        try:
            self.state.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise CheckpointUnavailable(
                f"The folder {self.state.folder} cannot be made: {error.strerror}.",
                hint="Make the home writable: what is signed is kept there first.",
            ) from error

    def check(self) -> SignedCheckpoint | None:
        """The newest checkpoint, once the log is shown to contain it; signs nothing.

        Reads a few tiles, not the log. Raises LogTampered, ProofInvalid, CheckpointUnavailable.
        """
        known = [one for one in self.known() if one]
        with self.store.read() as reader:
            head = reader.head()
        if known:
            self._check_contained(head, known)
        return max(known, key=_size, default=None)

    def known(
        self, state: SignedState | None = None
    ) -> tuple[SignedCheckpoint | None, SignedCheckpoint | None]:
        """What was signed last by this home, and the newest at the place.

        Raises LogTampered when the place has lost what was published there, ProofInvalid for a
        checkpoint that no trusted key signed, CheckpointUnavailable.
        """
        state = state or self.state.read()
        verifiers = self.keys.verifiers(self.origin)
        ours = open_checkpoint(state.signed, verifiers, self.origin) if state.signed else None
        if self.place is None:
            return ours, None
        newest = self.place.newest()
        theirs = open_checkpoint(newest, verifiers, self.origin) if newest else None
        had = state.published.get(self.place.name)
        if had is not None and (theirs is None or theirs.size < had):
            raise LogTampered(
                f"{self.place.name} has lost the checkpoint of {had:,} rows.",
                hint="Restore what was published there. Nothing is signed until then.",
            )
        return ours, theirs

    def known_roots(self, *, whole: bool = False) -> Known:
        """What was signed, to compare the log with.

        The newest checkpoint at the place and the last that this home signed; ``whole``, or where
        the place keeps no tiles: every checkpoint there. Raises as :meth:`known`.
        """
        found = [one for one in self.known() if one]
        if self.place is not None and (whole or not self.place.keeps_tiles):
            verifiers = self.keys.verifiers(self.origin)
            found += (
                open_checkpoint(note, verifiers, self.origin) for note in self.place.history()
            )
        roots: dict[int, bytes] = {}
        for one in found:
            if roots.setdefault(one.size, one.root) != one.root:
                raise LogTampered(
                    f"There are two different checkpoints of {one.size:,} rows.",
                    hint="Somebody who has the signing key forked the log. Keep both.",
                )
        return Known(roots, self.place)

    def _check_contained(self, head: Head, known: list[SignedCheckpoint]) -> None:
        with self.store.read() as reader:
            tree = TileReader(reader)
            if not known and tree.root(head.size) != head.root:
                raise _inconsistent("Its root is not that of its rows")
            for one in known:
                if one.size > head.size:
                    raise _inconsistent(f"It once had {one.size:,} rows, and has {head.size:,}")
                proof = tree.consistency_proof(one.size, head.size) if one.size else []
                if one.size and not verify_consistency(
                    one.size, head.size, proof, one.root, head.root
                ):
                    raise _inconsistent(f"Its first {one.size:,} rows differ from a checkpoint")

    def _sign(
        self, head: Head, state: SignedState, last: SignedCheckpoint | None
    ) -> SignedCheckpoint:
        key = self.keys.signer(self.origin, first=last is None)
        signed = key.sign(head.size, head.root)
        self.state.write(replace(state, signed=str(signed)))
        return signed

    def _send(self, signed: SignedCheckpoint, there: SignedCheckpoint | None) -> None:
        if self.place is not None:
            if there is None or there.size < signed.size:
                tiles = tiles_of(signed.size, there.size if there else 0)
                pairs = ((tile, self._hashes(tile)) for tile in tiles)
                self.place.publish(signed.size, str(signed), pairs)
            now = time.time()
            self.state.write(self.state.read().after(self.place.name, signed.size, now))
        self._read_state()

    def _hashes(self, tile: Tile) -> bytes:
        with self.store.read() as reader:  # not one for all: sending may take long
            return TileReader(reader).tile(tile.level, tile.index, tile.width)

    def _read_state(self) -> None:
        state = self.state.read()
        self._at = state.published_at
        self._size = state.published.get(self.place.name, 0) if self.place else 0

    def _note_failure(self, error: GuardError) -> None:
        """Visible to doctor and verify, also from other processes."""
        _LOGGER.warning("No checkpoint of the audit log was published: %s", error.message)
        try:
            state = self.state.read()
            self.state.write(replace(state, failed_at=time.time(), failure=error.message))
        except GuardError:
            _LOGGER.warning("Nor can that be noted in %s", self.state.path)


def _size(one: SignedCheckpoint) -> int:
    return one.size


def _inconsistent(why: str) -> LogTampered:
    return LogTampered(
        f"The audit log does not contain what was signed before. {why}.",
        hint="Nothing is signed until that is cleared up. Run guard audit verify.",
    )
