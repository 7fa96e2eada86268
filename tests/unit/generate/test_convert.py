from __future__ import annotations

import numpy as np
import pytest

from guard.errors import StageMisbehaved
from guard.generate.convert import resized, to_pixels


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0), (1.0, 255), (0.5, 128), (-0.2, 0), (1.3, 255), (0.49 / 255, 0), (0.51 / 255, 1)],
)
def test_floats_are_scaled_rounded_and_clipped(value: float, expected: int) -> None:
    pixels = to_pixels(np.full((8, 9, 3), value, np.float32))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (8, 9, 3)
    assert (pixels == expected).all()


@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 1), (8, 9, 3), (8, 9, 4)])
def test_grey_rgb_and_rgba_become_rgb(shape: tuple[int, ...]) -> None:
    pixels = to_pixels(np.full(shape, 7, np.uint8))
    assert pixels.shape == (8, 9, 3)
    assert (pixels == 7).all()
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "a picture",
        [],
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((2, 8, 8, 3), np.uint8),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros((8, 8, 3), np.int64),
        np.zeros((8, 8, 3), bool),
        np.full((8, 8, 3), np.nan, np.float32),
        np.where(np.eye(8)[..., None] > 0, np.inf, np.zeros((8, 8, 3))),
    ],
)
def test_whatever_is_no_picture_is_refused(answer: object) -> None:
    with pytest.raises(StageMisbehaved):
        to_pixels(answer)


def test_resizing_changes_only_what_it_must() -> None:
    pixels = np.full((16, 32, 3), 200, np.uint8)
    assert resized(pixels, (32, 16)) is pixels
    assert resized(pixels, (64, 8)).shape == (8, 64, 3)
