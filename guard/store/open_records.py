"""Records whose last event is not the end: begun and never ended, or held and never decided."""

from __future__ import annotations

from sqlalchemy import Connection, select

from guard.store.tables import LEAF


class OpenRecords:
    """Asks for them, within one transaction. Times in microseconds since 1970 UTC."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ids(self, event: str, before_us: int, since_us: int = 0, limit: int = 100) -> list[str]:
        """Records whose last event is ``event``, of a time from ``since_us`` to ``before_us``.

        The oldest first.
        """
        later = LEAF.alias("later")
        followed = (
            select(later.c.leaf_index)
            .where(later.c.record_id == LEAF.c.record_id)
            .where(later.c.leaf_index > LEAF.c.leaf_index)
            .exists()
        )
        statement = (
            select(LEAF.c.record_id)
            .where(LEAF.c.event == event, LEAF.c.at_us < before_us, LEAF.c.at_us >= since_us)
            .where(~followed)
            .order_by(LEAF.c.at_us, LEAF.c.leaf_index)
            .limit(limit)
        )
        return [str(row[0]) for row in self._connection.execute(statement)]
