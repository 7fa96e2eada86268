"""One record on its way down the hallway: it is opened once and ended once.

Every ending writes the audit row first and only then builds the outcome, so an outcome without
a durable record cannot exist.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from guard.audit.base import AuditLog
from guard.audit.sensitive import Shown, after_block
from guard.delivery import PendingFile
from guard.errors import AuditUnavailable, GuardError
from guard.policy.model import Policy
from guard.stage import expect, run_stage
from guard.types import (
    Action,
    AuditReceipt,
    AuditRecord,
    Blocked,
    Decision,
    Event,
    Failed,
    Finding,
    Held,
    Reason,
    Released,
    Score,
    SignedAsset,
    Stage,
    worst,
)

T = TypeVar("T")
Refusal = TypeVar("Refusal", Blocked, Held)


@dataclass(slots=True)
class Clerk:
    """Writes to the log within the audit stage's time limit.

    Whatever goes wrong there is AuditUnavailable: without a record nothing leaves.
    """

    log: AuditLog
    seconds: float
    policy: Policy

    def start(
        self, record: AuditRecord, *, prompt: str, user: str | None, negative_prompt: str = ""
    ) -> AuditReceipt:
        """Open the record. Raises AuditUnavailable, or DuplicateRequest for a used key."""
        more = {"negative_prompt": negative_prompt} if negative_prompt else {}
        return self._ask(
            AuditReceipt, lambda: self.log.start(record, prompt=prompt, user=user, **more)
        )

    def finish(
        self, record: AuditRecord, manifest: bytes | None = None, blocks: bytes | None = None
    ) -> AuditReceipt:
        """End the record (or hold it). Raises AuditUnavailable."""
        return self._ask(
            AuditReceipt, lambda: self.log.finish(record, manifest=manifest, blocks=blocks)
        )

    def block(self, record: AuditRecord, decision: Decision, shown: Shown | None) -> AuditReceipt:
        """End the record as blocked, with what must follow. Raises AuditUnavailable."""
        sequel = after_block(self.policy, record, decision, shown)
        if sequel is None:
            return self.finish(record)
        return self._ask(AuditReceipt, lambda: self.log.finish(record, sequel=sequel))

    def find_by_mark(self, payload: str) -> str | None:
        """Id of the record whose picture carries this mark. Raises AuditUnavailable."""
        stored = self._ask(tuple, lambda: (self.log.find_by_mark(payload),))[0]
        return None if stored is None else str(stored.record.record_id)

    def new_mark_id(self) -> bytes:
        """A mark id that no picture carries yet. Raises AuditUnavailable."""
        return self._ask(bytes, self.log.new_mark_id)

    def _ask(self, kind: type[T], work: Callable[[], T]) -> T:
        """``work()`` as the audit stage, which answers a ``kind``."""
        try:
            answer = run_stage(Stage.AUDIT, self.seconds, work)
            expect(isinstance(answer, kind), Stage.AUDIT, f"{type(answer).__name__}")
            return answer
        except AuditUnavailable:
            raise
        except GuardError as error:
            if error.code in {"stage_timeout", "stage_misbehaved"}:
                raise AuditUnavailable(
                    f"The audit log cannot be written: {error.message}",
                    hint="Nothing was released. See `guard doctor` and the database's own log.",
                ) from error
            raise


@dataclass(slots=True)
class Case:
    """A record with what has been found out so far.

    ``decision`` is what all stages decided together; ``findings`` and ``scores`` are for the
    operator only; ``blocks`` say what the picture looks like, once there is one that may leave.
    """

    clerk: Clerk
    record: AuditRecord
    decision: Decision
    findings: tuple[Finding, ...] = ()
    scores: tuple[Score, ...] = ()
    notices: tuple[str, ...] = ()
    blocks: bytes | None = field(default=None, repr=False)
    _open: bool = field(default=False, repr=False)

    def start(self, prompt: str, user: str | None, negative_prompt: str = "") -> None:
        """Write the *started* row."""
        record = dataclasses.replace(
            self.record,
            event=Event.STARTED,
            at=datetime.now(UTC),
            action=self.decision.action,
            rules=self.decision.rules,
        )
        self.clerk.start(record, prompt=prompt, user=user, negative_prompt=negative_prompt)
        self._open = True

    def note(self, **facts: Any) -> None:
        """Add facts to what the last row will say."""
        self.record = dataclasses.replace(self.record, **facts)

    def weigh(self, decision: Decision) -> None:
        """Add a stage's decision; the severest action stands, with the reasons for it."""
        both = (self.decision, decision)
        severest = worst([one.action for one in both])
        reasons = [reason for one in both if one.action is severest for reason in one.reasons]
        self.decision = Decision(
            action=severest,
            rules=self.decision.rules + decision.rules,
            policy_digest=decision.policy_digest,
            reasons=tuple(dict.fromkeys(reasons)),
            sensitive=any(one.sensitive for one in both),
        )

    def block(self, stage: Stage, shown: Shown | None = None) -> Blocked:
        """The policy said no. ``shown`` is the picture it said it of, if there is one.

        Of a picture that must not exist, its hashes go into the log; it goes nowhere.
        """
        self._note_end(Event.BLOCKED, stage)
        receipt = self.clerk.block(self.record, self.decision, shown)
        return self._refusal(Blocked, stage, receipt)

    def fail(self, stage: Stage, error: GuardError) -> Failed:
        """A stage is missing, broken, slow or lying. Raises AuditUnavailable if it is the audit."""
        if isinstance(error, AuditUnavailable):
            raise error
        reason = Reason(
            error.code, f"The {stage.value} stage could not be completed: nothing left."
        )
        stage_down = Reason("stage_unavailable", f"The {stage.value} stage is unavailable.")
        reasons = (reason,) if error.code == stage_down.code else (stage_down, reason)
        receipt = self._end(Event.FAILED, stage, tuple(one.code for one in reasons))
        return Failed(
            record_id=self.record.record_id,
            stage=stage,
            reasons=reasons,
            receipt=receipt,
            cause=error.message,
            hint=error.hint,
        )

    def hold(self, stage: Stage, manifest: bytes | None) -> Held:
        """The policy said *flag*: a reviewer decides."""
        return self._refusal(Held, stage, self._end(Event.HELD, stage, manifest=manifest))

    def _refusal(self, kind: type[Refusal], stage: Stage, receipt: AuditReceipt) -> Refusal:
        """What a blocked and a held request have in common."""
        return kind(
            record_id=self.record.record_id,
            stage=stage,
            reasons=self.decision.reasons,
            receipt=receipt,
            decision=self.decision,
            findings=self.findings,
            scores=self.scores,
        )

    def release(
        self, asset: SignedAsset, manifest: bytes | None, pending: PendingFile | None
    ) -> Released:
        """Everything is in order; the file gets its name once the row is durable."""
        try:
            receipt = self._end(Event.RELEASED, None, manifest=manifest)
        except BaseException:
            if pending is not None:
                pending.discard()
            raise
        return Released(
            record_id=self.record.record_id,
            images=(asset,),
            receipt=receipt,
            decision=self.decision,
            path=pending.commit() if pending is not None else None,
            notices=self.notices,
        )

    def _end(
        self,
        event: Event,
        stage: Stage | None,
        reasons: tuple[str, ...] | None = None,
        manifest: bytes | None = None,
    ) -> AuditReceipt:
        if self.decision.sensitive and event is not Event.FAILED:
            raise AuditUnavailable(  # whatever led here, nothing of it may be kept
                f"A sensitive request cannot end as '{event}'.", hint="Please report this bug."
            )
        self._note_end(event, stage, reasons)
        # Of what was never to leave, nothing is kept.
        return self.clerk.finish(self.record, manifest, self.blocks if manifest else None)

    def _note_end(
        self, event: Event, stage: Stage | None, reasons: tuple[str, ...] | None = None
    ) -> None:
        codes = reasons or tuple(reason.code for reason in self.decision.reasons)
        self.note(
            event=event,
            at=datetime.now(UTC),
            stage=stage,
            action=Action.BLOCK if event is Event.BLOCKED else self.decision.action,
            rules=self.decision.rules,
            reasons=codes,
            scores=self.scores,
        )
