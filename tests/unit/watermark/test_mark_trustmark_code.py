"""TrustMark's data layer, against words that its reference implementation wrote."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.watermark.trustmark_code import LENGTH, SCHEMAS, Schema, decode, encode, schema_named

REFERENCE = {
    "BCH_SUPER": 0xCFD70F2C8068431B662844D80,
    "BCH_5": 0xCFD70F2C800000053DF57AE51,
    "BCH_4": 0xCFD70F2C800000000B7959BF2,
    "BCH_3": 0xCFD70F2C800000000018DBA33,
}
"""What trustmark 0.9.2 (PyPI) encodes of the text "guard" under each schema."""

IDS = [schema.name for schema in SCHEMAS]


def _bits(number: int, length: int = LENGTH) -> np.ndarray:
    return np.frombuffer(f"{number:0{length}b}".encode(), np.uint8) - ord("0")


def _data(schema: Schema, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, schema.data_bits, dtype=np.uint8)


@pytest.mark.parametrize("name", REFERENCE)
def test_reads_and_writes_what_the_reference_writes(name: str) -> None:
    schema = schema_named(name)
    word = decode(_bits(REFERENCE[name]))
    assert word is not None
    assert (word.schema, word.wrong, word.text) == (schema, 0, "guard")
    assert np.array_equal(encode(word.data, schema), _bits(REFERENCE[name]))


@pytest.mark.parametrize("schema", SCHEMAS, ids=IDS)
def test_a_hundred_bits(schema: Schema) -> None:
    assert encode(_data(schema), schema).shape == (LENGTH,)
    assert schema.data_bits + 7 * schema.errors + 4 == LENGTH


@settings(max_examples=80, deadline=None)
@given(
    schema=st.sampled_from(SCHEMAS),
    seed=st.integers(0, 2**32),
    wrong=st.lists(st.integers(0, 95), max_size=8, unique=True),
)
def test_mends_as_many_as_its_schema(schema: Schema, seed: int, wrong: list[int]) -> None:
    wrong = wrong[: schema.errors]
    bits = encode(_data(schema, seed), schema)
    bits[wrong] ^= 1
    word = decode(bits)
    assert word is not None
    assert np.array_equal(word.data, _data(schema, seed))
    assert word.wrong == len(wrong)


def test_reserved_version_bits_count_as_wrong() -> None:
    bits = _bits(REFERENCE["BCH_5"])
    bits[[96, 97]] ^= 1
    word = decode(bits)
    assert word is not None
    assert (word.schema.name, word.wrong) == ("BCH_5", 2)


@pytest.mark.parametrize("schema", SCHEMAS, ids=IDS)
def test_chance_is_what_coins_do(schema: Schema) -> None:
    """1,500 random words: as many decode as lie near a code word of their schema."""
    rng, read = np.random.default_rng(1), 0
    for _ in range(1500):
        bits = rng.integers(0, 2, LENGTH, dtype=np.uint8)
        bits[96:] = _bits(schema.version, 4)
        read += decode(bits) is not None
    share = {"BCH_SUPER": 0.0, "BCH_5": 0.0019, "BCH_4": 0.0129, "BCH_3": 0.070}[schema.name]
    assert abs(read / 1500 - share) < 4 * np.sqrt((share + 1e-6) / 1500) + 1e-9


def test_chance_grows_with_what_is_mended() -> None:
    chances = []
    for wrong in range(6):
        bits = _bits(REFERENCE["BCH_5"])
        bits[:wrong] ^= 1
        word = decode(bits)
        assert word is not None
        chances.append(word.chance)
    assert chances[0] == pytest.approx(2**-37)
    assert chances == sorted(chances)
    assert chances[5] == pytest.approx(5.2e-4, rel=0.1)


def test_a_flip_in_the_padding_is_no_correction() -> None:
    """The filled-up places were never sent: a word that needs one of them changed is none."""
    schema = schema_named("BCH_5")
    for seed in range(1200):
        bits = np.random.default_rng(seed).integers(0, 2, LENGTH, dtype=np.uint8)
        bits[96:] = _bits(schema.version, 4)
        word = decode(bits)
        if word is not None:
            assert int((encode(word.data, schema) != bits).sum()) == word.wrong <= 5


@pytest.mark.parametrize(
    ("text", "shown"), [("ab", "ab"), ("a\x01b", None), ("", None), ("a\0b", None)]
)
def test_only_plain_text_is_shown(text: str, shown: str | None) -> None:
    schema = schema_named("BCH_5")
    data = np.zeros(schema.data_bits, np.uint8)
    for place, letter in enumerate(text):
        data[7 * place : 7 * place + 7] = _bits(ord(letter), 7)
    word = decode(encode(data, schema))
    assert word is not None
    assert word.text == shown
    assert word.soft_binding == "1*" + "".join(map(str, data))


def test_bits_beyond_the_letters_are_no_text() -> None:
    schema = schema_named("BCH_5")
    data = np.append(np.tile(_bits(ord("a"), 7), 8), _bits(1, 5)).astype(np.uint8)
    word = decode(encode(data, schema))
    assert word is not None
    assert word.text is None


def test_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="61 bits, not 60"):
        encode(np.zeros(60, np.uint8), schema_named("BCH_5"))
    with pytest.raises(ValueError, match="100 bits, not 99"):
        decode(np.zeros(99, np.uint8))
