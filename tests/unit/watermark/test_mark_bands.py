"""Bands: which pictures take which, and where their frequencies lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.watermark import canonical, shaping, spectrum
from guard.watermark.bands import (
    BANDS,
    FINENESSES,
    LARGE_SIDE,
    MIDDLE,
    NARROW,
    SMALL_SIDE,
    WIDE,
    Band,
    band_for,
    bands_of,
    finenesses,
    stretched_finenesses,
)
from guard.watermark.code import PLANES
from tests.support.mark_pictures import KINDS


@pytest.mark.parametrize(
    ("activity", "band"),
    [
        (9.0, WIDE),
        (WIDE.from_activity, WIDE),
        (WIDE.from_activity - 1e-3, MIDDLE),
        (MIDDLE.from_activity, MIDDLE),
        (MIDDLE.from_activity - 1e-3, NARROW),
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
    assert all(0.0 < band.pilot_share < 0.5 for band in BANDS)
    assert [band.from_activity for band in BANDS] == sorted(
        (band.from_activity for band in BANDS), reverse=True
    )
    assert BANDS[-1].from_activity == -np.inf


# -- planes -----------------------------------------------------------------------------------


def test_the_check_sum_has_a_word_for_every_plane() -> None:
    assert len(FINENESSES) == PLANES
    assert FINENESSES[0] == 1.0  # placements are told in units of it
    assert list(FINENESSES) == sorted(set(FINENESSES))


@pytest.mark.parametrize(
    ("band", "side", "place"),
    [
        (WIDE, LARGE_SIDE, 2),
        (WIDE, LARGE_SIDE - 1, 1),
        (MIDDLE, LARGE_SIDE, 2),
        (MIDDLE, SMALL_SIDE, 1),
        (WIDE, SMALL_SIDE - 1, 0),
        (MIDDLE, 1, 0),
        (NARROW, LARGE_SIDE - 1, 0),
        (NARROW, 100_000, 0),
    ],
)
def test_fine_marks_lie_on_fine_planes_but_for_small_pictures(
    band: Band, side: int, place: int
) -> None:
    assert finenesses(max(band.from_activity, -9.0), side)[0] == FINENESSES[place]


@given(st.floats(-100, 100), st.integers(1, 10_000))
def test_no_plane_is_forgotten(activity: float, side: int) -> None:
    """The activity of a suspect is not quite that of its original: all planes are looked at."""
    found = finenesses(activity, side)
    assert sorted(found) == list(FINENESSES)
    assert band_for(activity) in bands_of(found[0])


def test_every_band_has_its_planes() -> None:
    for fineness in FINENESSES:
        assert bands_of(fineness)
        assert all(band.fine for band in bands_of(fineness)) == (fineness != FINENESSES[0])
    # Small pictures lie on the coarsest plane whatever their band.
    assert set(bands_of(FINENESSES[0])) == set(BANDS)


@given(st.floats(-1, 8), st.integers(200, 4_000), st.floats(0.8, 1.25), st.floats(-0.5, 0.5))
def test_a_stretch_and_codecs_do_not_hide_the_plane(
    activity: float, side: int, stretch: float, lost: float
) -> None:
    suspect = stretched_finenesses(activity - lost, max(1, round(side * stretch)))
    assert suspect[0] == finenesses(activity - lost, max(1, round(side * stretch)))[0]
    assert len(set(suspect)) == len(suspect)
    assert finenesses(activity, side)[0] in suspect
