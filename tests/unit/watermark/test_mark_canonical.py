"""The canonical plane: same plane at every size, exact alignment there and back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from guard.watermark import canonical
from guard.watermark.bands import FINENESSES
from guard.watermark.canonical import PERIOD, Plane
from tests.support.mark_pictures import scene


def _waves(height: int, width: int) -> Plane:
    """A smooth pattern given in fractions of the short side, sampled at pixel centres."""
    side = min(height, width)
    y, x = (np.mgrid[0:height, 0:width] + 0.5) / side
    waves = np.cos(2 * np.pi * (9 * x + 4 * y)) + np.sin(2 * np.pi * (14 * y - 5 * x))
    return np.asarray(128 + 40 * waves, np.float32)


@pytest.mark.parametrize("shape", [(256, 256), (512, 512), (683, 1024), (1024, 683), (1365, 2048)])
def test_every_size_gives_the_same_plane(shape: tuple[int, int]) -> None:
    height, width = shape
    plane = canonical.to_canonical(_waves(height, width), canonical.scale_of(height, width))
    assert min(plane.shape) == PERIOD
    long_side = int(max(height, width) / min(height, width) * PERIOD)
    ideal = _waves(PERIOD, long_side) if width >= height else _waves(long_side, PERIOD)
    inner = np.s_[8:-8, 8:-8]
    difference = plane[: ideal.shape[0], : ideal.shape[1]][inner] - ideal[inner]
    assert np.abs(difference).max() < 4.0  # of 160 levels: interpolation, not misalignment


@pytest.mark.parametrize("fineness", FINENESSES)
def test_finer_planes_measure_more_pixels(fineness: float) -> None:
    assert canonical.scale_of(700, 900, fineness) == pytest.approx(700 / 256 / fineness)
    plane = canonical.to_canonical(_waves(700, 900), canonical.scale_of(700, 900, fineness))
    assert abs(plane.shape[0] - PERIOD * fineness) <= 1
    assert abs(plane.shape[1] - PERIOD * fineness * 9 / 7) <= 1


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7, 2.0, 3.3, 8.0])
def test_there_and_back(scale: float) -> None:
    rows, columns = round(PERIOD * scale), round(400 * scale)
    pattern = _waves(PERIOD, 400) - 128
    native = canonical.from_canonical(pattern, scale, columns, slice(0, rows))
    back = canonical.to_canonical(native, scale)[:PERIOD, :400]
    inner = np.s_[8:-8, 8:-8]
    agreement = np.corrcoef(back[inner].ravel(), pattern[inner].ravel())[0, 1]
    assert agreement > 0.995


def test_bands_join_without_a_seam() -> None:
    pattern = _waves(PERIOD, PERIOD)
    whole = canonical.from_canonical(pattern, 5.0, 1280, slice(0, 1280))
    parts = [canonical.from_canonical(pattern, 5.0, 1280, rows) for rows in canonical.bands(1280)]
    assert [part.shape[0] for part in parts] == [512, 512, 256]
    assert np.abs(np.concatenate(parts) - whole).max() < 0.2


def test_luma_is_rec_601() -> None:
    pixels = scene(0, 700, 90)
    weights = np.array([0.299, 0.587, 0.114])
    assert np.allclose(canonical.luma(pixels), pixels @ weights, atol=1e-3)
    assert canonical.luma(pixels[:, :1]).shape == (700, 1)


def test_luma_takes_views_and_read_only_pixels() -> None:
    pixels = scene(1, 64, 64)
    pixels.setflags(write=False)
    mirrored = pixels[::-1, ::-1]
    assert np.array_equal(canonical.luma(mirrored), canonical.luma(pixels)[::-1, ::-1])


def test_work_is_bounded_on_endless_pictures() -> None:
    ribbon = np.zeros((32, 40_000), dtype=np.float32)
    plane = canonical.to_canonical(ribbon, canonical.scale_of(*ribbon.shape))
    assert plane.shape == (PERIOD, canonical.LONGEST)
    wide = np.zeros((300, 33_000), dtype=np.float32)
    assert canonical.to_canonical(wide, canonical.scale_of(*wide.shape)).shape[0] == PERIOD
    assert cv2.__version__
