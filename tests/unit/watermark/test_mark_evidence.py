"""The bounds on chance: their form, and that they hold for real pictures over many keys."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.types import Pixels
from guard.watermark import canonical, shaping, spectrum
from guard.watermark.bands import BANDS
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.chips import Spreader
from guard.watermark.code import Code
from guard.watermark.evidence import WAYS, check_p_value, code_p_value, pilot_p_value
from guard.watermark.keys import MarkKey
from guard.watermark.observation import Observation
from guard.watermark.pilot import SETS, SHIFTS, SIGNS, Pilot
from guard.watermark.pilot_watermark import PilotWatermark
from guard.watermark.placement import matrices, placements
from tests.support.mark_pictures import flat_art, scene

LEVELS = (0.01, 0.1, 0.5)

scores = st.floats(-72, 72)
weights = st.floats(1e-3, 200)
looks = st.integers(1, 10**10)


# -- their form -------------------------------------------------------------------------------


def test_pilot_formula() -> None:
    assert pilot_p_value(40.0, 64.0, 1) == pytest.approx(WAYS * math.exp(-25))
    assert pilot_p_value(-40.0, 64.0, 1) == pilot_p_value(40.0, 64.0, 1)
    assert pilot_p_value(40.0, 64.0, 100) == pytest.approx(100 * WAYS * math.exp(-25))
    assert pilot_p_value(1.0, 64.0, 2) == 1.0


def test_code_formula() -> None:
    word = np.ones(428, np.float32)
    assert code_p_value(word, word, 64, 1) == pytest.approx(2 * WAYS * 2.0**64 * math.exp(-214))
    assert code_p_value(word, word, 48, 1) < code_p_value(word, word, 64, 1)
    assert code_p_value(1e-3 * word, word, 64, 1) == pytest.approx(
        code_p_value(word, word, 64, 1), rel=1e-3
    )


def test_nothing_has_no_evidence() -> None:
    word = np.ones(428, np.float32)
    assert pilot_p_value(0.0, 0.0, 1) == 1.0
    assert code_p_value(0 * word, word, 48, 1) == 1.0
    assert code_p_value(-word, word, 48, 1) == 1.0


def test_the_surest_is_not_quite_impossible() -> None:
    assert pilot_p_value(1e6, 1.0, 1) > 0.0
    assert code_p_value(np.ones(10**5, np.float32), np.ones(10**5, np.float32), 48, 1) > 0.0


@given(score=scores, other=scores, weight=weights, count=looks, more=looks)
def test_pilot_bound_is_a_probability_and_monotone(
    score: float, other: float, weight: float, count: int, more: int
) -> None:
    value = pilot_p_value(score, weight, count)
    assert 0.0 < value <= 1.0
    if abs(other) >= abs(score):
        assert pilot_p_value(other, weight, count) <= value
    assert pilot_p_value(score, weight, count + more) >= value


@given(
    soft=st.lists(st.floats(-100, 100, width=32), min_size=8, max_size=40),
    bits=st.integers(0, 256),
    reading=st.integers(1, 100),
)
def test_code_bound_is_a_probability_and_monotone(
    soft: list[float], bits: int, reading: int
) -> None:
    found, word = np.array(soft, np.float32), np.ones(len(soft), np.float32)
    value = code_p_value(found, word, bits, reading)
    assert 0.0 < value <= 1.0
    assert value <= code_p_value(found, word, bits + 1, reading)
    assert value <= code_p_value(found, word, bits, reading + 1)
    assert code_p_value(found, np.sign(found + 0.5).astype(np.float32), bits, reading) <= 1.0


def test_decodings_share_one_budget() -> None:
    """Whoever stops at the first reading below a limit is wrong no more often than it says."""
    word = np.ones(428, np.float32)
    single = code_p_value(word, word, 64, 1) / 2
    shares = [single / code_p_value(word, word, 64, reading) for reading in range(1, 400)]
    assert 0.99 < sum(shares) <= 1.0


# -- what they promise: over keys, for any one picture ----------------------------------------


def _stripes() -> Pixels:
    rows, columns = np.mgrid[0:512, 0:512]
    wave = np.cos(2 * np.pi * (31 * rows + 57 * columns) / 512)
    return np.asarray(np.rint(128 + 90 * wave)[..., None].repeat(3, 2), np.uint8)


def _strangers() -> Pixels:
    return (
        PilotWatermark(b"a key that no test has, of a stranger").embed(scene(3), b"8 bytes!").pixels
    )


PICTURES = {
    "scene": lambda: scene(2),
    "flat art": lambda: flat_art(2),
    "stripes": _stripes,
    "with a stranger's mark": _strangers,
}


@pytest.fixture(scope="module", params=PICTURES)
def suspect(request: pytest.FixtureRequest) -> Plane:
    return canonical.luma(PICTURES[request.param]())


def _keys(count: int) -> list[MarkKey]:
    return [MarkKey(b"a wrong key, number %08d" % number) for number in range(count)]


def _expect_honest(values: list[float]) -> None:
    found = np.array(values)
    for level in LEVELS:
        spread = 3 * math.sqrt(level * (1 - level) / len(found))
        assert np.mean(found <= level) <= level + spread
    assert np.mean(found < 0.1) <= 0.1
    assert found.min() > 1e-5


def test_pilot_bound_over_wrong_keys(suspect: Plane) -> None:
    own = canonical.to_canonical(suspect, canonical.scale_of(*suspect.shape))
    found = spectrum.transform(spectrum.fold(shaping.flatten(own)))
    power = spectrum.local_power(found)
    seen = Observation(suspect)
    scales = np.array([math.log(seen.scale)] * 2 + [0.1, 0.4])
    maps = matrices(placements(scales, np.array([0.0, 0.3, 1.2, 0.0])))
    single, in_sets, anywhere = [], [], []
    for key in _keys(80):
        pilot = Pilot(key)
        terms = pilot.terms_of(found, power)
        weight = float((np.abs(terms) ** 2).sum())
        single.append(pilot_p_value(float(terms.real.sum()), weight, SIGNS))
        best = pilot.read_sets(terms)[0]
        in_sets.append(pilot_p_value(best.score, best.weight, SETS * SIGNS))
        far = pilot.read_anywhere(pilot.turned(seen.values(maps, pilot.points)))
        best = max(far, key=lambda one: one.evidence)
        anywhere.append(pilot_p_value(best.score, best.weight, len(maps) * SHIFTS * SIGNS))
    for values in (single, in_sets, anywhere):
        _expect_honest(values)
    # Near miss: the numbers are not all 1, so there is something that the bound had to hold down.
    assert min(single) < 1.0


def test_code_bound_over_wrong_keys(suspect: Plane) -> None:
    own = canonical.to_canonical(suspect, canonical.scale_of(*suspect.shape))
    found = spectrum.transform(spectrum.fold(shaping.flatten(own)))
    power = spectrum.local_power(found)
    code = Code(64)
    words = [code.encode(bytes([number]) * 8) for number in range(8)]
    values = []
    for key in _keys(30):
        spreader = Spreader(key, code.code_bits)
        for band in BANDS:
            soft = spreader.read(found, power, band)
            values += [code_p_value(soft, word, 0, 1) for word in words]
    _expect_honest(values)
    assert min(values) < 1.0


def test_best_of_all_words_over_wrong_keys(suspect: Plane) -> None:
    """The decoder picks the best of all words: the factor 2^bits pays for that."""
    own = canonical.to_canonical(suspect, canonical.scale_of(*suspect.shape))
    found = spectrum.transform(spectrum.fold(shaping.flatten(own)))
    power = spectrum.local_power(found)
    code, values = Code(48), []
    for key in _keys(8):
        soft = Spreader(key, code.code_bits).read(found, power, BANDS[0])
        assert code.decode(soft) is None
        # What the decoder's path fits by is no more than the sum of all sizes.
        nearest = code.encode(code.viterbi(soft)[:6])
        values.append(code_p_value(soft, nearest, 48, 1))
    assert min(values) == 1.0


def test_a_period_of_noise_has_no_evidence_for_the_right_key(key: MarkKey) -> None:
    grain = np.random.default_rng(3).normal(size=(PERIOD, PERIOD)).astype(np.float32)
    found = spectrum.transform(grain)
    reading = Pilot(key).read_sets(Pilot(key).terms_of(found, spectrum.local_power(found)))[0]
    assert pilot_p_value(reading.score, reading.weight, SETS * SIGNS) > 0.1


def test_check_sums_that_hold_for_nothing() -> None:
    assert check_p_value(1) == pytest.approx(WAYS * 2 * 2.0**-32)
    assert check_p_value(7) == pytest.approx(WAYS * 56 * 2.0**-32)
