"""The payload code: check sum, convolutional encoder, soft list decoder."""

from __future__ import annotations

import heapq
import itertools
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.watermark.code import CONSTRAINT, GENERATORS, LISTED, PLANES, RATE, STATES, Code, Soft

LENGTHS = (48, 64, 128, 256)
FREE_DISTANCE = 32

sizes = st.integers(6, 32)
seeds = st.integers(0, 2**32 - 1)
planes = st.integers(0, PLANES - 1)


def _reference(message: bytes) -> list[int]:
    """The encoder as a textbook draws it: a shift register of 12 bits, newest bit on the left."""
    register, out = [0] * 12, []
    bits = [(byte >> (7 - i)) & 1 for byte in message for i in range(8)]
    for bit in [*bits, *[0] * 11]:
        register = [bit, *register[:11]]
        for generator in (0o4767, 0o5723, 0o6265, 0o7455):
            taps = [(generator >> (11 - i)) & 1 for i in range(12)]
            out.append(sum(t & r for t, r in zip(taps, register, strict=True)) % 2)
    return out


def _coded(message: bytes) -> Soft:
    return (2.0 * np.array(_reference(message)) - 1.0).astype(np.float32)


def _checked(payload: bytes, plane: int) -> bytes:
    return payload + zlib.crc32(payload + bytes([plane])).to_bytes(4, "big")


@pytest.mark.parametrize("payload", [bytes.fromhex("0123456789ab"), b"8 bytes!", bytes(range(32))])
def test_encoder_is_the_textbook_one(payload: bytes) -> None:
    for plane in range(PLANES):
        coded = Code(8 * len(payload)).encode(payload, plane)
        assert np.array_equal(coded, _coded(_checked(payload, plane)))
    assert np.array_equal(Code(8 * len(payload)).encode(payload), _coded(_checked(payload, 0)))


def test_free_distance_is_what_is_claimed() -> None:
    """The lightest way out of state 0 and back to it, by Dijkstra's algorithm."""
    first = 1 << (CONSTRAINT - 2)
    queue, settled = [(_weight(1 << (CONSTRAINT - 1)), first)], set()
    while queue:
        weight, state = heapq.heappop(queue)
        if state == 0:
            assert weight == FREE_DISTANCE
            return
        if state in settled:
            continue
        settled.add(state)
        for bit in (0, 1):
            register = (bit << (CONSTRAINT - 1)) | state
            heapq.heappush(queue, (weight + _weight(register), register >> 1))
    pytest.fail(f"none of {STATES} states leads back")


def _weight(register: int) -> int:
    return sum((register & generator).bit_count() & 1 for generator in GENERATORS)


@pytest.mark.parametrize("bits", LENGTHS)
def test_sizes(bits: int) -> None:
    code = Code(bits)
    assert code.payload_bytes == bits // 8
    assert code.code_bits == RATE * (bits + 32 + 11)
    coded = code.encode(bytes(bits // 8))
    assert coded.shape == (code.code_bits,)
    assert set(np.unique(coded)) == {-1.0, 1.0}


def test_a_mark_id_takes_428_code_bits() -> None:
    assert Code() == Code(64)
    assert Code().code_bits == 428


@given(data=st.data(), size=sizes, plane=planes)
@settings(max_examples=30, deadline=None)
def test_round_trip_at_any_loudness(data: st.DataObject, size: int, plane: int) -> None:
    payload = data.draw(st.binary(min_size=size, max_size=size))
    code, loudness = Code(8 * size), np.float32(data.draw(st.sampled_from([1e-6, 1.0, 1e4])))
    assert code.decode(code.encode(payload, plane) * loudness) == (payload, plane)


@given(data=st.data(), size=sizes)
@settings(max_examples=30, deadline=None)
def test_any_fifteen_flips_are_mended(data: st.DataObject, size: int) -> None:
    """Half of the free distance: wherever they are, in a burst or scattered."""
    code = Code(8 * size)
    payload = data.draw(st.binary(min_size=size, max_size=size))
    places = st.integers(0, code.code_bits - 1)
    most = (FREE_DISTANCE - 1) // 2
    flipped = data.draw(
        st.lists(places, max_size=most, unique=True)
        | st.integers(0, code.code_bits - most).map(lambda at: list(range(at, at + most)))
    )
    coded = code.encode(payload)
    coded[flipped] *= -1
    assert code.decode(coded) == (payload, 0)


def test_many_flips_are_not_mended_to_something_else() -> None:
    code, rng = Code(), np.random.default_rng(7)
    for _ in range(20):
        coded = code.encode(b"8 bytes!")
        coded[rng.permutation(code.code_bits)[: code.code_bits * 2 // 5]] *= -1
        assert code.decode(coded) in {None, (b"8 bytes!", 0)}


@given(payload=st.binary(min_size=8, max_size=8), seed=seeds)
@settings(max_examples=20, deadline=None)
def test_reads_through_noise_louder_than_the_bits(payload: bytes, seed: int) -> None:
    code = Code()
    grain = np.random.default_rng(seed).normal(0, 1.15, code.code_bits).astype(np.float32)
    assert code.decode(code.encode(payload) + grain) == (payload, 0)


@given(payload=st.binary(min_size=8, max_size=8), seed=seeds)
@settings(max_examples=20, deadline=None)
def test_reads_with_half_erased(payload: bytes, seed: int) -> None:
    code = Code()
    coded = code.encode(payload)
    coded[np.random.default_rng(seed).permutation(code.code_bits)[: code.code_bits // 2]] = 0.0
    assert code.decode(coded) == (payload, 0)


@pytest.mark.parametrize("bits", LENGTHS)
def test_noise_is_no_payload(bits: int) -> None:
    code, rng = Code(bits), np.random.default_rng(0)
    for _ in range(25):
        assert code.decode(rng.normal(size=code.code_bits).astype(np.float32)) is None


def test_the_opposite_sign_is_no_payload() -> None:
    assert Code().decode(-Code().encode(b"8 bytes!")) is None


def test_a_wrong_check_sum_is_no_payload() -> None:
    code = Code()
    coded, other = code.encode(b"8 bytes!"), code.encode(b"8 bytes?")
    coded[:300] = other[:300]
    assert code.decode(coded) is None


def test_silence_is_no_surprise() -> None:
    """All zeros fit every word alike: whatever comes out has no evidence, and nothing raises."""
    found = Code().decode(np.zeros(Code().code_bits, np.float32))
    assert found is None or found.payload == bytes(8)


# -- the plane that the check sum names -------------------------------------------------------


@given(payload=st.binary(min_size=8, max_size=8), plane=planes)
@settings(max_examples=20, deadline=None)
def test_the_plane_is_read_back(payload: bytes, plane: int) -> None:
    code = Code()
    assert code.decode(code.encode(payload, plane)) == (payload, plane)
    assert not np.array_equal(
        code.encode(payload, plane), code.encode(payload, (plane + 1) % PLANES)
    )


@given(payload=st.binary(min_size=8, max_size=8), plane=st.integers(PLANES, 255))
@settings(max_examples=20, deadline=None)
def test_a_plane_that_there_is_not_is_no_payload(payload: bytes, plane: int) -> None:
    assert Code().decode(Code().encode(payload, plane)) is None


def test_a_check_sum_that_names_no_plane_is_no_payload() -> None:
    """So were marks of the method before: read, they would be taken for one of this."""
    message = b"8 bytes!" + zlib.crc32(b"8 bytes!").to_bytes(4, "big")
    assert Code().decode(_coded(message)) is None


# -- the list ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [8, 20, 24, 44])
def test_the_list_reads_what_the_best_path_misses(seed: int) -> None:
    code, message = Code(), _checked(b"8 bytes!", 2)
    grain = np.random.default_rng(seed).normal(0, 1.5, code.code_bits).astype(np.float32)
    soft = code.encode(b"8 bytes!", 2) + grain
    listed = list(code.likeliest(soft))
    assert listed[0] != message
    assert message in listed
    assert code.decode(soft) == (b"8 bytes!", 2)


@given(payload=st.binary(min_size=8, max_size=8), seed=seeds, loudness=st.floats(0.0, 3.0))
@settings(max_examples=15, deadline=None)
def test_the_list_is_in_order(payload: bytes, seed: int, loudness: float) -> None:
    code = Code()
    grain = np.random.default_rng(seed).normal(0, 1, code.code_bits)
    soft = (code.encode(payload) + loudness * grain).astype(np.float32)
    listed = list(code.likeliest(soft))
    assert len(listed) == LISTED == len(set(listed))
    assert {len(one) for one in listed} == {code.payload_bytes + 4}
    fits = [float(_coded(one) @ soft) for one in listed]
    assert all(better > worse - 0.05 for better, worse in itertools.pairwise(fits))
    # The first is the likeliest of all: the message that was sent fits no better.
    assert fits[0] > float(code.encode(payload) @ soft) - 0.05


@pytest.mark.parametrize("payload", [b"", b"seven b", b"nine byte"])
def test_refuses_other_lengths(payload: bytes) -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        Code().encode(payload)


@pytest.mark.parametrize("bits", [-64, 0, 8, 40, 47, 65, 264, 4096])
def test_refuses_impossible_lengths(bits: int) -> None:
    with pytest.raises(ValueError, match="multiple of 8 in 48–256"):
        Code(bits)
