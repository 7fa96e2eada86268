"""``guard policy replay``: what another policy would have decided about recorded requests.

The log keeps no prompts, only a salted commitment of each. A prompt decision can be taken anew
where somebody still has the text; a picture decision where the recorded scores say all that the
other policy asks. Everything else is counted as what it is: not replayed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from guard.errors import DetectorUnavailable
from guard.policy.decide import decide_output, decide_prompt
from guard.policy.evaluate import Screen
from guard.policy.model import Policy
from guard.types import Action, AuditRecord, Decision, Event, Stage, worst

if TYPE_CHECKING:
    from guard.audit.log import SqlAuditLog

Times = tuple[datetime | None, datetime | None]

NO_TEXT = "the log keeps no prompts, and none of --prompts is this one's"
NO_PROMPT = "it was made without a prompt"
NO_SCORES = "no picture was made, so there are no scores"
UNENDED = "it has not ended"

EXAMPLES = 10
"""Records shown for each transition."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One record: the action on record, and the other policy's; how each half came about."""

    record_id: str
    before: Action
    after: Action
    rules: tuple[str, ...]
    prompt: str
    picture: str

    @property
    def transition(self) -> str:
        """``allow->block``: the two actions."""
        return f"{self.before}->{self.after}"


@dataclass
class Tally:
    """Counts over all records; ``examples`` by transition."""

    records: int = 0
    prompts: int = 0
    pictures: int = 0
    not_prompts: Counter[str] = field(default_factory=Counter)
    not_pictures: Counter[str] = field(default_factory=Counter)
    untouched: int = 0
    transitions: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Replayed]] = field(default_factory=dict)

    def add(self, one: Replayed) -> None:
        """Count a record."""
        self.records += 1
        for how, done, missed in (
            (one.prompt, "prompts", self.not_prompts),
            (one.picture, "pictures", self.not_pictures),
        ):
            if how:
                missed[how] += 1
            else:
                setattr(self, done, getattr(self, done) + 1)
        if one.prompt and one.picture:
            self.untouched += 1  # nothing of it could be decided anew
            return
        self.transitions[one.transition] += 1
        if one.before is not one.after:
            shown = self.examples.setdefault(one.transition, [])
            if len(shown) < EXAMPLES:
                shown.append(one)


def replay(
    log: SqlAuditLog, times: Times, policy: Policy, screen: Screen, prompts: Iterable[str]
) -> Iterator[Replayed]:
    """Every record begun between two ``times`` (the second excluded), newest first.

    Raises LogTampered, and what screening raises.
    """
    texts = list(dict.fromkeys(prompts))
    decided: dict[str, Decision] = {}
    for started, ended in _records(log, times):
        text = _find(log, started, texts)
        if text and text not in decided:
            decided[text] = decide_prompt(policy, screen(text))
        yield _replay(
            policy,
            (started, ended),
            decided.get(text or ""),
            NO_TEXT if text is None else NO_PROMPT,
        )


def _records(log: SqlAuditLog, times: Times) -> Iterator[tuple[AuditRecord, AuditRecord | None]]:
    """(started, last event) of each record; what ended it comes first, the log being read back."""
    from guard.audit.frame import to_us
    from guard.audit.query import iterate
    from guard.store.rows import Query

    since, until = times
    ends: dict[str, AuditRecord] = {}
    # What ended a record may lie behind ``until``: only its beginning is asked about.
    for entry in iterate(log, Query(since_us=None if since is None else to_us(since))):
        record = entry.record
        if record.event is Event.STARTED:
            ended = ends.pop(record.record_id, None)
            if until is None or record.at < until:
                yield record, ended
        else:
            ends.setdefault(record.record_id, record)


def _find(log: SqlAuditLog, started: AuditRecord, texts: list[str]) -> str | None:
    """The prompt of a record among ``texts``; "" for one made without a prompt."""
    from guard.audit.commitments import confirms

    if started.prompt_commitment is None:
        return None
    with log.store.read() as reader:
        salts = log.salts(reader, started.record_id)
    if salts is None:  # erased: nobody can tell any more
        return None
    wanted = started.prompt_commitment
    return next((text for text in ("", *texts) if confirms(salts.prompt, text, wanted)), None)


def _replay(
    policy: Policy,
    events: tuple[AuditRecord, AuditRecord | None],
    prompt: Decision | None,
    missing: str,
) -> Replayed:
    started, ended = events
    recorded = started.action or Action.ALLOW
    picture, why = _picture(policy, ended)
    actions = [prompt.action if prompt else recorded]
    rules = prompt.rules if prompt else ()
    if picture is not None and actions[0] is not Action.BLOCK:
        actions.append(picture.action)
        rules += picture.rules
    return Replayed(
        record_id=started.record_id,
        before=_recorded(started, ended),
        after=worst(actions),
        rules=rules,
        prompt="" if prompt else missing,
        picture=why,
    )


def _recorded(started: AuditRecord, ended: AuditRecord | None) -> Action:
    """What the policy of that day decided; a reviewer's word is not the policy's."""
    if ended is None or ended.event is Event.FAILED or ended.action is None:
        return started.action or Action.ALLOW
    return Action.FLAG if ended.reviewer else ended.action


def _picture(policy: Policy, ended: AuditRecord | None) -> tuple[Decision | None, str]:
    if ended is None:
        return None, UNENDED
    if not ended.scores:
        blocked = ended.stage is Stage.PROMPT or ended.event is Event.FAILED
        if blocked or policy.required_detectors:
            return None, NO_SCORES
    try:
        return decide_output(policy, ended.scores), ""
    except DetectorUnavailable as error:
        return None, error.message


def tally_row(policy: Policy, tally: Tally) -> dict[str, Any]:
    """As ``--json`` prints it."""
    return {
        "policy": {"name": policy.name, "digest": policy.digest},
        "records": tally.records,
        "replayed": tally.records - tally.untouched,
        "prompts": {"replayed": tally.prompts, "not_replayed": dict(tally.not_prompts)},
        "pictures": {"replayed": tally.pictures, "not_replayed": dict(tally.not_pictures)},
        "transitions": dict(tally.transitions),
        "examples": {name: [_example(one) for one in shown] for name, shown in _items(tally)},
    }


def _items(tally: Tally) -> Iterable[tuple[str, list[Replayed]]]:
    return tally.examples.items()


def _example(one: Replayed) -> Mapping[str, Any]:
    return {
        "record_id": one.record_id,
        "rules": list(one.rules),
        "prompt": one.prompt or "replayed",
        "picture": one.picture or "replayed",
    }
