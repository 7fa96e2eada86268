"""From a detector's score to a probability, as a platform measured it on pictures of its own.

Scores of a model are no probabilities: of a hundred pictures with a score of 0.8, some other number
than 80 are what it says. Platt's sigmoid over the score's logit and isotonic regression put that
right, both without changing which of two pictures ranks higher. ``guard classify --evaluate`` fits
them; the policy holds what came out, so that its digest says under which one was decided. Records
keep the scores as the detectors gave them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

CLIP = 1e-6
"""Scores nearer to 0 or 1 have no useful logit."""

HALVINGS = 60

_Unit = Annotated[float, Field(ge=0.0, le=1.0)]


class Calibration(BaseModel):
    """How scores of one detector for one category become probabilities.

    ``platt``: sigmoid of ``slope`` × logit + ``offset``. ``isotonic``: straight lines between
    ``points`` of (score, probability), which rise, and level beyond the first and the last.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str = Field(min_length=1)
    category: str = Field(min_length=1)
    method: Literal["platt", "isotonic"]
    slope: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    offset: Annotated[float, Field(allow_inf_nan=False)] | None = None
    points: tuple[tuple[_Unit, _Unit], ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        platt = self.method == "platt"
        given = (self.slope is not None and self.offset is not None, len(self.points) >= 2)
        if given != (platt, not platt) or (self.slope is None) != (self.offset is None):
            raise ValueError("'platt' has 'slope' and 'offset', 'isotonic' two 'points' or more")
        for before, after in pairwise(self.points):
            if not (before[0] < after[0] and before[1] <= after[1]):
                raise ValueError("'points' must rise in score, and not fall in probability")
        return self

    def probability(self, score: float) -> float:
        """For a score in 0–1; never falls as the score rises."""
        if self.slope is not None and self.offset is not None:
            return sigmoid(self.slope * logit(score) + self.offset)
        scores = [point[0] for point in self.points]
        place = bisect_right(scores, score)
        if place in (0, len(scores)):
            return self.points[min(place, len(scores) - 1)][1]
        (x0, y0), (x1, y1) = self.points[place - 1], self.points[place]
        return y0 + (y1 - y0) * (score - x0) / (x1 - x0)

    def score_at(self, probability: float) -> float:
        """The lowest score that has at least this probability; 1 when none has."""
        low, high = 0.0, 1.0
        if self.probability(low) >= probability:
            return low
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.probability(middle) >= probability else (middle, high)
        return high


def logit(score: float) -> float:
    """log(p / (1 - p)), cut off near 0 and 1."""
    clipped = min(max(score, CLIP), 1 - CLIP)
    return math.log(clipped / (1 - clipped))


def sigmoid(value: float) -> float:
    """1 / (1 + e^-x), without overflow."""
    return 0.5 * (1.0 + math.tanh(0.5 * value))
