"""Undoing what no affine map undoes: pictures seen at an angle, through a lens, badly resampled.

Overlapping windows of the canonical plane each hear the pilot. What they hear is added up in step
under a displacement of second order in x and y, which is tried as a tilt of the picture's plane and
then followed uphill. All windows speak together: each alone may be too faint to be understood.

Windows overlap and the displacement was chosen by what they hear, so their common evidence is no
p-value: it says which placements are worth a decoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.pilot import Pilot
from guard.watermark.placement import Floats
from guard.watermark.register import Canvas

Terms = NDArray[np.complex64]

WINDOW, WINDOW_STEP = 96, 48  # canonical pixels
MOST_WINDOWS: Final = 10
"""Windows a side: of a large canvas they lie farther apart."""

LEAST_ENERGY: Final = 0.1
"""Of the fullest window: emptier ones lie beyond the picture's edge."""

MOST_TILT, TILT_STEP = 16.0, 1.0
"""Canonical pixels by which a tilt moves the edges. Perspective of 5 % is a tilt of 8 on
the middle plane and of 13 on the finest."""

ROUNDS: Final = 8
MOST_STEP: Final = 2.0  # canonical pixels a round
LEAST_COHERENCE: Final = 0.02  # where less is in step, the slope says nothing about the distance
_RIDGE: Final = 1e-3
_AFFINE, _TERMS = 3, 6  # coefficients of an affine map, and of second order

FARTHEST_OFF, OFF_STEP = 5.0, 0.5
"""Canonical pixels by which a window may be off and still be heard."""

HEARD: Final = 7.0
"""Evidence (S²/Σw²) from which a window alone hears the mark."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the windows of a plane hear: their centres (n, 2), x and y, and the pilot's terms."""

    centres: Floats
    terms: Terms
    turn: Floats
    """(COUNT, 2): radians by which a displacement of one canonical pixel turns each sinusoid."""

    def score(self, displacement: Floats) -> float:
        """S of all windows, each displaced by its row of ``displacement`` (n, 2)."""
        return float(self.in_step(displacement).real.sum())

    def in_step(self, displacement: Floats) -> Terms:
        """The terms after the displacement is undone."""
        turns = np.exp(1j * (displacement @ self.turn.T).astype(np.float32))
        return np.asarray(self.terms * turns, np.complex64)


def bend(
    heard: Heard, on: Canvas, known: Floats | None = None, share: float = 1.0
) -> tuple[Floats, float]:
    """Coefficients (n, 2) of the displacement that a plane needs, and the windows' evidence.

    ``known``: the bend that the plane was made with, to which is added what it still needs;
    ``share`` of the picture's sides, around the centre, are in step already.
    """
    weight = float((np.abs(heard.terms) ** 2).sum())
    if weight <= 0.0:
        return np.zeros((_TERMS, 2)), 0.0
    basis = on.basis(heard.centres[:, 0], heard.centres[:, 1], _TERMS)
    start = np.zeros((_TERMS, 2)) if known is not None else _tilted(basis, heard, share)
    found = _followed(basis, heard, start)
    score = heard.score(basis @ found)
    return (found if known is None else found + known), score * abs(score) / weight


def places(flat: Plane, pilot: Pilot, sign: float) -> Floats:
    """(n, 2) centres (x, y) of the windows of ``flat`` that hear the mark alone."""
    heard = listen(flat, pilot, sign)
    steps = np.arange(-FARTHEST_OFF, FARTHEST_OFF + OFF_STEP / 2, OFF_STEP)
    shifts = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    turns = np.exp(1j * (heard.turn @ shifts.T)).astype(np.complex64)
    best = np.maximum((heard.terms @ turns).real.max(axis=1), 0.0)
    weight = (np.abs(heard.terms) ** 2).sum(axis=1)
    alone = best**2 / np.maximum(weight, 1e-9) > HEARD
    return np.asarray(heard.centres[alone], np.float64)


def listen(flat: Plane, pilot: Pilot, sign: float) -> Heard:
    """What windows of ``flat`` hear of a pilot of this polarity."""
    hann = np.hanning(WINDOW + 2)[1:-1].astype(np.float32)
    turn = np.asarray(2 * np.pi / PERIOD * pilot.points, np.float64)
    waves = [pilot.waves(axis, side) for axis, side in enumerate(flat.shape[::-1])]
    step = max(WINDOW_STEP, max(flat.shape) // MOST_WINDOWS)
    spans = [
        [slice(first, min(first + WINDOW, side)) for first in range(0, last, step)]
        for side in flat.shape
        for last in (max(1, side - WINDOW + 1),)
    ]
    centres, values = [], []
    for rows in spans[0]:
        tapered = flat[rows] * hann[: rows.stop - rows.start, None]
        sums = waves[1][:, rows] @ tapered.astype(np.complex64)
        for columns in spans[1]:
            taper = hann[: columns.stop - columns.start]
            values.append((sums[:, columns] * taper * waves[0][:, columns]).sum(axis=1))
            centres.append([(one.start + one.stop - 1) / 2 for one in (columns, rows)])
    found = np.array(values)
    found = found / (np.sqrt(np.mean(np.abs(found) ** 2, axis=0)) + 1e-9)
    terms = np.asarray(np.float32(sign) * pilot.turned(found.astype(np.complex64)), np.complex64)
    energy = (np.abs(terms) ** 2).sum(axis=1)
    full = energy >= LEAST_ENERGY * energy.max()
    return Heard(np.array(centres, np.float64)[full], terms[full], turn)


def _tilted(basis: Floats, heard: Heard, share: float) -> Floats:
    """The best of all tilts: displacements (g·x + h·y)·(x, y) from where the middle is in step."""
    x, y = basis[:, 1], basis[:, 2]
    middle = np.maximum(np.abs(x), np.abs(y)) <= share
    flat = np.linalg.pinv(basis[middle, :_AFFINE])
    across, down = np.stack([x * x, x * y], axis=1), np.stack([x * y, y * y], axis=1)
    ways = [way - basis[:, :_AFFINE] @ (flat @ way[middle]) for way in (across, down)]
    steps = np.arange(-MOST_TILT, MOST_TILT + TILT_STEP / 2, TILT_STEP)
    # The turns of a sum are a product: those of every g, times those of every h.
    first, second = (_powers(way @ heard.turn.T) for way in ways)
    turned = (heard.terms * first).reshape(len(steps), -1)
    scores = (turned @ second.reshape(len(steps), -1).T).real
    g, h = np.unravel_index(int(scores.argmax()), scores.shape)
    return np.asarray(np.linalg.pinv(basis) @ (steps[g] * ways[0] + steps[h] * ways[1]))


def _powers(angles: Floats) -> Terms:
    """exp(i·n·TILT_STEP·angles) for n from −N to N: one multiplication each."""
    count = round(MOST_TILT / TILT_STEP)
    one = np.exp(1j * TILT_STEP * angles).astype(np.complex64)
    found = np.ones((2 * count + 1, *angles.shape), np.complex64)
    for number in range(1, count + 1):
        found[count + number] = found[count + number - 1] * one
        found[count - number] = np.conj(found[count + number])
    return found


def _followed(basis: Floats, heard: Heard, start: Floats) -> Floats:
    """``start`` moved uphill in S.

    Newton's steps, with the curve that S has where all windows are as much in step as on average:
    the curve itself is that of noise as much as of the mark, and may bend either way.
    """
    found, best = start, heard.score(basis @ start)
    design = np.einsum("wb,kc->wkbc", basis, heard.turn).reshape(-1, 2 * _TERMS)
    size = np.abs(heard.terms).ravel().astype(np.float64)
    curve = (design * size[:, None]).T @ design
    curve += _RIDGE * np.trace(curve) / len(curve) * np.eye(len(curve))
    pace = 1.0
    for _ in range(ROUNDS):
        slope = design.T @ heard.in_step(basis @ found).ravel().imag
        coherence = max(best / size.sum(), LEAST_COHERENCE)
        step = -np.linalg.solve(coherence * curve, slope).reshape(found.shape)
        tried = found + pace * np.clip(step, -MOST_STEP, MOST_STEP)
        score = heard.score(basis @ tried)
        if score > best:
            found, best = tried, score
        else:
            pace /= 2
    return found
