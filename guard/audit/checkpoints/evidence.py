"""Proofs about records of a log, made from its tiles and signed checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.audit.checkpoints.checkpoint import open_checkpoint
from guard.audit.checkpoints.proof import ConsistencyProof, InclusionProof
from guard.audit.tree.tiles import TileReader
from guard.errors import LogTampered, RecordNotFound

if TYPE_CHECKING:
    from guard.audit.checkpoints.publish import Publisher
    from guard.audit.log import SqlAuditLog


def prove_record(
    log: SqlAuditLog, publisher: Publisher, record_id: str, event: str | None = None
) -> InclusionProof:
    """That a record's last event (or ``event``) stands in the log; works for acts, too.

    Against the newest checkpoint that was signed, if that covers the row, and else against one
    that is signed now, and published where a place is set. Raises RecordNotFound, LogTampered when
    the proof would not hold, and as :meth:`Publisher.publish`.
    """
    with log.store.read() as reader:
        rows = [row for row in reader.events(record_id) if event in {None, row.columns.event}]
    if not rows:
        raise RecordNotFound(
            f"The log holds no {event or 'row'} of record {record_id}.",
            hint="List what there is with: guard audit list",
        )
    row = rows[-1]
    known = [one for one in publisher.known() if one and one.size > row.index]
    signed = max(known, key=lambda one: one.size) if known else publisher.publish()
    with log.store.read() as reader:
        hashes = TileReader(reader).inclusion_proof(row.index, signed.size)
    proof = InclusionProof(row.index, tuple(hashes), str(signed), row.leaf)
    proof.verify(publisher.keys.verifiers(log.log_id))  # never hand out what does not hold
    return proof


def prove_growth(log: SqlAuditLog, publisher: Publisher, since: bytes) -> ConsistencyProof:
    """That the log as it is now begins with the tree of the checkpoint ``since``.

    Raises ProofInvalid when that is no checkpoint of this log, LogTampered when the log does not
    begin so, and as :meth:`Publisher.publish`.
    """
    verifiers = publisher.keys.verifiers(log.log_id)
    old = open_checkpoint(since, verifiers, log.log_id)
    new = publisher.publish()
    if old.size > new.size:
        raise LogTampered(
            f"The log once had {old.size:,} rows, and has {new.size:,}.",
            hint="Run guard audit verify --checkpoint with that checkpoint.",
        )
    hashes: list[bytes] = []
    if old.size:
        with log.store.read() as reader:
            hashes = TileReader(reader).consistency_proof(old.size, new.size)
    proof = ConsistencyProof(old.size, tuple(hashes), str(new))
    proof.verify(old, verifiers)
    return proof
