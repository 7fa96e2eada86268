"""Fine structure: copies have it in the same places, others do not, plain ones have none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from guard.image.blocks import Blocks, describe, read
from guard.types import Pixels
from guard.verify.vouch import vouches
from tests.support.mark_pictures import scene, striped


def _halved(pixels: Pixels) -> Pixels:
    small = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _described(pixels: Pixels) -> Blocks:
    return read(describe(pixels))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_copies_are_vouched_for_and_other_pictures_are_not(seed: int) -> None:
    blocks = _described(scene(seed, 384, 512))
    assert vouches(scene(seed, 384, 512), blocks)
    assert vouches(_halved(scene(seed, 384, 512)), blocks)
    assert not vouches(scene(seed + 10, 384, 512), blocks)


def test_a_single_line_is_enough_where_it_is_and_not_elsewhere() -> None:
    blocks = _described(striped())
    assert vouches(_halved(striped()), blocks)
    assert not vouches(_halved(striped(0.45)), blocks)
    assert not vouches(np.ascontiguousarray(striped()[::-1]), blocks)


def test_plain_pictures_are_not_told_apart() -> None:
    plain = np.full((384, 512, 3), 120, np.uint8)
    ramp = np.repeat(np.linspace(20, 230, 384).astype(np.uint8)[:, None, None], 512, 1).repeat(3, 2)
    for one in (plain, ramp):
        assert not vouches(one, _described(one))
    assert not vouches(plain, _described(striped()))
    assert not vouches(striped(), _described(plain))


def test_too_few_cells_say_nothing() -> None:
    thin = scene(1, 64, 64)
    blocks = _described(thin)
    assert not vouches(thin, Blocks(64, 64, blocks.cells[:16, :16]))
