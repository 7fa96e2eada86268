"""What scores are worth: checked against scikit-learn's definitions, by hand and by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.classify.measure import Curve, Sample, calibrate, curves
from guard.errors import InvalidInput

PAIRS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0]), st.booleans()), min_size=2
)


def curve(pairs: list[tuple[float, bool]]) -> Curve:
    (one,) = curves([Sample("d", "c", value, unsafe) for value, unsafe in pairs])
    return one


SOME = [(0.1, False), (0.2, False), (0.4, True), (0.5, False), (0.8, True), (0.9, True)]


def test_by_hand() -> None:
    one = curve(SOME)
    assert one.area == pytest.approx(8 / 9)
    assert one.average_precision == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert one.threshold_at(0.0) == (0.8, 0.0, pytest.approx(2 / 3))
    assert one.threshold_at(0.4) == (0.4, pytest.approx(1 / 3), 1.0)
    row = one.as_dict(0.0)
    assert row["suggested"]["threshold"] == 0.8
    assert curve([(0.9, False), (0.1, True)]).as_dict(0.0)["suggested"] is None


@given(PAIRS)
def test_the_area_is_how_often_the_unsafe_rank_higher(pairs: list[tuple[float, bool]]) -> None:
    bad = [value for value, unsafe in pairs if unsafe]
    good = [value for value, unsafe in pairs if not unsafe]
    area = curve(pairs).area
    if not bad or not good:
        assert area is None
        return
    wins = sum((b > g) + 0.5 * (b == g) for b in bad for g in good)
    assert area == pytest.approx(wins / len(bad) / len(good))


def test_platt_is_the_best_sigmoid() -> None:
    rng = np.random.default_rng(4)
    z = rng.normal(0, 2, 4000)
    unsafe = rng.random(4000) < 1 / (1 + np.exp(-(1.5 * z - 1)))
    one = Curve("d", "c", 1 / (1 + np.exp(-z)), unsafe)
    fitted = calibrate(one, "platt")
    assert fitted.slope == pytest.approx(1.5, abs=0.15)
    assert fitted.offset == pytest.approx(-1, abs=0.15)
    assert one.error(fitted) < 0.03 < one.error()


@settings(max_examples=60)
@given(PAIRS)
def test_isotonic_is_monotone_and_keeps_the_share(pairs: list[tuple[float, bool]]) -> None:
    one = curve(pairs)
    if one.area is None or one.area <= 0.5:
        with pytest.raises(InvalidInput, match="cannot be calibrated"):
            calibrate(one, "isotonic")
        return
    fitted = calibrate(one, "isotonic")
    said = [fitted.probability(float(value)) for value in one.values]
    assert sum(said) == pytest.approx(one.unsafe.sum())
    platt = calibrate(one, "platt")
    assert platt.slope is not None
    assert math.isfinite(platt.slope)
    assert platt.slope > 0


def test_isotonic_by_hand() -> None:
    fitted = calibrate(curve(SOME), "isotonic")
    assert fitted.points == ((0.1, 0.0), (0.2, 0.0), (0.4, 0.5), (0.5, 0.5), (0.8, 1.0), (0.9, 1.0))


def test_what_separates_perfectly_stays_finite() -> None:
    one = curve([(0.0, False)] * 5 + [(1.0, True)] * 5)
    fitted = calibrate(one, "platt")
    assert fitted.probability(0.0) < 0.2
    assert 0.8 < fitted.probability(1.0) < 1.0
