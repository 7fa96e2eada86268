"""Where the mark may lie: placements at which the pilot answers.

Read are the phases of the likely placements, at every displacement:

* the picture's own scale in all eight orientations, and slightly turned;
* all scales without a turn, mirrored or not: crops, whatever was done to their size;
* stretches of an uncropped picture;
* the best of every scale and angle at once, by magnitudes: on log-polar axes both are
  displacements, and one correlation with the lattice of the pilot tries them all. Magnitudes do not
  depend on where a picture was cut, and say nothing about the key's phases: what they rule out
  costs no evidence.

The best are refined by small steps of scale, angle, aspect and shear.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from guard.watermark.canonical import PERIOD
from guard.watermark.observation import Observation
from guard.watermark.pilot import SHIFTS, SIGNS, Pilot, Reading
from guard.watermark.placement import (
    ANGLE,
    ASPECT,
    LOG_SCALE,
    SHEAR,
    Floats,
    matrices,
    placements,
)

SMALLEST, LARGEST = 0.4, 6.0
"""Suspect pixels per canonical pixel that are searched."""

SCALE_STEP: Final = 0.01
"""A picture of 256 canonical pixels stays in step with the pilot when its scale errs by half."""

MOST_TILT, TILT_STEP = math.radians(12.0), math.radians(0.5)
MOST_STRETCH: Final = 0.35  # natural logarithm of the change of aspect

KEPT_LOG_POLAR: Final = 20
GLANCED, GLANCES = 40, 2
"""Placements that are refined by so many steps. Between the points that were tried, a mark may look
four times as faint as it is."""

REFINED, REFINEMENTS = 8, 6
BATCH: Final = 16

ANGLES, RADII = 720, 400
NEAREST, FARTHEST = 0.018, 0.49  # cycles per pixel on the log-polar axes
_APART: Final = 3  # cells around a peak that belong to it

_STEPS: Final = np.array(
    [
        [a, b, c, d]
        for a, b, c, d in np.ndindex(3, 3, 3, 3)
        if sum(one != 1 for one in (a, b, c, d)) <= 2
    ],
    dtype=np.float64,
) - np.array([1.0, 1.0, 1.0, 1.0])
_STEP_SIZE: Final = 0.005  # of the natural logarithms, radians and shear alike
_SAME, _ONE_PLACE = 2e-3, 1e-2

STRAIGHT: Final = 0.02
"""Radians, and natural logarithms of the aspect, that noise may make of nothing."""

_SCALES: Final = np.arange(-0.012, 0.0121, 0.002)
_BESIDE: Final = np.array([0.0, 0.006, -0.006])


@dataclass(frozen=True, slots=True)
class Placed:
    """A placement (PARAMETERS,) and what the pilot says about it."""

    row: Floats
    reading: Reading


def search(seen: Observation, pilot: Pilot) -> tuple[list[Placed], Reading, int]:
    """The likeliest placements, best first; the best reading before refinement, and of how many.

    Refinement follows the phases of the key: it finds the place, and adds no evidence.
    """
    rows = np.concatenate([*_sweeps(seen), _log_polar(seen, pilot.points)])
    readings: list[Reading] = []
    for start in range(0, len(rows), BATCH):
        readings += pilot.read_anywhere(_terms(seen, pilot, rows[start : start + BATCH]))
    tried = [Placed(*one) for one in zip(rows, readings, strict=True)]
    best = _ordered(tried)[:GLANCED]
    glanced = _ordered([_refined(seen, pilot, one, GLANCES) for one in best])
    placed = [
        _refined(seen, pilot, one, REFINEMENTS) for one in _distinct(glanced, _SAME)[:REFINED]
    ]
    return _distinct(_ordered(placed), _ONE_PLACE), best[0].reading, len(rows) * SHIFTS * SIGNS


def straightened(seen: Observation, pilot: Pilot, placed: Placed) -> list[Placed]:
    """``placed`` with neither the small turn nor the stretch and shear of its refinement.

    Most copies have none, and in a small crop the pilot is too faint to tell it from noise. It
    leaves the scale in doubt as well: the likeliest comes first, then those beside it. Empty when
    there is more to leave out than noise makes.
    """
    row = placed.row.copy()
    row[ANGLE] = round(row[ANGLE] / (math.pi / 2)) * math.pi / 2
    row[[ASPECT, SHEAR]] = 0.0
    if np.abs(row - placed.row).max() > STRAIGHT:
        return []
    rows = np.repeat(row[None], len(_SCALES), axis=0)
    rows[:, LOG_SCALE] += _SCALES
    scores, _ = pilot.read_near(_terms(seen, pilot, rows), placed.reading)
    beside = np.repeat(rows[int(scores.argmax())][None], len(_BESIDE), axis=0)
    beside[:, LOG_SCALE] += _BESIDE
    terms = _terms(seen, pilot, beside)
    return [
        Placed(*one)
        for one in zip(beside, (pilot.refined(one, placed.reading) for one in terms), strict=True)
    ]


def _ordered(placed: list[Placed]) -> list[Placed]:
    return sorted(placed, key=lambda one: -one.reading.evidence)


def _distinct(placed: list[Placed], apart: float) -> list[Placed]:
    """Those that are not nearly the same as one before."""
    kept: list[Placed] = []
    for one in placed:
        if all(np.abs(one.row - other.row).max() > apart for other in kept):
            kept.append(one)
    return kept


def _refined(seen: Observation, pilot: Pilot, placed: Placed, rounds: int) -> Placed:
    """``placed`` moved uphill in the pilot's score by ever smaller steps."""
    row, reading = placed.row, placed.reading
    size = _STEP_SIZE
    columns = [LOG_SCALE, ANGLE, ASPECT, SHEAR]
    score = -np.inf
    for _ in range(rounds):
        tried = np.repeat(row[None], len(_STEPS), axis=0)
        tried[:, columns] += _STEPS * size
        terms = _terms(seen, pilot, tried)
        scores, near = pilot.read_near(terms, reading)
        best = int(scores.argmax())
        if scores[best] > score:
            score, row = float(scores[best]), tried[best]
            at = pilot.near[near[best]] + np.array([reading.dx, reading.dy])
            weight = float((np.abs(terms[best]) ** 2).sum())
            signed = math.copysign(score, reading.score)
            reading = Reading(signed, weight, float(at[0]), float(at[1]))
        else:
            size /= 2
    return Placed(row, pilot.refined(_terms(seen, pilot, row[None])[0], reading))


def _terms(seen: Observation, pilot: Pilot, rows: Floats) -> NDArray[np.complex64]:
    return pilot.turned(seen.values(matrices(rows), pilot.points))


def _sweeps(seen: Observation) -> list[Floats]:
    own = float(np.log(seen.scale / seen.finenesses[0]))
    log_scales = np.arange(math.log(SMALLEST), math.log(LARGEST), SCALE_STEP)
    tilts = np.arange(-MOST_TILT, MOST_TILT, TILT_STEP)
    quarters = np.arange(4) * math.pi / 2
    stretches = np.arange(-MOST_STRETCH, MOST_STRETCH, SCALE_STEP)
    # The short side of the original measured PERIOD: which side it was, a stretch may hide.
    sides = np.array([seen.width, seen.height]) / PERIOD
    stretched = [
        placements(np.log(side / fineness) + sign * stretches / 2, aspect=stretches)
        for fineness in seen.finenesses
        for side, sign in ((sides[0], -1.0), (sides[1], 1.0))
    ]
    return [
        placements(own, np.tile(quarters, 2), np.repeat([0.0, 1.0], 4)),
        placements(own, np.tile(tilts, 2), np.repeat([0.0, 1.0], len(tilts))),
        placements(log_scales),
        placements(log_scales, mirror=1.0),
        *stretched,
    ]


def _log_polar(seen: Observation, points: NDArray[np.int64]) -> Floats:
    """The best placements over all scales and angles, mirrored or not."""
    logs = np.linspace(math.log(NEAREST), math.log(FARTHEST), RADII)
    angles = np.arange(ANGLES) * math.pi / ANGLES - math.pi / 2
    transform = fft.rfft2(_polar_power(seen, logs, angles), s=(ANGLES, 2 * RADII))
    step = logs[1] - logs[0]
    found = []
    for mirror in (0.0, 1.0):
        template, reference = _template(points, mirror, step)
        match = fft.irfft2(transform * np.conj(fft.rfft2(template)), s=(ANGLES, 2 * RADII))
        # Displacements beyond the axis are negative ones.
        log_scale = reference - logs[0] - step * fft.fftfreq(2 * RADII, 1 / (2 * RADII))
        outside = (log_scale < math.log(SMALLEST)) | (log_scale > math.log(LARGEST))
        match[:, outside] = -np.inf
        found += _peaks(match, log_scale, mirror)
    return np.concatenate(found)


def _peaks(match: Floats, log_scale: Floats, mirror: float) -> list[Floats]:
    """The highest cells of ``match``, each as both of the turns that share its magnitudes."""
    found = []
    for _ in range(KEPT_LOG_POLAR):
        row, column = divmod(int(match.argmax()), match.shape[1])
        angle = row * math.pi / ANGLES
        found.append(placements(log_scale[column], np.array([angle, angle + math.pi]), mirror))
        near = np.arange(row - _APART, row + _APART + 1) % ANGLES
        match[near, max(0, column - _APART) : column + _APART + 1] = -np.inf
    return found


def _polar_power(seen: Observation, logs: Floats, angles: Floats) -> NDArray[np.float32]:
    """(ANGLES, RADII) powers, the mean over angles taken away."""
    radius = np.exp(logs)[None, :]
    column = radius * np.cos(angles)[:, None] * seen.columns
    row = radius * np.sin(angles)[:, None] * seen.rows + seen.rows // 2
    shifted = np.ascontiguousarray(fft.fftshift(seen.power, axes=0))
    power = cv2.remap(shifted, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(power - power.mean(axis=0), np.float32)


def _template(
    points: NDArray[np.int64], mirror: float, step: float
) -> tuple[NDArray[np.float32], float]:
    """The lattice on the same axes, and the log radius of its first column."""
    x = points[:, 0] * (-1 if mirror else 1)
    angle = np.arctan2(points[:, 1], x) % math.pi
    logs = np.log(np.hypot(x, points[:, 1]) / PERIOD)
    reference = float(logs.min())
    template = np.zeros((ANGLES, 2 * RADII), np.float32)
    rows = np.rint(angle * ANGLES / math.pi).astype(int) % ANGLES
    np.add.at(template, (rows, np.rint((logs - reference) / step).astype(int)), 1.0)
    # Angles of the picture start at −π/2, those of the template at 0: half a turn of the axis.
    template = np.roll(template, ANGLES // 2, axis=0)
    return np.asarray(cv2.GaussianBlur(template, (0, 0), 0.7), np.float32), reference
