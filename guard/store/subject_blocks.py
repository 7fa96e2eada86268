"""How often a user was blocked, by pseudonym: kept only as long as a signal may ask for it."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, or_, select

from guard.store.tables import LEAF, table

_BLOCKS, _KEYS, _ENTRIES = table("subject_block"), table("vault_key"), table("vault_entry")


class SubjectBlocks:
    """The blocks of users, within one transaction of the store. Times in microseconds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def subject_of(self, record_id: str) -> str | None:
        """The pseudonym, 64 hex digits, of the person whose data the vault holds for a record."""
        statement = (
            select(_KEYS.c.subject)
            .join(_ENTRIES, _ENTRIES.c.key_id == _KEYS.c.key_id)
            .where(_ENTRIES.c.record_id == record_id)
        )
        found = self._connection.execute(statement).scalar()
        return None if found is None else bytes(found).hex()

    def add(self, record_id: str, subject: str, at_us: int, categories: tuple[str, ...]) -> None:
        """Remember one."""
        lines = "\n" + "".join(f"{one}\n" for one in categories)
        values = {"record_id": record_id, "subject": subject, "at_us": at_us, "categories": lines}
        self._connection.execute(insert(_BLOCKS), values)

    def count(self, subject: str, since_us: int, categories: tuple[str, ...] = ()) -> int:
        """How many since then, in any of ``categories`` (none: in whatever category)."""
        statement = select(func.count()).where(
            _BLOCKS.c.subject == subject, _BLOCKS.c.at_us >= since_us
        )
        if categories:
            lines = [_BLOCKS.c.categories.contains(f"\n{c}\n", autoescape=True) for c in categories]
            statement = statement.where(or_(*lines))
        return int(self._connection.execute(statement).scalar_one())

    def signals(self, subject: str, since_us: int) -> list[bytes]:
        """The leaves of the signals that there were about a user since then."""
        statement = select(LEAF.c.leaf).where(
            LEAF.c.subject == subject, LEAF.c.event == "signalled", LEAF.c.at_us >= since_us
        )
        return [bytes(leaf) for leaf in self._connection.execute(statement).scalars()]

    def forget(self, subject: str, before_us: int | None = None) -> int:
        """Forget a user's blocks, all or those before a time; answers how many."""
        statement = delete(_BLOCKS).where(_BLOCKS.c.subject == subject)
        if before_us is not None:
            statement = statement.where(_BLOCKS.c.at_us < before_us)
        return self._connection.execute(statement).rowcount
