from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.classify.views import MAX_VIEWS, square_views


def coordinates(height: int, width: int) -> np.ndarray:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(height)[:, None] % 251
    pixels[..., 1] = np.arange(width)[None, :] % 251
    return pixels


@pytest.mark.parametrize(
    ("size", "count"), [((64, 64), 1), ((64, 65), 2), ((64, 128), 2), ((300, 100), 3)]
)
def test_as_many_squares_as_the_shape_needs(size: tuple[int, int], count: int) -> None:
    views = square_views(coordinates(*size))
    assert len(views) == count
    assert {view.shape for view in views} == {(min(size), min(size), 3)}


@given(st.integers(8, 40), st.integers(8, 400), st.booleans())
def test_squares_cover_the_picture(short: int, long: int, tall: bool) -> None:
    short, long = min(short, long), max(short, long)
    pixels = np.zeros((long, short, 3) if tall else (short, long, 3), np.uint8)
    views = square_views(pixels)
    for view in views:
        view[:] = 1  # views share memory with the picture
    assert len(views) <= MAX_VIEWS
    if long <= MAX_VIEWS * short:
        assert pixels.all()
    assert pixels[0, 0].all()
    assert pixels[-1, -1].all()
