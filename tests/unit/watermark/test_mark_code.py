"""The payload code: CRC, convolutional encoder, soft Viterbi decoder."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.watermark import code

PAYLOADS = st.binary(min_size=8, max_size=8)


def _reference(message: bytes) -> list[int]:
    """The encoder as a textbook draws it: a shift register of nine bits, newest bit on the left."""
    register, out = [0] * 9, []
    bits = [(byte >> (7 - i)) & 1 for byte in message for i in range(8)]
    for bit in [*bits, *[0] * 8]:
        register = [bit, *register[:8]]
        for generator in (0o463, 0o535, 0o733, 0o745):
            taps = [(generator >> (8 - i)) & 1 for i in range(9)]
            out.append(sum(t & r for t, r in zip(taps, register, strict=True)) % 2)
    return out


def test_encoder_is_the_textbook_one() -> None:
    payload = bytes.fromhex("0123456789abcdef")
    message = payload + zlib.crc32(payload).to_bytes(4, "big")
    assert code.encode(payload).tolist() == [2 * bit - 1 for bit in _reference(message)]


@given(PAYLOADS)
@settings(max_examples=30, deadline=None)
def test_round_trip(payload: bytes) -> None:
    coded = code.encode(payload)
    assert coded.shape == (code.CODE_BITS,)
    assert set(np.unique(coded)) <= {-1.0, 1.0}
    assert code.decode(coded) == payload
    assert code.decode(coded * np.float32(1e-6)) == payload


@given(PAYLOADS, st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_reads_through_noise_louder_than_the_bits(payload: bytes, seed: int) -> None:
    grain = np.random.default_rng(seed).normal(0, 1.15, code.CODE_BITS).astype(np.float32)
    assert code.decode(code.encode(payload) + grain) == payload


@given(PAYLOADS, st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_reads_with_a_third_erased(payload: bytes, seed: int) -> None:
    coded = code.encode(payload).copy()
    lost = np.random.default_rng(seed).permutation(code.CODE_BITS)[: code.CODE_BITS // 3]
    coded[lost] = 0.0
    assert code.decode(coded) == payload


def test_noise_is_no_payload() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        assert code.decode(rng.normal(size=code.CODE_BITS).astype(np.float32)) is None


def test_the_opposite_sign_is_no_payload() -> None:
    assert code.decode(-code.encode(b"8 bytes!")) is None


def test_a_wrong_check_sum_is_no_payload() -> None:
    coded = code.encode(b"8 bytes!").copy()
    other = code.encode(b"8 bytes?")
    coded[:300] = other[:300]
    assert code.decode(coded) is None


@pytest.mark.parametrize("payload", [b"", b"seven b", b"nine byte"])
def test_refuses_other_lengths(payload: bytes) -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        code.encode(payload)
