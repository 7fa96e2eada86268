"""What follows the end of a record, in the same transaction: acts, messages, counted blocks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guard.audit.acts import Acted, new_act
from guard.audit.acts import parse as parse_act
from guard.audit.outbox.messages import of_report
from guard.audit.record import Leaf
from guard.audit.shapes import IDENTIFIER
from guard.policy.model import LONGEST_WINDOW, Signal
from guard.types import Act, AuditAct

if TYPE_CHECKING:
    from guard.audit.append import Tree
    from guard.store.rows import LeafRow

POLICY = "policy"
"""Who acts, where a rule does and no person."""

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Sequel:
    """What goes into the log together with a record's event.

    ``acts`` are about the record; ``report``: whether its block has to be reported;
    ``categories`` are those in which it was blocked, counted for ``signals``.
    """

    acts: tuple[AuditAct, ...] = ()
    report: bool = False
    categories: tuple[str, ...] = ()
    signals: tuple[Signal, ...] = ()

    def follow(self, tree: Tree, row: LeafRow, leaf: Leaf) -> None:
        """Write it, after ``row``. Raises AuditUnavailable, as everything in the transaction."""
        for act in self.acts:
            Acted(act).apply(tree)
        if self.report:
            tree.tell(of_report(row, leaf, self.acts))
        if self.categories and self.signals:
            self._count(tree, row, leaf)

    def _count(self, tree: Tree, row: LeafRow, leaf: Leaf) -> None:
        """One more block of the user, if it is known whose request it was."""
        blocks = tree.writer.subject_blocks
        subject = blocks.subject_of(leaf.record.record_id)
        if subject is None:
            return
        now = row.columns.at_us
        blocks.forget(subject, now - _us(LONGEST_WINDOW.total_seconds()))
        blocks.add(leaf.record.record_id, subject, now, self.categories)
        for signal in self.signals:
            since = now - _us(signal.window.total_seconds())
            counted = blocks.count(subject, since, signal.categories)
            if counted >= signal.blocks and not _raised(tree, subject, since, signal.id):
                Acted(_signal(signal, counted, subject, leaf)).apply(tree)


def _us(seconds: float) -> int:
    return round(seconds * _MICROSECONDS)


def _raised(tree: Tree, subject: str, since_us: int, signal_id: str) -> bool:
    """Whether there was this signal already: one a window is enough."""
    leaves = tree.writer.subject_blocks.signals(subject, since_us)
    return any(dict(parse_act(leaf).act.details).get("signal") == signal_id for leaf in leaves)


def _signal(signal: Signal, counted: int, subject: str, leaf: Leaf) -> AuditAct:
    details = {"blocks": str(counted), "signal": signal.id, "within": signal.within}
    tenant = leaf.record.tenant
    if tenant is not None and IDENTIFIER.fullmatch(tenant):
        details["tenant"] = tenant
    act = new_act(
        Act.SIGNALLED,
        POLICY,
        f"signal:{signal.id}",
        about=leaf.record.record_id,
        subject=subject,
        details=tuple(sorted(details.items())),
    )
    return dataclasses.replace(act, at=leaf.record.at)  # windows are measured from block to block
