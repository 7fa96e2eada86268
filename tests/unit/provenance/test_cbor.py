from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.provenance.cbor import MAX_DEPTH, array, byte_string, decode, encode, head, text_string

EXAMPLES = [  # RFC 8949, appendix A
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("1903e8", 1000),
    ("1a000f4240", 1_000_000),
    ("1bffffffffffffffff", 2**64 - 1),
    ("20", -1),
    ("3903e7", -1000),
    ("40", b""),
    ("4401020304", b"\1\2\3\4"),
    ("6449455446", "IETF"),
    ("62c3bc", "ü"),
    ("80", []),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("a201020304", {1: 2, 3: 4}),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("c11a514b67b0", 1363896240),
    ("f4", False),
    ("f5", True),
    ("f6", None),
]


@pytest.mark.parametrize(("encoded", "value"), EXAMPLES)
def test_examples_of_the_rfc(encoded: str, value: object) -> None:
    assert decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "18",
        "1b00",
        "0000",  # two items
        "41",
        "62ff",
        "61ff",  # no UTF-8
        "5f42010243030405ff",  # indefinite length
        "9fff",
        "1c",
        "fb3ff199999999999a",  # a float
        "f7",  # undefined
        "f820",
        "9bffffffffffffffff",
        "bb00000000ffffffff",
        "8201",
        "a1016161a1",
        "a1f401f5",
        "a201010102",  # one key twice
        "a1800101",  # an array as a key
        "81" * (MAX_DEPTH + 2) + "00",
        "c1" * 10_000 + "00",
    ],
)
def test_what_is_refused(encoded: str) -> None:
    with pytest.raises(ValueError, match=r"CBOR|utf-8"):
        decode(bytes.fromhex(encoded))


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        decode(data)
    except ValueError:
        return


@given(value=st.binary(max_size=70_000))
def test_byte_strings_go_there_and_back(value: bytes) -> None:
    assert decode(byte_string(value)) == value
    assert decode(array(byte_string(value), text_string(value.hex()))) == [value, value.hex()]


@pytest.mark.parametrize(
    "value", [0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**64 - 1]
)
def test_heads_are_the_shortest(value: int) -> None:
    assert decode(head(0, value)) == value
    assert len(head(0, value)) == 1 + next(
        size
        for size, most in ((0, 23), (1, 255), (2, 65_535), (4, 2**32 - 1), (8, 2**64))
        if value <= most
    )


def test_more_than_64_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        head(0, 2**64)


def test_what_is_written_reads_back() -> None:
    values = [0, -1, 300, b"bytes", "text", None, [1, (2,)], {"a": {1: b""}}]
    assert decode(encode(values)) == [0, -1, 300, b"bytes", "text", None, [1, [2]], {"a": {1: b""}}]


def test_what_has_no_cbor_here() -> None:
    for odd in (1.5, True, object(), [b"x", {1.5}]):
        with pytest.raises(TypeError, match="no CBOR for"):
            encode(odd)
