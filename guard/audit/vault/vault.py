"""The vault: prompts and user ids, encrypted beside the log, under keys kept elsewhere.

Every person (a user within a tenant) has a data key for each period; a request without a user has
one of its own. What is encrypted lies in the log's database and is written in the transaction of
the record's first row; keys lie wrapped in the key database. Destroying a key makes what was
encrypted under it unreadable in every copy of the log's database, and the salts of the record's
commitments with it, so that they mean nothing any more.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from guard.audit.commitments import SALT_BYTES
from guard.audit.frame import to_us
from guard.audit.vault.data_keys import MOST_IN_MEMORY, DataKey, DataKeys
from guard.audit.vault.sealing import seal, unseal
from guard.errors import VaultUnavailable
from guard.store.rows import Salts
from guard.store.vault_rows import Owner, VaultEntry

if TYPE_CHECKING:
    from guard.audit.vault.kek import Keks
    from guard.store.engine import Store
    from guard.store.keys import KeyStore
    from guard.store.reader import Reader
    from guard.store.vault_rows import VaultReader
    from guard.store.writer import Writer
    from guard.types import AuditRecord

SUBJECT_BYTES = 32

PROMPT, NEGATIVE, USER, SALTS = "prompt", "negative_prompt", "user_id", "salts"
"""Names of fields: part of what their ciphertext is bound to, and columns of ``vault_entry``."""

PERIODS = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
"""How a period is named, in UTC."""


@dataclass(frozen=True, slots=True)
class Personal:
    """What a request says about a person. An empty prompt, or no user, is nothing."""

    prompt: str = field(repr=False)
    user: str | None = field(default=None, repr=False)
    negative_prompt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Keeps:
    """What is put away: a policy's retention says so. Salts always are.

    ``period`` is ``day``, ``month`` or ``year``.
    """

    prompt: bool = True
    user: bool = True
    period: str = "month"


class Vault:
    """The vault of one log. Thread-safe. Nothing is opened before it is needed."""

    def __init__(
        self,
        store: Store,
        open_keys: Callable[[], KeyStore],
        keks: Keks,
        keeps: Keeps | None = None,
    ) -> None:
        self.keeps = keeps or Keeps()
        self._log = store
        self.keys = DataKeys(open_keys, keks, lambda: store.log_id)
        self._known: dict[tuple[bytes, str], bytes] = {}  # a hint: what counts is in the log

    # -- keeping -----------------------------------------------------------------------------

    def prepare(self, record: AuditRecord, user: str | None) -> None:
        """Fetch or make what :meth:`keep` will need, outside the log's transaction.

        Raises VaultUnavailable, KeyInvalid, AuditUnavailable.
        """
        self.open()
        self.keys.stock_up()
        if user is None:
            return
        asked = self.keys.look_up(user, record.tenant), self._period(record.at)
        known = self._known.get(asked)
        if known is not None and self.keys.in_memory(known):
            return
        with self._log.read() as reader:
            owner = reader.vault.owner(*asked)
        if owner is not None and owner.key_id is not None:
            self.keys.get(owner.key_id)
            self._know(asked, owner.key_id)

    def keep(self, writer: Writer, record: AuditRecord, personal: Personal, salts: Salts) -> None:
        """Put away what a record's request said, in the transaction that begins the record.

        Raises VaultUnavailable, AuditUnavailable.
        """
        self.open()
        key_id, key = self._key(writer, record, personal.user)
        said = {
            PROMPT: personal.prompt if self.keeps.prompt else "",
            NEGATIVE: personal.negative_prompt if self.keeps.prompt else "",
            USER: (personal.user or "") if self.keeps.user else "",
        }
        plain = {name: text.encode("utf-8", "surrogatepass") for name, text in said.items() if text}
        plain[SALTS] = salts.prompt + salts.user
        place = self._log.log_id, record.record_id
        sealed = seal(key, plain, *place)
        writer.add_sealed(
            VaultEntry(
                record_id=record.record_id,
                key_id=key_id,
                at_us=to_us(record.at),
                prompt=sealed.get(PROMPT),
                negative_prompt=sealed.get(NEGATIVE),
                user_id=sealed.get(USER),
                salts=sealed[SALTS],
            )
        )

    def _key(self, writer: Writer, record: AuditRecord, user: str | None) -> DataKey:
        """The key to encrypt under; whose it is is read in this transaction, never remembered.

        Erasing takes the same lock: a key that a row here leads to has not been destroyed.
        """
        if user is None:
            return self.keys.take()
        lookup, period = self.keys.look_up(user, record.tenant), self._period(record.at)
        owner = writer.owner(lookup, period)
        if owner is not None and owner.key_id is not None:
            return owner.key_id, self.keys.get(owner.key_id)
        key_id, key = self.keys.take()
        subject = new_subject() if owner is None else owner.subject
        writer.add_owner(lookup, period, Owner(subject, key_id), new=owner is None)
        self.keys.remember(key_id, key)
        self._know((lookup, period), key_id)
        return key_id, key

    def _know(self, asked: tuple[bytes, str], key_id: bytes) -> None:
        if len(self._known) >= MOST_IN_MEMORY:
            self._known.clear()
        self._known[asked] = key_id

    def _period(self, at: datetime) -> str:
        return at.astimezone(UTC).strftime(PERIODS[self.keeps.period])

    # -- finding -----------------------------------------------------------------------------

    def open(self) -> None:
        """Open the keys. Raises VaultUnavailable, KeyInvalid, AuditUnavailable."""
        if not self.keys.is_open:
            with self._log.read() as reader:
                may_begin = reader.vault.is_empty()
            self.keys.open(may_begin=may_begin)

    def subject(self, reader: VaultReader, user: str, tenant: str | None) -> bytes | None:
        """A person's pseudonym, 32 random bytes; None when nothing is known of them."""
        self.open()
        owner = reader.owner(self.keys.look_up(user, tenant), "")
        return None if owner is None else owner.subject

    def subject_of(self, user: str, tenant: str | None = None) -> str | None:
        """A person's pseudonym, 64 hex digits, as acts name it; None when nothing is known.

        Erasing the person makes it mean nothing: who comes back gets another.
        """
        with self._log.read() as reader:
            subject = self.subject(reader.vault, user, tenant)
        return None if subject is None else subject.hex()

    def records_of(self, user: str, tenant: str | None = None) -> list[str]:
        """Ids of the records that a person asked for, oldest first. Nothing is decrypted.

        Raises VaultUnavailable, KeyInvalid, AuditUnavailable.
        """
        with self._log.read() as reader:
            subject = self.subject(reader.vault, user, tenant)
            return [] if subject is None else reader.vault.records_of(subject)

    # -- reading -----------------------------------------------------------------------------

    def unsealed(self, entry: VaultEntry, fields: Sequence[str]) -> dict[str, bytes]:
        """What is kept in these fields of an entry; those that are empty are left out.

        The caller records the act first: see :func:`guard.audit.vault.reveal`. Raises
        VaultUnavailable, LogTampered.
        """
        self.open()
        kept = {name: getattr(entry, name) for name in fields}
        kept = {name: sealed for name, sealed in kept.items() if sealed is not None}
        if not kept:
            return {}
        key = self.keys.read(entry.key_id)
        place = self._log.log_id, entry.record_id
        return {name: unseal(key, sealed, *place, name) for name, sealed in kept.items()}

    def salts(self, reader: Reader, record_id: str) -> Salts | None:
        """The salts of a record's commitments; None when they are not here.

        Raises VaultUnavailable, LogTampered.
        """
        entry = reader.vault.entry(record_id)
        if entry is None:
            return None
        both = self.unsealed(entry, [SALTS])[SALTS]
        return Salts(both[:SALT_BYTES], both[SALT_BYTES:])

    def check(self) -> int:
        """Open the keys and one of what is kept; answers how many records something is kept of.

        Raises VaultUnavailable, KeyInvalid, AuditUnavailable, LogTampered.
        """
        self.open()
        with self._log.read() as reader:
            count = reader.vault.count()
            newest = reader.vault.newest()
        if newest is not None and not self.unsealed(newest, [SALTS]):
            raise VaultUnavailable(f"The vault has lost the salts of record {newest.record_id}.")
        return count

    def forget(self, key_ids: Sequence[bytes]) -> None:
        """Take keys out of this process's memory."""
        self.keys.forget(key_ids)
        gone = set(key_ids)
        for asked in [asked for asked, one in list(self._known.items()) if one in gone]:
            self._known.pop(asked, None)


def new_subject() -> bytes:
    """A pseudonym: random, so that nobody can work it out, key or no key."""
    return secrets.token_bytes(SUBJECT_BYTES)
