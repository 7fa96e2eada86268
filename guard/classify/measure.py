"""What one detector's scores are worth on sorted pictures: ranking, thresholds, probabilities.

Everything is measured on the pictures that it is fitted on. With few of them that flatters: keep
some aside, and evaluate the policy with its new thresholds and calibration on those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from guard.errors import InvalidInput
from guard.policy.calibration import CLIP, Calibration, logit

Floats = NDArray[np.float64]
BINS = 10
STEPS = 100
"""Newton's method takes about ten."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One score of one picture, and whether the picture is what the category says."""

    detector: str
    category: str
    value: float
    unsafe: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """One detector's scores for one category, and which of the pictures were unsafe."""

    detector: str
    category: str
    values: Floats
    unsafe: NDArray[np.bool_]

    @property
    def area(self) -> float | None:
        """Under the ROC curve: how often an unsafe picture outranks a safe one; ties count half."""
        bad, good = self.values[self.unsafe], self.values[~self.unsafe]
        if not len(bad) or not len(good):
            return None
        order = np.sort(good)
        below = np.searchsorted(order, bad, "left") + np.searchsorted(order, bad, "right")
        return float(below.sum() / (2 * len(bad) * len(good)))

    @property
    def average_precision(self) -> float | None:
        """The area under the precision-recall curve, as its steps; ties are taken together."""
        if not self.unsafe.any():
            return None
        total, before, area = int(self.unsafe.sum()), 0.0, 0.0
        for limit in np.unique(self.values)[::-1]:
            caught = self.values >= limit
            recall = float((caught & self.unsafe).sum()) / total
            area += (recall - before) * float((caught & self.unsafe).sum() / caught.sum())
            before = recall
        return area

    def roc(self) -> list[tuple[float, float, float]]:
        """(threshold, false-positive rate, recall), from the highest threshold down."""
        good, bad = max(int((~self.unsafe).sum()), 1), max(int(self.unsafe.sum()), 1)
        rows = []
        for limit in np.unique(self.values)[::-1]:
            caught = self.values >= limit
            rates = (caught & ~self.unsafe).sum() / good, (caught & self.unsafe).sum() / bad
            rows.append((float(limit), float(rates[0]), float(rates[1])))
        return rows

    def threshold_at(self, rate: float) -> tuple[float, float, float] | None:
        """Of :meth:`roc`, the lowest threshold whose false-positive rate is at most ``rate``."""
        return next((row for row in reversed(self.roc()) if row[1] <= rate), None)

    def error(self, calibration: Calibration | None = None) -> float:
        """Expected calibration error over ten bins: how far probabilities lie from shares."""
        said = self.values
        if calibration is not None:
            said = np.array([calibration.probability(float(one)) for one in said])
        bins = np.minimum((said * BINS).astype(int), BINS - 1)
        gaps = []
        for place in np.unique(bins):
            here = bins == place
            gaps.append(here.sum() * abs(said[here].mean() - self.unsafe[here].mean()))
        return float(sum(gaps) / len(said))

    def as_dict(self, rate: float) -> dict[str, Any]:
        """JSON-ready; ``rate`` is the false-positive rate that a threshold is suggested for."""
        at = self.threshold_at(rate)
        return {
            "detector": self.detector,
            "category": self.category,
            "area": self.area,
            "average_precision": self.average_precision,
            "calibration_error": self.error(),
            "suggested": None
            if at is None
            else {"threshold": at[0], "false_positive_rate": at[1], "recall": at[2]},
        }


def curves(samples: Sequence[Sample]) -> list[Curve]:
    """The samples by detector and category, in order of appearance."""
    found: dict[tuple[str, str], list[Sample]] = {}
    for one in samples:
        found.setdefault((one.detector, one.category), []).append(one)
    return [
        Curve(*key, np.array([s.value for s in some]), np.array([s.unsafe for s in some]))
        for key, some in found.items()
    ]


def calibrate(curve: Curve, method: Literal["platt", "isotonic"]) -> Calibration:
    """The calibration that fits a curve best.

    Raises InvalidInput when there are not both safe and unsafe pictures, or when higher scores
    are not less safe.
    """
    if curve.area is None or curve.area <= 0.5:
        why = "there are not both kinds of pictures" if curve.area is None else "it is no guide"
        raise InvalidInput(
            f"{curve.detector} cannot be calibrated for '{curve.category}': {why}.",
            hint="Put pictures into both folders; of this category into unsafe/CATEGORY/.",
        )
    named: dict[str, Any] = {"detector": curve.detector, "category": curve.category}
    if method == "platt":
        slope, offset = _platt(curve)
        return Calibration(**named, method="platt", slope=slope, offset=offset)
    return Calibration(**named, method="isotonic", points=tuple(_isotonic(curve)))


def _platt(curve: Curve) -> tuple[float, float]:
    """Platt (1999), with his targets short of 0 and 1, by Newton's method (Lin et al., 2007)."""
    good, bad = int((~curve.unsafe).sum()), int(curve.unsafe.sum())
    target = np.where(curve.unsafe, (bad + 1) / (bad + 2), 1 / (good + 2))
    x = np.stack([[logit(float(one)) for one in curve.values], np.ones(len(target))], axis=1)
    weights = np.array([0.0, math.log((bad + 1) / (good + 1))])

    def loss(at: Floats) -> float:
        z = x @ at
        return float((np.logaddexp(0, z) - target * z).sum())

    for _ in range(STEPS):
        said = 0.5 * (1 + np.tanh(0.5 * (x @ weights)))
        gradient = x.T @ (said - target)
        if np.abs(gradient).max() < 1e-9:
            break
        hessian = (x * (said * (1 - said))[:, None]).T @ x + 1e-10 * np.eye(2)
        step, size = np.linalg.solve(hessian, gradient), 1.0
        while loss(weights - size * step) > loss(weights) and size > 1e-9:
            size /= 2
        weights = weights - size * step
    return max(float(weights[0]), CLIP), float(weights[1])


def _isotonic(curve: Curve) -> list[tuple[float, float]]:
    """Pool adjacent violators (Ayer et al., 1955); the ends of every level stretch."""
    blocks: list[list[float]] = []  # lowest score, highest score, sum, weight
    for score in np.unique(curve.values):
        same = curve.unsafe[curve.values == score]
        blocks.append([float(score), float(score), float(same.sum()), float(len(same))])
        while len(blocks) > 1 and blocks[-2][2] * blocks[-1][3] >= blocks[-1][2] * blocks[-2][3]:
            _, high, total, weight = blocks.pop()
            blocks[-1] = [blocks[-1][0], high, blocks[-1][2] + total, blocks[-1][3] + weight]
    points = [
        (score, total / weight)
        for low, high, total, weight in blocks
        for score in ((low,) if low == high else (low, high))
    ]
    return points if len(points) > 1 else [(0.0, points[0][1]), (1.0, points[0][1])]
