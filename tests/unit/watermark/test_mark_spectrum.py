"""Folding, transforming and whitening one period."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.watermark import spectrum
from guard.watermark.canonical import PERIOD, Plane


def _tile(seed: int) -> Plane:
    return np.random.default_rng(seed).normal(size=(PERIOD, PERIOD)).astype(np.float32)


def test_fold_adds_up_repetitions() -> None:
    tile = _tile(0)
    plane = np.tile(tile, (1, 3))[:, : 2 * PERIOD + 40]
    folded = spectrum.fold(plane)
    assert np.allclose(folded[:, :40], 3 * tile[:, :40], atol=1e-5)
    assert np.allclose(folded[:, 40:], 2 * tile[:, 40:], atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (256, 255)])
def test_fold_pads_with_nothing(shape: tuple[int, int]) -> None:
    folded = spectrum.fold(np.ones(shape, np.float32))
    assert folded.shape == (PERIOD, PERIOD)
    assert folded.sum() == shape[0] * shape[1]


@given(down=st.integers(-300, 300), right=st.integers(-300, 300))
@settings(max_examples=15, deadline=None)
def test_moved_is_a_shift(down: int, right: int) -> None:
    tile = _tile(1)
    moved = spectrum.inverse(spectrum.moved(spectrum.transform(tile), down, right))
    assert np.allclose(moved, np.roll(tile, (down, right), (0, 1)), atol=1e-3)


def test_local_power_is_positive_and_smooth() -> None:
    lone = np.zeros(spectrum.SHAPE, dtype=np.complex64)
    lone[40, 30] = 1000
    power = spectrum.local_power(lone)
    assert power.shape == spectrum.SHAPE
    assert power.min() > 0
    assert power.max() < 0.05 * 1000**2
    assert spectrum.local_power(np.zeros(spectrum.SHAPE, np.complex64)).min() > 0


def test_radius_is_in_cycles_per_pixel() -> None:
    radius = spectrum.radius()
    assert radius.shape == spectrum.SHAPE
    assert radius[0, 0] == 0.0
    assert radius[0, PERIOD // 2] == 0.5
    assert radius[3, 4] == radius[-3, 4] == pytest.approx(5 / PERIOD)
