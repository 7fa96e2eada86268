"""The pilot: its lattice, its sets, its search over displacements, and what an average shows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from guard.watermark import pilot, spectrum
from guard.watermark.canonical import PERIOD, Plane, luma
from guard.watermark.chips import Spreader
from guard.watermark.code import Code
from guard.watermark.embed import STRENGTHS, Embedder
from guard.watermark.keys import MarkKey
from guard.watermark.pilot import COUNT, SETS, Pilot, Reading
from tests.support.mark_pictures import scene

SURE = 60.0
"""Evidence that chance has once in 10^26."""


@pytest.fixture(scope="module")
def keyed(key: MarkKey) -> Pilot:
    return Pilot(key)


def _terms(keyed: Pilot, tile: Plane) -> NDArray[np.complex64]:
    found = spectrum.transform(tile)
    return keyed.terms_of(found, spectrum.local_power(found))


def _grain(seed: int) -> Plane:
    return np.random.default_rng(seed).normal(size=(PERIOD, PERIOD)).astype(np.float32)


def _moved(tile: Plane, dx: float, dy: float) -> Plane:
    """``tile`` where a reader must move it right by ``dx`` and down by ``dy`` to see it."""
    return spectrum.inverse(spectrum.moved(spectrum.transform(tile), -dy, -dx))


def _off(reading: Reading, dx: float, dy: float) -> float:
    apart = (np.array([reading.dx - dx, reading.dy - dy]) + PERIOD / 2) % PERIOD - PERIOD / 2
    return float(np.hypot(*apart))


# -- lattice and pattern ----------------------------------------------------------------------


@pytest.mark.parametrize("number", range(25))
def test_lattice_is_full_and_keeps_its_distances(number: int) -> None:
    points = Pilot(MarkKey(b"lattice %08d......" % number)).points
    assert points.shape == (COUNT, 2)
    assert points[:, 0].min() >= 0
    radii = np.hypot(*points.T) / PERIOD
    assert radii.min() > pilot.NEAREST - 0.005
    assert radii.max() < pilot.FARTHEST + 0.005
    both = np.concatenate([points, -points])
    apart = np.hypot(*(both[:, None] - both[None]).transpose(2, 0, 1))
    assert apart[~np.eye(2 * COUNT, dtype=bool)].min() > pilot.APART
    angles = np.arctan2(np.abs(points[:, 1]), points[:, 0])
    assert np.minimum(angles, np.pi / 2 - angles).min() > pilot.OFF_AXIS - 0.03


def test_keys_have_lattices_phases_and_displacements_of_their_own(keyed: Pilot) -> None:
    other = Pilot(MarkKey(b"one more secret, of another house"))
    shared = {tuple(point) for point in keyed.points} & {tuple(point) for point in other.points}
    assert len(shared) < COUNT // 4
    assert not np.array_equal(keyed.displacements, other.displacements)
    assert abs(float(np.mean(keyed.pattern() * other.pattern()))) < 0.05


def test_pattern_is_its_own_best_witness(keyed: Pilot) -> None:
    tile = keyed.pattern()
    assert tile.shape == (PERIOD, PERIOD)
    assert tile.std() == pytest.approx(1.0, abs=1e-4)
    terms = _terms(keyed, tile + _grain(0))
    weight = float((np.abs(terms) ** 2).sum())
    score = float(terms.real.sum())
    assert np.abs(terms).max() <= pilot.WEIGHT_LIMIT + 1e-4
    assert score > 0.95 * COUNT * pilot.WEIGHT_LIMIT
    assert Reading(score, weight, 0.0, 0.0).evidence > SURE
    assert float(_terms(keyed, -tile - _grain(0)).real.sum()) == pytest.approx(-score, rel=1e-3)


def test_one_loud_frequency_does_not_decide(keyed: Pilot) -> None:
    x, y = keyed.points[0]
    wave = np.add.outer(np.arange(PERIOD) * y, np.arange(PERIOD) * x) * 2 * np.pi / PERIOD
    terms = _terms(keyed, (1e4 * np.cos(wave)).astype(np.float32))
    for reading in (*keyed.read_sets(terms), *keyed.read_anywhere(terms[None])):
        assert reading.evidence < 12


def test_silence_has_no_evidence(keyed: Pilot) -> None:
    terms = _terms(keyed, np.zeros((PERIOD, PERIOD), np.float32))
    assert Reading(0.0, 0.0, 0.0, 0.0).evidence == 0.0
    for reading in (*keyed.read_sets(terms), *keyed.read_anywhere(terms[None])):
        assert reading.evidence < 1e-3


@pytest.mark.parametrize("axis", [0, 1])
def test_waves_of_any_length(key: MarkKey, axis: int) -> None:
    """Kept once an axis, however many sizes of picture are looked at."""
    fresh = Pilot(key)
    for side in (7, 300, 40, 1536, 299):
        waves = fresh.waves(axis, side)
        steps = fresh.points[:, axis, None] * np.arange(side)
        assert waves.shape == (COUNT, side)
        assert np.allclose(waves, np.exp(-2j * np.pi / PERIOD * steps), atol=1e-5)
    assert sum(one.shape[1] for one in fresh._waves.values()) == 1536


# -- sets -------------------------------------------------------------------------------------


def test_payloads_spread_over_all_sets(keyed: Pilot) -> None:
    counts = np.bincount(
        [keyed.set_of(number.to_bytes(8, "big")) for number in range(2048)], minlength=SETS
    )
    assert counts.shape == (SETS,)
    assert counts.max() < 5 * 2048 / SETS
    assert (counts > 0).mean() > 0.99


def test_a_payload_has_one_set_under_a_key(keyed: Pilot, key: MarkKey) -> None:
    assert keyed.set_of(b"8 bytes!") == Pilot(key).set_of(b"8 bytes!")
    others = [Pilot(MarkKey(b"set of number %06d" % n)).set_of(b"8 bytes!") for n in range(8)]
    assert len(set(others)) > 1


@pytest.mark.parametrize("number", [0, 17, SETS - 1])
@pytest.mark.parametrize("sign", [1, -1])
def test_reads_which_set_it_is(keyed: Pilot, number: int, sign: int) -> None:
    right, down = keyed.displacements[number]
    terms = _terms(keyed, sign * _moved(keyed.pattern(), right, down) + _grain(1))
    best, second = keyed.read_sets(terms)
    assert (best.dx, best.dy) == (right, down)
    assert best.evidence > SURE
    assert np.sign(best.score) == sign
    assert second.evidence < best.evidence / 3


def test_average_of_many_pictures_shows_little_of_the_pilot(key: MarkKey, keyed: Pilot) -> None:
    """Whoever averages marked pictures finds no pattern to take away; one set would show whole."""
    code = Code()
    embedder = Embedder(keyed, Spreader(key, code.code_bits), code, STRENGTHS["default"])
    payloads = [number.to_bytes(8, "big") for number in range(64)]
    hosts = [scene(seed, PERIOD, PERIOD) for seed in range(8)]

    def residual(number: int, payload: bytes) -> Plane:
        host = hosts[number % len(hosts)]
        return luma(embedder.embed(host, payload)) - luma(host)

    def shown(plane: Plane) -> float:
        """Amplitude of the pilot in the set that shows most."""
        found = spectrum.transform(plane)
        own = np.conj(spectrum.transform(keyed.pattern()))
        return float(spectrum.inverse(found * own).max()) / PERIOD**2

    alone = shown(residual(0, payloads[0]))
    one_set = shown(np.mean([residual(n, payloads[0]) for n in range(8)], axis=0))
    many_sets = shown(np.mean([residual(n, one) for n, one in enumerate(payloads)], axis=0))
    assert one_set > 0.7 * alone
    assert many_sets < 0.2 * alone


# -- displacements ----------------------------------------------------------------------------


@pytest.mark.parametrize("place", [(0, 0), (250, 5), (17.5, 131.25), (1, 255)])
@pytest.mark.parametrize("sign", [1, -1])
def test_finds_any_displacement(keyed: Pilot, place: tuple[float, float], sign: int) -> None:
    terms = _terms(keyed, sign * _moved(keyed.pattern(), *place) + _grain(2))
    (coarse,) = keyed.read_anywhere(terms[None])
    assert _off(coarse, *place) < 1.3
    assert np.sign(coarse.score) == sign
    fine = keyed.refined(terms, coarse)
    assert _off(fine, *place) < 0.05
    assert fine.evidence >= coarse.evidence
    assert fine.evidence > SURE


def test_reads_many_rows_as_one_by_one(keyed: Pilot) -> None:
    rows = np.array(
        [_terms(keyed, _moved(keyed.pattern(), 9, 40 * n) + _grain(n)) for n in range(3)]
    )
    together = keyed.read_anywhere(rows)
    for row, reading in zip(rows, together, strict=True):
        (alone,) = keyed.read_anywhere(row[None])
        assert (reading.dx, reading.dy) == (alone.dx, alone.dy)
        assert reading.score == pytest.approx(alone.score, rel=1e-4)
        assert reading.weight == pytest.approx(float((np.abs(row) ** 2).sum()), rel=1e-4)


def test_score_is_the_sum_of_turned_terms(keyed: Pilot) -> None:
    """The transform is a short way to the same sum."""
    terms = _terms(keyed, _grain(4))
    (reading,) = keyed.read_anywhere(terms[None])
    turn = np.exp(-2j * np.pi / PERIOD * (keyed.points @ [reading.dx, reading.dy]))
    assert reading.score == pytest.approx(float((terms * turn).real.sum()), rel=1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_looks_around_a_reading(keyed: Pilot, sign: int) -> None:
    terms = _terms(keyed, sign * _moved(keyed.pattern(), 30.0, 12.0) + _grain(5))
    near = Reading(float(sign), 1.0, 31.6, 11.2)
    scores, best = keyed.read_near(np.stack([terms, 0 * terms]), near)
    assert np.allclose(keyed.near[best[0]], [-1.6, 0.8])
    assert scores[0] > 0.9 * COUNT
    assert scores[1] == 0.0
