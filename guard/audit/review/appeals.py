"""Appeals: somebody says that a block was wrong, and somebody else decides.

Both are acts of the log. The record itself stays as it is: a block that was found wrong still
happened, and no picture leaves because of it; the platform may let the user ask again. What was
wrong is counted by rule (:mod:`guard.audit.report.statistics`).

A record that was blocked may be appealed; while that is open, and once it was granted, it may
not be appealed again. After a denial a new appeal is a new case. Who blocked after a review, and
a colleague who appealed, do not decide about it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from guard.audit.acts import Acted, new_act, parse
from guard.audit.query import ActEntry, Entry, full_id, show, to_act_entry
from guard.audit.record import parse as parse_record
from guard.errors import InvalidRequest, RecordNotFound
from guard.store.rows import Query
from guard.types import Act, AuditAct, AuditReceipt, Event

if TYPE_CHECKING:
    from guard.audit.append import Tree
    from guard.audit.log import SqlAuditLog

_STEPS = (Act.APPEALED, Act.APPEAL_GRANTED, Act.APPEAL_DENIED)
_BY = "by"


class By(StrEnum):
    """On whose word a block is disputed: the user's, whom the log never names, or a colleague's."""

    USER = "user"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class OpenAppeal:
    """An appeal that waits, and the block that it is about."""

    appeal: ActEntry
    block: Entry

    @property
    def by(self) -> By:
        """On whose word."""
        return By(dict(self.appeal.act.details).get(_BY, By.STAFF))


def appeal(
    log: SqlAuditLog, record_id: str, *, who: str, reason: str, by: By = By.USER
) -> AuditReceipt:
    """Dispute a block; durable on return.

    ``record_id`` may be the beginning of one; ``who`` names the colleague who writes it down, never
    the user; ``reason`` is a code such as ``art`` or ``case-4711``. Raises RecordNotFound,
    InvalidRequest for a record that was not blocked or whose appeal is open or was granted,
    AuditUnavailable.
    """
    act = new_act(Act.APPEALED, _named(who), reason, **_about(log, record_id, by))
    return log.run(_Step(act))


def decide(
    log: SqlAuditLog, record_id: str, *, granted: bool, who: str, reason: str
) -> AuditReceipt:
    """Say that a disputed block was wrong (``granted``) or right; durable on return.

    Raises RecordNotFound, InvalidRequest for a record without an open appeal and for somebody who
    may not decide about it, AuditUnavailable.
    """
    act = Act.APPEAL_GRANTED if granted else Act.APPEAL_DENIED
    return log.run(_Step(new_act(act, _named(who), reason, **_about(log, record_id))))


def open_appeals(log: SqlAuditLog, limit: int = 1_000) -> list[OpenAppeal]:
    """The appeals that wait, oldest first."""
    with log.store.read() as reader:
        rows = reader.open_appeals(-1, limit)
    waiting = [to_act_entry(log.log_id, row) for row in rows]
    return [OpenAppeal(one, show(log, one.act.about or "")[-1]) for one in waiting]


@dataclass(frozen=True, slots=True)
class _Step:
    """An act of an appeal: whether it may be made is decided where it is written."""

    act: AuditAct

    def apply(self, tree: Tree) -> AuditReceipt:
        """Add it. Raises InvalidRequest."""
        about = self.act.about or ""
        rows = tree.writer.events(about)
        if not rows or rows[-1].columns.event != Event.BLOCKED:
            last = f"its last event is '{rows[-1].columns.event}'" if rows else "there is none"
            raise _refused(about, f"only a block can be disputed, and {last}", "audit show")
        names = tuple(one.value for one in _STEPS)
        steps = tree.writer.search(Query(about=about, events=names), before=None, limit=1)
        last_step = parse(steps[0].leaf).act if steps else None
        if self.act.act is Act.APPEALED:
            _check_may_appeal(about, last_step)
        else:
            _check_may_decide(self.act, last_step, parse_record(rows[-1].leaf).record.reviewer)
        return Acted(self.act).apply(tree)


def _check_may_appeal(about: str, last: AuditAct | None) -> None:
    if last is None or last.act is Act.APPEAL_DENIED:
        return
    if last.act is Act.APPEALED:
        raise _refused(about, "its appeal is open already", "review appeals")
    raise _refused(about, "the block was found wrong already", "audit show")


def _check_may_decide(act: AuditAct, last: AuditAct | None, blocked_by: str | None) -> None:
    about = act.about or ""
    if last is None or last.act is not Act.APPEALED:
        raise _refused(about, "it has no open appeal", "review appeals")
    if dict(last.details).get(_BY) == By.STAFF and _same(last.who, act.who):
        raise _refused(about, f"{act.who} appealed, so somebody else decides", "review appeals")
    if blocked_by is not None and _same(blocked_by, act.who):
        raise _refused(about, f"{act.who} blocked it, so somebody else decides", "review appeals")


def _same(one: str, other: str) -> bool:
    first, second = (unicodedata.normalize("NFKC", name).casefold() for name in (one, other))
    return first.split() == second.split()


def _named(who: str) -> str:
    if not who.strip():
        raise InvalidRequest("An appeal needs the name of who acts.", hint="Say who: --who NAME")
    return who.strip()


def _about(log: SqlAuditLog, record_id: str, by: By | None = None) -> dict[str, object]:
    found = full_id(log, record_id)
    with log.store.read() as reader:
        if not reader.events(found):
            raise RecordNotFound(
                f"The log holds no record {record_id}.",
                hint="List what was blocked with: guard audit list --event blocked",
            )
    return {"about": found, "details": () if by is None else ((_BY, by.value),)}


def _refused(about: str, why: str, see: str) -> InvalidRequest:
    command = f"guard {see}" + (f" {about}" if see == "audit show" else "")
    return InvalidRequest(f"Record {about}: {why}.", hint=f"See {command}")
