"""Placements: what their numbers do to a point of the canonical plane."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.watermark.placement import (
    ANGLE,
    ASPECT,
    LOG_SCALE,
    MIRROR,
    PARAMETERS,
    SHEAR,
    Floats,
    matrices,
    placements,
)

small = st.floats(-2, 2)
angles = st.floats(-2 * math.pi, 2 * math.pi)


def _one(*columns: float) -> Floats:
    return np.asarray(matrices(placements(*columns))[0])


def test_columns_are_broadcast_and_named() -> None:
    scales, shears = np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.1, 0.2])
    rows = placements(scales, angle=0.5, mirror=1.0, aspect=0.1, shear=shears)
    assert rows.shape == (3, PARAMETERS)
    assert rows[:, LOG_SCALE].tolist() == [0.0, 1.0, 2.0]
    assert set(rows[:, ANGLE]) == {0.5}
    assert set(rows[:, MIRROR]) == {1.0}
    assert set(rows[:, ASPECT]) == {0.1}
    assert rows[:, SHEAR].tolist() == [0.0, 0.1, 0.2]
    assert placements(0.0).shape == (1, PARAMETERS)


def test_nothing_done_is_the_identity() -> None:
    assert np.allclose(_one(0.0), np.eye(2))


@pytest.mark.parametrize(
    ("columns", "right", "down"),
    [
        ((0.0, math.pi / 2), (0, 1), (-1, 0)),  # clockwise, with y down
        ((0.0, math.pi), (-1, 0), (0, -1)),
        ((0.0, 0.0, 1.0), (-1, 0), (0, 1)),
        ((0.0, math.pi, 1.0), (1, 0), (0, -1)),  # upside down
        ((math.log(2.0),), (2, 0), (0, 2)),
        ((0.0, 0.0, 0.0, 2 * math.log(2.0)), (2, 0), (0, 0.5)),
        ((0.0, 0.0, 0.0, 0.0, 0.25), (1, 0), (0.25, 1)),
    ],
)
def test_where_the_axes_go(
    columns: tuple[float, ...], right: tuple[float, float], down: tuple[float, float]
) -> None:
    matrix = _one(*columns)
    assert np.allclose(matrix @ [1, 0], right, atol=1e-12)
    assert np.allclose(matrix @ [0, 1], down, atol=1e-12)


@given(scale=small, angle=angles, mirror=st.sampled_from([0.0, 1.0]), aspect=small, shear=small)
def test_area_and_handedness(
    scale: float, angle: float, mirror: float, aspect: float, shear: float
) -> None:
    """Only scale changes areas, only the mirror changes sides: it can always be undone."""
    area = np.linalg.det(_one(scale, angle, mirror, aspect, shear))
    assert area == pytest.approx((1 - 2 * mirror) * math.exp(2 * scale), rel=1e-6)


@given(scale=small, angle=angles)
def test_turns_keep_lengths(scale: float, angle: float) -> None:
    matrix = _one(scale, angle)
    assert np.allclose(matrix.T @ matrix, math.exp(2 * scale) * np.eye(2), rtol=1e-9)


@given(angle=angles, other=angles)
def test_turns_add_up(angle: float, other: float) -> None:
    assert np.allclose(_one(0.0, angle) @ _one(0.0, other), _one(0.0, angle + other), atol=1e-9)
