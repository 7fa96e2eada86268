"""The whole mark: it reads back, survives what it promises, and is absent where it is absent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import KeyInvalid, MarkRejected, SettingsInvalid
from guard.types import MarkedImage, Pixels
from guard.watermark import pilot_watermark
from guard.watermark.assurance import damage, recoded
from guard.watermark.base import PAYLOAD_BYTES, Watermark
from guard.watermark.code import Code
from guard.watermark.pilot_watermark import METHOD, REQUIRED, WISHED, PilotWatermark
from tests.support.mangling import (
    grey,
    half,
    letterboxed,
    noisy,
    pasted,
    resized,
    tilted,
    turned,
)
from tests.support.mark_pictures import KINDS, flat_art, gradient, line_art, noise, scene
from tests.unit.watermark.conftest import OTHER_SECRET, SECRET

PAYLOAD = bytes.fromhex("fedcba9876543210")
HOSTS = {"flat art": flat_art(1), "scene": scene(2), "gradient": gradient(3), "lines": line_art(4)}


@pytest.fixture(scope="module")
def marked(watermark: PilotWatermark) -> dict[str, MarkedImage]:
    return {name: watermark.embed(pixels, PAYLOAD) for name, pixels in HOSTS.items()}


# -- what it survives -------------------------------------------------------------------------

IN_ITS_FRAME: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda p: p,
    "JPEG 90": lambda p: recoded(p, "jpeg", 90),
    "JPEG 75": lambda p: recoded(p, "jpeg", 75),
    "JPEG 50": lambda p: recoded(p, "jpeg", 50),
    "WebP 75": lambda p: recoded(p, "webp", 75),
    "half size": lambda p: resized(p, 0.5),
    "three quarters": lambda p: resized(p, 0.75),
    "double": lambda p: resized(p, 2.0),
    "darker": lambda p: (p * 0.8).astype(np.uint8),
    "less contrast": lambda p: (128 + (p.astype(float) - 128) * 0.7).astype(np.uint8),
    "grain": noisy,
    "blur": lambda p: np.asarray(cv2.GaussianBlur(p, (0, 0), 1.0), dtype=np.uint8),
    "negative": lambda p: 255 - p,
    "grey": grey,
}
MOVED: dict[str, Callable[[Pixels], Pixels]] = {
    "mirrored": lambda p: p[:, ::-1],
    "on its head": lambda p: p[::-1],
    "upside down": lambda p: p[::-1, ::-1],
    "quarter turn": np.rot90,
    "mirrored quarter turn": lambda p: np.rot90(p, 3)[:, ::-1],
    "turned 33°, scaled .7": lambda p: turned(p, 33, 0.7),
    "half": half,
    "half, JPEG 75": lambda p: recoded(half(p), "jpeg", 75),
    "half, enlarged, JPEG 75": lambda p: recoded(resized(half(p), 2.0), "jpeg", 75),
    "stretched": lambda p: resized(p, 1.25, 1.0),
    "perspective": tilted,
    "letterboxed": letterboxed,
    "negative, turned": lambda p: 255 - turned(p, -20),
    "pasted": pasted,
}


def _expect_read(watermark: PilotWatermark, pixels: Pixels) -> str:
    found = watermark.detect(pixels)
    assert found.detected
    assert found.payload == PAYLOAD.hex()
    assert found.p_value < 1e-9
    assert found.key_id == watermark.key_id
    assert found.method == METHOD
    return found.geometry


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("attack", IN_ITS_FRAME)
def test_survives_what_leaves_it_in_place(
    watermark: PilotWatermark, marked: dict[str, MarkedImage], host: str, attack: str
) -> None:
    assert _expect_read(watermark, IN_ITS_FRAME[attack](marked[host].pixels)) == "same frame"


HARDEST = ("turned 33°, scaled .7", "half, JPEG 75", "half, enlarged, JPEG 75", "perspective")


@pytest.mark.parametrize(
    ("host", "attack"),
    [*(("scene", one) for one in MOVED), *(("flat art", one) for one in HARDEST)],
)
def test_survives_what_moves_it(
    watermark: PilotWatermark, marked: dict[str, MarkedImage], host: str, attack: str
) -> None:
    assert _expect_read(watermark, MOVED[attack](marked[host].pixels)) != "same frame"


def test_geometry_is_told(watermark: PilotWatermark, marked: dict[str, MarkedImage]) -> None:
    pixels = marked["scene"].pixels
    assert _expect_read(watermark, pixels[:, ::-1]).startswith("mirrored")
    assert "stretched 1.2" in _expect_read(watermark, resized(pixels, 1.25, 1.0))
    size = _expect_read(watermark, half(pixels)).split("short side of the whole ")[1]
    assert float(size.removesuffix(" px")) == pytest.approx(512, abs=3)


# -- what is not there ------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["scene"])
def test_unmarked_and_strangers_marks_are_not_there(
    watermark: PilotWatermark,
    other_watermark: PilotWatermark,
    marked: dict[str, MarkedImage],
    host: str,
) -> None:
    for pixels, reader in ((HOSTS[host], watermark), (marked[host].pixels, other_watermark)):
        found = reader.detect(pixels)
        assert not found.detected
        assert (found.payload, found.key_id, found.geometry) == (None, "", "")
        assert found.p_value > 1e-4


@given(kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 10_000))
@settings(max_examples=4, deadline=None)
def test_unmarked_pictures_have_honest_p_values(
    watermark: PilotWatermark, kind: str, seed: int
) -> None:
    found = watermark.detect(KINDS[kind](seed, 192, 256))
    assert not found.detected
    assert 1e-5 < found.p_value <= 1.0


def test_two_keys_live_in_one_picture(
    watermark: PilotWatermark, other_watermark: PilotWatermark
) -> None:
    first = watermark.embed(scene(6), PAYLOAD).pixels
    both = other_watermark.embed(first, b"other id").pixels
    assert watermark.detect(both).payload == PAYLOAD.hex()
    assert other_watermark.detect(both).payload == b"other id".hex()


@pytest.mark.parametrize(
    "shape",
    [(1, 1), (1, 5000), (5000, 1), (2, 2), (23, 23), (24, 24), (127, 128)],
)
@pytest.mark.parametrize("value", [0, None])
def test_detects_nothing_in_degenerate_pictures(
    watermark: PilotWatermark, shape: tuple[int, int], value: int | None
) -> None:
    pixels = noise(0, *shape) if value is None else np.full((*shape, 3), value, dtype=np.uint8)
    found = watermark.detect(pixels)
    assert not found.detected
    assert found.payload is None
    assert 0.0 < found.p_value <= 1.0


# -- keys -------------------------------------------------------------------------------------


def test_retired_secrets_still_read_and_say_so(
    watermark: PilotWatermark, other_watermark: PilotWatermark, marked: dict[str, MarkedImage]
) -> None:
    moved_house = PilotWatermark(OTHER_SECRET, retired=[SECRET])
    assert moved_house.key_id == other_watermark.key_id
    old = moved_house.detect(marked["scene"].pixels)
    assert (old.payload, old.key_id) == (PAYLOAD.hex(), watermark.key_id)
    new = moved_house.detect(moved_house.embed(HOSTS["scene"], PAYLOAD).pixels)
    assert (new.payload, new.key_id) == (PAYLOAD.hex(), other_watermark.key_id)


def test_retired_secrets_cost_their_share(
    watermark: PilotWatermark, marked: dict[str, MarkedImage]
) -> None:
    pixels = marked["scene"].pixels
    alone, shared = watermark.detect(pixels), PilotWatermark(SECRET, retired=[OTHER_SECRET])
    assert shared.detect(pixels).p_value == pytest.approx(2 * alone.p_value)


def test_with_retired_secrets_nothing_is_still_nothing() -> None:
    found = PilotWatermark(SECRET, retired=[OTHER_SECRET]).detect(gradient(1, 128, 128))
    assert not found.detected
    assert found.key_id == ""
    assert 1e-4 < found.p_value <= 1.0


# -- payloads, sizes, strengths ---------------------------------------------------------------


@pytest.mark.parametrize("bits", [48, 128, 256])
def test_payloads_of_other_lengths(bits: int) -> None:
    watermark, payload = PilotWatermark(SECRET, payload_bits=bits), bytes(range(bits // 8))
    result = watermark.embed(scene(5), payload)
    assert result.mark.payload == payload.hex()
    assert watermark.detect(recoded(result.pixels, "jpeg", 75)).payload == payload.hex()
    with pytest.raises(ValueError, match=f"{bits // 8} bytes"):
        watermark.embed(scene(5), payload + b"!")


def test_another_length_is_not_misread(marked: dict[str, MarkedImage]) -> None:
    found = PilotWatermark(SECRET, payload_bits=128).detect(resized(marked["scene"].pixels, 0.4))
    assert found.payload is None


@pytest.mark.parametrize(("height", "width"), [(128, 128), (128, 1000), (131, 257), (511, 700)])
@pytest.mark.parametrize("draw", [flat_art, scene])
def test_sizes_and_shapes(
    watermark: PilotWatermark, draw: Callable[..., Pixels], height: int, width: int
) -> None:
    pixels = draw(7, height, width)
    result = watermark.embed(pixels, PAYLOAD)
    assert result.pixels.shape == pixels.shape
    assert watermark.detect(recoded(result.pixels, "jpeg", 75)).payload == PAYLOAD.hex()


def test_the_longest_side_there_may_be(watermark: PilotWatermark) -> None:
    pixels = np.asarray(cv2.resize(flat_art(5, 64, 1024), (8192, 384)), np.uint8)
    result = watermark.embed(pixels, PAYLOAD)
    assert watermark.detect(result.pixels).payload == PAYLOAD.hex()


@pytest.mark.parametrize("draw", [flat_art, scene])
def test_stronger_costs_more_and_all_read(draw: Callable[..., Pixels]) -> None:
    prices = {}
    for strength in ("high-quality", "default", "robust"):
        watermark = PilotWatermark(SECRET, strength=strength, wished=())
        result = watermark.embed(draw(8), PAYLOAD)
        prices[strength] = result.mark.psnr_db
        assert watermark.detect(recoded(result.pixels, "jpeg", 75)).payload == PAYLOAD.hex()
    assert prices["high-quality"] > prices["default"] > prices["robust"]


# -- the contract -----------------------------------------------------------------------------


def test_is_a_watermark(watermark: PilotWatermark) -> None:
    one: Watermark = watermark
    assert one.method == METHOD
    assert Code().payload_bits == 8 * PAYLOAD_BYTES


def test_contract(watermark: PilotWatermark, payload: bytes) -> None:
    pixels = flat_art(8)
    before = pixels.copy()
    pixels.setflags(write=False)
    result = watermark.embed(pixels, payload)
    assert np.array_equal(pixels, before)
    assert result.pixels.dtype == np.uint8
    assert result.pixels.shape == pixels.shape
    assert not result.pixels.flags.writeable
    assert not np.shares_memory(result.pixels, pixels)
    assert result.mark.method == watermark.method == METHOD
    assert result.mark.payload == payload.hex()
    assert 38 < result.mark.psnr_db < 60
    assert result.mark.survived[:2] == ("jpeg75", "crop90-jpeg75")


def test_what_it_survived_is_true(watermark: PilotWatermark, payload: bytes) -> None:
    result = watermark.embed(scene(9), payload)
    assert result.mark.survived == REQUIRED + WISHED
    for name in result.mark.survived:
        copy, _ = damage(name).copy(result.pixels)
        assert watermark.detect(copy).payload == payload.hex()


def test_embedding_and_reading_are_deterministic(watermark: PilotWatermark, payload: bytes) -> None:
    again = PilotWatermark(SECRET)
    one, two = watermark.embed(scene(9), payload), again.embed(scene(9), payload)
    assert np.array_equal(one.pixels, two.pixels)
    assert one.mark == two.mark
    crop = half(one.pixels)
    assert watermark.detect(crop) == again.detect(crop)


def test_views_are_as_good_as_copies(watermark: PilotWatermark, payload: bytes) -> None:
    view = scene(10, 400, 800)[::-1, ::2]
    result = watermark.embed(view, payload)
    assert np.array_equal(result.pixels, watermark.embed(view.copy(), payload).pixels)
    assert watermark.detect(result.pixels[:, :, ::-1]).payload == payload.hex()


# -- assurance --------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 64, 128, 254, 255])
def test_one_colour_is_marked_or_refused(
    watermark: PilotWatermark, payload: bytes, value: int
) -> None:
    pixels = np.full((256, 320, 3), value, dtype=np.uint8)
    try:
        result = watermark.embed(pixels, payload)
    except MarkRejected:
        return  # said so: what it must never do is to answer an unmarked picture
    assert watermark.detect(result.pixels).payload == payload.hex()


class Ears:
    """A watermark whose readings are made up: what is heard depends on the boost and the damage."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, hears: Callable[[float, str], bool]
    ) -> None:
        self.watermark = PilotWatermark(SECRET)
        self.boosts: list[float] = []
        really = self.watermark._embedder.embed

        def embed(pixels: Pixels, payload: bytes, boost: float = 1.0) -> Pixels:
            self.boosts.append(boost)
            return really(pixels, payload, boost)

        def survived(_self: object, _marked: Pixels, _payload: bytes, damages: object) -> object:
            asked = [one.name for one in damages]  # type: ignore[attr-defined]
            assert set(asked) <= {*REQUIRED, *WISHED}
            return tuple(name for name in asked if hears(self.boosts[-1], name))

        monkeypatch.setattr(self.watermark._embedder, "embed", embed)
        monkeypatch.setattr(PilotWatermark, "_survived", survived)
        monkeypatch.setattr(PilotWatermark, "_reads", lambda *_: hears(self.boosts[-1], "whole"))


@pytest.mark.parametrize(
    ("hears", "boosts", "survived"),
    [
        pytest.param(lambda *_: True, [1.0], REQUIRED + WISHED, id="at once"),
        pytest.param(
            lambda boost, name: boost > 1 or name in {"whole", "jpeg75"},
            [1.0, pilot_watermark.BOOST],
            REQUIRED + WISHED,
            id="wishes come true when it is stronger",
        ),
        pytest.param(
            lambda _, name: name in {"whole", "jpeg75"},
            [1.0, pilot_watermark.BOOST],
            REQUIRED,
            id="wishes that do not come true cost nothing",
        ),
        pytest.param(
            lambda boost, name: name != "webp50" or boost > 1.5,
            [1.0, pilot_watermark.BOOST],
            ("jpeg75", "crop90-jpeg75"),
            id="wishes are no reason to be loudest",
        ),
        pytest.param(
            lambda boost, name: boost > 1.5 and name in {"whole", "jpeg75"},
            [1.0, pilot_watermark.BOOST, 2.0],
            REQUIRED,
            id="what is required is",
        ),
        pytest.param(
            lambda boost, name: boost > 1.1 and name != "webp50",
            [1.0, pilot_watermark.BOOST],
            ("jpeg75", "crop90-jpeg75"),
            id="required when stronger",
        ),
    ],
)
def test_as_faint_as_will_do(
    monkeypatch: pytest.MonkeyPatch,
    hears: Callable[[float, str], bool],
    boosts: list[float],
    survived: tuple[str, ...],
) -> None:
    ears = Ears(monkeypatch, hears)
    pixels = flat_art(12, 160, 160)
    result = ears.watermark.embed(pixels, PAYLOAD)
    assert ears.boosts == boosts
    assert result.mark.survived == survived
    first = PilotWatermark(SECRET)._embedder.embed(pixels, PAYLOAD, 1.0)
    # Where the stronger one was no better, the fainter one is kept.
    if survived == REQUIRED and boosts == [1.0, pilot_watermark.BOOST]:
        assert np.array_equal(result.pixels, first)
    elif len(boosts) > 1 and survived != ("jpeg75", "crop90-jpeg75"):
        assert not np.array_equal(result.pixels, first)


@pytest.mark.parametrize("deaf", ["whole", "jpeg75"])
def test_what_never_reads_back_is_refused(monkeypatch: pytest.MonkeyPatch, deaf: str) -> None:
    ears = Ears(monkeypatch, lambda _, name: name != deaf)
    with pytest.raises(MarkRejected, match="could not be read back"):
        ears.watermark.embed(flat_art(12, 160, 160), PAYLOAD)
    assert ears.boosts == [1.0, pilot_watermark.BOOST, 2.0]


def test_other_wishes(payload: bytes) -> None:
    watermark = PilotWatermark(SECRET, wished=("crop80-jpeg60",))
    assert watermark.embed(flat_art(2), payload).mark.survived == ("jpeg75", "crop80-jpeg60")
    assert PilotWatermark(SECRET, wished=()).embed(flat_art(2), payload).mark.survived == REQUIRED


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "word"),
    [((127, 500), "small"), ((500, 127), "small"), ((1, 1), "small"), ((130, 8193), "large")],
)
def test_refuses_sizes_by_name(
    watermark: PilotWatermark, payload: bytes, shape: tuple[int, int], word: str
) -> None:
    with pytest.raises(MarkRejected, match=word) as refused:
        watermark.embed(np.zeros((*shape, 3), dtype=np.uint8), payload)
    assert f"{shape[1]}×{shape[0]}" in refused.value.message


@pytest.mark.parametrize(
    "pixels",
    [
        None,
        np.zeros((256, 256), dtype=np.uint8),
        np.zeros((256, 256, 4), dtype=np.uint8),
        np.zeros((0, 256, 3), dtype=np.uint8),
        np.zeros((256, 256, 3), dtype=np.float32),
        "picture.png",
    ],
)
def test_refuses_what_is_no_picture(watermark: PilotWatermark, pixels: object) -> None:
    with pytest.raises(ValueError, match="pixels"):
        watermark.embed(pixels, PAYLOAD)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pixels"):
        watermark.detect(pixels)  # type: ignore[arg-type]


@pytest.mark.parametrize("payload", [b"", b"seven b", b"nine byte"])
def test_refuses_payloads_of_other_lengths(watermark: PilotWatermark, payload: bytes) -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        watermark.embed(flat_art(0), payload)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"strength": "loud"}, "'loud'"),
        ({"strength": ""}, "strength"),
        ({"payload_bits": 63}, "payload_bits"),
        ({"payload_bits": 512}, "payload_bits"),
        ({"false_positive_rate": 0.0}, "false_positive_rate"),
        ({"false_positive_rate": 0.5}, "false_positive_rate"),
        ({"false_positive_rate": float("nan")}, "false_positive_rate"),
        ({"wished": ("jpeg75", "flood")}, "'flood'"),
    ],
)
def test_refuses_impossible_settings(wrong: dict[str, object], word: str) -> None:
    with pytest.raises(SettingsInvalid, match=word):
        PilotWatermark(b"a secret of enough bytes", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("secrets", [(b"short",), (SECRET, b"short")])
def test_refuses_short_secrets(secrets: tuple[bytes, ...]) -> None:
    with pytest.raises(KeyInvalid):
        PilotWatermark(secrets[0], retired=secrets[1:])


def test_importing_the_protocol_loads_nothing_heavy() -> None:
    script = (
        "import sys, guard.watermark.base, guard.watermark.pilot_watermark, guard.watermark.legacy;"
        "print(*(m for m in ('cv2', 'scipy', 'torch', 'imwatermark', 'pywt') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
    assert pilot_watermark.BOOST < pilot_watermark.LAST_BOOST
