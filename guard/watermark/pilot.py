"""The pilot: keyed sinusoids that say whether a mark is there, which way up, and moved how far.

``COUNT`` sinusoids stand at keyed points of the canonical plane's frequency lattice with keyed
phases φ. A reader compares the phases θ found there and sums S = Σ w·cos(θ − φ), with weights
w ≥ 0 taken from the magnitudes only (see :mod:`guard.watermark.evidence` for its p-value).

**Sets.** One pilot in every picture would give itself away to an average of many. Each picture
takes one of ``SETS`` keyed displacements of the whole pattern, chosen by its payload: another set
of phases, at no cost to the search, which tries every displacement anyway.
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

COUNT: Final = 72
"""Sinusoids: few enough that each stands out by its magnitude, which finds turns; the payload's own
code gives the evidence that so few phases cannot."""

NEAREST, FARTHEST = 0.09, 0.26
"""Cycles per canonical pixel. Below, pictures have their energy; above, codecs have none."""

APART: Final = 5.5
"""Least distance of two sinusoids in frequency bins: neighbours would whiten each other."""

OFF_AXIS: Final = 0.12
"""Least angle to the axes in radians: edges of rooms and letters have their energy there."""

WEIGHT_LIMIT: Final = 1.5
"""A magnitude counts up to so many times its surroundings: one loud frequency must not decide."""

SETS: Final = 256
SIGNS: Final = 2
GRID: Final = 160
"""Displacements a side that are tried at once; a refinement finds what lies between."""

GRID_STEP: Final = PERIOD / GRID

SHIFTS: Final = GRID * GRID

NEAR_STEP, NEAR_STEPS = 0.8, 3

_DRAWS: Final = 4096  # far more than rejection needs; the lattice always fills within 400


@dataclass(frozen=True, slots=True)
class Reading:
    """What the pilot says about one placement: S (its sign is the mark's polarity), and where."""

    score: float
    weight: float
    dx: float
    dy: float

    @property
    def evidence(self) -> float:
        """Exponent of the bound on chance, before the number of placements is counted."""
        return self.score**2 / self.weight if self.weight > 0.0 else 0.0


class Pilot:
    """The sinusoids of one key, and the displacements of its sets."""

    def __init__(self, key: MarkKey) -> None:
        self.points = _lattice(key)
        """(COUNT, 2) whole cycles per period, (x, y), x ≥ 0."""
        phases = 2 * np.pi * key.uniform("pilot phases", COUNT)
        self._unit = np.exp(1j * phases).astype(np.complex64)
        self._at = (self.points[:, 1] % PERIOD, self.points[:, 0])
        draws = key.stream("pilot sets", 2 * SETS) % np.uint64(PERIOD)
        self.displacements = draws.astype(np.int64).reshape(SETS, 2)
        """(SETS, 2) canonical pixels, (x, y)."""
        turns = np.exp(-2j * np.pi / PERIOD * (self.displacements @ self.points.T))
        self._set_turns = turns.astype(np.complex64)
        grid = np.arange(GRID)[:, None] * GRID_STEP
        turn = -2j * np.pi / PERIOD
        self._turns_down = np.exp(turn * grid * self.points[:, 1]).astype(np.complex64)
        right = np.exp(turn * grid * self.points[:, 0]).T
        self._turns_right = np.concatenate([right.real, right.imag]).astype(np.float32)
        steps = np.arange(-NEAR_STEPS, NEAR_STEPS + 1) * NEAR_STEP
        self.near = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        """Displacements (x, y) that a refinement tries."""
        self._key = key
        self._waves: dict[int, NDArray[np.complex64]] = {}

    def set_of(self, payload: bytes) -> int:
        """The set, 0 to SETS − 1, that a picture with this payload takes."""
        return int(self._key.stream("set of " + payload.hex(), 1)[0]) % SETS

    def waves(self, axis: int, side: int) -> NDArray[np.complex64]:
        """exp(−2πi·k·n/T) for n below ``side``, along x (``axis`` 0) or y (1): (COUNT, side)."""
        waves = self._waves.get(axis)
        if waves is None or waves.shape[1] < side:
            steps = self.points[:, axis, None] * np.arange(side)
            waves = np.exp(-2j * np.pi / PERIOD * (steps % PERIOD)).astype(np.complex64)
            self._waves[axis] = waves
        return waves[:, :side]

    def pattern(self) -> Plane:
        """One period of set (0, 0), shape (PERIOD, PERIOD), root mean square 1."""
        lines = np.zeros(spectrum.SHAPE, dtype=np.complex64)
        lines[self._at] = self._unit
        tile = spectrum.inverse(lines)
        return np.asarray(tile / tile.std(), dtype=np.float32)

    def terms_of(self, found: Spectrum, power: Plane) -> NDArray[np.complex64]:
        """Whitened values of one period at the pilot's points, turned by its phases: (COUNT,)."""
        values = found[self._at] / np.sqrt(power[self._at])
        return self.turned(values.astype(np.complex64))

    def turned(self, values: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """w·exp(i(θ − φ)) of whitened values (…, COUNT) at the pilot's points."""
        size = np.abs(values)
        turned = values * (np.conj(self._unit) * np.minimum(1.0, WEIGHT_LIMIT / (size + 1e-9)))
        return np.asarray(turned, np.complex64)

    def read_sets(self, terms: NDArray[np.complex64]) -> list[Reading]:
        """A reading for each set where the picture stands in its own frame, best first."""
        scores = (self._set_turns @ terms).real
        weight = float((np.abs(terms) ** 2).sum())
        order = np.argsort(-np.abs(scores))[:2]
        return [
            Reading(float(scores[one]), weight, *map(float, self.displacements[one]))
            for one in order
        ]

    def read_anywhere(self, terms: NDArray[np.complex64]) -> list[Reading]:
        """The best reading over ``SHIFTS`` displacements for each row of (rows, COUNT) terms."""
        # Σ terms·exp(−2πi·k·d/T) on a grid of d: one product of matrices for all rows.
        down = terms[:, None, :] * self._turns_down
        parts = np.concatenate([down.real, -down.imag], axis=2).reshape(-1, 2 * COUNT)
        scores = (parts @ self._turns_right).reshape(len(terms), -1)
        weights = (np.abs(terms) ** 2).sum(axis=1)
        low, high = scores.argmin(axis=1), scores.argmax(axis=1)
        readings = []
        for row in range(len(terms)):
            negative = -scores[row, low[row]] > scores[row, high[row]]
            peak = int(low[row] if negative else high[row])
            dy, dx = (one * GRID_STEP for one in divmod(peak, GRID))
            readings.append(Reading(float(scores[row, peak]), float(weights[row]), dx, dy))
        return readings

    def read_near(
        self, terms: NDArray[np.complex64], reading: Reading
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The best of the ``near`` displacements around ``reading``'s, for each row of ``terms``.

        (rows,) scores, positive where the sign is that of ``reading``, and indices into ``near``.
        """
        at = self.near + np.array([reading.dx, reading.dy])
        turns = np.exp(-2j * np.pi / PERIOD * (self.points @ at.T)).astype(np.complex64)
        scores = (terms @ turns).real * math.copysign(1.0, reading.score)
        best = scores.argmax(axis=1)
        return np.asarray(scores[np.arange(len(best)), best], np.float64), best

    def refined(self, terms: NDArray[np.complex64], reading: Reading) -> Reading:
        """``reading`` with its displacement corrected to a fraction of a pixel, least squares."""
        sign, at = math.copysign(1.0, reading.score), np.array([reading.dx, reading.dy])
        turn = -2 * np.pi * self.points / PERIOD
        for _ in range(3):
            left = sign * terms * np.exp(1j * (turn @ at))
            error = np.angle(left)
            weight = np.abs(left) * (np.abs(error) < np.pi / 2)
            step = np.linalg.lstsq(turn * weight[:, None], -error * weight, rcond=None)[0]
            at = at + np.clip(step, -1.0, 1.0)
        score = float((terms * np.exp(1j * (turn @ at))).real.sum())
        return Reading(score, reading.weight, float(at[0]), float(at[1]))


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
