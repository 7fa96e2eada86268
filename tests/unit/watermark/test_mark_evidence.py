"""The bounds on chance: their form, and that they hold for real pictures over many keys."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.types import Pixels
from guard.watermark import canonical, evidence, shaping, spectrum
from guard.watermark.bands import BANDS
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.chips import Spreader
from guard.watermark.code import LISTED, PLANES, Code, Soft
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
    """Of equal sizes, the exponent is n times the divergence of the share that agrees from ½."""
    count, wrong = 428, 60
    soft, word = np.ones(count, np.float32), np.ones(count, np.float32)
    word[:wrong] = -1
    share = 1 - wrong / count
    bits = 1 + share * math.log2(share) + (1 - share) * math.log2(1 - share)
    paid = math.log2(2 * WAYS * PLANES) + 64
    assert math.log2(code_p_value(soft, word, 64, 1)) == pytest.approx(paid - count * bits, abs=0.1)
    # No rounding makes it surer than it is, and a scale makes no difference.
    assert math.log2(code_p_value(soft, word, 64, 1)) > paid - count * bits - 1e-6
    assert code_p_value(1e-3 * soft, word, 64, 1) == pytest.approx(
        code_p_value(soft, word, 64, 1), rel=1e-3, abs=0.0
    )
    assert code_p_value(soft, word, 48, 1) < code_p_value(soft, word, 64, 1)


def test_the_best_fit_there_is_has_the_chance_of_one_word() -> None:
    word = np.ones(428, np.float32)
    surest = math.log2(code_p_value(word, word, 64, 1))
    assert surest >= math.log2(2 * WAYS * PLANES) + 64 - 428
    assert surest < math.log2(2 * WAYS * PLANES) + 64 - 400


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


# -- Chernoff's bound -------------------------------------------------------------------------

sizes = st.lists(st.floats(-100, 100, width=32), min_size=8, max_size=60)


@given(sizes)
def test_never_weaker_than_hoeffding(drawn: list[float]) -> None:
    soft, word = np.array(drawn, np.float32), np.ones(len(drawn), np.float32)
    agreement = float(np.dot(soft, word))
    squares = float(np.sum(soft.astype(np.float64) ** 2))
    exponent = agreement**2 / (2 * squares) if agreement > 0 else 0.0
    hoeffding = math.log(2 * WAYS * PLANES * 2.0**4) - exponent
    assert math.log(code_p_value(soft, word, 4, 1)) <= max(min(0.0, hoeffding), -700.0) + 1e-6


SIZES: dict[str, Callable[[np.random.Generator, int], Soft]] = {
    "equal": lambda _, count: np.ones(count, np.float32),
    "of noise": lambda rng, count: np.abs(rng.normal(size=count)).astype(np.float32),
    "exponential": lambda rng, count: rng.exponential(size=count).astype(np.float32),
    "a few loud": lambda rng, count: np.where(np.arange(count) < 4, 10, 0.1).astype(np.float32),
    "half silent": lambda rng, count: (np.arange(count) % 2).astype(np.float32),
}


@pytest.mark.parametrize("law", SIZES)
def test_holds_for_all_signs_of_a_short_word(law: str) -> None:
    """Counted, not drawn: of 2^12 sign patterns, how many agree so well."""
    size = SIZES[law](np.random.default_rng(1), 12)
    signs = 1.0 - 2.0 * (np.arange(1 << 12)[:, None] >> np.arange(12) & 1)
    sums = np.sort(signs @ size.astype(np.float64))
    for agreement in np.unique(np.round(sums[sums > 0], 6))[::7]:
        chance = float(np.mean(sums >= agreement - 1e-9))
        assert chance <= math.exp(-evidence._rate(size, float(agreement))) * (1 + 1e-6)


@pytest.mark.parametrize("law", SIZES)
def test_holds_over_random_signs(law: str) -> None:
    rng, count = np.random.default_rng(2), 428
    size = SIZES[law](rng, count)
    signs = rng.choice(np.array([-1.0, 1.0], np.float32), (4000, count))
    sums = (signs @ size).astype(np.float64)
    claims = np.array([math.exp(-evidence._rate(size, one)) if one > 0 else 1.0 for one in sums])
    for level in (0.003, *LEVELS):
        spread = 3 * math.sqrt(level * (1 - level) / len(claims))
        assert np.mean(claims <= level) <= level + spread
    assert claims.min() < 0.05  # there was something that it had to hold down


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
        nearest = code.encode(next(code.likeliest(soft))[:6])
        values.append(code_p_value(soft, nearest, 48, 1))
    assert min(values) == 1.0


def test_a_period_of_noise_has_no_evidence_for_the_right_key(key: MarkKey) -> None:
    grain = np.random.default_rng(3).normal(size=(PERIOD, PERIOD)).astype(np.float32)
    found = spectrum.transform(grain)
    reading = Pilot(key).read_sets(Pilot(key).terms_of(found, spectrum.local_power(found)))[0]
    assert pilot_p_value(reading.score, reading.weight, SETS * SIGNS) > 0.1


def test_check_sums_that_hold_for_nothing() -> None:
    each = WAYS * LISTED * PLANES * 2.0**-32
    assert check_p_value(1) == pytest.approx(2 * each, rel=1e-9, abs=0.0)
    assert check_p_value(7) == pytest.approx(56 * each, rel=1e-9, abs=0.0)
