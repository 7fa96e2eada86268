"""Data keys: made in stock, wrapped in the key database, kept in memory for a while.

A key is durable before anything is encrypted under it. To make that cheap, keys are made in stock,
many in one transaction, and taken from memory one by one; one that was never used stays, wraps
nothing and harms nobody. Which key is whose stands in the log's database only, and is read in the
transaction that uses it: memory answers what a key is, never whether it may still be used.
"""

from __future__ import annotations

import hmac
import os
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from guard.audit.vault.sealing import KEY_BYTES, joined
from guard.errors import VaultUnavailable
from guard.store.keys import Ring

if TYPE_CHECKING:
    from guard.audit.vault.kek import Keks, KeyEncryptionKey
    from guard.store.keys import KeyStore

KEY_ID_BYTES = 16
MOST_IN_STOCK = 256
"""The stock doubles from one key up to this as it is used up: a single request leaves none over."""

MOST_IN_MEMORY = 4_096
MEMORY_SECONDS = 600.0
"""How long a key may stay in memory, also of a person whom another process has erased."""

WRONG_DATABASE = (
    "Check GUARD_KEYS_DATABASE_URL: every host that writes to this log must name the same key "
    "database; or restore it from a backup."
)

ROTATIONS = 3
"""So often may the key-encryption key be rotated while keys are being added."""

DataKey = tuple[bytes, bytes]
"""(id, key)."""


class DataKeys:
    """The data keys of one log. Thread-safe; a forked child begins with an empty stock."""

    def __init__(
        self, open_store: Callable[[], KeyStore], keks: Keks, log_id: Callable[[], str]
    ) -> None:
        """Nothing is opened before it is needed: a log can be verified without any key."""
        self._open_store, self._keks, self._log_id = open_store, keks, log_id
        self._store: KeyStore | None = None
        self._kek: KeyEncryptionKey | None = None
        self._pseudonym_key = b""
        self._fresh()

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._refilling = threading.Lock()
        self._opening = threading.Lock()
        self._stock: deque[DataKey] = deque()
        self._batch = 1
        self._memory: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    @property
    def store(self) -> KeyStore:
        """The key database. Raises AuditUnavailable, SettingsInvalid."""
        self._check_process()
        if self._store is None:
            with self._opening:
                self._store = self._store or self._open_store()
        return self._store

    @property
    def is_open(self) -> bool:
        """Whether the keys were opened before."""
        return bool(self._pseudonym_key)

    @property
    def kek_id(self) -> str:
        """Names the key-encryption key in use; empty before the keys are opened."""
        return "" if self._kek is None else self._kek.id

    def open(self, *, may_begin: bool) -> None:
        """Open the keys; make the first where there are none and ``may_begin``.

        Raises VaultUnavailable when the key-encryption key is not there, when the keys are another
        log's, or when there are none though the log has a vault; KeyInvalid, AuditUnavailable.
        """
        if self.is_open:
            return
        ring = self.store.ring()
        if ring is None:
            if not may_begin:
                raise VaultUnavailable(
                    f"The key database {self.store.name} is empty, and the log's vault is not.",
                    hint=WRONG_DATABASE,
                )
            kek = self._keks.current()
            made = kek.wrap(secrets.token_bytes(KEY_BYTES))
            ring = self.store.plant(Ring(self._log_id(), kek.id, made))
        if ring.log_id != self._log_id():
            raise VaultUnavailable(
                f"The key database {self.store.name} belongs to another log, {ring.log_id}.",
                hint=WRONG_DATABASE,
            )
        self._kek = self._keks.find(ring.kek_id)
        self._pseudonym_key = self._kek.unwrap(ring.pseudonym_key)

    def look_up(self, user: str, tenant: str | None) -> bytes:
        """What a person is found by: HMAC-SHA256 of tenant and user under a key of its own."""
        text = joined("genguard subject 1", tenant or "", user)
        return hmac.digest(self._pseudonym_key, text, "sha256")

    def stock_up(self) -> None:
        """See to it that a key can be taken without writing. Called before a transaction."""
        self._check_process()
        if not self._has_stock():
            self._refill()

    def take(self) -> DataKey:
        """A key that was never used before and never will be by others; it is durable."""
        self._check_process()
        while True:
            with self._lock:
                if self._stock:
                    return self._stock.popleft()
            self._refill()

    def get(self, key_id: bytes) -> bytes:
        """A key by id, from memory or the key database.

        Raises VaultUnavailable when it is not there.
        """
        self._check_process()
        with self._lock:
            kept = self._memory.get(key_id)
            if kept is not None and time.monotonic() - kept[0] < MEMORY_SECONDS:
                self._memory.move_to_end(key_id)
                return kept[1]
        key = self.read(key_id)
        self.remember(key_id, key)
        return key

    def read(self, key_id: bytes) -> bytes:
        """A key by id from the key database, whatever memory says. Raises VaultUnavailable."""
        kek_id, found = self.store.wrapped([key_id])
        if key_id not in found:
            raise VaultUnavailable(
                f"Key {key_id.hex()} is not in the key database {self.store.name}.",
                hint=f"{WRONG_DATABASE} After restoring the log from a backup, erase again whom "
                "you erased since.",
            )
        return self._kek_of(kek_id).unwrap(found[key_id])

    def remember(self, key_id: bytes, key: bytes) -> None:
        """Keep a key in memory for a while."""
        with self._lock:
            self._memory[key_id] = (time.monotonic(), key)
            self._memory.move_to_end(key_id)
            while len(self._memory) > MOST_IN_MEMORY:
                self._memory.popitem(last=False)

    def forget(self, key_ids: Sequence[bytes]) -> None:
        """Take keys out of memory."""
        with self._lock:
            for key_id in key_ids:
                self._memory.pop(key_id, None)

    def in_memory(self, key_id: bytes) -> bool:
        """Whether a key need not be fetched."""
        with self._lock:
            kept = self._memory.get(key_id)
            return kept is not None and time.monotonic() - kept[0] < MEMORY_SECONDS

    def rotate(self) -> int:
        """Wrap every key with the current key-encryption key instead; answers how many.

        In the home a new one is made and the old one destroyed. With keys from settings the new
        one is the current, the old one the retired. Interrupted, the same call again ends it.
        Raises VaultUnavailable, KeyInvalid, AuditUnavailable.
        """
        self.open(may_begin=False)
        ring = self.store.ring()
        assert ring is not None  # noqa: S101  # open() saw it
        old = self._keks.find(ring.kek_id)
        new = self._keks.begin_rotation()
        count: int | None = 0
        if new.id != old.id:
            count = self.store.rewrap(lambda one: new.wrap(old.unwrap(one)), old.id, new.id)
        if count is None:
            raise VaultUnavailable(
                "The key-encryption key was rotated by somebody else meanwhile.", hint="Try again."
            )
        self.store.scrub()
        self._keks.end_rotation()
        self._kek = new
        return count

    def _kek_of(self, kek_id: str) -> KeyEncryptionKey:
        """The key-encryption key in force, which another process may have replaced."""
        kek = self._kek
        if kek is None or kek.id != kek_id:
            kek = self._kek = self._keks.find(kek_id)
        return kek

    def _has_stock(self) -> bool:
        with self._lock:
            return bool(self._stock)

    def _refill(self) -> None:
        with self._refilling:
            if self._has_stock():  # somebody else did while this thread waited
                return
            keys = [
                (secrets.token_bytes(KEY_ID_BYTES), secrets.token_bytes(KEY_BYTES))
                for _ in range(self._batch)
            ]
            self._add(keys)
            with self._lock:
                self._stock.extend(keys)
                self._batch = min(2 * self._batch, MOST_IN_STOCK)

    def _add(self, keys: list[DataKey]) -> None:
        for _ in range(ROTATIONS):
            ring = self.store.ring()
            kek = self._kek_of(ring.kek_id if ring else "")
            if self.store.add({key_id: kek.wrap(key) for key_id, key in keys}, kek.id):
                return
        raise VaultUnavailable("The key-encryption key changes all the time.", hint="Try again.")

    def _check_process(self) -> None:
        if self._pid != os.getpid():  # the parent's stock is the parent's
            self._fresh()
