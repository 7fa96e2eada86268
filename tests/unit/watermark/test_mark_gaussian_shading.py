"""Gaussian Shading: latents that are plain noise, and a reading whose p-value is exact."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from guard.errors import KeyInvalid, SettingsInvalid
from guard.types import Pixels
from guard.watermark import gaussian_shading
from guard.watermark.gaussian_shading import GaussianShading, Latents, sign_error_rate

SECRET, OTHER = b"a secret for tests, 32 bytes now", b"another secret for tests, 32 too"
PAYLOAD = bytes.fromhex("0123456789abcdef")
SHAPE = (4, 64, 64)
PICTURE = np.zeros((512, 512, 3), np.uint8)


@pytest.fixture(scope="module")
def mark() -> GaussianShading:
    return GaussianShading(SECRET, slots=16)


def _noisy(latents: Latents, deviation: float, seed: int = 0) -> Latents:
    noise = np.random.default_rng(seed).standard_normal(latents.shape)
    return (latents + deviation * noise).astype(np.float32)


# -- what is drawn -----------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(payload=st.binary(min_size=8, max_size=8), seed=st.integers(0, 2**32))
def test_every_payload_is_read_from_its_own_noise(
    mark: GaussianShading, payload: bytes, seed: int
) -> None:
    latents = mark.sample(payload, seed=seed)
    assert latents.shape == mark.shape == SHAPE
    assert latents.dtype == np.float32
    reading = mark.read(latents)
    assert (reading.payload, reading.holds) == (payload, True)
    assert reading.matching == reading.values == latents.size
    assert reading.p_value < 1e-200


@pytest.mark.parametrize("payload", [bytes(8), b"\xff" * 8, PAYLOAD])
def test_latents_are_standard_normal(mark: GaussianShading, payload: bytes) -> None:
    """Kolmogorov and Smirnov on 160,000 values, their sign, and neighbours against each other."""
    drawn = [mark.sample(payload, slot=slot, seed=slot) for slot in range(10)]
    values = np.concatenate([one.ravel() for one in drawn])
    assert stats.kstest(values, "norm").pvalue > 1e-3
    assert stats.binomtest(int((values > 0).sum()), values.size).pvalue > 1e-3
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4 / np.sqrt(values.size)


def test_latents_tell_nothing_of_the_payload(mark: GaussianShading) -> None:
    """Two payloads give samples of one distribution; repeats of one bit do not agree by sign."""
    one, two = (
        np.concatenate([mark.sample(payload, seed=seed).ravel() for seed in range(8)])
        for payload in (bytes(8), b"\xff" * 8)
    )
    assert stats.ks_2samp(one, two).pvalue > 1e-3
    signs = np.sign(mark.sample(bytes(8), slot=3, seed=1).ravel())
    assert abs(np.mean(signs[:-96] * signs[96:])) < 4 / np.sqrt(signs.size)


def test_the_same_slot_and_seed_give_the_same(mark: GaussianShading) -> None:
    first = mark.sample(PAYLOAD, slot=2, seed=7)
    assert np.array_equal(first, mark.sample(PAYLOAD, slot=2, seed=7))
    assert not np.array_equal(first, mark.sample(PAYLOAD, slot=3, seed=7))
    assert not np.array_equal(first, mark.sample(PAYLOAD, slot=2, seed=8))


def test_by_chance_slots_and_values_differ(mark: GaussianShading) -> None:
    drawn = [mark.sample(PAYLOAD) for _ in range(12)]
    assert len({one.tobytes() for one in drawn}) == 12
    assert len({mark.read(one).slot for one in drawn}) > 1


# -- what is read ------------------------------------------------------------------------------


@pytest.mark.parametrize("deviation", [0.1, 0.5, 1.0, 2.0])
def test_accuracy_is_what_theory_says(mark: GaussianShading, deviation: float) -> None:
    """Noise of deviation σ on a latent turns arctan(σ)/π of its signs."""
    reading = mark.read(_noisy(mark.sample(PAYLOAD, slot=0, seed=1), deviation))
    wrong = 1 - reading.matching / reading.values
    spread = np.sqrt(sign_error_rate(deviation) / reading.values)
    assert abs(wrong - sign_error_rate(deviation)) < 4 * spread
    assert (reading.payload, reading.holds) == (PAYLOAD, True)
    assert reading.p_value < 1e-100


def test_where_single_bits_fail_no_payload_is_claimed(mark: GaussianShading) -> None:
    """The mark is still there, far below any rate; its payload is not, as the check sum says."""
    noisy = _noisy(mark.sample(PAYLOAD, slot=0, seed=2), 6.5)
    reading = mark.read(noisy)
    assert reading.p_value < 1e-9
    assert not reading.holds
    found = mark.detect(PICTURE, lambda pixels: noisy)
    assert (found.detected, found.payload) == (False, None)


def test_an_expected_payload_is_heard_in_more_noise(mark: GaussianShading) -> None:
    noisy = _noisy(mark.sample(PAYLOAD, slot=0, seed=2), 10.0)
    assert mark.read(noisy, expected=PAYLOAD).p_value < 1e-9 < mark.read(noisy).p_value
    assert mark.read(noisy, expected=PAYLOAD).holds
    other = mark.read(noisy, expected=bytes(8))
    assert (other.p_value > 1e-6, other.holds) == (True, False)


@pytest.mark.parametrize("batch", [False, True])
def test_detects_through_the_callers_inversion(mark: GaussianShading, batch: bool) -> None:
    seen: list[Pixels] = []
    latents = _noisy(mark.sample(PAYLOAD, slot=0, seed=4), 0.8)

    def invert(pixels: Pixels) -> Latents:
        seen.append(pixels)
        return latents[None] if batch else latents

    found = mark.detect(PICTURE, invert)
    assert seen == [PICTURE]
    assert (found.detected, found.payload) == (True, PAYLOAD.hex())
    assert found.method == mark.method == "gaussian-shading-1"
    assert found.key_id == mark.key_id != GaussianShading(OTHER).key_id


def test_neither_noise_nor_another_key_is_a_mark(mark: GaussianShading) -> None:
    stranger = GaussianShading(OTHER, slots=16)
    plain = np.random.default_rng(3).standard_normal(SHAPE).astype(np.float32)
    structured = np.ones(SHAPE, np.float32)
    for latents in (plain, structured, -structured, stranger.sample(PAYLOAD, slot=0, seed=0)):
        found = mark.detect(PICTURE, lambda pixels, latents=latents: latents)
        assert (found.detected, found.payload, found.key_id) == (False, None, "")
        assert found.p_value > 1e-4


def test_the_p_value_is_honest_over_keys() -> None:
    """One fixed latent that is no noise at all, 300 keys: no more small p-values than may be."""
    latents = np.tile(np.float32([1, 1, 1, -1]), 512).reshape(1, 32, 64)
    values = np.array(
        [
            GaussianShading(f"key number {number:08d}".encode(), (1, 32, 64), slots=1)
            .read(latents)
            .p_value
            for number in range(300)
        ]
    )
    for level in (0.05, 0.2, 0.5):
        expected = stats.binom.interval(0.9999, 300, level)
        assert (values <= level).sum() <= expected[1]
    assert values.max() > 0.8  # and not so careful that it says nothing
    assert (values <= 0.5).sum() >= stats.binom.interval(0.9999, 300, 0.4)[0]


@pytest.mark.parametrize(("size", "bits"), [(12, 3), (13, 4), (10, 10)])
def test_the_tail_is_exact(size: int, bits: int) -> None:
    """Against every outcome of so many coins."""
    places = np.arange(size) % bits
    counts: Counter[int] = Counter()
    for coins in itertools.product((0, 1), repeat=size):
        ones = np.bincount(places, coins, minlength=bits)
        counts[int(np.maximum(ones, np.bincount(places) - ones).sum())] += 1
    for matching in range(size + 1):
        exact = sum(n for m, n in counts.items() if m >= matching) / 2**size
        assert gaussian_shading._tail(size, bits, matching) == pytest.approx(max(exact, 1e-300))


# -- what is refused ---------------------------------------------------------------------------


def test_out_of_range_is_refused() -> None:
    with pytest.raises(KeyInvalid):
        GaussianShading(b"short")
    for slots in (0, 65_537):
        with pytest.raises(SettingsInvalid, match="slots"):
            GaussianShading(SECRET, slots=slots)
    for shape, size in (((1, 8, 8), 8), ((4, 64, 64), 0), ((4, 64, 64), 1000)):
        with pytest.raises(SettingsInvalid, match="too small"):
            GaussianShading(SECRET, shape, payload_bytes=size)


def test_hostile_latents_are_refused(mark: GaussianShading) -> None:
    with pytest.raises(ValueError, match="shape"):
        mark.read(np.zeros((4, 32, 32), np.float32))
    broken = mark.sample(PAYLOAD)
    broken[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        mark.read(broken)
    for payload in (b"", bytes(7), bytes(9)):
        with pytest.raises(ValueError, match="8 bytes"):
            mark.sample(payload)
    with pytest.raises(ValueError, match="slot 16 is"):
        mark.sample(PAYLOAD, slot=16)
    with pytest.raises(ValueError, match="8 bytes"):
        mark.read(mark.sample(PAYLOAD), expected=b"no")


@pytest.mark.slow
def test_through_a_diffusion_model_and_back() -> None:
    """The embedded model draws from marked noise, and DDIM inversion brings the noise back.

    At the latents: this model's autoencoder, 512 × 512 from 16 × 16, loses the noise.
    """
    from guard.generate.demo import weights_dir
    from tests.benchmarks.bench_gaussian_shading import Model

    model = Model(weights_dir())
    mark = GaussianShading(SECRET, model.shape, slots=4)
    noise = mark.sample(PAYLOAD, slot=0, seed=0)
    reading = mark.read(model.invert(model.draw(noise, 20), 20))
    assert reading.matching > 0.8 * reading.values
    assert (reading.payload, reading.holds) == (PAYLOAD, True)
    assert reading.p_value < 1e-30
    plain = np.random.default_rng(1).standard_normal(model.shape).astype(np.float32)
    assert mark.read(model.invert(model.draw(plain, 20), 20)).p_value > 1e-3
