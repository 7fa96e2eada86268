"""Bands: which pictures take which, and where their frequencies lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.watermark import canonical, shaping, spectrum
from guard.watermark.bands import BANDS, MIDDLE, NARROW, WIDE, Band, band_for
from tests.support.mark_pictures import KINDS


@pytest.mark.parametrize(
    ("activity", "band"),
    [
        (9.0, WIDE),
        (2.4, WIDE),
        (2.399, MIDDLE),
        (1.2, MIDDLE),
        (1.199, NARROW),
        (0.0, NARROW),
        (-5.0, NARROW),
    ],
)
def test_edges_of_activity(activity: float, band: Band) -> None:
    assert band_for(activity) is band


@given(st.floats(-100, 100), st.floats(0, 100))
def test_busier_pictures_never_take_a_narrower_band(activity: float, more: float) -> None:
    assert BANDS.index(band_for(activity + more)) <= BANDS.index(band_for(activity))


@pytest.mark.parametrize(
    ("kind", "band"), [("gradient", NARROW), ("texture", WIDE), ("noise", WIDE)]
)
def test_pictures_take_the_band_of_their_ground(kind: str, band: Band) -> None:
    plane = canonical.luma(KINDS[kind](3, 256, 256))
    assert band_for(shaping.Ground(plane).typical_activity) is band


@pytest.mark.parametrize("band", BANDS)
def test_filter_passes_its_band_and_nothing_else(band: Band) -> None:
    passed, radius = band.filter(), spectrum.radius()
    assert passed.shape == spectrum.SHAPE
    assert passed.dtype == np.float32
    assert passed[0, 0] == 0.0
    assert passed.min() >= 0.0
    power = passed**2
    inside = (radius > 0.9 * band.low) & (radius < 1.1 * band.high)
    assert power[inside].sum() > 0.93 * power.sum()
    assert passed[radius < band.low / 2].max() < 0.02 * passed.max()
    assert passed[radius > 1.5 * band.high].max(initial=0.0) < 0.02 * passed.max()


def test_shares_leave_most_to_the_payload() -> None:
    assert all(0.1 <= band.pilot_share <= 0.4 for band in BANDS)
    assert [band.from_activity for band in BANDS] == sorted(
        (band.from_activity for band in BANDS), reverse=True
    )
    assert BANDS[-1].from_activity == -np.inf
