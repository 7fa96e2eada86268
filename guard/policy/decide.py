"""What a policy makes of findings and scores: pure functions, no state, no I/O.

Rules of the house:

1. The severest action wins.
2. A finding acts under its own rule when its score reaches the rule's threshold; findings of a
   rule whose action is ``allow`` only count in combinations. A semantic rule has two thresholds.
3. A combination acts when each of its categories has a finding at its (lower) threshold; one that
   looks at the picture, too, counts scores and the prompt's findings.
4. A user is told category, message and hint of what brought the severest action about, never
   the term that matched; a block that also speaks of a review would only confuse.
5. Of a rule's detectors the highest value counts, the lowest, or a mean, as the rule says; where
   they disagree too much, what would pass is held. Disagreement never softens a block.
6. A picture near one of a bank of known ones is refused for that alone: no other detector is asked.
7. What cannot be judged is an error: a rule or score that cannot be, a required detector
   that said nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from guard.errors import DetectorUnavailable, StageMisbehaved
from guard.policy.model import (
    CombinationRule,
    KnownBad,
    OutputRule,
    PictureCombination,
    Policy,
    PromptRule,
    Rule,
    SemanticRule,
)
from guard.types import Action, Decision, Finding, Reason, Score, worst

_Acted = tuple[Action, Rule]


def decide_prompt(policy: Policy, findings: Sequence[Finding]) -> Decision:
    """The decision about a prompt.

    Raises StageMisbehaved when a finding names no rule of ``policy`` or has an impossible score.
    """
    rules = {rule.id: rule for rule in policy.prompt_rules}
    meanings = {rule.id: rule for rule in policy.semantic_rules}
    for finding in findings:
        _check_unit(finding.score, f"finding of rule '{finding.rule}'")
        if finding.rule not in rules and finding.rule not in meanings:
            raise StageMisbehaved(
                f"A prompt finding names the rule '{finding.rule}', which policy "
                f"'{policy.name}' does not have.",
                hint="Build the screener from the same policy that decides.",
            )
    acted: list[_Acted] = [
        (rule.action, rule) for rule in rules.values() if _rule_acts(rule, findings)
    ]
    acted += [(_meant(rule, findings), rule) for rule in meanings.values()]
    acted += [(c.action, c) for c in policy.combinations if _combination_acts(c, findings)]
    return _decision(policy, acted)


def decide_output(
    policy: Policy, scores: Sequence[Score], findings: Sequence[Finding] = ()
) -> Decision:
    """The decision about a picture's scores; ``findings`` are those of its prompt, if it has one.

    Raises DetectorUnavailable when a required detector gave no score, or none for a category
    that a rule asks it about; StageMisbehaved for a value that is no number in 0–1.
    """
    for score in scores:
        _check_unit(score.value, f"score of '{score.detector}' for '{score.category}'")
    known = [rule for rule in policy.known_bad if _is_known(policy, rule, scores)]
    if known:  # nobody else was asked
        return _decision(policy, [(rule.action, rule) for rule in known])
    for detector in policy.required_detectors:
        if not any(_is_from(score, detector) for score in scores):
            raise _silent(detector, policy)
    acted: list[_Acted] = []
    for rule in policy.output_rules:
        values = _rule_values(policy, rule, scores)
        action = rule.action(rule.combined(values))
        if action is Action.ALLOW and _disagree(rule, values):
            action = Action.FLAG
        acted.append((action, rule))
    together = [one for one in policy.picture_combinations if _seen(policy, one, scores, findings)]
    acted += [(one.action, one) for one in together]
    return _decision(policy, acted)


def _is_known(policy: Policy, rule: KnownBad, scores: Sequence[Score]) -> bool:
    """Whether the picture is near one of the rule's bank."""
    found = [one.value for one in scores if one.detector == rule.detector]
    if not found:
        raise _silent(rule.detector, policy)
    return max(found) >= rule.threshold


def _rule_acts(rule: PromptRule, findings: Sequence[Finding]) -> bool:
    return any(one.rule == rule.id and one.score >= rule.threshold for one in findings)


def _meant(rule: SemanticRule, findings: Sequence[Finding]) -> Action:
    return rule.action(max((one.score for one in findings if one.rule == rule.id), default=0.0))


def _combination_acts(combination: CombinationRule, findings: Sequence[Finding]) -> bool:
    strong = {one.category for one in findings if one.score >= combination.threshold}
    return strong.issuperset(combination.all_of)


def _seen(
    policy: Policy, one: PictureCombination, scores: Sequence[Score], findings: Sequence[Finding]
) -> bool:
    """Whether everything that a combination asks for is in the picture and its prompt."""
    said = {f.category for f in findings if f.score >= one.prompt_threshold}
    shown = {
        rule.category
        for rule in policy.output_rules
        if max(_rule_values(policy, rule, scores), default=0.0) >= one.threshold
    }
    return said.issuperset(one.prompt) and shown.issuperset(one.picture)


def _rule_values(policy: Policy, rule: OutputRule, scores: Sequence[Score]) -> list[float]:
    """For each of the rule's detectors, the highest calibrated value that it gave.

    A detector that is not required and gave none counts as 0 where something else was said.
    """
    values = []
    for detector in rule.detectors:
        own = [s for s in scores if s.category == rule.category and _is_from(s, detector)]
        if not own and detector.partition(":")[0] in _families(policy.required_detectors):
            raise _silent(detector, policy, rule.category)
        values.append(max((calibrated(policy, one) for one in own), default=0.0))
    return values


def calibrated(policy: Policy, score: Score) -> float:
    """The probability that the policy makes of a score: the score itself where it says nothing."""
    for one in policy.calibration:
        if (one.detector, one.category) == (score.detector, score.category):
            return one.probability(score.value)
    return score.value


def _disagree(rule: OutputRule, values: Sequence[float]) -> bool:
    return rule.disagreement is not None and max(values) - min(values) >= rule.disagreement


def _is_from(score: Score, detector: str) -> bool:
    """Whether ``score`` comes from ``detector``: ``clip`` means every ``clip:<encoder>/<head>``."""
    return score.detector == detector or score.detector.startswith(f"{detector}:")


def _families(detectors: Iterable[str]) -> set[str]:
    return {one.partition(":")[0] for one in detectors}


def _silent(detector: str, policy: Policy, category: str = "") -> DetectorUnavailable:
    about = f" about '{category}'" if category else ""
    return DetectorUnavailable(
        f"Policy '{policy.name}' requires the detector '{detector}', which said nothing{about}.",
        hint="Run `guard doctor`; `guard models list` shows which weights are here.",
    )


def _check_unit(value: float, what: str) -> None:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or not 0.0 <= value <= 1.0:
        raise StageMisbehaved(
            f"The {what} is {value!r}; it must be a number in 0–1.",
            hint="The stage that produced it is broken: nothing is released on its word.",
        )


def _decision(policy: Policy, acted: list[_Acted]) -> Decision:
    order = list(Action)
    loud = [(action, rule) for action, rule in acted if action is not Action.ALLOW]
    loud.sort(key=lambda pair: -order.index(pair[0]))  # stable: file order within an action
    severest = worst([action for action, _ in loud])
    return Decision(
        action=severest,
        rules=tuple(rule.id for _, rule in loud),
        policy_digest=policy.digest,
        reasons=tuple(dict.fromkeys(_reason(rule) for action, rule in loud if action is severest)),
        sensitive=any(rule.category in policy.sensitive.categories for _, rule in loud),
    )


def _reason(rule: Rule) -> Reason:
    return Reason(code=rule.category, message=f"{rule.message} {rule.hint}".strip())
