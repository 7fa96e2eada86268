"""Decrypting for an investigator: first it is recorded who looks and why, then they see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.audit.acts import new_act
from guard.audit.commitments import SALT_BYTES, confirms
from guard.audit.record import parse
from guard.audit.vault.holds import vault_of
from guard.audit.vault.vault import NEGATIVE, PROMPT, SALTS, USER
from guard.errors import LogTampered, RecordNotFound
from guard.types import Act, AuditReceipt

if TYPE_CHECKING:
    from guard.audit.log import SqlAuditLog

FIELDS = {"prompt": (PROMPT, NEGATIVE), "user": (USER,)}
"""What can be asked for, and what it shows."""


@dataclass(frozen=True, slots=True)
class Revealed:
    """What the vault keeps of a record; None for what was not asked for or is not kept."""

    record_id: str
    receipt: AuditReceipt
    prompt: str | None = field(default=None, repr=False)
    negative_prompt: str | None = field(default=None, repr=False)
    user: str | None = field(default=None, repr=False)


def reveal(
    log: SqlAuditLog, record_id: str, *, who: str, reason: str, what: tuple[str, ...] = ()
) -> Revealed:
    """Decrypt what the vault keeps of a record (``what``: ``prompt``, ``user``; empty: both).

    That it was decrypted, by whom and why, is durable before anything is. What is answered was
    compared with the record's commitments (a negative prompt has none; it is authenticated by its
    key alone).

    Raises RecordNotFound when nothing is kept, AuditUnavailable when the act cannot be recorded,
    VaultUnavailable when the keys are not there, LogTampered when what is kept is not what the
    record was begun with.
    """
    vault = vault_of(log)
    asked = what or tuple(FIELDS)
    names = [name for one in asked for name in FIELDS[one]]
    with log.store.read() as reader:
        entry, rows = reader.vault.entry(record_id), reader.events(record_id)
        subject = reader.vault.subject_of(record_id)
    if entry is None or not any(getattr(entry, name) for name in names) or not rows:
        raise RecordNotFound(
            f"The vault keeps nothing of that kind of record {record_id}.",
            hint="It was erased or has expired, or the policy keeps none.",
        )
    vault.open()  # fails before it is recorded that somebody looked
    act = new_act(
        Act.DECRYPTED,
        who,
        reason,
        about=record_id,
        subject=None if subject is None else subject.hex(),
        details=tuple((one, "yes") for one in sorted(asked)),
    )
    receipt = log.act(act)
    found = vault.unsealed(entry, [*names, SALTS])
    begun = parse(rows[0].leaf).record
    salts = found[SALTS][:SALT_BYTES], found[SALTS][SALT_BYTES:]
    texts = {name: found[name].decode("utf-8", "surrogatepass") for name in names if name in found}
    proofs = {PROMPT: (salts[0], begun.prompt_commitment), USER: (salts[1], begun.user_commitment)}
    for name, (salt, commitment) in proofs.items():
        if name in texts and not confirms(salt, texts[name], commitment or ""):
            raise LogTampered(
                f"What the vault keeps of record {record_id} is not what it was begun with.",
                hint="Run guard audit verify, and compare with a backup.",
            )
    return Revealed(record_id, receipt, texts.get(PROMPT), texts.get(NEGATIVE), texts.get(USER))
