"""BCH codes: every error within reach is mended, and nothing beyond is passed off as mended."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.watermark.bch import MOST_ERRORS, ORDER, Bch, code

REACHES = range(1, MOST_ERRORS + 1)


def _word(errors: int, size: int, seed: int) -> np.ndarray:
    message = np.random.default_rng(seed).integers(0, 2, size, dtype=np.uint8)
    return np.concatenate([message, code(errors).checks(message)])


@settings(max_examples=150, deadline=None)
@given(data=st.data(), errors=st.integers(1, MOST_ERRORS), seed=st.integers(0, 2**32))
def test_mends_what_it_promises(data: st.DataObject, errors: int, seed: int) -> None:
    size = data.draw(st.integers(1, ORDER - 7 * errors))
    word = _word(errors, size, seed)
    places = data.draw(st.lists(st.integers(0, word.size - 1), max_size=errors, unique=True))
    damaged = word.copy()
    damaged[places] ^= 1
    before = damaged.copy()
    mended = code(errors).corrected(damaged)
    assert mended is not None
    assert np.array_equal(mended, word)
    assert np.array_equal(damaged, before)


@settings(max_examples=150, deadline=None)
@given(errors=st.integers(1, MOST_ERRORS), seed=st.integers(0, 2**32))
def test_never_answers_what_is_no_code_word(errors: int, seed: int) -> None:
    """Noise: either nothing, or a word of the code within its reach."""
    noise = np.random.default_rng(seed).integers(0, 2, 90, dtype=np.uint8)
    mended = code(errors).corrected(noise)
    if mended is not None:
        size = mended.size - code(errors).check_bits
        assert np.array_equal(code(errors).checks(mended[:size]), mended[size:])
        assert (mended != noise).sum() <= errors


@pytest.mark.parametrize("errors", REACHES)
def test_one_more_error_never_gives_the_word_back(errors: int) -> None:
    rng = np.random.default_rng(errors)
    for seed in range(30):
        word = _word(errors, 40, seed)
        damaged = word.copy()
        damaged[rng.choice(word.size, errors + 1, replace=False)] ^= 1
        mended = code(errors).corrected(damaged)
        assert mended is None or not np.array_equal(mended, word)


@pytest.mark.parametrize("errors", REACHES)
def test_code_words_are_far_apart(errors: int) -> None:
    """A code that mends t errors has a distance of 2t + 1: no lighter word among these."""
    message = np.zeros(ORDER - 7 * errors, np.uint8)
    for place in range(message.size):
        one = message.copy()
        one[place] = 1
        assert 1 + int(code(errors).checks(one).sum()) >= 2 * errors + 1


def test_generator_is_the_tables() -> None:
    """Lin and Costello, appendix C: 211 for (127, 120) and 41567 for (127, 113), in octal."""
    assert [code(errors).check_bits for errors in REACHES] == [7 * errors for errors in REACHES]
    one = np.ones(1, np.uint8)  # what remains of x^(7t) is the generator less its leading term
    for errors, octal in ((1, 0o211), (2, 0o41567)):
        rest = int("".join(map(str, code(errors).checks(one))), 2)
        assert 1 << 7 * errors | rest == octal


@pytest.mark.parametrize("errors", [0, 9, -1])
def test_other_reaches_are_refused(errors: int) -> None:
    with pytest.raises(ValueError, match="1 to 8 errors"):
        Bch(errors)


def test_words_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="128 bits"):
        code(5).checks(np.zeros(93, np.uint8))
    with pytest.raises(ValueError, match="35 bits"):
        code(5).corrected(np.zeros(35, np.uint8))
