from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import iscc_core
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from guard.image.decode import decode
from guard.image.encode import encode
from guard.image.fingerprint import (
    ALGORITHM,
    BITS,
    ISCC,
    distance,
    distinctiveness,
    fingerprint,
    fingerprints,
    from_binding,
    iscc_code,
    to_binding,
    turned,
    variants,
)
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


def all_turned(pixels: np.ndarray) -> list[np.ndarray]:
    """The eight positions of a picture."""
    return [np.rot90(side, k).copy() for side in (pixels, pixels[:, ::-1]) for k in range(4)]


def test_iscc_agrees_with_the_conformance_data() -> None:
    """The grey values of the reference vector, as a picture that needs no preparation."""
    from importlib.resources import files

    vectors = json.loads((files("iscc_core") / "data.json").read_text())["gen_image_code_v0"]
    pixels, bits = vectors["test_0003_img_256"]["inputs"]
    expected = vectors["test_0003_img_256"]["outputs"]["iscc"]
    grey = np.array(pixels, np.uint8).reshape(32, 32)
    found = iscc_code(np.repeat(grey[..., None], 3, axis=2))
    assert bits == BITS
    assert found.algorithm == ISCC == "io.iscc.v0"
    assert iscc_core.decode_seq(to_binding(found)) == [expected]
    assert iscc_core.encode_seq([expected]) == to_binding(found)


def test_iscc_prepares_as_its_reference_does() -> None:
    """Border of the corner's colour off, grey, 32×32 by a bicubic filter."""
    bordered = np.full((300, 340, 3), 200, np.uint8)
    bordered[20:276, 50:306] = scene(4)
    picture = Image.fromarray(bordered)
    ground = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
    box = ImageChops.difference(picture, ground).getbbox()
    grey = picture.crop(box).convert("L").resize((32, 32), Image.Resampling.BICUBIC)
    expected = iscc_core.gen_image_code_v0(list(grey.tobytes()), 256)["iscc"]
    assert iscc_core.encode_seq([expected]) == to_binding(iscc_code(bordered))


def test_iscc_of_a_plain_picture() -> None:
    """As in the conformance data: a border that is the whole picture is none."""
    assert iscc_code(np.zeros((40, 30, 3), np.uint8)).bits == "0" * 64


def test_iscc_survives_encoding_and_scaling() -> None:
    original = iscc_code(scene(1))
    jpeg = decode(encode(scene(1), "image/jpeg")).pixels
    half = np.asarray(Image.fromarray(scene(1)).resize((128, 128), Image.Resampling.LANCZOS))
    assert distance(original, iscc_code(jpeg)) <= 12
    assert distance(original, iscc_code(half)) <= 12
    assert distance(original, iscc_code(scene(2))) > 60


def test_fingerprints_are_both() -> None:
    assert fingerprints(scene(5)) == (fingerprint(scene(5)), iscc_code(scene(5)))


@pytest.mark.parametrize("position", range(8))
def test_one_variant_is_that_of_the_upright_picture(position: int) -> None:
    kept = fingerprints(scene(6))
    copy = all_turned(scene(6))[position]
    for original, found in zip(kept, variants(copy), strict=True):
        assert len(found) == 8
        assert min(distance(original, one) for one in found) <= 20
        assert position == 0 or distance(original, found[0]) > 60


@pytest.mark.parametrize("position", range(8))
def test_the_position_that_was_found_turns_the_copy_back(position: int) -> None:
    copy = all_turned(scene(9))[position]
    kept, found = iscc_code(scene(9)), variants(copy)[1]
    nearest = min(range(8), key=lambda place: distance(kept, found[place]))
    assert np.array_equal(turned(copy, nearest), scene(9))


def test_turned_copies_of_large_pictures_are_near_enough() -> None:
    large = np.asarray(Image.fromarray(scene(8)).resize((1200, 800)))
    kept = fingerprints(large)
    for original, found in zip(kept, variants(np.rot90(large).copy()), strict=True):
        assert min(distance(original, one) for one in found) <= 24


def test_first_variant_is_the_picture_as_it_stands() -> None:
    assert tuple(found[0] for found in variants(scene(7))) == fingerprints(scene(7))


@given(bits=st.binary(min_size=32, max_size=32))
def test_bindings_go_and_come(bits: bytes) -> None:
    for algorithm in (ALGORITHM, ISCC):
        print_ = Fingerprint(algorithm, bits.hex())
        assert from_binding(algorithm, to_binding(print_)) == print_


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [
        (ALGORITHM, b"1" * 31),
        (ISCC, b"1" * 32),
        (ISCC, bytes.fromhex("2107") + b"1" * 31),
        (ISCC, bytes.fromhex("2101") + b"1" * 8),
        (ISCC, b""),
        ("com.example.unknown", b"1" * 32),
    ],
)
def test_foreign_values_are_no_fingerprints(algorithm: str, value: bytes) -> None:
    assert from_binding(algorithm, value) is None


def test_other_iscc_units_are_passed_over() -> None:
    data_code = bytes.fromhex("3007") + b"d" * 32
    image_code = bytes.fromhex("2107") + b"i" * 32
    assert from_binding(ISCC, data_code + image_code) == Fingerprint(ISCC, (b"i" * 32).hex())
    assert from_binding(ISCC, data_code) is None


def test_nothing_is_imported_or_written_before_it_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys, guard.image.fingerprint as f, numpy as np;"
        "assert not {'iscc_core', 'pdqhash', 'PIL'} & set(sys.modules);"
        "f.fingerprints(np.zeros((64, 64, 3), np.uint8))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == (b"", b"")
    assert list(tmp_path.iterdir()) == []
