"""The pilot: its lattice, its search over shifts, and a p-value that keeps its promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from guard.watermark import pilot, spectrum
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.keys import MarkKey
from guard.watermark.pilot import Pilot, Reading


def _read(keyed: Pilot, tile: Plane) -> Reading:
    found = spectrum.transform(tile)
    return keyed.read(found, spectrum.local_power(found))


def _grain(seed: int) -> Plane:
    return np.random.default_rng(seed).normal(size=(PERIOD, PERIOD)).astype(np.float32)


@pytest.mark.parametrize("number", range(25))
def test_lattice_is_full_and_keeps_its_distances(number: int) -> None:
    points = Pilot(MarkKey(b"lattice %08d......" % number)).points
    assert points.shape == (pilot.COUNT, 2)
    radii = np.hypot(*points.T) / PERIOD
    assert radii.min() > pilot.NEAREST - 0.005
    assert radii.max() < pilot.FARTHEST + 0.005
    apart = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    assert apart[~np.eye(pilot.COUNT, dtype=bool)].min() > pilot.APART


def test_pattern_is_its_own_best_witness(key: MarkKey) -> None:
    keyed = Pilot(key)
    tile = keyed.pattern()
    assert tile.shape == (PERIOD, PERIOD)
    assert tile.std() == pytest.approx(1.0, abs=1e-4)
    reading = _read(keyed, tile + _grain(0))
    assert reading.score > 0.95 * pilot.COUNT * pilot.WEIGHT_LIMIT
    assert reading.p_value(2) < 1e-20
    assert _read(keyed, -tile - _grain(0)).score == pytest.approx(-reading.score, rel=1e-3)


@pytest.mark.parametrize("shift", [(0, 0), (5, 250), (131, 17), (255, 1)])
def test_search_finds_whole_shifts(key: MarkKey, shift: tuple[int, int]) -> None:
    keyed = Pilot(key)
    tile = np.roll(keyed.pattern(), (-shift[0], -shift[1]), (0, 1)) + _grain(1)
    found = spectrum.transform(tile)
    reading = keyed.search(found, spectrum.local_power(found))
    assert reading.dy % PERIOD == shift[0]
    assert reading.dx % PERIOD == shift[1]
    assert reading.p_value(2 * pilot.SHIFTS) < 1e-12


def test_search_finds_fractions_and_negatives(key: MarkKey) -> None:
    keyed = Pilot(key)
    moved = spectrum.moved(spectrum.transform(keyed.pattern()), -10.5, -3.25)
    tile = -spectrum.inverse(moved) + _grain(2)
    found = spectrum.transform(tile)
    reading = keyed.search(found, spectrum.local_power(found))
    assert (reading.dy % PERIOD, reading.dx % PERIOD) == (10.5, 3.25)
    assert reading.score < 0
    back = spectrum.moved(found, reading.dy, reading.dx)
    assert keyed.read(back, spectrum.local_power(back)).p_value(2) < 1e-15


def test_p_value_bounds_chance_for_one_picture_and_many_keys() -> None:
    """The promise is over keys, for any one picture: take pictures that are far from noise."""
    stripes = np.cos(2 * np.pi * np.add.outer(np.arange(PERIOD) * 31, np.arange(PERIOD) * 17) / 256)
    pictures = [stripes.astype(np.float32), _grain(3), _read_other_pattern()]
    keys = [Pilot(MarkKey(b"null %012d" % number)) for number in range(150)]
    for picture in pictures:
        values = np.array([_read(keyed, picture).p_value(2) for keyed in keys])
        for level in (0.05, 0.2, 0.5):
            spread = 3 * math.sqrt(level * (1 - level) / len(keys))
            assert np.mean(values <= level) <= level + spread
        assert values.min() > 1e-5


def _read_other_pattern() -> Plane:
    return Pilot(MarkKey(b"a key that no test pilot has")).pattern()


def test_p_value_formula() -> None:
    assert Reading(score=40.0, weight=64.0).p_value(1) == pytest.approx(math.exp(-25))
    assert Reading(score=-40.0, weight=64.0).p_value(1) == pytest.approx(math.exp(-25))
    assert Reading(score=40.0, weight=64.0).p_value(100) == pytest.approx(100 * math.exp(-25))
    assert Reading(score=1.0, weight=64.0).p_value(2) == 1.0
    assert Reading(score=0.0, weight=0.0).p_value(2) == 1.0


def test_one_loud_frequency_does_not_decide(key: MarkKey) -> None:
    keyed = Pilot(key)
    x, y = keyed.points[0]
    wave = np.add.outer(np.arange(PERIOD) * y, np.arange(PERIOD) * x) * 2 * np.pi / PERIOD
    assert _read(keyed, (1e4 * np.cos(wave)).astype(np.float32)).p_value(2) > 0.01


def test_silence_has_no_evidence(key: MarkKey) -> None:
    assert _read(Pilot(key), np.zeros((PERIOD, PERIOD), dtype=np.float32)).p_value(2) == 1.0
