"""Ends what nobody else will: runs that were cut off, and reviews that nobody held in time.

There is no lease that a run must renew: a heartbeat is a write every few seconds of every run, and
a machine that sleeps loses it although nothing is wrong. A run has limits for each of its stages
instead, so there is an age that no living one reaches. Reaping too late leaves a row open; reaping
too early cannot release anything, it only makes that run's own last write fail.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from guard.audit.append import Finish
from guard.audit.frame import to_us
from guard.audit.record import parse
from guard.audit.sequel import POLICY
from guard.audit.vault.holds import is_held
from guard.errors import LogTampered
from guard.types import MAX_IMAGES, Action, AuditReceipt, AuditRecord, Event

if TYPE_CHECKING:
    from guard.audit.append import Tree
    from guard.audit.log import SqlAuditLog
    from guard.audit.review.held import HeldPictures
    from guard.settings import Settings

AT_ONCE = 100
"""Records closed in one transaction: other writers wait meanwhile."""

MARGIN = 1.1

AT_START = timedelta(days=7)
"""How far before the age of what is reaped a start-up looks back; ``guard audit reap`` sees all."""

REAPED = "reaped"
"""A file in the home whose time says when a start-up looked last."""

EVERY = timedelta(hours=1)

MOST_HELD = 10_000
"""Held records looked at in one run; the oldest come first."""

REVIEW_EXPIRED = "review_expired"
"""The reason of a block that no reviewer decided."""


def longest_run(settings: Settings) -> timedelta:
    """The age that no living run reaches: all limits of the most pictures there can be, and more.

    Stages are asked several times for a picture (embedding is checked by detecting, say), each
    time within the whole limit.
    """
    if settings.reap_seconds is not None:
        return timedelta(seconds=settings.reap_seconds)
    once = settings.prompt_seconds + settings.generate_seconds + 2 * settings.classify_seconds
    picture = settings.classify_seconds + 3 * settings.watermark_seconds
    picture += 5 * settings.sign_seconds + 4 * settings.audit_seconds
    return timedelta(seconds=MARGIN * (once + MAX_IMAGES * picture))


def is_fresh(marker: Path) -> bool:
    """Whether a start-up looked within the last hour. A time to come is a clock that was wrong."""
    try:
        age = time.time() - marker.stat().st_mtime
    except FileNotFoundError:
        return False
    return 0 <= age < EVERY.total_seconds()


@dataclass(frozen=True, slots=True)
class End:
    """Records to be ended with ``ending``, where their last event still is ``last``."""

    record_ids: tuple[str, ...]
    last: Event
    ending: Callable[[AuditRecord], AuditRecord]

    def apply(self, tree: Tree) -> tuple[AuditReceipt, ...]:
        """End them; those that went on meanwhile are left alone."""
        receipts = []
        for record_id in self.record_ids:
            row = tree.writer.events(record_id)[-1]
            if row.columns.event == self.last:
                receipts.append(Finish(self.ending(parse(row.leaf).record)).apply(tree))
        return tuple(receipts)


def reap(
    log: SqlAuditLog, older_than: timedelta, *, within: timedelta | None = None
) -> tuple[AuditReceipt, ...]:
    """Close as abandoned every record that started so long ago and never ended.

    ``within``: look back no further than that before. Choose more than the longest run can take
    (:func:`longest_run`). Raises AuditUnavailable.
    """
    before, since_us = _window(older_than, within)
    receipts: list[AuditReceipt] = []
    for ids in _open(log, Event.STARTED, before, since_us):
        receipts += log.run(End(ids, Event.STARTED, _abandoned))
    return tuple(receipts)


def expire(
    log: SqlAuditLog,
    held: HeldPictures,
    older_than: timedelta,
    *,
    within: timedelta | None = None,
) -> tuple[AuditReceipt, ...]:
    """Block what has been held for so long and nobody decided; its picture is destroyed then.

    ``within``: look back no further than that before. A record under legal hold, or of a person
    under one, stays as it is. Raises AuditUnavailable, and OutputUnwritable when a picture cannot
    be removed.
    """
    before, since_us = _window(older_than, within)
    receipts: list[AuditReceipt] = []
    with log.store.read() as reader:
        ids = reader.open_records.ids(Event.HELD, before, since_us, limit=MOST_HELD)
        free = [one for one in ids if not is_held(reader.vault, one)]
    for record_id in free:
        done = log.run(End((record_id,), Event.HELD, _expired))
        if done:
            held.discard(record_id)
        receipts += done
    _sweep(log, held)
    return tuple(receipts)


def _sweep(log: SqlAuditLog, held: HeldPictures) -> None:
    """Destroy pictures that were blocked and kept for a hold that was lifted since."""
    try:
        waiting = held.list()
    except LogTampered:
        return  # whoever reviews hears of it, and can reject what is damaged
    with log.store.read() as reader:
        for one in waiting:
            rows = reader.events(one.record_id)
            blocked = bool(rows) and rows[-1].columns.event == Event.BLOCKED
            if blocked and not is_held(reader.vault, one.record_id):
                held.discard(one.record_id)


def _window(older_than: timedelta, within: timedelta | None) -> tuple[int, int]:
    """Before and since when, in microseconds."""
    before = datetime.now(UTC) - older_than
    return to_us(before), 0 if within is None else to_us(before - within)


def _open(
    log: SqlAuditLog, event: Event, before_us: int, since_us: int
) -> Iterator[tuple[str, ...]]:
    """Ids of records to be ended, some at a time: each call finds those that are still open."""
    while True:
        with log.store.read() as reader:
            ids = reader.open_records.ids(event, before_us, since_us, AT_ONCE)
        if ids:
            yield tuple(ids)
        if len(ids) < AT_ONCE:
            return


def _abandoned(record: AuditRecord) -> AuditRecord:
    return dataclasses.replace(record, event=Event.ABANDONED, at=datetime.now(UTC))


def _expired(record: AuditRecord) -> AuditRecord:
    return dataclasses.replace(
        record,
        event=Event.BLOCKED,
        at=datetime.now(UTC),
        action=Action.BLOCK,
        reasons=(*record.reasons, REVIEW_EXPIRED),
        reviewer=POLICY,
    )
