"""Which event may follow which: a record starts once and ends once."""

from __future__ import annotations

from guard.types import Event

FOLLOWERS: dict[Event | None, frozenset[Event]] = {
    None: frozenset({Event.STARTED}),
    Event.STARTED: frozenset(
        {Event.RELEASED, Event.BLOCKED, Event.HELD, Event.FAILED, Event.ABANDONED}
    ),
    Event.HELD: frozenset({Event.RELEASED, Event.BLOCKED}),
}
"""What may come after an event; None is "nothing yet". Events that are not here are the end."""


def may_follow(before: Event | None, event: Event) -> bool:
    """Whether a record whose last event is ``before`` may go on with ``event``."""
    return event in FOLLOWERS.get(before, frozenset())
