"""What a detector is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from guard.types import Pixels


class Detector(Protocol):
    """Looks at a picture and scores it.

    Detectors say how likely; policies say what follows: thresholds are not known here.
    """

    @property
    def id(self) -> str:
        """``opennsfw`` or ``clip:<encoder>/<head>``; unique among the detectors of a run."""
        ...

    @property
    def model_digest(self) -> str:
        """SHA-256 of the weights, hex."""
        ...

    def score(self, pixels: Pixels) -> Mapping[str, float]:
        """Category → probability in 0–1. Raises DetectorUnavailable when weights are missing."""
        ...
