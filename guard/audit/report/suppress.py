"""Small counts are hidden: they could say what a single person did."""

from __future__ import annotations

from collections.abc import Mapping

Shown = int | str
"""A count, or ``<5`` where it is small."""


def hide_small(table: Mapping[str, Mapping[str, int]], fewest: int) -> dict[str, dict[str, Shown]]:
    """A table of counts in which none from 1 to ``fewest`` − 1 can be read.

    Where one count of a column is hidden, the smallest other one is hidden as well: the column's
    sum, which stands elsewhere, would tell it. ``fewest`` 0 or 1 hides nothing.
    """
    events = sorted({event for counts in table.values() for event in counts})
    hidden = {event: _hidden(table, event, fewest) for event in events}
    return {
        name: {
            event: _shown(rows, fewest, hide=name in hidden[event])
            for event, rows in counts.items()
        }
        for name, counts in table.items()
    }


def _shown(rows: int, fewest: int, *, hide: bool) -> Shown:
    if not hide:
        return rows
    return f"<{fewest}" if rows < fewest else f"≥{fewest}"


def _hidden(table: Mapping[str, Mapping[str, int]], event: str, fewest: int) -> set[str]:
    found = {name: counts.get(event, 0) for name, counts in table.items()}
    small = {name for name, rows in found.items() if 0 < rows < fewest}
    if len(small) == 1:
        others = [name for name, rows in found.items() if rows >= fewest]
        small |= set(sorted(others, key=lambda name: (found[name], name))[:1])
    return small
