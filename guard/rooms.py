"""The rooms of one guard: what the hallway needs from each, behind protocols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from guard.audit.base import AuditLog
from guard.generate.base import Generator
from guard.prompt.base import PromptScreener
from guard.provenance.base import Signer
from guard.types import Pixels, Score, SignedAsset
from guard.watermark.base import Watermark


class ImageClassifier(Protocol):
    """All detectors that a policy asks for, together."""

    def prepare(self) -> None:
        """Open every model now: nothing is generated that could not be classified.

        Raises DetectorUnavailable.
        """
        ...

    def score(self, pixels: Pixels) -> tuple[Score, ...]:
        """Every score with its policy's threshold. Raises Unavailable, never guesses."""
        ...


class Quarantine(Protocol):
    """Where held pictures wait for a reviewer."""

    def keep(self, record_id: str, asset: SignedAsset) -> Path:
        """Store the asset, durably and out of reach of others."""
        ...

    def discard(self, record_id: str) -> None:
        """Forget it; not an error when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a :class:`guard.pipeline.Guard` is built from.

    ``open_generator`` takes the model's name (None: the configured one) and is called inside the
    generate stage, so that a missing model is a recorded failure.
    """

    screener: PromptScreener
    open_generator: Callable[[str | None], Generator]
    classifier: ImageClassifier
    watermark: Watermark
    signer: Signer
    log: AuditLog
    quarantine: Quarantine
