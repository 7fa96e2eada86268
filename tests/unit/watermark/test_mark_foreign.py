"""The empirical null: counted, never below 1/(N + 1), and a p-value on pictures like its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.watermark.foreign import EmpiricalNull, pack, shipped_null


def _null(pictures: int, length: int, seed: int = 0) -> EmpiricalNull:
    return EmpiricalNull(
        np.random.default_rng(seed).integers(0, 2, (pictures, length), dtype=np.uint8)
    )


def test_counts_what_agrees_as_well() -> None:
    bits = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]], np.uint8)
    null, message = EmpiricalNull(bits), np.ones(4, np.uint8)
    assert null.pictures == 3
    assert [null.p_value(message, m) for m in (0, 1, 3, 4)] == [1.0, 3 / 4, 3 / 4, 2 / 4]


def test_never_below_one_in_all_pictures() -> None:
    null = _null(999, 48)
    assert null.p_value(np.ones(48, np.uint8), 48) == 1 / 1000


@given(st.integers(0, 2**32 - 1))
def test_is_a_p_value_for_readers_whose_bits_are_no_coins(seed: int) -> None:
    """A reader that says all zeros on half of the pictures: a binomial would call them marked."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2, (400, 32), dtype=np.uint8)
    rows[rng.random(400) < 0.5] = 0
    message = np.zeros(32, np.uint8)
    null, fresh = EmpiricalNull(rows[:200]), rows[200:]
    values = [null.p_value(message, int((one == message).sum())) for one in fresh]
    assert np.mean(np.array(values) <= 0.05) <= 0.15  # exact in the mean; 200 of each scatter


def test_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="48 bits, not 32"):
        _null(10, 48).p_value(np.zeros(32, np.uint8), 3)


@pytest.mark.parametrize(
    ("method", "length"),
    [("dwtDct", 32), ("dwtDct", 46), ("dwtDct", 48), ("dwtDct", 136), ("dwtDctSvd", 32)],
)
def test_shipped_ones_are_large_enough_to_tell(method: str, length: int) -> None:
    null = shipped_null(method, length)
    assert null is not None
    assert null.bits.shape == (null.pictures, length)
    assert null.pictures >= 1000
    assert set(np.unique(null.bits)) == {0, 1}


def test_rivagan_has_a_smaller_one() -> None:
    null = shipped_null("rivaGan", 32)
    assert null is not None
    assert null.pictures >= 200


def test_what_was_not_measured_has_none() -> None:
    assert shipped_null("dwtDct", 47) is None
    assert shipped_null("trustmark", 100) is None


def test_packs_and_unpacks() -> None:
    bits = _null(7, 46).bits
    assert np.array_equal(np.unpackbits(pack(bits), axis=1, count=46), bits)
