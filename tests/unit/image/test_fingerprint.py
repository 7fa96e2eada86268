from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from guard.image.decode import decode
from guard.image.encode import encode
from guard.image.fingerprint import ALGORITHM, BITS, distance, distinctiveness, fingerprint
from guard.types import Fingerprint


def scene(seed: int) -> np.ndarray:
    """Coloured blobs: something with a composition."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:256, 0:256]
    picture = np.zeros((256, 256, 3))
    for _ in range(12):
        cx, cy, size = rng.uniform([0, 0, 15], [256, 256, 60])
        blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * size**2))
        picture += blob[..., None] * rng.uniform(0, 160, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def test_shape_and_name() -> None:
    found = fingerprint(scene(0))
    assert found.algorithm == ALGORITHM == "org.genguard.pdq.v0"
    assert len(found.bits) * 4 == BITS
    assert found.bits == found.bits.lower()
    assert found == fingerprint(scene(0))


def test_survives_encoding_and_scaling() -> None:
    original = fingerprint(scene(1))
    jpeg = decode(encode(scene(1), "image/jpeg")).pixels
    half = np.asarray(Image.fromarray(scene(1)).resize((128, 128), Image.Resampling.LANCZOS))
    assert distance(original, fingerprint(jpeg)) <= 20
    assert distance(original, fingerprint(half)) <= 30


def test_tells_pictures_apart() -> None:
    prints = [fingerprint(scene(seed)) for seed in range(8)]
    apart = [distance(a, b) for i, a in enumerate(prints) for b in prints[:i]]
    assert min(apart) > 60


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 9, 3), (64, 64, 3), (600, 37, 3)])
def test_any_size(shape: tuple[int, int, int]) -> None:
    assert len(fingerprint(np.full(shape, 77, np.uint8)).bits) == 64


def test_flat_pictures_are_not_distinctive() -> None:
    assert distinctiveness(np.full((64, 64, 3), 90, np.uint8)) < 10
    assert distinctiveness(scene(2)) > 50


def test_read_only_and_strided_pixels() -> None:
    pixels = scene(3)
    pixels.setflags(write=False)
    assert fingerprint(pixels) == fingerprint(pixels[::1, ::1].copy())
    assert fingerprint(pixels[:, ::-1]) == fingerprint(np.ascontiguousarray(pixels[:, ::-1]))


@given(a=st.integers(0, 2**256 - 1), b=st.integers(0, 2**256 - 1))
def test_distance_is_a_metric(a: int, b: int) -> None:
    one, other = (Fingerprint(ALGORITHM, f"{value:064x}") for value in (a, b))
    assert distance(one, one) == 0
    assert distance(one, other) == distance(other, one) == (a ^ b).bit_count()


def test_different_algorithms_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        distance(Fingerprint("a", "00"), Fingerprint("b", "00"))
    with pytest.raises(ValueError, match="cannot be compared"):
        distance(Fingerprint("a", "00"), Fingerprint("a", "0000"))
