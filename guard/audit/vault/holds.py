"""Legal holds: what is held for a case is neither erased nor does it expire.

A hold is an act of the log, placed on a record or on a person; lifting it is another. What holds
now is read from the acts, so that nobody can end a hold without saying so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from guard.audit.acts import Acted, new_act, parse
from guard.audit.vault.vault import new_subject
from guard.errors import InvalidRequest, RecordNotFound, VaultUnavailable
from guard.types import Act, AuditAct, AuditReceipt

if TYPE_CHECKING:
    from guard.audit.append import Tree
    from guard.audit.log import SqlAuditLog
    from guard.audit.vault.vault import Vault
    from guard.store.vault_rows import VaultReader


@dataclass(frozen=True, slots=True)
class Person:
    """A user of a tenant, as requests name them."""

    user: str
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold in force: exactly one of ``record`` and ``subject`` (64 hex digits) is set.

    ``reason`` is the case.
    """

    reason: str
    who: str
    at: datetime
    record: str | None
    subject: str | None


Held = Callable[[str | None, str | None], bool]
"""Told (record, subject)."""


def holds_in(reader: VaultReader, concerns: Held | None = None) -> list[Hold]:
    """The holds in force, oldest first; with ``concerns``, those of what it says yes to."""
    found: dict[tuple[str | None, str | None, str], Hold] = {}
    for event, record, subject, leaf in reader.holds():
        if concerns is not None and not concerns(record, subject):
            continue
        act = parse(leaf).act
        key = record, subject, act.reason
        if event == Act.HOLD_LIFTED:
            found.pop(key, None)
        else:
            found.setdefault(key, Hold(act.reason, act.who, act.at, record, subject))
    return list(found.values())


def holds_on(reader: VaultReader, subject: bytes | None, records: Collection[str]) -> list[Hold]:
    """The holds that stand in the way of erasing a person, or these records."""
    person, some = None if subject is None else subject.hex(), frozenset(records)
    return holds_in(
        reader,
        lambda held, of: held in some if held is not None else person is not None and of == person,
    )


def is_held(reader: VaultReader, record_id: str) -> bool:
    """Whether a record, or the person whose it is, is held."""
    return bool(holds_on(reader, reader.subject_of(record_id), (record_id,)))


def list_holds(log: SqlAuditLog) -> list[Hold]:
    """Every hold in force, oldest first."""
    with log.store.read() as reader:
        return holds_in(reader.vault)


def place(log: SqlAuditLog, on: str | Person, *, who: str, reason: str) -> AuditReceipt:
    """Hold a record (by id) or a person for a case; durable on return.

    A person may be held before anything is kept of them. Raises RecordNotFound, AuditUnavailable.
    """
    return _change(log, Act.HOLD_PLACED, on, who, reason)


def lift(log: SqlAuditLog, on: str | Person, *, who: str, reason: str) -> AuditReceipt:
    """End a hold, named by what is held and its case.

    Raises RecordNotFound when there is no such hold, AuditUnavailable.
    """
    return _change(log, Act.HOLD_LIFTED, on, who, reason)


def _change(log: SqlAuditLog, act: Act, on: str | Person, who: str, reason: str) -> AuditReceipt:
    if isinstance(on, str):
        return log.run(ChangeHold(new_act(act, who, reason, about=on)))
    vault = vault_of(log)
    vault.open()
    lookup = vault.keys.look_up(on.user, on.tenant)
    return log.run(ChangeHold(new_act(act, who, reason), lookup))


def vault_of(log: SqlAuditLog) -> Vault:
    """The log's vault. Raises VaultUnavailable where it has none."""
    if log.vault is None:
        raise VaultUnavailable(
            "This log was opened without a vault.", hint="Open it with guard.assemble.build_log."
        )
    return log.vault


@dataclass(frozen=True, slots=True)
class ChangeHold:
    """A hold placed or lifted, on the person behind ``lookup`` or on what the act is about."""

    act: AuditAct
    lookup: bytes | None = None

    def apply(self, tree: Tree) -> AuditReceipt:
        """Record it. Raises RecordNotFound."""
        act = self.act
        if self.lookup is not None:
            act = dataclasses.replace(act, subject=self._subject(tree, self.lookup).hex())
        elif act.about is None:
            raise InvalidRequest("A hold is on a record or on a person.")
        if act.act is Act.HOLD_LIFTED:
            self._check_held(tree, act)
        return Acted(act).apply(tree)

    def _subject(self, tree: Tree, lookup: bytes) -> bytes:
        owner = tree.writer.vault.owner(lookup, "")
        if owner is not None:
            return owner.subject
        if self.act.act is Act.HOLD_LIFTED:
            raise _no_hold(self.act.reason)
        subject = new_subject()
        tree.writer.vault.add_subject(lookup, subject)
        return subject

    def _check_held(self, tree: Tree, act: AuditAct) -> None:
        on = act.about, act.subject
        held = holds_in(tree.writer.vault, lambda *one: one == on)
        if act.reason not in {one.reason for one in held}:
            raise _no_hold(act.reason)


def _no_hold(reason: str) -> RecordNotFound:
    return RecordNotFound(
        f"There is no such hold for {reason}.", hint="List them with: guard audit hold list"
    )
