"""The shape of a policy file, validated by pydantic.

A policy is data: which rules exist, what each does, and what the later stages need. It never
holds secrets, and its digest stands in every record made under it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from guard.types import Action

Threshold = Annotated[float, Field(ge=0.0, le=1.0)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]


class _Strict(BaseModel):
    """Unknown fields are errors: a misspelt ``treshold`` must not pass for a policy."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PromptRule(_Strict):
    """One thing that prompts may not say, or that holds them for review.

    ``lists`` names lexicons; ``died_within_years`` narrows person and artist lists to those
    alive or dead for less than so many years; ``occupations`` narrows them by occupation;
    ``requires_style`` asks for the context of a style ("in the style of", "by").
    """

    id: Identifier
    category: Identifier
    lists: tuple[Identifier, ...] = Field(min_length=1)
    action: Action
    threshold: Threshold = 0.5
    message: str
    hint: str = ""
    died_within_years: int | None = Field(default=None, ge=0, le=500)
    occupations: tuple[str, ...] = ()
    requires_style: bool = False


class CombinationRule(_Strict):
    """Findings of several categories in one prompt, which together mean more than each alone."""

    id: Identifier
    category: Identifier
    all_of: tuple[Identifier, ...] = Field(min_length=2)
    action: Action
    message: str
    hint: str = ""
    threshold: Threshold = 0.3


class OutputRule(_Strict):
    """A category of pictures: at ``review`` it is held, at ``block`` it is refused."""

    id: Identifier
    category: Identifier
    detectors: tuple[str, ...] = Field(min_length=1)
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


class Concept(_Strict):
    """A zero-shot concept for CLIP, in plain words, against ``neutral`` prompts."""

    name: Identifier
    prompts: tuple[str, ...] = Field(min_length=1)
    neutral: tuple[str, ...] = ("a photo", "an ordinary picture", "a harmless drawing")


class ClipSettings(_Strict):
    """Which CLIP, and which heads score its embedding.

    ``pretrained`` is an open_clip hub tag or the path of a local checkpoint; ``heads`` are
    paths of safetensors files.
    """

    model: str = "ViT-B-32"
    pretrained: str = "openai"
    concepts: tuple[Concept, ...] = ()
    heads: tuple[str, ...] = ()


class WatermarkSettings(_Strict):
    """The mark: ``target_psnr_db`` is its strength; ``false_positive_rate`` bounds detection."""

    method: Identifier = "genguard-pilot-1"
    target_psnr_db: Annotated[float, Field(ge=30.0, le=60.0)] = 42.0
    false_positive_rate: Annotated[float, Field(gt=0.0, le=1e-3)] = 1e-9


class ManifestSettings(_Strict):
    """What the manifest says. Prompts stay out of emitted files unless ``include_prompt``."""

    provider: str = "genguard development"
    include_prompt: bool = False


class Retention(_Strict):
    """How long held pictures wait for a reviewer, in days."""

    held_days: int = Field(default=30, ge=1, le=3650)


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
    output_rules: tuple[OutputRule, ...] = ()
    required_detectors: tuple[str, ...] = ("opennsfw",)
    clip: ClipSettings | None = None
    watermark: WatermarkSettings = WatermarkSettings()
    manifest: ManifestSettings = ManifestSettings()
    retention: Retention = Retention()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        rules: tuple[PromptRule | CombinationRule | OutputRule, ...]
        rules = (*self.prompt_rules, *self.combinations, *self.output_rules)
        ids = [rule.id for rule in rules]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            raise ValueError(f"rule ids must be unique; used twice: {', '.join(twice)}")
        known = {rule.category for rule in self.prompt_rules}
        for combination in self.combinations:
            missing = sorted(set(combination.all_of) - known)
            if missing:
                raise ValueError(
                    f"combination '{combination.id}' names categories that no prompt rule has: "
                    + ", ".join(missing)
                )
        if "clip" in self.required_detectors and self.clip is None:
            raise ValueError("'clip' is required, but there is no 'clip' section")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the canonical JSON of everything the policy says."""
        plain = self.model_dump(mode="json")
        canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()
