"""Whether what is kept beside the log is what its records say: other fingerprints, manifest ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.audit.record import fingerprints
from guard.store.rows import LeafRow
from guard.types import AuditRecord

if TYPE_CHECKING:
    from guard.store.engine import Store

AT_ONCE = 500
"""Records asked about at once: databases take so many parameters."""

Report = Callable[[str, int], None]
"""Told (problem, index of its row)."""


@dataclass(slots=True)
class KeptBeside:
    """Compares records with the rows that lead to them, some at a time."""

    store: Store
    report: Report
    wanted: dict[str, tuple[AuditRecord, LeafRow]] = field(default_factory=dict)

    def expect(self, record: AuditRecord | None, row: LeafRow) -> None:
        """Take in what a row's record says; its first event with a picture brought the rows."""
        if record is not None and (fingerprints(record) or row.columns.manifest_sha256):
            self.wanted.setdefault(record.record_id, (record, row))
        if len(self.wanted) >= AT_ONCE:
            self.check()

    def check(self) -> None:
        """Compare what was taken in so far."""
        with self.store.read() as reader:
            prints = reader.fingerprints_of(list(self.wanted))
            entries = {one.record_id: one for one in reader.entries_of(list(self.wanted))}
        for record_id, (record, row) in self.wanted.items():
            for one in fingerprints(record):
                if prints.get((record_id, one.algorithm), b"").hex() != one.bits:
                    self._say(record_id, f"{one.algorithm} fingerprint", row)
            entry, digest = entries.get(record_id), row.columns.manifest_sha256
            if digest and record.manifest_label:
                kept = None if entry is None else (entry.manifest_id, entry.sha256)
                if kept != (record.manifest_label, digest):
                    self._say(record_id, "entry of the manifest", row)
        self.wanted.clear()

    def _say(self, record_id: str, what: str, row: LeafRow) -> None:
        self.report(f"The {what} of record {record_id} is not the recorded one.", row.index)
