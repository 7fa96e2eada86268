"""All detectors of a policy over one picture, failing closed."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from guard.classify.base import Detector
from guard.classify.clip import clip_detectors
from guard.classify.opennsfw import OpenNsfwDetector
from guard.errors import DetectorUnavailable, StageMisbehaved, Unavailable
from guard.policy.model import KNOWN_BAD, OutputRule, Policy
from guard.types import Pixels, Score

NEVER = 1.0
"""The threshold of a score that no rule of the policy reads."""


class Classifier:
    """Runs a policy's detectors and attaches the policy's thresholds to their scores."""

    def __init__(
        self,
        policy: Policy,
        detectors: Sequence[Detector] | None = None,
        *,
        models: Path | None = None,
    ) -> None:
        """``detectors`` None builds what the policy requires and its rules name.

        ``models`` is the folder that relative CLIP and head paths are looked up in.

        Raises DetectorUnavailable when a required or named detector is missing, StageMisbehaved
        when two have the same id.
        """
        self._policy = policy
        built = build_detectors(policy, models) if detectors is None else tuple(detectors)
        self._detectors = built
        _check_unique(built)
        _check_present(policy, built)

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """The detectors, in the order in which they score."""
        return self._detectors

    def prepare(self) -> None:
        """Open every model now, so that nothing is generated that cannot be classified.

        Raises DetectorUnavailable.
        """
        for detector in self._detectors:
            prepare = getattr(detector, "prepare", None)
            if prepare is not None:
                prepare()
            _ = detector.model_digest

    def score(self, pixels: Pixels) -> tuple[Score, ...]:
        """Every detector's scores for an (h, w, 3) picture, with the lowest threshold that acts.

        Raises DetectorUnavailable when weights are missing, StageMisbehaved when a detector
        raises, answers nothing, NaN or a value outside 0–1, or leaves out a category that a rule
        reads.
        """
        return self.score_all([pixels])[0]

    def score_all(self, pictures: Sequence[Pixels]) -> list[tuple[Score, ...]]:
        """As :meth:`score` for several pictures; a shared encoder sees all of them in one pass.

        Pictures that a bank knows are not shown to any other detector.
        """
        looked = [self._looked_up(pixels) for pixels in pictures]
        rest = [place for place, scores in enumerate(looked) if not self._knows(scores)]
        seen = self.look_all([pictures[place] for place in rest])
        for place, scores in zip(rest, seen, strict=True):
            looked[place] += scores
        return looked

    def look_all(self, pictures: Sequence[Pixels]) -> list[tuple[Score, ...]]:
        """As :meth:`score_all`, without asking the banks."""
        embedded = self._embedded(pictures) if pictures else {}
        return [
            self._scores(pixels, {key: found[index] for key, found in embedded.items()})
            for index, pixels in enumerate(pictures)
        ]

    @staticmethod
    def is_bank(detector: str) -> bool:
        """Whether a detector of this id looks pictures up, and does not look at them."""
        return detector.startswith(f"{KNOWN_BAD}:")

    def _looked_up(self, pixels: Pixels) -> tuple[Score, ...]:
        """What the banks say, which are asked first."""
        banks = [one for one in self._detectors if self.is_bank(one.id)]
        return tuple(score for bank in banks for score in self._one(bank, pixels, {}))

    def _knows(self, scores: tuple[Score, ...]) -> bool:
        return any(
            one.detector == rule.detector and one.value >= rule.threshold
            for rule in self._policy.known_bad
            for one in scores
        )

    def _embedded(self, pictures: Sequence[Pixels]) -> dict[int, Any]:
        """By encoder: what it makes of each picture. One pass, however many heads read it."""
        found = (getattr(detector, "embedder", None) for detector in self._detectors)
        encoders = {id(one): one for one in found if one is not None}
        return {key: one.embed_all(pictures) for key, one in encoders.items()}

    def _scores(self, pixels: Pixels, embedded: Mapping[int, Any]) -> tuple[Score, ...]:
        scores = tuple(
            one
            for detector in self._detectors
            if not self.is_bank(detector.id)
            for one in self._one(detector, pixels, embedded)
        )
        for rule in self._policy.output_rules:
            for name in rule.detectors:
                _check_scored(rule, name, scores)
        return scores

    def _one(self, detector: Detector, pixels: Pixels, embedded: Mapping[int, Any]) -> list[Score]:
        try:
            rows = embedded.get(id(getattr(detector, "embedder", None)))
            reads: Any = detector
            answer = detector.score(pixels) if rows is None else reads.score_embedded(rows)
            digest = detector.model_digest
        except Unavailable:
            raise
        except Exception as error:
            raise StageMisbehaved(f"The detector {detector.id} raised: {error}") from error
        return [
            Score(category, value, self._threshold(detector.id, category), detector.id, digest)
            for category, value in _checked(detector.id, answer).items()
        ]

    def _threshold(self, detector: str, category: str) -> float:
        """The lowest value at which some rule acts on this score, were it the only one."""
        reached = [
            limit
            for rule in self._policy.output_rules
            if rule.category == category and any(names(one, detector) for one in rule.detectors)
            for limit in (rule.review, rule.block)
            if limit is not None
        ]
        for one in self._policy.calibration:
            if (one.detector, one.category) == (detector, category):
                reached = [one.score_at(limit) for limit in reached]
        reached += [rule.threshold for rule in self._policy.known_bad if rule.detector == detector]
        return min(reached, default=NEVER)


def names(rule_detector: str, detector: str) -> bool:
    """Whether a rule's ``detectors`` entry means this detector: its id, or ``clip`` for all of it.

    The same reading as in :mod:`guard.policy.decide`.
    """
    return detector == rule_detector or detector.startswith(f"{rule_detector}:")


def build_detectors(policy: Policy, models: Path | None = None) -> tuple[Detector, ...]:
    """The built-in detectors that a policy requires or its rules name.

    Raises DetectorUnavailable for a name that is not built in, or ``clip`` without a section.
    """
    wanted = {*policy.required_detectors}
    wanted |= {name for rule in policy.output_rules for name in rule.detectors}
    detectors: list[Detector] = []
    if "opennsfw" in wanted:
        detectors.append(OpenNsfwDetector())
    if any(name.split(":")[0] == "clip" for name in wanted):
        if policy.clip is None:
            raise DetectorUnavailable(
                "The policy's rules name clip detectors, but it has no clip section.",
                hint="Add a 'clip' section with 'model' and 'pretrained' to the policy.",
            )
        detectors += clip_detectors(policy.clip, models=models)
    return tuple(detectors)


def _check_unique(detectors: Sequence[Detector]) -> None:
    ids = [detector.id for detector in detectors]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    if twice:
        raise StageMisbehaved(
            f"Two detectors are called {', '.join(twice)}.",
            hint="Give each head its own name: one would hide the other's scores.",
        )


def _check_present(policy: Policy, detectors: Sequence[Detector]) -> None:
    wanted = [*policy.required_detectors]
    wanted += [name for rule in policy.output_rules for name in rule.detectors]
    wanted += [rule.detector for rule in policy.known_bad]
    for name in wanted:
        if not any(names(name, detector.id) for detector in detectors):
            raise DetectorUnavailable(
                f"The policy '{policy.name}' needs the detector {name}, which is not there.",
                hint="Install or import it, or take it out of the policy.",
            )


def _check_scored(rule: OutputRule, name: str, scores: Sequence[Score]) -> None:
    if not any(names(name, one.detector) and one.category == rule.category for one in scores):
        raise StageMisbehaved(
            f"The rule '{rule.id}' reads '{rule.category}' from {name}, which did not score it.",
            hint="Correct the rule's category or detectors (`guard policy show`).",
        )


def _checked(detector: str, answer: object) -> Mapping[str, float]:
    if not isinstance(answer, Mapping) or not answer:
        raise StageMisbehaved(f"The detector {detector} answered nothing.")
    for category, value in answer.items():
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not 0.0 <= value <= 1.0:
            raise StageMisbehaved(
                f"The detector {detector} answered {value!r} for '{category}'; "
                "it must be a number from 0 to 1."
            )
    return {str(category): float(value) for category, value in answer.items()}
