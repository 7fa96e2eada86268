"""The shape of a policy file, validated by pydantic.

A policy is data: which rules exist, what each does, and what the later stages need. It never
holds secrets, and its digest stands in every record made under it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from guard.policy.calibration import Calibration
from guard.types import Action

Threshold = Annotated[float, Field(ge=0.0, le=1.0)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]

DATABASE = "database:"
"""Before the name of a list that the database keeps."""

KNOWN_BAD = "known-bad"
"""The family of the detectors that look pictures up in banks, and their category."""

_LIST_NAME = r"[a-z0-9][a-z0-9._-]*"


class _Strict(BaseModel):
    """Unknown fields are errors: a misspelt ``treshold`` must not pass for a policy."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PromptRule(_Strict):
    """One thing that prompts may not say, or that holds them for review.

    ``lists`` names lexicons; ``died_within_years`` narrows person and artist lists to those
    alive or dead for less than so many years; ``occupations`` narrows them by occupation;
    ``requires_style`` asks for the context of a style ("in the style of", "by"). ``lists`` may be
    left out where a deny list of the platform's own acts under the rule.
    """

    id: Identifier
    category: Identifier
    lists: tuple[Identifier, ...] = ()
    action: Action
    threshold: Threshold = 0.5
    message: str
    hint: str = ""
    died_within_years: int | None = Field(default=None, ge=0, le=500)
    occupations: tuple[str, ...] = ()
    requires_style: bool = False


class ListKind(StrEnum):
    """What the entries of a platform's own list do."""

    DENY = "deny"
    ALLOW = "allow"
    OPTED_IN = "opted-in"


class OwnList(_Strict):
    """A list of the platform's own, which lives outside the policy and may change at any time.

    ``source`` is a file (relative to the policy's) or ``database:NAME``. Entries of a ``deny``
    list act under the prompt rule ``rule``; those of an ``allow`` list take findings away; those
    of an ``opted-in`` list name artists whose style may be asked for.
    """

    kind: ListKind
    source: str = Field(min_length=1)
    rule: Identifier | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind is ListKind.DENY) != (self.rule is not None):
            raise ValueError("'rule' says under which prompt rule a deny list acts, and only it")
        if self.source.startswith(DATABASE) and not re.fullmatch(
            _LIST_NAME, self.source.removeprefix(DATABASE)
        ):
            raise ValueError("after 'database:' comes a name of small letters, digits, . _ -")
        return self


class CombinationRule(_Strict):
    """Findings of several categories in one prompt, which together mean more than each alone."""

    id: Identifier
    category: Identifier
    all_of: tuple[Identifier, ...] = Field(min_length=2)
    action: Action
    message: str
    hint: str = ""
    threshold: Threshold = 0.3


class _Graded(_Strict):
    """Two thresholds over a score: at ``review`` it is held, at ``block`` it is refused."""

    id: Identifier
    category: Identifier
    block: Threshold | None = None
    review: Threshold | None = None
    message: str
    hint: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.block is None and self.review is None:
            raise ValueError("say at least one of 'block' and 'review'")
        if self.block is not None and self.review is not None and self.review > self.block:
            raise ValueError("'review' must not be above 'block'")
        return self

    def action(self, value: float) -> Action:
        """What a score of ``value`` brings about."""
        if self.block is not None and value >= self.block:
            return Action.BLOCK
        if self.review is not None and value >= self.review:
            return Action.FLAG
        return Action.ALLOW


class SemanticRule(_Graded):
    """What a prompt means, whatever its words: the highest probability of ``heads`` counts.

    ``heads`` are categories of the semantic model (``guard.prompt.semantic.HEADS``). A model is
    rarely sure: let most rules hold for review, and block only at a high threshold.
    """

    heads: tuple[Identifier, ...] = Field(min_length=1)


class OutputRule(_Graded):
    """A category of pictures: at ``review`` it is held, at ``block`` it is refused.

    ``combine`` says which value of several ``detectors`` counts: the highest (``any``), the lowest
    (``all``: each must reach a threshold), or the mean under ``weights``, one a detector. Where
    two of them lie ``disagreement`` or more apart, a picture that would pass is held for review.
    """

    detectors: tuple[str, ...] = Field(min_length=1)
    combine: Literal["any", "all", "weighted"] = "any"
    weights: tuple[Annotated[float, Field(gt=0.0, allow_inf_nan=False)], ...] = ()
    disagreement: Annotated[float, Field(gt=0.0, le=1.0)] | None = None

    @model_validator(mode="after")
    def _combined(self) -> Self:
        if len(self.weights) != (len(self.detectors) if self.combine == "weighted" else 0):
            raise ValueError("'weighted' needs one of 'weights' a detector, and nothing else does")
        if self.disagreement is not None and len(self.detectors) < 2:
            raise ValueError("for 'disagreement' there must be two detectors")
        return self

    def combined(self, values: Sequence[float]) -> float:
        """What counts of the detectors' ``values`` (0–1, in their order); 0 for none."""
        if not values:
            return 0.0
        if self.combine == "all":
            return min(values)
        if self.combine == "weighted":
            total = sum(self.weights)
            return sum(w * v for w, v in zip(self.weights, values, strict=True)) / total
        return max(values)


class KnownBad(_Strict):
    """Pictures near one of a ``bank`` of known ones are refused, before anything else looks.

    ``max_distance``: how many of the 256 bits of PDQ may differ; 31 is what its authors advise.
    ``bank`` is kept in the database by ``guard lists``.
    """

    id: Identifier
    category: Identifier
    bank: Identifier
    max_distance: int = Field(default=31, ge=0, le=64)
    action: Literal[Action.BLOCK] = Action.BLOCK
    message: str
    hint: str = ""

    @property
    def detector(self) -> str:
        """The id of the detector that looks the picture up."""
        return f"{KNOWN_BAD}:{self.bank}"

    @property
    def threshold(self) -> float:
        """The score at which it acts: the share of bits that agree."""
        return 1.0 - self.max_distance / 256


class PictureCombination(_Strict):
    """A picture that means more together with its prompt, or with what else is seen in it.

    ``prompt`` names categories of prompt findings, each with a finding at ``prompt_threshold``;
    ``picture`` categories of output rules, each with a score of their detectors at ``threshold``.
    All of them must be there. Thresholds may be lower than where each acts alone. A picture that
    was handed in without a prompt has no prompt findings.
    """

    id: Identifier
    category: Identifier
    prompt: tuple[Identifier, ...] = ()
    picture: tuple[Identifier, ...] = Field(min_length=1)
    action: Action
    message: str
    hint: str = ""
    prompt_threshold: Threshold = 0.3
    threshold: Threshold = 0.3

    @model_validator(mode="after")
    def _several(self) -> Self:
        if len(self.prompt) + len(self.picture) < 2:
            raise ValueError("a combination needs two categories; for one write an output rule")
        return self


Rule = PromptRule | SemanticRule | CombinationRule | KnownBad | OutputRule | PictureCombination
"""Whatever can act."""


class Concept(_Strict):
    """A zero-shot concept for CLIP, in plain words, against ``neutral`` prompts.

    Each prompt is put in the place of ``{}`` in every one of ``templates``, and the mean of these
    stands for it. ``temperature``: the softmax is over cosine / temperature; without, the model's.
    """

    name: Identifier
    prompts: tuple[str, ...] = Field(min_length=1)
    neutral: tuple[str, ...] = Field(
        ("a photo", "an ordinary picture", "a harmless drawing"), min_length=1
    )
    templates: tuple[Annotated[str, Field(pattern=r"\{\}")], ...] = Field(("{}",), min_length=1)
    temperature: Annotated[float, Field(gt=0.0, le=10.0)] | None = None


class ClipSettings(_Strict):
    """Which CLIP, and which heads score its embedding.

    ``pretrained`` is an open_clip hub tag or the path of a local checkpoint; ``tag`` says which
    published weights a local one holds, where heads ask for them. ``heads`` are paths of
    safetensors files.
    """

    model: str = "ViT-B-32"
    pretrained: str = "openai"
    tag: str = ""
    concepts: tuple[Concept, ...] = ()
    heads: tuple[str, ...] = ()


class WatermarkSettings(_Strict):
    """How a mark is made and found.

    ``strength`` is ``default``, ``robust`` or ``high-quality``; ``survive`` names the damage that
    it should be read after before release; ``false_positive_rate`` bounds detection.
    ``on_marked``: a picture that is handed in with a mark of this home is marked anew and recorded
    as derived from it (``derive``), or refused (``refuse``).
    """

    method: Identifier = "genguard-pilot-3"
    strength: Identifier = "default"
    survive: tuple[str, ...] = ("crop90-jpeg75", "webp50")
    false_positive_rate: Annotated[float, Field(gt=0.0, le=1e-3)] = 1e-9
    on_marked: Literal["derive", "refuse"] = "derive"


class ManifestSettings(_Strict):
    """What the manifest says. Prompts stay out of emitted files unless ``include_prompt``.

    ``timestamp``: without an answer of the time-stamping authority that GUARD_TSA_URL names,
    ``required`` signs nothing and ``queue`` signs without and fetches the time-stamp later.
    ``ocsp``: ``staple`` adds the certificate authority's word that the signer is not revoked
    where there is one, ``required`` signs nothing without it. ``visible_label``: an "AI" sign in
    a ``corner`` of pictures that are declared generated or edited.
    """

    provider: str = "genguard development"
    include_prompt: bool = False
    timestamp: Literal["required", "queue"] = "required"
    ocsp: Literal["none", "staple", "required"] = "none"
    visible_label: Literal["none", "corner"] = "none"


class Retention(_Strict):
    """What is kept, and for how many days.

    ``held_days``: how long held pictures wait for a reviewer. Of what is personal the vault keeps,
    encrypted, prompts where ``prompt`` and user ids where ``user`` says so, and destroys it with
    the salts of the record's commitments after ``personal_days``. ``key_period``: for how long one
    key of a person is used.
    """

    held_days: int = Field(default=30, ge=1, le=3650)
    prompt: bool = True
    user: bool = True
    personal_days: int = Field(default=180, ge=1, le=3650)
    key_period: Literal["day", "month", "year"] = "month"


class Sensitive(_Strict):
    """What must not exist as a picture, such as minors in anything sexual.

    A block in one of ``categories`` keeps hashes only, places a legal hold on the record and puts
    ``report.required`` into the outbox. ``fingerprint``: whether the perceptual fingerprint (PDQ)
    of a picture is among the hashes. Rules of these categories can only block: what is held for
    review is kept.
    """

    categories: tuple[Identifier, ...] = ()
    fingerprint: bool = True


_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}

LONGEST_WINDOW = timedelta(days=90)
"""Blocks are remembered for signals no longer than that."""


class Signal(_Strict):
    """How many blocks of one user, ``within`` what time (``30m``, ``24h``, ``7d``), are a signal.

    ``categories`` narrows which blocks count; empty: all. One signal a user and window at most.
    """

    id: Identifier
    blocks: int = Field(ge=2, le=10_000)
    within: str = Field(pattern=r"^[1-9]\d{0,4}[mhd]$")
    categories: tuple[Identifier, ...] = ()

    @property
    def window(self) -> timedelta:
        """``within`` as a span of time."""
        return int(self.within[:-1]) * _UNITS[self.within[-1]]

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.window > LONGEST_WINDOW:
            raise ValueError(f"'within' is at most {LONGEST_WINDOW.days}d")
        return self


class Policy(_Strict):
    """A whole policy."""

    name: Identifier
    version: int = Field(default=1, ge=1)
    description: str = ""
    on_flag: Literal["hold", "release"] = "hold"
    allow_contexts: tuple[str, ...] = ()
    allow_terms: tuple[str, ...] = ()
    prompt_rules: tuple[PromptRule, ...] = ()
    combinations: tuple[CombinationRule, ...] = ()
    own_lists: tuple[OwnList, ...] = ()
    semantic: Literal["embedding", "hashed", "off"] = "embedding"
    semantic_rules: tuple[SemanticRule, ...] = ()
    known_bad: tuple[KnownBad, ...] = ()
    output_rules: tuple[OutputRule, ...] = ()
    picture_combinations: tuple[PictureCombination, ...] = ()
    sensitive: Sensitive = Sensitive()
    signals: tuple[Signal, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    required_detectors: tuple[str, ...] = ("opennsfw",)
    clip: ClipSettings | None = None
    watermark: WatermarkSettings = WatermarkSettings()
    manifest: ManifestSettings = ManifestSettings()
    retention: Retention = Retention()

    _folder: Path = PrivateAttr(default_factory=Path)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule, in the order of the file's parts."""
        return (
            *self.prompt_rules, *self.semantic_rules, *self.combinations, *self.known_bad,
            *self.output_rules, *self.picture_combinations,
        )  # fmt: skip

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [rule.id for rule in self.rules]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            raise ValueError(f"rule ids must be unique; used twice: {', '.join(twice)}")
        known = {rule.category for rule in self.prompt_rules}
        known |= {rule.category for rule in self.semantic_rules}
        for combination in self.combinations:
            missing = sorted(set(combination.all_of) - known)
            if missing:
                raise ValueError(
                    f"combination '{combination.id}' names categories that no prompt rule has: "
                    + ", ".join(missing)
                )
        _check_pictures(self, known)
        _check_calibration(self)
        _check_sensitive(self)
        _check_signals(self)
        acting = {rule.id for rule in self.prompt_rules}
        fed = {own.rule for own in self.own_lists}
        for rule in self.prompt_rules:
            if not rule.lists and rule.id not in fed:
                raise ValueError(f"the prompt rule '{rule.id}' has neither 'lists' nor an own list")
        for own in self.own_lists:
            if own.rule is not None and own.rule not in acting:
                raise ValueError(
                    f"the own list '{own.source}' acts under the rule '{own.rule}', which no "
                    "prompt rule has as its id"
                )
        if "clip" in self.required_detectors and self.clip is None:
            raise ValueError("'clip' is required, but there is no 'clip' section")
        return self

    @property
    def folder(self) -> Path:
        """Where the policy's file lies: what its own lists' paths are relative to."""
        return self._folder

    def at(self, folder: Path) -> Self:
        """The policy itself, now as read from a file in ``folder``."""
        self._folder = folder
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced; its digest is its own."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("digest", None)
        return copy

    @cached_property
    def digest(self) -> str:  # cached: every decision names it
        """SHA-256 (hex) over the canonical JSON of everything the policy says."""
        plain = self.model_dump(mode="json")
        canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def _check_pictures(policy: Policy, prompts: set[str]) -> None:
    """That combinations name what rules before them find."""
    pictures = {rule.category for rule in policy.output_rules}
    for one in policy.picture_combinations:
        missing = sorted((set(one.prompt) - prompts) | (set(one.picture) - pictures))
        if missing:
            raise ValueError(
                f"the picture combination '{one.id}' names categories that no prompt rule or "
                f"output rule has: {', '.join(missing)}"
            )


def _check_sensitive(policy: Policy) -> None:
    """That nothing of a sensitive category can be held or let pass, and that it can be found."""
    wanted = set(policy.sensitive.categories)
    missing = sorted(wanted - {rule.category for rule in policy.rules})
    if missing:
        raise ValueError(f"no rule has the sensitive category {', '.join(missing)}")
    for rule in policy.rules:
        if rule.category not in wanted:
            continue
        graded = isinstance(rule, _Graded)
        only = rule.review is None if isinstance(rule, _Graded) else rule.action is Action.BLOCK
        if isinstance(rule, OutputRule) and rule.disagreement is not None:
            only = False  # what is held for review is kept
        if not only:
            raise ValueError(
                f"the rule '{rule.id}' is of the sensitive category '{rule.category}' and may "
                + ("have no 'review' or 'disagreement'" if graded else "only block")
            )


def _check_calibration(policy: Policy) -> None:
    named = [(one.detector, one.category) for one in policy.calibration]
    if len(set(named)) < len(named):
        raise ValueError("a detector is calibrated twice for the same category")


def _check_signals(policy: Policy) -> None:
    ids = [one.id for one in policy.signals]
    if len(set(ids)) < len(ids):
        raise ValueError("two signals have the same id")
    known = {rule.category for rule in policy.rules}
    for one in policy.signals:
        missing = sorted(set(one.categories) - known)
        if missing:
            raise ValueError(
                f"the signal '{one.id}' counts categories that no rule has: {', '.join(missing)}"
            )
