"""Leaves of both kinds, records and acts, where it does not matter which."""

from __future__ import annotations

from guard.audit import acts, record
from guard.audit.acts import ActLeaf
from guard.audit.record import Leaf
from guard.store.rows import LeafColumns, LeafRow


def to_bytes(leaf: Leaf | ActLeaf) -> bytes:
    """The canonical bytes. Raises AuditUnavailable when it cannot be recorded as it is."""
    return acts.to_leaf(leaf) if isinstance(leaf, ActLeaf) else record.to_leaf(leaf)


def columns(leaf: Leaf | ActLeaf) -> LeafColumns:
    """What is stored beside the leaf to be searched for."""
    return acts.columns(leaf) if isinstance(leaf, ActLeaf) else record.columns(leaf)


def parse(row: LeafRow) -> Leaf | ActLeaf:
    """What a row's leaf says. Raises LogTampered unless it is exactly what was written.

    The row's column says which kind it is; whoever forged that finds a leaf that does not fit.
    """
    if row.columns.event in acts.NAMES:
        return acts.parse(row.leaf)
    return record.parse(row.leaf)
