"""Erasing what is personal, so that nothing of it can be read and every proof still holds.

An erasure has three steps, each durable before the next:

1. In one transaction of the log: check for legal holds, remove ciphertext, salts and the person's
   pseudonym, and note which keys are doomed. From here on nothing is encrypted under them.
2. Destroy the keys in the key database, and whatever pictures wait in quarantine; leave no bytes
   of either in the databases' own files.
3. Record that it was done: how many records, by whom, for which case, and not whose.

Interrupted after the first step, the next erasure or expiry goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from uuid6 import uuid7

from guard.audit.acts import Acted, parse
from guard.audit.commitments import confirms
from guard.audit.frame import to_us
from guard.audit.shapes import check_identifier, check_text
from guard.audit.vault.holds import Hold, Person, holds_in, holds_on, vault_of
from guard.errors import InvalidRequest, LegalHold, RecordNotFound
from guard.store.vault_rows import Pending
from guard.types import Act, AuditAct, AuditReceipt

if TYPE_CHECKING:
    from guard.audit.append import Tree
    from guard.audit.log import SqlAuditLog
    from guard.audit.review.held import HeldPictures
    from guard.audit.vault.vault import Vault
    from guard.policy.model import Policy
    from guard.store.reader import Reader
    from guard.store.writer import Writer

AT_ONCE = 500
"""Records that expire in one transaction: other writers wait meanwhile."""

OLD_AT_ONCE = 2_000
"""Records from before there was a vault, looked through at once."""

TABLES = ("vault_entry", "vault_key", "vault_subject", "vault_doomed", "commitment_salt")

EXPIRY_REASON = "retention"

Target = Person | str
"""A person, or one record by its id."""

Kept = tuple[str, int, bytes | None]
"""(record, time, key): without a key, salts from before there was a vault."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would destroy, and the holds that forbid it."""

    subject: bytes | None
    records: tuple[str, ...]
    keys: tuple[bytes, ...]
    holds: tuple[Hold, ...]


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure destroyed, and the receipt of the act that says so."""

    records: int
    keys: int
    pictures: int
    receipt: AuditReceipt


def plan(log: SqlAuditLog, target: Target) -> Plan:
    """What :func:`erase` would destroy. Changes nothing.

    Raises VaultUnavailable, KeyInvalid, AuditUnavailable.
    """
    old = _old_records(log, target)
    with log.store.read() as reader:
        return _plan(vault_of(log), reader, target, old)


def erase(
    log: SqlAuditLog,
    target: Target,
    *,
    who: str,
    reason: str,
    held: HeldPictures | None = None,
) -> Erased:
    """Make unreadable, for good, what is kept of a person; done and recorded on return.

    Also pictures of theirs that wait in quarantine (``held``). Records stay, with commitments that
    mean nothing any more. Of a single record the ciphertext and the salts go; its key goes where
    nothing else is encrypted under it.

    Raises LegalHold when the person or one of the records is held, RecordNotFound when nothing is
    kept of them, VaultUnavailable, AuditUnavailable (then the same call again, or the next expiry,
    ends what was begun).
    """
    _check_words(who, reason)
    vault_of(log).open()  # before anything is locked
    resume(log, held)
    old = _old_records(log, target)
    waiting = {one.record_id for one in held.list()} if held is not None else set()
    with log.store.write() as writer:
        found = _plan(vault_of(log), writer, target, old)
        _check(found)
        pending = _pending(Act.ERASED, who, reason, len(found.records))
        writer.vault.remove_entries(found.records)
        writer.vault.remove_keys(found.keys)
        if found.subject is not None:
            writer.vault.remove_subject(found.subject)
            writer.subject_blocks.forget(found.subject.hex())
        writer.vault.begin_erasure(pending, found.keys, sorted(waiting & set(found.records)))
    return _finish(log, pending, held)


def expire(
    log: SqlAuditLog,
    policy: Policy,
    *,
    now: datetime | None = None,
    who: str = "genguard",
    held: HeldPictures | None = None,
) -> tuple[Erased, ...]:
    """Destroy what is older than the policy's retention and not held; recorded as one act.

    A key goes with the last that was encrypted under it. Also ends erasures that were interrupted.
    Answers what was ended and what expired; nothing where there was nothing to do. Raises
    VaultUnavailable, AuditUnavailable.
    """
    done = list(resume(log, held))
    moment = now or datetime.now(UTC)
    before_us = to_us(moment - timedelta(days=policy.retention.personal_days))
    pendings: list[Pending] = []
    after = (-1, "")
    while True:
        with log.store.write() as writer:
            rows = writer.vault.older(before_us, after, AT_ONCE)
            pendings += _expire(writer, rows, pendings[-1:], who)
        if len(rows) < AT_ONCE:
            break
        after = rows[-1][1], rows[-1][0]
    done += [_finish(log, one, held) for one in pendings]
    return tuple(done)


def resume(log: SqlAuditLog, held: HeldPictures | None = None) -> tuple[Erased, ...]:
    """End erasures that were interrupted; without ``held``, those of no quarantined pictures.

    Raises VaultUnavailable, AuditUnavailable.
    """
    with log.store.read() as reader:
        left = reader.vault.pending()
        if held is None:
            left = [one for one in left if not reader.vault.doomed(one.erasure_id)[1]]
    return tuple(_finish(log, one, held) for one in left)


# -- what is to go -----------------------------------------------------------------------------


def _plan(vault: Vault, reader: Reader, target: Target, old: Collection[str]) -> Plan:
    rows = reader.vault
    if isinstance(target, Person):
        subject = vault.subject(rows, target.user, target.tenant)
        records = [] if subject is None else rows.records_of(subject)
        keys = [] if subject is None else rows.keys_of(subject)
        records += old
        return Plan(subject, tuple(records), tuple(keys), tuple(holds_on(rows, subject, records)))
    entry = rows.entry(target)
    if entry is None:
        return Plan(None, tuple(old), (), tuple(holds_on(rows, None, old)))
    holds = holds_on(rows, rows.subject_of(target), [target])
    alone = not rows.encrypting([entry.key_id], besides=target)
    return Plan(None, (target,), (entry.key_id,) if alone else (), tuple(holds))


def _check(found: Plan) -> None:
    if found.holds:
        cases = ", ".join(dict.fromkeys(one.reason for one in found.holds))
        raise LegalHold(
            f"This is under legal hold for {cases}, and is not erased.",
            hint="Erase once it is lifted: guard audit hold lift … --reason CASE",
        )
    if found.subject is None and not found.records:
        raise RecordNotFound(
            "The vault keeps nothing of this person or record.",
            hint="Check --subject and --tenant as the requests said them; or it is gone already.",
        )


def _old_records(log: SqlAuditLog, target: Target) -> list[str]:
    """Records from before there was a vault: a person's are found by trying every commitment."""
    found: list[str] = []
    after = ""
    while True:
        with log.store.read() as reader:
            if isinstance(target, str):
                return [] if reader.salts(target) is None else [target]
            rows = reader.vault.old_salts(after, OLD_AT_ONCE)
        found += [record for record, salt, leaf in rows if _is_of(target, salt, leaf)]
        if len(rows) < OLD_AT_ONCE:
            return found
        after = rows[-1][0]


def _is_of(person: Person, salt: bytes, leaf: bytes) -> bool:
    begun = json.loads(leaf)
    said = begun.get("user_commitment")
    same = begun.get("tenant") == (person.tenant or None)
    return same and said is not None and confirms(salt, person.user, said)


def _expire(writer: Writer, rows: list[Kept], begun: list[Pending], who: str) -> list[Pending]:
    """Remove what is not held, under the erasure that was begun; answers one begun here."""
    holds = holds_in(writer.vault) if rows else []
    records = {one.record for one in holds}
    people = {one.subject for one in holds}
    whose = writer.vault.subjects([key for _, _, key in rows if key is not None])
    gone = [
        (record, key)
        for record, _, key in rows
        if record not in records
        and (key is None or key not in whose or whose[key].hex() not in people)
    ]
    if not gone:
        return []
    writer.vault.remove_entries([record for record, _ in gone])
    keys = {key for _, key in gone if key is not None}
    doomed = sorted(keys - writer.vault.encrypting(list(keys)))
    writer.vault.remove_keys(doomed)
    idle = {whose[key] for key in doomed if key in whose}
    writer.vault.remove_idle_subjects([one for one in idle if one.hex() not in people])
    # Another process may have ended the erasure that was begun; then this is one of its own.
    for one in begun:
        if writer.vault.extend_erasure(one.erasure_id, len(gone), doomed):
            return []
    pending = _pending(Act.EXPIRED, who, EXPIRY_REASON, len(gone))
    writer.vault.begin_erasure(pending, doomed, ())
    return [pending]


# -- destroying, and saying so -------------------------------------------------------------------


def _finish(log: SqlAuditLog, pending: Pending, held: HeldPictures | None) -> Erased:
    """The second and third step. May run again, and by several at once."""
    with log.store.read() as reader:
        keys, pictures = reader.vault.doomed(pending.erasure_id)
    vault = vault_of(log)
    if keys:
        vault.forget(keys)
        vault.keys.store.destroy(keys)
        vault.keys.store.scrub()
    for record_id in pictures:
        if held is not None:
            held.discard(record_id)
    log.store.scrub(TABLES)
    concluded = log.run(Conclude(pending.erasure_id))
    return Erased(concluded.records, len(keys), len(pictures), concluded.receipt)


@dataclass(frozen=True, slots=True)
class Concluded:
    """How many records an erasure was of, and the receipt of its act."""

    records: int
    receipt: AuditReceipt


@dataclass(frozen=True, slots=True)
class Conclude:
    """The act that says that an erasure is done; its id is the erasure's, which names nobody."""

    erasure_id: str

    def apply(self, tree: Tree) -> Concluded:
        """Record it; what another process has recorded already is answered as it is."""
        rows = tree.writer.vault
        pending = next((one for one in rows.pending() if one.erasure_id == self.erasure_id), None)
        if pending is None:
            return self._found(tree)
        keys, pictures = rows.doomed(self.erasure_id)
        counts = {"keys": len(keys), "pictures": len(pictures), "records": pending.records}
        act = AuditAct(
            act_id=self.erasure_id,
            act=Act(pending.act),
            at=datetime.now(UTC),
            who=pending.who,
            reason=pending.reason,
            details=tuple((name, str(count)) for name, count in counts.items()),
        )
        rows.end_erasure(self.erasure_id)
        return Concluded(pending.records, Acted(act).apply(tree))

    def _found(self, tree: Tree) -> Concluded:
        row = tree.writer.events(self.erasure_id)[0]
        said = dict(parse(row.leaf).act.details)
        receipt = AuditReceipt(tree.log_id, row.index, row.leaf_hash.hex())
        return Concluded(int(said["records"]), receipt)


def _pending(act: Act, who: str, reason: str, records: int) -> Pending:
    return Pending(str(uuid7()), act.value, who, reason, to_us(datetime.now(UTC)), records)


def _check_words(who: str, reason: str) -> None:
    """What the act will say must be sayable before anything is destroyed."""
    if not who.strip():
        raise InvalidRequest("It must be said who does this.", hint="Name them: --who NAME")
    try:
        check_text("name of who does it", who)
        check_identifier("reason", reason)
    except ValueError as error:
        raise InvalidRequest(
            f"This could not be recorded: {error}.",
            hint="Name a case such as case-4711: letters, digits and ._:/+@-",
        ) from error
