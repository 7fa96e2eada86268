"""Where the marked picture lies in the suspect one, told outside this room.

The pilot says how a suspect maps to the canonical plane, modulo one period; which part of the
suspect carries the mark at all, windows of the plane say one by one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from guard.types import Placement
from guard.watermark import bend, register
from guard.watermark.bands import FINENESSES
from guard.watermark.canonical import PERIOD, Plane, scale_of
from guard.watermark.code import Decoded
from guard.watermark.observation import Observation
from guard.watermark.pilot import Pilot
from guard.watermark.placement import Floats, matrices
from guard.watermark.search import Placed

WHOLE: Final = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))

_NEAR: Final = 0.75
"""Of a window: where the mark is heard in one, it is taken to fill so much of it."""

_EDGE: Final = 64
"""Canonical pixels: a strip so narrow along an edge has no window of its own."""


def whole(height: int, width: int) -> Placement:
    """A picture that stands in its own frame."""
    unit = 1.0 / scale_of(height, width)
    return Placement(((unit, 0.0), (0.0, unit)), (width * unit / 2, height * unit / 2), WHOLE)


def of_part(found: Placement, part: tuple[int, int], suspect: tuple[int, int]) -> Placement:
    """``found`` in the top left ``part`` (height, width) of a ``suspect``, told of all of it."""
    if part == suspect:
        return found
    matrix = np.array(found.matrix)
    moved = (np.array(suspect[::-1]) - np.array(part[::-1])) / 2
    shift = np.array(found.shift) + matrix @ moved
    ratio = (part[1] / suspect[1], part[0] / suspect[0])
    region = tuple((x * ratio[0], y * ratio[1]) for x, y in found.region)
    return Placement(found.matrix, (float(shift[0]), float(shift[1])), region, found.period)


def placement(
    plane: Plane, seen: Observation, placed: Placed, pilot: Pilot, decoded: Decoded
) -> Placement:
    """The placement of a mark that a search found in ``plane`` (luma of the suspect)."""
    reading = placed.reading
    matrix = seen.ratio[:, None] * matrices(placed.row[None])[0]
    fineness = FINENESSES[decoded.plane]
    inverse = np.linalg.inv(matrix) / fineness
    # The whole pattern of a set is displaced; canonical pixels have their centres at .5.
    displaced = np.array([reading.dx, reading.dy])
    own = pilot.displacements[pilot.set_of(decoded.payload)]
    shift = (displaced - own + 0.5) % PERIOD / fineness
    return Placement(
        (
            (float(inverse[0, 0]), float(inverse[0, 1])),
            (float(inverse[1, 0]), float(inverse[1, 1])),
        ),
        (float(shift[0]), float(shift[1])),
        _region(plane, matrix, placed, pilot),
        PERIOD / fineness,
    )


def _region(
    plane: Plane, matrix: Floats, placed: Placed, pilot: Pilot
) -> tuple[tuple[float, float], ...]:
    """Corners of the part of ``plane`` in which windows hear the mark, upright as it was made."""
    reading = placed.reading
    on = register.canvas(plane, matrix, (reading.dx, reading.dy))
    heard = bend.places(on.flat(), pilot, float(np.sign(reading.score)))
    if not len(heard):
        return WHOLE
    reach = _NEAR * bend.WINDOW / 2
    low, high = heard.min(axis=0) - reach, heard.max(axis=0) + reach
    edges = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * on.plane.shape[::-1] - 0.5 - on.centre
    edges = edges @ np.linalg.inv(on.matrix).T + on.displacement - on.origin
    first, last = edges.min(axis=0), edges.max(axis=0)
    left, top = np.where(low - first < _EDGE, first, low)
    right, bottom = np.where(last - high < _EDGE, last, high)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    there = (corners + on.origin - on.displacement) @ on.matrix.T + on.centre + 0.5
    fractions = np.clip(there / np.array(on.plane.shape[::-1]), 0.0, 1.0)
    return tuple((float(x), float(y)) for x, y in fractions)
