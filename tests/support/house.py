"""A guard whose rooms are real, but for the generator and the detector, which tests steer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from guard.audit.log import SqlAuditLog
from guard.audit.query import iterate
from guard.delivery import Delivery
from guard.pipeline import Guard
from guard.policy.model import Policy
from guard.rooms import Rooms
from guard.stage import StageLimits
from guard.store.rows import Query
from guard.types import (
    AuditRecord,
    Event,
    GenerationRequest,
    Outcome,
    Pixels,
    RawImage,
    Stage,
)

PROMPT = "a lighthouse in a storm"
"""A prompt that no policy minds."""

FORBIDDEN = "hardcore pornography"
"""A prompt that the default policy blocks."""

FLAGGED = "a nude woman in a charcoal drawing"
"""A prompt that the default policy holds for review."""

SIDE = 256
"""Pixels of the pictures drawn here: small enough to be fast, large enough to carry a mark."""

AMPLE = 60.0
"""Seconds that no stage needs, also on a loaded machine."""


def picture(seed: int = 0, side: int = SIDE) -> Pixels:
    """Soft blobs of colour; another seed, another picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


@dataclass
class FakeGenerator:
    """Draws at once, without torch; remembers what it was asked.

    ``on_draw`` runs first: to look around while a request is under way, or to fail in it.
    """

    model: str = "fake@1"
    requests: list[GenerationRequest] = field(default_factory=list)
    on_draw: Callable[[GenerationRequest], None] = lambda _: None
    draw: Callable[[int], Pixels] = picture

    def generate(self, request: GenerationRequest) -> list[RawImage]:
        self.requests.append(request)
        self.on_draw(request)
        first = request.seed or 0
        seeds = range(first, first + request.count)
        return [RawImage(self.draw(seed), seed, self.model) for seed in seeds]

    def notices(self, request: GenerationRequest) -> tuple[str, ...]:
        return ("drawn by a fake",)


@dataclass
class FixedDetector:
    """Scores every picture alike; stands in for open_nsfw, which takes a while to load."""

    id: str = "opennsfw"
    model_digest: str = "0" * 64
    value: float = 0.01

    def score(self, pixels: Pixels) -> Mapping[str, float]:
        return {"nsfw": self.value}


@dataclass
class House:
    """A home with its rooms. ``guard()`` builds a guard with any of them replaced."""

    home: Path
    policy: Policy
    rooms: Rooms
    log: SqlAuditLog
    generator: FakeGenerator
    detector: FixedDetector
    out: Path

    def guard(
        self,
        *,
        policy: Mapping[str, Any] | None = None,
        seconds: Mapping[Stage, float] | None = None,
        **rooms: Any,
    ) -> Guard:
        """``policy``: fields to change; ``seconds``: limits of some stages; ``rooms``: others."""
        return Guard(
            self.policy.model_copy(update=dict(policy or {})),
            dataclasses.replace(self.rooms, **rooms),
            StageLimits({**dict.fromkeys(Stage, AMPLE), **(seconds or {})}),
        )

    def generate(self, prompt: str = PROMPT, guard: Guard | None = None, **asked: Any) -> Outcome:
        """One picture, delivered into ``out``."""
        request = GenerationRequest(prompt=prompt, **asked)
        return (guard or self.guard()).generate(request, delivery=self.delivery)

    @property
    def delivery(self) -> Delivery:
        return Delivery(self.out)

    def records(self) -> list[AuditRecord]:
        """Every row of the log, oldest first."""
        return [entry.record for entry in iterate(self.log, Query())][::-1]

    def events(self) -> list[Event]:
        return [record.event for record in self.records()]

    def files(self) -> list[Path]:
        """Everything in ``out``, temporary files included."""
        return sorted(self.out.rglob("*")) if self.out.exists() else []
