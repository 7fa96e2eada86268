"""Where the marked picture lies in the suspect: the numbers are those of what was done to it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from guard.testing import sample_picture
from guard.types import Detection, Pixels, Placement
from guard.watermark import whereabouts
from guard.watermark.bands import FINENESSES
from guard.watermark.code import Decoded
from guard.watermark.keys import MarkKey
from guard.watermark.observation import Observation
from guard.watermark.pilot import Pilot, Reading
from guard.watermark.pilot_watermark import PilotWatermark
from guard.watermark.placement import placements
from guard.watermark.search import Placed

PAYLOAD = bytes.fromhex("0123456789abcdef")
SIZE = (384, 576)


@pytest.fixture(scope="module")
def watermark() -> PilotWatermark:
    return PilotWatermark(b"where is it, exactly?" * 2)


@pytest.fixture(scope="module")
def marked(watermark: PilotWatermark) -> Pixels:
    return watermark.embed(sample_picture(21, *SIZE), PAYLOAD).pixels


def placed(found: Detection) -> Placement:
    assert found.detected
    assert found.placement is not None
    return found.placement


def shown(placement: Placement, x: float, y: float) -> np.ndarray:
    """Canonical point that a point of the suspect, from its centre, shows."""
    return np.asarray(np.array(placement.matrix) @ (x, y) + np.array(placement.shift))


def test_same_frame_is_the_whole_picture(watermark: PilotWatermark, marked: Pixels) -> None:
    for factor in (1.0, 0.75):
        size = (round(SIZE[1] * factor), round(SIZE[0] * factor))
        where = placed(watermark.detect(np.asarray(cv2.resize(marked, size))))
        assert where.region == whereabouts.WHOLE
        assert np.allclose(shown(where, -size[0] / 2, -size[1] / 2), (0, 0))
        assert np.allclose(shown(where, size[0] / 2, size[1] / 2), (384, 256))


def test_a_crop_says_where_it_was_cut(watermark: PilotWatermark, marked: Pixels) -> None:
    part = np.ascontiguousarray(marked[60:340, 130:500])
    where = placed(watermark.detect(part))
    corner = shown(where, -part.shape[1] / 2, -part.shape[0] / 2)
    expected = np.array([130, 60]) * 256 / 384
    assert np.abs((corner - expected + 128) % 256 - 128).max() < 1.5
    assert np.array(where.region).min() < 0.1
    assert np.array(where.region).max() > 0.9


def test_mirrored_and_turned(watermark: PilotWatermark, marked: Pixels) -> None:
    where = placed(watermark.detect(np.ascontiguousarray(np.rot90(marked[:, ::-1]))))
    # What was at the top left stands at the bottom right now.
    corner = shown(where, marked.shape[0] / 2, marked.shape[1] / 2)
    assert np.abs((corner - (384, 0) + 128) % 256 - 128).max() < 1.5
    determinant = float(np.linalg.det(np.array(where.matrix)))
    assert determinant == pytest.approx(-((256 / 384) ** 2), rel=0.02)


def test_pasted_into_a_larger_picture(watermark: PilotWatermark, marked: Pixels) -> None:
    page = np.full((700, 1100, 3), 200, np.uint8)
    page[200 : 200 + SIZE[0], 400 : 400 + SIZE[1]] = marked
    where = placed(watermark.detect(page))
    corner = shown(where, 400 - 550, 200 - 350)
    assert np.abs((corner + 128) % 256 - 128).max() < 1.5
    low, high = np.array(where.region).min(axis=0), np.array(where.region).max(axis=0)
    assert np.abs(low - (400 / 1100, 200 / 700)).max() < 0.2
    assert np.abs(high - (976 / 1100, 584 / 700)).max() < 0.2


@pytest.mark.parametrize("fineness", FINENESSES)
def test_the_period_is_that_of_the_plane(fineness: float) -> None:
    """However the suspect lies: a fine plane repeats after a smaller part of the picture."""
    pilot = Pilot(MarkKey(b"where is it, exactly?" * 2))
    plane = np.random.default_rng(1).uniform(0, 255, (300, 400)).astype(np.float32)
    seen, reading = Observation(plane, (fineness,)), Reading(50.0, 60.0, 17.0, 250.0)
    decoded = Decoded(PAYLOAD, FINENESSES.index(fineness))
    own = pilot.displacements[pilot.set_of(PAYLOAD)]
    row = placements(math.log(300 / 256 / fineness), math.pi / 2)[0]
    where = whereabouts.placement(plane, seen, Placed(row, reading), pilot, decoded)
    assert where.period == pytest.approx(256 / fineness)
    assert 0 <= min(where.shift) <= max(where.shift) < where.period
    expected = (np.array([17.5, 250.5]) - own) % 256 / fineness
    assert where.shift == pytest.approx(tuple(expected))
    # Turned clockwise: what lies below shows what lay to the right, on any plane as much of it.
    assert np.allclose(where.matrix, np.array([[0, 1], [-1, 0]]) * 256 / 300)


def test_no_mark_is_nowhere(watermark: PilotWatermark) -> None:
    assert watermark.detect(sample_picture(22, *SIZE)).placement is None


def test_the_start_of_a_ribbon_is_told_of_all_of_it() -> None:
    part = Placement(((0.5, 0.0), (0.0, 0.5)), (100.0, 50.0), whereabouts.WHOLE, 160.0)
    told = whereabouts.of_part(part, (100, 800), (100, 1600))
    # Its first pixel shows what it showed: the centre is 400 pixels on.
    assert told.shift == (300.0, 50.0)
    assert told.period == 160.0
    assert told.region == ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
