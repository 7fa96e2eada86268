"""What tests of checkpoints share: a publisher on a log, and a log written fast."""

from __future__ import annotations

from pathlib import Path

from guard.audit.checkpoints.places import Place, open_place
from guard.audit.checkpoints.publish import Keys, Publisher, Rhythm
from guard.audit.checkpoints.signed_state import StateFile
from guard.audit.log import SqlAuditLog
from guard.store.engine import Store
from tests.support.auditing import new_record_id, started


def publisher(
    store: Store, home: Path, place: Place | str | None = None, rhythm: Rhythm | None = None
) -> Publisher:
    """A publisher with its keys and its state in ``home``."""
    keys = Keys(home / "keys" / "checkpoint.pem", home / "keys" / "checkpoint.vkey")
    where = open_place(place) if isinstance(place, str) else place
    return Publisher(store, keys, StateFile(home, store.log_id), where, rhythm)


def fill(log: SqlAuditLog, rows: int) -> None:
    """Add ``rows`` records that only start."""
    from guard.audit.append import Start, Tree

    with log.store.write() as writer:
        tree = Tree(writer)
        for _ in range(rows):
            Start(started(new_record_id()), "a lighthouse", "user-1").apply(tree)
