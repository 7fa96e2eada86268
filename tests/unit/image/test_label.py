"""The visible sign: seen on any ground, in its corner, over opaque pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.image.label import LEAST, MOST, SHAPE, visibly_labelled


def plain(height: int, width: int, value: int = 0) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize("ground", [0, 20, 128, 200, 255])
def test_it_is_seen_on_any_ground(ground: int) -> None:
    labelled, _ = visibly_labelled(plain(512, 512, ground))
    badge = labelled[512 - 52 : 512 - 10, 512 - 73 : 512 - 10]
    dark, bright = (badge.max(axis=2) < 40).mean(), (badge.min(axis=2) > 240).mean()
    assert dark > 0.3, "the plate"
    assert bright > 0.15, "letters and rim"


def test_only_the_corner_changes() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    before = noise.copy()
    labelled, alpha = visibly_labelled(noise)
    assert alpha is None
    assert np.array_equal(noise, before), "a copy"
    changed = np.argwhere((labelled != noise).any(axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    assert (top, left) == (480 - 10 - 40, 640 - 10 - 60)
    assert (bottom, right) == (480 - 11, 640 - 11)
    assert not labelled.flags.writeable


def test_it_grows_with_the_picture_within_limits() -> None:
    def height(side: int) -> int:
        rows = np.flatnonzero((visibly_labelled(plain(side, side, 128))[0] != 128).any(axis=(1, 2)))
        return int(rows.max() - rows.min() + 1)

    assert height(64) == LEAST
    assert height(600) == 50
    assert height(3000) == MOST


def test_it_covers_what_was_transparent() -> None:
    clear = np.zeros((240, 240), np.uint8)
    _, alpha = visibly_labelled(plain(240, 240, 255), clear)
    assert alpha is not None
    assert (alpha == 255).sum() > 0.9 * 20 * 20 * SHAPE
    assert not alpha[:100].any()
    assert not clear.any(), "a copy"
    assert not alpha.flags.writeable


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 80), width=st.integers(1, 80))
def test_the_smallest_pictures(height: int, width: int) -> None:
    opaque = np.full((height, width), 255, np.uint8)
    labelled, alpha = visibly_labelled(plain(height, width, 90), opaque)
    assert labelled.shape == (height, width, 3)
    assert labelled.dtype == np.uint8
    assert alpha is not None
    assert alpha.all()
    assert (labelled != 90).any() or min(height, width) < LEAST


def test_the_same_every_time() -> None:
    first, second = (visibly_labelled(plain(300, 200, 7))[0] for _ in range(2))
    assert np.array_equal(first, second)
