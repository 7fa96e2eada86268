"""Which appeals nobody has decided."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select

from guard.store.tables import LEAF

DECIDED = ("appeal_granted", "appeal_denied")


def undecided() -> ColumnElement[bool]:
    """Of rows of the log: those of an appeal that no later act about the same record decides."""
    later = LEAF.alias("later")
    decided = select(later.c.leaf_index).where(
        later.c.about == LEAF.c.about,
        later.c.leaf_index > LEAF.c.leaf_index,
        later.c.event.in_(DECIDED),
    )
    return (LEAF.c.event == "appealed") & ~decided.exists()
