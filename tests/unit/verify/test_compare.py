"""A suspect beside the recorded picture: agrees, was changed here, or is another picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from guard.image.blocks import Blocks, describe, read
from guard.types import Pixels, Placement
from guard.verify.compare import Comparison, compare
from guard.watermark.pilot_watermark import PilotWatermark
from tests.support.mark_pictures import scene, texture

MARK = PilotWatermark(b"a secret for comparing, 32 bytes")
PAYLOAD = bytes.fromhex("00112233445566aa")
SIDE = 512


@pytest.fixture(scope="module")
def marked() -> Pixels:
    return MARK.embed(scene(2, SIDE, SIDE), PAYLOAD).pixels


@pytest.fixture(scope="module")
def blocks(marked: Pixels) -> Blocks:
    return read(describe(marked))


def _jpeg(pixels: Pixels, quality: int = 60) -> Pixels:
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _small(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def _bright(pixels: Pixels) -> Pixels:
    return np.clip(pixels.astype(np.float32) * 1.1 + 8, 0, 255).astype(np.uint8)


def _seen(pixels: Pixels) -> Placement | None:
    found = MARK.detect(np.ascontiguousarray(pixels))
    assert found.payload == PAYLOAD.hex()
    return found.placement


COPIES: dict[str, Any] = {
    "itself": lambda pixels: pixels,
    "JPEG": _jpeg,
    "halved": _small,
    "brighter": _bright,
    "mirrored": lambda pixels: pixels[:, ::-1],
    "turned": np.rot90,
    "cropped": lambda pixels: pixels[70:430, 40:460],
    "cropped and recoded": lambda pixels: _jpeg(np.ascontiguousarray(pixels[100:400, 90:500])),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_agree(marked: Pixels, blocks: Blocks, name: str) -> None:
    suspect = np.ascontiguousarray(COPIES[name](marked))
    found = compare(suspect, _seen(suspect), blocks)
    assert found.result == "agrees", found
    assert not found.differs
    assert abs(found.likeness) > 0.9
    if name == "cropped":
        assert found.overlap == pytest.approx(360 * 420 / SIDE**2, abs=0.08)


@pytest.mark.parametrize("cut", [False, True])
def test_what_was_painted_over_is_found_where_it_is(
    marked: Pixels, blocks: Blocks, cut: bool
) -> None:
    changed = marked.copy()
    changed[200:290, 150:240] = texture(9, 90, 90)
    suspect = _jpeg(np.ascontiguousarray(changed[60:470, 50:480]) if cut else changed, 80)
    found = compare(suspect, _seen(suspect), blocks)
    assert found.result == "altered", found
    middle = np.mean([np.mean(region, axis=0) for region in found.regions], axis=0)
    there = np.array([195.0, 245.0]) - (np.array([50, 60]) if cut else 0)
    assert middle * suspect.shape[1::-1] == pytest.approx(there, abs=25)
    assert 0 < found.share < 0.2


def test_a_copied_mark_does_not_make_it_the_picture(blocks: Blocks) -> None:
    """The residue of a marked picture added to another reads, and does not agree."""
    own = scene(2, SIDE, SIDE)
    residue = MARK.embed(own, PAYLOAD).pixels.astype(np.int16) - own
    other = np.clip(scene(7, SIDE, SIDE).astype(np.int16) + 2 * residue, 0, 255).astype(np.uint8)
    for suspect in (other, np.ascontiguousarray(other[60:440, 80:470])):
        found = compare(suspect, _seen(suspect), blocks)
        assert found.differs
        assert found.result == "other_picture", found


def test_too_little_is_not_judged(marked: Pixels, blocks: Blocks) -> None:
    corner = Placement(((0.5, 0.0), (0.0, 0.5)), (10.0, 10.0))
    assert compare(marked[:40, :40], corner, blocks) == Comparison("not_compared")


def test_without_a_mark_the_whole_frame_is_compared(marked: Pixels, blocks: Blocks) -> None:
    assert compare(_jpeg(_small(marked)), None, blocks).result == "agrees"
    assert compare(np.ascontiguousarray(marked[::-1]), None, blocks).result == "agrees"
    assert compare(scene(7, SIDE, SIDE), None, blocks).result == "other_picture"
