"""Which event may follow which: a record starts once and ends once, an act stands alone."""

from __future__ import annotations

from guard.types import Act, Event

FOLLOWERS: dict[str | None, frozenset[str]] = {
    None: frozenset({Event.STARTED, *Act}),
    Event.STARTED: frozenset(
        {Event.RELEASED, Event.BLOCKED, Event.HELD, Event.FAILED, Event.ABANDONED}
    ),
    Event.HELD: frozenset({Event.RELEASED, Event.BLOCKED}),
}
"""What may come after an event; None is "nothing yet". Events that are not here are the end."""


def may_follow(before: str | None, event: str) -> bool:
    """Whether a record whose last event is ``before`` may go on with ``event``.

    Names of events and acts; any other answers False.
    """
    return event in FOLLOWERS.get(before, frozenset())
