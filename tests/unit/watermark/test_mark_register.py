"""Bringing a suspect back to the canonical plane: by affine maps, and by bends that are known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from guard.watermark import register, shaping
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.placement import matrices, placements


def _waves(height: int, width: int) -> Plane:
    y, x = np.mgrid[0:height, 0:width]
    waves = np.cos(2 * np.pi * (21 * x + 9 * y) / PERIOD) + np.sin(2 * np.pi * 17 * y / PERIOD)
    return np.asarray(128 + 30 * waves, np.float32)


def _inner(plane: Plane, margin: int = 12) -> Plane:
    return plane[margin:-margin, margin:-margin]


# -- affine maps ------------------------------------------------------------------------------


def test_the_plane_itself_stays_where_it_is() -> None:
    plane = _waves(PERIOD, PERIOD)
    middle = (PERIOD - 1) / 2
    on = register.canvas(plane, np.eye(2), (middle, middle))
    assert on.origin.tolist() in ([0.0, 0.0], [-256.0, -256.0])
    flat = on.flat()
    low = (-on.origin).astype(int)
    there = flat[low[1] :, low[0] :][:PERIOD, :PERIOD]
    expected = shaping.flatten(plane)
    assert np.abs(_inner(there)[:200, :200] - _inner(expected)[:200, :200]).max() < 1e-3


@pytest.mark.parametrize(
    "columns", [(0.0, math.pi / 2), (0.5, 0.4), (0.9, -2.0, 1.0), (-0.3, 0.0, 0.0, 0.2, 0.1)]
)
def test_affine_maps_are_undone(columns: tuple[float, ...]) -> None:
    """A picture made of the canonical plane by a map reads, brought back, as that plane."""
    matrix = matrices(placements(*columns))[0]
    height, width = 420, 500
    whole = _waves(4 * PERIOD, 4 * PERIOD)
    centre, middle = np.array([(width - 1) / 2, (height - 1) / 2]), 2.0 * PERIOD
    inverse = np.linalg.inv(matrix)
    there = np.column_stack([inverse, middle - inverse @ centre])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    plane = cv2.warpAffine(whole, there, (width, height), flags=flags)
    on = register.canvas(plane.astype(np.float32), matrix, (middle, middle))
    flat = on.flat()
    assert flat.shape == (on.size[1], on.size[0])
    left, top = on.origin.astype(int)
    assert left % PERIOD == top % PERIOD == 0
    expected = shaping.flatten(whole)[top : top + flat.shape[0], left : left + flat.shape[1]]
    found = flat[: expected.shape[0], : expected.shape[1]]
    seen = cv2.erode((found != 0).astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    assert seen.sum() > 10_000
    assert np.corrcoef(found[seen], expected[seen])[0, 1] > 0.97


def test_beyond_the_picture_there_is_nothing() -> None:
    plane = _waves(100, 140)
    on = register.canvas(plane, np.eye(2), (10.0, 10.0))
    flat = on.flat()
    covered = (flat != 0).mean()
    assert covered < 100 * 140 / flat.size
    assert covered > 0.7 * 90 * 130 / flat.size


@pytest.mark.parametrize("shape", [(24, 24), (24, 192), (600, 90)])
@pytest.mark.parametrize("log_scale", [math.log(0.4), 0.0, math.log(6.0)])
def test_work_is_bounded(shape: tuple[int, int], log_scale: float) -> None:
    matrix = matrices(placements(log_scale, 0.7))[0]
    on = register.canvas(np.full(shape, 99, np.float32), matrix, (3.3, 250.1))
    assert max(on.size) <= register.MOST_PERIODS * PERIOD
    flat = on.flat()
    assert np.isfinite(flat).all()
    assert np.abs(flat).max() < 1e-3


# -- known bends ------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(300, 300), (200, 410), (410, 200)])
def test_positions_are_told_from_the_middle_of_the_picture(height: int, width: int) -> None:
    """Wherever the canvas begins, and in shares of the longer side."""
    matrix = matrices(placements(math.log(1.3)))[0]
    on = register.canvas(np.zeros((height, width), np.float32), matrix, (70.0, 333.0))
    longer = max(height, width) / 1.3 / 2
    assert on.half == pytest.approx(longer)
    middle = np.array([70.0, 333.0]) - on.origin
    columns, rows = middle[0] + np.array([0.0, longer]), middle[1] + np.array([0.0, -longer / 2])
    expected = np.array([[1, 0, 0, 0, 0, 0], [1, 1, -0.5, 1, -0.5, 0.25]])
    assert np.allclose(on.basis(columns, rows, 6), expected)
    assert on.basis(columns, rows, 3).shape == (2, 3)


def test_of_a_long_picture_the_whole_is_the_measure() -> None:
    on = register.canvas(np.zeros((100, 2400), np.float32), np.eye(2), (5.0, 9.0))
    assert on.half == pytest.approx(1200)
    assert on.size[0] == register.MOST_PERIODS * PERIOD


def test_a_bend_is_undone_in_the_picture() -> None:
    plane = _waves(300, 300)
    on = register.canvas(plane, np.eye(2), (300.0, 300.0))
    shift = np.zeros((6, 2))
    shift[0] = (3.0, -2.0)
    straight, moved = on.flat(), on.flat(shift)
    inner = np.s_[220:400, 220:400]
    expected = np.roll(straight, (2, -3), (0, 1))
    assert np.allclose(moved[inner], expected[inner], atol=1e-3)
