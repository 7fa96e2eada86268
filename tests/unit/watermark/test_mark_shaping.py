"""Shaping: how loud the mark may be where, and how the reader undoes it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.watermark import shaping
from guard.watermark.canonical import PERIOD, Plane, luma
from tests.support.mark_pictures import KINDS, noise, texture


def _flat(level: float = 200.0) -> Plane:
    return np.full((PERIOD, PERIOD), level, dtype=np.float32)


def _visibility(plane: Plane, amplitude: Plane, reduction: int = 2) -> float:
    """D as the module measures it: on a view of half the resolution."""

    def view(one: Plane) -> Plane:
        size = (one.shape[1] // reduction, one.shape[0] // reduction)
        return np.asarray(cv2.resize(one, size, interpolation=cv2.INTER_AREA), np.float32)

    blur, pool = shaping._WIDE_BLUR / reduction, shaping._WIDE_POOL / reduction
    around = shaping._split(view(plane), blur, pool)[1]
    return float(np.mean(view(amplitude**2) / np.sqrt(around + shaping.VISIBLE_FLOOR)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("visibility", [0.05, 0.4])
def test_every_picture_is_marked_to_the_same_visibility(kind: str, visibility: float) -> None:
    plane = luma(KINDS[kind](3, PERIOD, PERIOD))
    amplitude = shaping.Ground(plane).amplitude(visibility, 1e9)
    assert amplitude.shape == plane.shape
    assert amplitude.dtype == np.float32
    assert amplitude.min() > 0.0
    assert _visibility(plane, amplitude) == pytest.approx(visibility, rel=1e-3)
    if kind != "noise":  # which a view of half the resolution hardly sees
        assert _visibility(plane, amplitude, 1) == pytest.approx(visibility, rel=0.3)


@given(most=st.floats(0.1, 5.0), visibility=st.floats(1e-3, 10.0))
@settings(max_examples=30, deadline=None)
def test_never_louder_than_allowed(most: float, visibility: float) -> None:
    plane = luma(texture(3, 96, 96))
    amplitude = shaping.Ground(plane).amplitude(visibility, most)
    assert math.sqrt(np.mean(amplitude**2)) <= most * 1.001


def test_flat_ground_is_marked_evenly() -> None:
    amplitude = shaping.Ground(_flat()).amplitude(0.25, 9.0)
    # D = a²/√16
    assert np.allclose(amplitude, 1.0, atol=1e-3)


def test_busy_ground_gets_more_than_flat_ground() -> None:
    plane = _flat(128)
    plane[:, PERIOD // 2 :] = luma(noise(3, PERIOD, PERIOD // 2))
    amplitude = shaping.Ground(plane).amplitude(0.2, 9.0)
    assert amplitude[:, -40:].mean() > 3 * amplitude[:, :40].mean()


def test_a_lone_edge_gets_less_than_texture() -> None:
    edge = np.zeros((PERIOD, PERIOD), dtype=np.float32)
    edge[:, PERIOD // 2 :] = 160
    edge[:64] = np.tile(np.array([0, 160], np.float32), PERIOD // 2)
    amplitude = shaping.Ground(edge).amplitude(0.2, 9.0)
    assert amplitude[128:, PERIOD // 2 - 6].max() < 0.5 * amplitude[16:48].mean()


def test_typical_activity() -> None:
    assert shaping.Ground(_flat()).typical_activity == pytest.approx(0.0, abs=1e-4)
    loud = luma(noise(4, PERIOD, PERIOD))
    quiet = (128 + (loud - 128) / 4).astype(np.float32)
    assert 0.0 < shaping.Ground(quiet).typical_activity < shaping.Ground(loud).typical_activity
    # A few busy spots do not make a busy picture: it is the mean of the logarithm.
    spots = _flat()
    spots[100:110, 100:110] = loud[:10, :10]
    assert shaping.Ground(spots).typical_activity < 0.3


@pytest.mark.parametrize("kind", ["scene", "texture", "line art"])
def test_typical_activity_is_that_of_a_small_view(kind: str) -> None:
    """So every size of a picture takes the same band, and a large one costs no more."""
    large = luma(KINDS[kind](6, 2 * PERIOD, 3 * PERIOD))
    size = (PERIOD * 3 // 2, PERIOD)
    small = np.asarray(cv2.resize(large, size, interpolation=cv2.INTER_AREA), np.float32)
    assert shaping.typical_activity(small) == pytest.approx(
        shaping.Ground(small).typical_activity, rel=1e-5
    )
    assert shaping.typical_activity(large) == pytest.approx(
        shaping.typical_activity(small), rel=1e-3
    )
    turned = np.ascontiguousarray(large.T)
    assert shaping.typical_activity(turned) == pytest.approx(
        shaping.typical_activity(large), rel=1e-3
    )


def test_loud_ground_weighs_less_to_the_reader() -> None:
    loud = luma(noise(4, PERIOD, PERIOD))
    quiet = (128 + (loud - 128) / 4).astype(np.float32)
    ratio = shaping.flatten(loud).std() / shaping.flatten(quiet).std()
    assert 1 / 4 < ratio < 1


def test_the_slow_part_is_no_matter_to_the_reader() -> None:
    ramp = np.linspace(0, 255, PERIOD, dtype=np.float32)[None].repeat(PERIOD, 0)
    assert np.abs(shaping.flatten(_flat())).max() < 1e-4
    assert np.abs(shaping.flatten(ramp)[:, 16:-16]).max() < 1e-3
    assert np.abs(shaping.flatten(luma(texture(1, PERIOD, PERIOD)))).max() > 0.1


def test_grain_is_in_pixels_per_canonical_pixel() -> None:
    plane = luma(texture(2, PERIOD, PERIOD))
    plane = np.asarray(cv2.GaussianBlur(plane, (0, 0), 1.0), np.float32)
    larger = np.asarray(cv2.resize(plane, (2 * PERIOD, 2 * PERIOD)), np.float32)

    def likeness(grain: float) -> float:
        back = cv2.resize(shaping.flatten(larger, grain), plane.shape, interpolation=cv2.INTER_AREA)
        return float(np.corrcoef(back.ravel(), shaping.flatten(plane).ravel())[0, 1])

    assert likeness(2.0) > 0.97
    assert 1 - likeness(2.0) < (1 - likeness(1.0)) / 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2)])
def test_slivers_are_finite(shape: tuple[int, int]) -> None:
    plane = np.full(shape, 77, np.float32)
    assert np.isfinite(shaping.flatten(plane)).all()
    assert np.isfinite(shaping.Ground(plane).amplitude(0.2, 3.0)).all()
    assert math.isfinite(shaping.typical_activity(plane))
