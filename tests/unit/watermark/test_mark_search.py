"""The search: finds where a pilot lies, and finds none where there is none."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from guard.watermark import search
from guard.watermark.bands import FINENESSES
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.evidence import pilot_p_value
from guard.watermark.keys import MarkKey
from guard.watermark.observation import Observation
from guard.watermark.pilot import SHIFTS, SIGNS, Pilot
from guard.watermark.placement import (
    ANGLE,
    LOG_SCALE,
    MIRROR,
    Floats,
    matrices,
    placements,
)

SHAPE = (300, 330)


@pytest.fixture(scope="module")
def pilot(key: MarkKey) -> Pilot:
    return Pilot(key)


def _laid(tile: Plane, matrix: Floats) -> Plane:
    """``tile``, repeated, as it lies in a noisy picture by ``matrix``, sign and place by chance."""
    height, width = SHAPE
    plane = np.tile(tile, (6, 6))
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    inverse = np.linalg.inv(matrix)
    offset = 3 * PERIOD + np.array([31.0, 47.0]) - inverse @ centre
    there = np.column_stack([inverse, offset])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(plane, there, (width, height), flags=flags)
    grain = np.random.default_rng(1).normal(0, 1.5, SHAPE)
    return (128 + 3 * (laid + grain)).astype(np.float32)


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param((math.log(300 / 256),), id="own frame"),
        pytest.param((math.log(300 / 256), -math.pi / 2), id="quarter turn"),
        pytest.param((math.log(300 / 256), 0.0, 1.0), id="mirrored"),
        pytest.param((0.31,), id="cropped"),
        pytest.param((0.2, math.radians(33)), id="turned"),
        pytest.param((-0.1, math.radians(-70), 1.0), id="turned and mirrored"),
        pytest.param((math.log(300 / 256) - 0.1, 0.0, 0.0, -0.2), id="stretched"),
    ],
)
def test_finds_where_it_lies(pilot: Pilot, columns: tuple[float, ...]) -> None:
    matrix = matrices(placements(*columns))[0]
    placed, best, looks = search.search(Observation(_laid(pilot.pattern(), matrix)), pilot)
    assert np.abs(matrices(placed[0].row[None])[0] @ np.linalg.inv(matrix) - np.eye(2)).max() < 0.01
    assert placed[0].reading.score > 0
    assert placed[0].reading.evidence > 45
    assert [one.reading.evidence for one in placed] == sorted(
        (one.reading.evidence for one in placed), reverse=True
    )
    # What chance is asked about is what was seen before anything was moved uphill.
    assert placed[0].reading.evidence >= best.evidence - 1e-3
    assert looks % (SHIFTS * SIGNS) == 0
    assert pilot_p_value(best.score, best.weight, looks) < 1e-3


@pytest.mark.parametrize("fineness", FINENESSES)
def test_own_frame_of_the_likeliest_plane(pilot: Pilot, fineness: float) -> None:
    """Mirrored, on its head and turned a little: tried where the plane of this fineness lies."""
    own = math.log(min(SHAPE) / PERIOD / fineness)
    seen = Observation(np.zeros(SHAPE, np.float32), (fineness, 9.0))
    rows = np.concatenate(search._sweeps(seen))
    there = rows[np.abs(rows[:, LOG_SCALE] - own) < 1e-9]
    for mirror in (0.0, 1.0):
        angles = there[there[:, MIRROR] == mirror, ANGLE]
        assert np.isin(np.arange(4) * math.pi / 2, angles).all()
        assert (np.abs(angles) < 0.1).sum() > 2
    matrix = matrices(placements(own, math.pi, 1.0))[0]
    placed, _, _ = search.search(Observation(_laid(pilot.pattern(), matrix), (fineness,)), pilot)
    assert np.abs(matrices(placed[0].row[None])[0] @ np.linalg.inv(matrix) - np.eye(2)).max() < 0.01


def test_small_turns_of_a_refinement_are_left_out(pilot: Pilot) -> None:
    columns = (0.2, math.pi / 2, 1.0)
    plane = _laid(pilot.pattern(), matrices(placements(*columns))[0])
    seen = Observation(plane, FINENESSES[:1])
    found = search.search(seen, pilot)[0][0]
    bent = found.row + np.array([0.006, 0.01, 0.0, -0.012, 0.008])
    first, *beside = search.straightened(seen, pilot, search.Placed(bent, found.reading))
    quarters = round(bent[ANGLE] / (math.pi / 2))
    assert first.row[1:].tolist() == pytest.approx([quarters * math.pi / 2, 1, 0, 0])
    assert abs(first.row[LOG_SCALE] - found.row[LOG_SCALE]) < 0.004
    assert first.reading.evidence > 0.9 * found.reading.evidence
    apart = [one.row[LOG_SCALE] - first.row[LOG_SCALE] for one in beside]
    assert apart == pytest.approx([0.006, -0.006])
    for more in (np.array([0, 0.04, 0, 0, 0]), np.array([0, 0, 0, 0.04, 0])):
        assert search.straightened(seen, pilot, search.Placed(bent + more, found.reading)) == []


def test_places_are_told_once(pilot: Pilot) -> None:
    matrix = matrices(placements(0.2, math.radians(33)))[0]
    placed, _, _ = search.search(Observation(_laid(pilot.pattern(), matrix)), pilot)
    for number, one in enumerate(placed):
        for other in placed[:number]:
            assert np.abs(one.row - other.row).max() > search._ONE_PLACE


def test_a_negative_is_found_by_its_sign(pilot: Pilot) -> None:
    matrix = matrices(placements(0.1))[0]
    placed, _, _ = search.search(Observation(255 - _laid(pilot.pattern(), matrix)), pilot)
    assert placed[0].reading.score < 0
    assert placed[0].reading.evidence > 45


def test_a_strangers_pilot_is_chance(pilot: Pilot) -> None:
    stranger = Pilot(MarkKey(b"the secret of another house, long"))
    plane = _laid(stranger.pattern(), matrices(placements(0.1))[0])
    placed, best, looks = search.search(Observation(plane), pilot)
    assert pilot_p_value(best.score, best.weight, looks) > 1e-3
    assert placed[0].reading.evidence < 45


@pytest.mark.parametrize("shape", [(24, 24), (24, 192), (65, 40)])
@pytest.mark.parametrize("level", [0.0, 128.0])
def test_empty_pictures_have_nothing(pilot: Pilot, shape: tuple[int, int], level: float) -> None:
    placed, best, looks = search.search(Observation(np.full(shape, level, np.float32)), pilot)
    assert np.isfinite([one.row for one in placed]).all()
    assert pilot_p_value(best.score, best.weight, looks) == 1.0
