"""The pilot: keyed sinusoids that say whether a mark is there, which way up, and moved how far.

``COUNT`` sinusoids stand at keyed points of the canonical plane's frequency lattice with keyed
phases φ. A reader compares the phases θ found there and sums S = Σ w·cos(θ − φ), with weights
w ≥ 0 taken from the magnitudes only.

**p-value.** Seen from any picture that was made without the key, each φ is uniform and
independent, whatever the picture holds. Then E[exp(λ w cos(θ−φ))] = I₀(λw) ≤ exp(λ²w²/4), and by
Chernoff's bound P(S > t) ≤ exp(−t²/Σw²). No model of pictures enters. When several hypotheses
(signs, turns, shifts) are tried, their number multiplies the bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from guard.watermark import spectrum
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.keys import MarkKey
from guard.watermark.spectrum import Spectrum

COUNT: Final = 64
"""Sinusoids: enough for p = exp(−64) when all agree, few enough that each stands out."""

NEAREST, FARTHEST = 0.08, 0.25
"""Cycles per canonical pixel. Below, pictures have their energy; above, codecs have none."""

APART: Final = 5.0
"""Least distance of two sinusoids in frequency bins: neighbours would whiten each other."""

OFF_AXIS: Final = 0.12
"""Least angle to the axes in radians: edges of rooms and letters have their energy there."""

WEIGHT_LIMIT: Final = 1.5
"""A magnitude counts up to so many times its surroundings: one loud frequency must not decide."""

STEPS_PER_PIXEL: Final = 4
"""Shifts are told apart to a quarter of a canonical pixel."""

SHIFTS: Final = (STEPS_PER_PIXEL * PERIOD) ** 2
"""Shifts that a search can name: each counts as one hypothesis in the p-value."""

_DRAWS: Final = 4096  # far more than rejection needs; the lattice always fills within 400


@dataclass(frozen=True, slots=True)
class Reading:
    """What the pilot says about one placement: ``score`` S (its sign is the mark's polarity)."""

    score: float
    weight: float
    dy: float = 0.0
    dx: float = 0.0

    def p_value(self, hypotheses: float) -> float:
        """Bound on the probability that an unmarked picture scores so high, in [0, 1]."""
        if self.weight <= 0.0:
            return 1.0
        return math.exp(min(0.0, math.log(hypotheses) - self.score**2 / self.weight))


class Pilot:
    """The sinusoids of one key."""

    def __init__(self, key: MarkKey) -> None:
        self.points = _lattice(key)
        phases = 2 * np.pi * key.uniform("pilot phases", COUNT)
        self._unit = np.exp(1j * phases).astype(np.complex64)
        self._at = (self.points[:, 1] % PERIOD, self.points[:, 0])

    def pattern(self) -> Plane:
        """One period, shape (PERIOD, PERIOD), root mean square 1."""
        lines = np.zeros(spectrum.SHAPE, dtype=np.complex64)
        lines[self._at] = self._unit
        tile = spectrum.inverse(lines)
        return np.asarray(tile / tile.std(), dtype=np.float32)

    def read(self, found: Spectrum, power: Plane) -> Reading:
        """S where the picture stands; two hypotheses (the signs)."""
        terms, weight = self._terms(found, power)
        return Reading(float(terms.real.sum()), weight)

    def search(self, found: Spectrum, power: Plane) -> Reading:
        """The best S over all ``SHIFTS`` shifts and both signs: 2 × ``SHIFTS`` hypotheses."""
        terms, weight = self._terms(found, power)
        lines = np.zeros(spectrum.SHAPE, dtype=np.complex64)
        lines[self._at] = terms
        # One inverse transform sums the turned phases for every whole shift at once.
        scores = spectrum.inverse(lines)
        peak = int(np.abs(scores).argmax())
        return self._refine(terms, weight, (-(peak // PERIOD), -(peak % PERIOD)))

    def _terms(self, found: Spectrum, power: Plane) -> tuple[NDArray[np.complex128], float]:
        """w·exp(i(θ−φ)) for each sinusoid, and Σw²."""
        values = found[self._at] / np.sqrt(power[self._at])
        size = np.abs(values)
        weights = np.minimum(size, WEIGHT_LIMIT).astype(np.float64)
        turned = values * np.conj(self._unit) / np.maximum(size, 1e-12)
        return weights * turned, float((weights**2).sum())

    def _refine(
        self, terms: NDArray[np.complex128], weight: float, near: tuple[int, int]
    ) -> Reading:
        """The best shift of the quarter-pixel grid within a pixel of ``near`` (dy, dx)."""
        steps = np.arange(-STEPS_PER_PIXEL, STEPS_PER_PIXEL + 1) / STEPS_PER_PIXEL
        dy, dx = np.meshgrid(near[0] + steps, near[1] + steps, indexing="ij")
        shifts = np.stack([dy.ravel(), dx.ravel()], axis=1)
        turns = shifts @ self.points[:, ::-1].T.astype(np.float64)
        scores = (terms[None, :] * np.exp(-2j * np.pi * turns / PERIOD)).real.sum(axis=1)
        best = int(np.abs(scores).argmax())
        return Reading(float(scores[best]), weight, *map(float, shifts[best]))


def _lattice(key: MarkKey) -> NDArray[np.int64]:
    """``COUNT`` keyed frequencies (x, y) in cycles per period, x ≥ 0; log-uniform in radius."""
    draws = key.uniform("pilot lattice", 2 * _DRAWS).reshape(-1, 2)
    radii = PERIOD * NEAREST * (FARTHEST / NEAREST) ** draws[:, 0]
    angles = np.pi * (draws[:, 1] - 0.5)
    points: list[tuple[int, int]] = []
    for radius, angle in zip(radii, angles, strict=True):
        point = (round(radius * math.cos(angle)), round(radius * math.sin(angle)))
        if min(abs(angle), np.pi / 2 - abs(angle)) > OFF_AXIS and _clear(point, points):
            points.append(point)
        if len(points) == COUNT:
            break
    return np.array(points, dtype=np.int64)


def _clear(point: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    """Whether ``point`` keeps its distance from all others and from their mirror images."""
    x, y = point
    return all(
        math.hypot(x - u, y - v) > APART and math.hypot(x + u, y + v) > APART for u, v in others
    )
