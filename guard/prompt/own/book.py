"""Keeping own lists in the database: additions and removals, who made them, when and why.

Nothing is ever overwritten: a removal is a row of its own, and the history stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from guard.errors import InvalidRequest
from guard.policy.model import ListKind
from guard.prompt.own.entries import OwnEntry, entry
from guard.prompt.own.sources import in_force
from guard.store.rows import ListChange

if TYPE_CHECKING:
    from guard.store.engine import Store

DEFAULT_LIST: Final = "main"
"""The list of each kind that is meant when none is named."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What an addition or removal came to: ``same`` entries were as asked for before."""

    changed: tuple[str, ...]
    same: tuple[str, ...]


class ListBook:
    """The own lists of one database. ``who`` stands beside every change made through it."""

    def __init__(self, store: Store, who: str = "") -> None:
        self._store = store
        self._who = who

    def add(self, kind: ListKind, name: str, entries: Sequence[OwnEntry]) -> Changed:
        """Add entries, or give known ones another category or note; all of them or none.

        Raises InvalidRequest when nobody is said to do it, AuditUnavailable when nothing can be
        written.
        """
        self._check_who()
        with self._store.write() as writer:
            writer.lock_head()  # nobody changes the list between reading and writing it
            known = _by_text(writer.list_changes(kind, name))
            wanted = {one.text: one for one in entries}
            changes = [
                self._change(kind, name, "add", one)
                for one in wanted.values()
                if not _says(known.get(one.text), one)
            ]
            writer.add_list_changes(changes)
        changed = {one.term for one in changes}
        same = tuple(one.term for one in wanted.values() if one.term not in changed)
        return Changed(tuple(one.term for one in changes), same)

    def remove(self, kind: ListKind, name: str, terms: Iterable[str], note: str = "") -> Changed:
        """Take entries off a list; ``same`` are those that were not on it.

        Raises InvalidRequest for what can be no entry or when nobody is said to do it,
        AuditUnavailable when nothing can be written.
        """
        self._check_who()
        asked = [made_entry(term, note=note) for term in terms]
        with self._store.write() as writer:
            writer.lock_head()
            known = _by_text(writer.list_changes(kind, name))
            changes = [
                self._change(kind, name, "remove", one._replace(term=known[one.text].term))
                for one in {one.text: one for one in asked}.values()
                if one.text in known
            ]
            writer.add_list_changes(changes)
        missing = tuple(one.term for one in asked if one.text not in known)
        return Changed(tuple(one.term for one in changes), missing)

    def entries(self, kind: ListKind, name: str) -> list[ListChange]:
        """What is on a list: the change that put each entry there, oldest first."""
        return in_force(self.history(kind, name))

    def history(self, kind: ListKind, name: str) -> list[ListChange]:
        """Every change of a list, oldest first. Raises InvalidRequest when it never was."""
        with self._store.read() as reader:
            changes = reader.list_changes(kind, name)
        if not changes:
            raise InvalidRequest(
                f"There is no {kind} list '{name}' in {self._store.name}.",
                hint=f"See which there are: guard lists list. Begin it: guard lists add {kind} "
                f"TERM --list {name}",
            )
        return changes

    def names(self) -> list[tuple[ListKind, str]]:
        """(kind, name) of every list that ever had an entry."""
        with self._store.read() as reader:
            return [(ListKind(kind), name) for kind, name in reader.list_names()]

    def _check_who(self) -> None:
        if not self._who.strip():
            raise InvalidRequest(
                "A change of a list needs the name of who makes it.", hint="Add --who NAME."
            )

    def _change(self, kind: ListKind, name: str, change: str, one: OwnEntry) -> ListChange:
        moment = datetime.now(UTC)
        return ListChange(
            kind=kind.value,
            name=name,
            change=change,
            term=one.term,
            category=one.category,
            note=one.note,
            who=self._who,
            at_us=int(moment.timestamp() * 1_000_000),
        )


def made_entry(term: str, category: str = "", note: str = "") -> OwnEntry:
    """An entry that somebody typed. Raises InvalidRequest when it can be none."""
    try:
        return entry(term, category, note)
    except ValueError as error:
        raise InvalidRequest(
            f"This can be no entry: {error}.", hint="Give a word, a name, a phrase or an emoji."
        ) from None


def _by_text(changes: Iterable[ListChange]) -> dict[str, ListChange]:
    return {entry(one.term).text: one for one in in_force(changes)}


def _says(known: ListChange | None, wanted: OwnEntry) -> bool:
    if known is None:
        return False
    return (known.category, known.note) == (wanted.category, wanted.note)
