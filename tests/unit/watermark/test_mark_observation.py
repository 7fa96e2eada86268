"""The suspect as frequencies: what is looked up is what is there, wherever the mark was moved."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.watermark import shaping
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.observation import LONG_SIDE, LOUDEST_POWER, SHORT_SIDE, Observation
from guard.watermark.placement import ANGLE, Floats, matrices, placements

POINTS = np.array([[40, 0], [40, 30], [10, -60], [55, 25]])


def _waves(height: int, width: int, matrix: Floats, phases: Floats) -> Plane:
    """Waves at ``POINTS`` of a canonical plane that lies in the picture by ``matrix``, in noise."""
    rows, columns = np.mgrid[0:height, 0:width].astype(float)
    here = np.stack([columns - (width - 1) / 2, rows - (height - 1) / 2], axis=-1)
    there = here @ np.linalg.inv(matrix).T
    angle = 2 * np.pi / PERIOD * (there @ POINTS.T) + phases
    grain = np.random.default_rng(0).normal(0, 4, (height, width))
    return np.asarray(128 + 4 * np.cos(angle).sum(axis=-1) + grain, np.float32)


@pytest.mark.parametrize(
    "columns",
    [
        (0.0,),
        (0.0, math.pi / 2),
        (0.0, 2.5),
        (0.3, 0.6),
        (-0.4, -0.2, 1.0),
        (0.2, 3.0, 1.0, 0.2, 0.05),
    ],
)
@pytest.mark.parametrize("shape", [(256, 256), (300, 421)])
def test_phases_are_found_where_they_were_put(
    columns: tuple[float, ...], shape: tuple[int, int]
) -> None:
    matrix = matrices(placements(*columns))
    phases = np.array([0.3, -2.0, 1.4, 3.0])
    seen = Observation(_waves(*shape, matrix[0], phases))
    (values,) = seen.values(matrix, POINTS)
    off = np.angle(values * np.exp(-1j * phases))
    assert np.abs(off).max() < 0.25
    assert np.abs(values).min() > 1.5  # they stand out of their surroundings
    # Near miss: another turn finds noise there.
    turned = placements(*columns)
    turned[:, ANGLE] += 0.13
    (others,) = seen.values(matrices(turned), POINTS)
    assert np.abs(others).mean() < 0.6 * np.abs(values).mean()


def test_many_maps_at_once_are_as_good_as_one() -> None:
    seen = Observation(_waves(256, 256, np.eye(2), np.zeros(4)))
    maps = matrices(placements(np.array([-0.1, 0.0, 0.1]), np.array([0.0, 1.0, 2.0])))
    together = seen.values(maps, POINTS)
    assert together.shape == (3, len(POINTS))
    for one, values in zip(maps, together, strict=True):
        assert np.allclose(seen.values(one[None], POINTS)[0], values, atol=1e-5)


def test_beyond_the_highest_frequency_there_is_nothing() -> None:
    seen = Observation(_waves(256, 256, np.eye(2), np.zeros(4)))
    values = seen.values(matrices(placements(math.log(0.1))), POINTS)
    assert np.array_equal(values, np.zeros((1, len(POINTS)), np.complex64))


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((256, 256), (256, 256)),
        ((512, 1024), (512, 1024)),
        ((1024, 1024), (512, 512)),
        ((2048, 1024), (1024, 512)),
        ((100, 4000), (26, 1024)),
    ],
)
def test_large_pictures_are_reduced(shape: tuple[int, int], size: tuple[int, int]) -> None:
    seen = Observation(np.random.default_rng(0).normal(128, 20, shape).astype(np.float32))
    assert (seen.height, seen.width) == size
    assert seen.reduction == min(1.0, SHORT_SIDE / min(shape), LONG_SIDE / max(shape))
    assert seen.scale == min(size) / PERIOD


def test_a_loud_frequency_is_limited() -> None:
    wave = np.cos(np.arange(256) * 2 * np.pi / 5)[None].repeat(256, 0)
    seen = Observation((128 + 120 * wave).astype(np.float32))
    assert seen.power.max() <= LOUDEST_POWER
    assert seen.power.min() >= 0.0


@pytest.mark.parametrize(
    ("side", "fineness", "grain"), [(200, 1.0, 1.0), (450, 1.0, 450 / 256), (450, 2.5, 1.0)]
)
def test_what_is_flattened_has_the_grain_of_the_plane(
    side: int, fineness: float, grain: float
) -> None:
    plane = np.random.default_rng(0).normal(128, 20, (side, side)).astype(np.float32)
    seen = Observation(plane, (fineness, 7.0))
    assert seen.finenesses == (fineness, 7.0)
    expected = Observation(plane)
    expected._transform(shaping.flatten(plane, grain))
    assert np.array_equal(seen.power, expected.power)
    assert (seen.power != Observation(plane).power).any() == (grain != np.clip(side / 256, 1, 2))


@given(
    shape=st.tuples(st.integers(12, 90), st.integers(12, 90)),
    level=st.floats(0, 255, width=32),
    noisy=st.booleans(),
    angle=st.floats(-4, 4),
    scale=st.floats(-1, 2),
)
@settings(max_examples=25, deadline=None)
def test_any_picture_has_finite_values(
    shape: tuple[int, int], level: float, noisy: bool, angle: float, scale: float
) -> None:
    plane = np.full(shape, level, np.float32)
    if noisy:
        plane = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    seen = Observation(plane)
    values = seen.values(matrices(placements(scale, angle)), POINTS)
    assert values.shape == (1, len(POINTS))
    assert np.isfinite(values).all()
    assert np.isfinite(seen.power).all()
