"""Others' marks: read as labels, told apart from nothing, and never an error."""

from __future__ import annotations

import numpy as np
import pytest

from guard.types import Pixels
from guard.watermark import legacy
from guard.watermark.foreign import shipped_null
from guard.watermark.invisible import write_bits
from tests.support.mark_pictures import KINDS, flat_art, texture

EXPECTED = {
    "Stable Diffusion XL": "101100111110110010010000011110111011000110011110",
    "FLUX": "1010101111111010000111100111001111010100101110",
}


def _write(pixels: Pixels, bits: str, method: str = "dwtDct") -> Pixels:
    return write_bits(pixels, method, np.frombuffer(bits.encode(), np.uint8) - ord("0"))


@pytest.fixture(scope="module")
def host() -> Pixels:
    """Colours away from the ends of the scale, where invisible-watermark wraps around."""
    return (flat_art(2) // 2 + 64).astype(np.uint8)


@pytest.mark.parametrize("known", legacy.KNOWN_MESSAGES, ids=lambda known: known.name)
def test_reads_the_well_known_messages(host: Pixels, known: legacy.KnownMessage) -> None:
    labels = legacy.read_known_labels(_write(host, known.bits))
    assert [label["name"] for label in labels] == [known.name]
    (label,) = labels
    assert label["exact"]
    assert label["matching_bits"] == label["bits"] == len(known.bits)
    assert int(label["message"], 16) == int(known.bits, 2)
    assert "proves nothing" in label["proves"]


@pytest.mark.parametrize("name", EXPECTED)
def test_messages_are_those_that_are_published(name: str) -> None:
    (known,) = (one for one in legacy.KNOWN_MESSAGES if one.name == name)
    assert known.bits == EXPECTED[name]


def test_messages_in_letters() -> None:
    bits = {known.name: known.bits for known in legacy.KNOWN_MESSAGES}
    written = {"Stable Diffusion 1": b"StableDiffusionV1", "Stable Diffusion 2": b"SDV2"}
    for name, text in written.items():
        assert int(bits[name], 2).to_bytes(len(text), "big") == text


@pytest.mark.parametrize("flips", [1, 3, 8, 9])
def test_nearly_is_told_as_nearly(host: Pixels, flips: int) -> None:
    bits = list(legacy.KNOWN_MESSAGES[0].bits)
    for place in range(flips):
        bits[5 * place] = "10"[int(bits[5 * place])]
    labels = legacy.read_known_labels(_write(host, "".join(bits)))
    if flips > 8:
        assert labels == ()
    else:
        assert [label["exact"] for label in labels] == [False]
        assert labels[0]["matching_bits"] == 48 - flips
        assert labels[0]["p_value"] == 1 / (1 + labels[0]["unmarked_pictures"]) <= legacy.RATE


@pytest.mark.parametrize("known", legacy.KNOWN_MESSAGES, ids=lambda known: known.name)
def test_no_unmarked_picture_of_the_null_comes_near(known: legacy.KnownMessage) -> None:
    message = np.frombuffer(known.bits.encode(), np.uint8) - ord("0")
    null = shipped_null("dwtDct", message.size)
    assert null is not None
    nearest = int((null.bits == message).sum(axis=1).max())
    assert not legacy.is_told(1 / (1 + null.pictures), nearest + 3, message.size)


@pytest.mark.parametrize(("flips", "told"), [(4, True), (5, False)])
def test_short_messages_must_be_nearer(host: Pixels, flips: int, told: bool) -> None:
    (known,) = (one for one in legacy.KNOWN_MESSAGES if len(one.bits) == 32)
    bits = list(known.bits)
    for place in range(flips):
        bits[6 * place] = "10"[int(bits[6 * place])]
    assert bool(legacy.read_known_labels(_write(host, "".join(bits)))) is told


def test_a_message_without_a_null_is_never_told(
    host: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legacy, "shipped_null", lambda method, length: None)
    assert legacy.read_known_labels(_write(host, legacy.KNOWN_MESSAGES[0].bits)) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_unmarked_pictures_have_no_label(kind: str) -> None:
    for seed in range(4):
        assert legacy.read_known_labels(KINDS[kind](seed, 300, 400)) == ()


def test_another_message_is_no_label(host: Pixels) -> None:
    assert legacy.read_known_labels(_write(host, "0110" * 12)) == ()


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (255, 255), (1, 70_000), (2, 40_000)])
def test_small_and_thin_pictures_have_none(shape: tuple[int, int]) -> None:
    assert legacy.read_known_labels(np.zeros((*shape, 3), dtype=np.uint8)) == ()


@pytest.mark.parametrize("broken", [None, "x", np.zeros((300, 300)), np.zeros((300, 300, 3))])
def test_never_raises(broken: object) -> None:
    assert legacy.read_known_labels(broken) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "length", "expected"),
    [
        ("dwtDct", 32, "9fd590e2"),
        ("dwtDct", 48, "b39710e79d7c"),
        ("dwtDct", 136, "346671be88d83b71cbb114af51edfadebf"),
        ("dwtDctSvd", 32, "e2cf6bae"),
        ("dwtDctSvd", 48, "f09f4acf2367"),
        ("dwtDctSvd", 136, "2162ec597eb276a7dfa8e967dee2ff13bd"),
    ],
)
def test_reads_as_the_package_does(method: str, length: int, expected: str) -> None:
    """What invisible-watermark 0.2.0 decodes from these pixels."""
    pixels = np.random.default_rng(5).integers(0, 256, (300, 361, 3), dtype=np.uint8)
    assert int(legacy.decode_bits(pixels, method, length), 2) == int(expected, 16)


@pytest.mark.parametrize("method", ["dwtDct", "dwtDctSvd"])
def test_decodes_what_each_method_wrote(host: Pixels, method: str) -> None:
    bits = "01101001100101100110100110010110"
    assert legacy.decode_bits(_write(host, bits, method), method, 32) == bits


@pytest.mark.parametrize(
    ("method", "length", "side"),
    [
        ("none", 32, 300),
        ("dwtDct", 32, 100),
        ("dwtDct", 0, 300),
        ("dwtDctSvd", 5000, 300),
        ("rivaGan", 32, 100),
    ],
)
def test_refuses_what_cannot_be(method: str, length: int, side: int) -> None:
    with pytest.raises(ValueError, match=r"method|small"):
        legacy.decode_bits(texture(0, side, side), method, length)
