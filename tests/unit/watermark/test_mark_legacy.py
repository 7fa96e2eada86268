"""Others' marks: read as labels, told apart from nothing, and never an error."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import pywt
from numpy.typing import NDArray

from guard.errors import DetectorUnavailable
from guard.types import Pixels
from guard.watermark import legacy
from tests.support.mark_pictures import KINDS, flat_art, texture

EXPECTED = {
    "Stable Diffusion XL": "101100111110110010010000011110111011000110011110",
    "FLUX": "1010101111111010000111100111001111010100101110",
}


def _write(pixels: Pixels, bits: str, method: str = "dwtDct") -> Pixels:
    """A writer of the two wavelet methods, made for these tests."""
    yuv = cv2.cvtColor(pixels[..., ::-1].copy(), cv2.COLOR_BGR2YUV)
    height, width = (side // 4 * 4 for side in pixels.shape[:2])
    low, detail = pywt.dwt2(yuv[:height, :width, 1].astype(float), "haar")
    tall, wide = (side // 4 for side in low.shape)
    for number in range(tall * wide):
        y, x = 4 * (number // wide), 4 * (number % wide)
        bit = int(bits[number % len(bits)])
        low[y : y + 4, x : x + 4] = _with_bit(low[y : y + 4, x : x + 4], bit, method)
    yuv[:height, :width, 1] = np.clip(np.rint(pywt.idwt2((low, detail), "haar")), 0, 255)
    return np.ascontiguousarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR)[..., ::-1])


def _with_bit(block: NDArray[np.float64], bit: int, method: str) -> NDArray[np.float64]:
    if method == "dwtDctSvd":
        left, sizes, right = np.linalg.svd(block)
        sizes[0] = (sizes[0] // 36 + 0.25 + 0.5 * bit) * 36
        return np.asarray(left @ np.diag(sizes) @ right)
    flat = block.ravel().copy()
    place = 1 + int(np.abs(flat[1:]).argmax())
    flat[place] = np.copysign((abs(flat[place]) // 36 + 0.25 + 0.5 * bit) * 36, flat[place])
    return flat.reshape(4, 4)


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


@pytest.mark.parametrize("flips", [1, 3, 4])
def test_nearly_is_told_as_nearly(host: Pixels, flips: int) -> None:
    bits = list(legacy.KNOWN_MESSAGES[0].bits)
    for place in range(flips):
        bits[7 * place] = "10"[int(bits[7 * place])]
    labels = legacy.read_known_labels(_write(host, "".join(bits)))
    if flips > 3:
        assert labels == ()
    else:
        assert [label["exact"] for label in labels] == [False]
        assert labels[0]["matching_bits"] == 48 - flips


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


def test_rivagan_needs_the_package(host: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imwatermark", None)
    with pytest.raises(DetectorUnavailable) as missing:
        legacy.decode_bits(host, "rivaGan", 32)
    assert "pip install" in missing.value.hint


def test_rivagan_asks_the_package(host: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    class Decoder:
        loaded = False

        def __init__(self, kind: str, length: int) -> None:
            assert kind == "bits"
            self.length = length

        @classmethod
        def loadModel(cls) -> None:  # noqa: N802  # the package's own name
            cls.loaded = True

        def decode(self, pixels: Pixels, method: str) -> list[bool]:
            assert self.loaded
            assert method == "rivaGan"
            assert np.array_equal(pixels[..., ::-1], host)
            if self.length != 32:
                raise RuntimeError("rivaGan only supports 32 bits watermarks now.")
            return [True, False] * 16

    monkeypatch.setitem(sys.modules, "imwatermark", SimpleNamespace(WatermarkDecoder=Decoder))
    assert legacy.decode_bits(host, "rivaGan", 32) == "10" * 16
    with pytest.raises(ValueError, match="32 bits"):
        legacy.decode_bits(host, "rivaGan", 31)


@pytest.mark.parametrize(
    ("method", "length", "side"),
    [("none", 32, 300), ("dwtDct", 32, 100), ("dwtDct", 0, 300), ("dwtDctSvd", 5000, 300)],
)
def test_refuses_what_cannot_be(method: str, length: int, side: int) -> None:
    with pytest.raises(ValueError, match=r"method|small"):
        legacy.decode_bits(texture(0, side, side), method, length)
