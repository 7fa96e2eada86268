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

from guard.errors import MarkRejected, SettingsInvalid
from guard.types import MarkedImage, Pixels
from guard.watermark.pilot_watermark import METHOD, PilotWatermark, recoded
from tests.support.mark_pictures import KINDS, flat_art, gradient, line_art, noise, scene

PAYLOAD = bytes.fromhex("fedcba9876543210")
HOSTS = {"flat art": flat_art(1), "scene": scene(1), "gradient": gradient(3), "lines": line_art(4)}


@pytest.fixture(scope="module")
def marked(watermark: PilotWatermark) -> dict[str, MarkedImage]:
    return {name: watermark.embed(pixels, PAYLOAD) for name, pixels in HOSTS.items()}


def _resized(pixels: Pixels, factor: float) -> Pixels:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=method), dtype=np.uint8)


def _noisy(pixels: Pixels) -> Pixels:
    grain = np.random.default_rng(0).normal(0, 5, pixels.shape)
    return np.clip(np.rint(pixels + grain), 0, 255).astype(np.uint8)


ATTACKS: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda p: p,
    "JPEG 90": lambda p: recoded(p, "jpeg", 90),
    "JPEG 75": lambda p: recoded(p, "jpeg", 75),
    "JPEG 50": lambda p: recoded(p, "jpeg", 50),
    "WebP 75": lambda p: recoded(p, "webp", 75),
    "half size": lambda p: _resized(p, 0.5),
    "three quarters": lambda p: _resized(p, 0.75),
    "one and a half": lambda p: _resized(p, 1.5),
    "double": lambda p: _resized(p, 2.0),
    "darker": lambda p: (p * 0.8).astype(np.uint8),
    "less contrast": lambda p: (128 + (p.astype(float) - 128) * 0.7).astype(np.uint8),
    "grain": _noisy,
    "blur": lambda p: np.asarray(cv2.GaussianBlur(p, (0, 0), 1.0), dtype=np.uint8),
    "negative": lambda p: 255 - p,
    "grey": lambda p: cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, 2),
    "mirrored": lambda p: p[:, ::-1],
    "upside down": lambda p: p[::-1, ::-1],
    "quarter turn": np.rot90,
    "mirrored quarter turn": lambda p: np.rot90(p, 3)[:, ::-1],
}
CROPS: dict[str, Callable[[Pixels], Pixels]] = {
    "cropped": lambda p: p[37:450, 51:470],
    "cropped at the side": lambda p: p[:, 90:],
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_survives(
    watermark: PilotWatermark, marked: dict[str, MarkedImage], host: str, attack: str
) -> None:
    found = watermark.detect(ATTACKS[attack](marked[host].pixels))
    assert found.detected
    assert found.payload == PAYLOAD.hex()
    assert found.p_value < 1e-9
    assert found.key_id == watermark.key_id


@pytest.mark.parametrize("host", ["flat art", "gradient", "lines"])
@pytest.mark.parametrize("crop", CROPS)
def test_survives_crops_on_quiet_ground(
    watermark: PilotWatermark, marked: dict[str, MarkedImage], host: str, crop: str
) -> None:
    """Crops that kept the scale are a bonus: busy pictures may lose too much of the pilot."""
    found = watermark.detect(CROPS[crop](marked[host].pixels))
    assert found.payload == PAYLOAD.hex()
    assert found.geometry == "cropped, 512 px original"


def test_geometry_is_told(watermark: PilotWatermark, marked: dict[str, MarkedImage]) -> None:
    told = {
        name: watermark.detect(ATTACKS[name](marked["scene"].pixels)).geometry
        for name in ("half size", "mirrored", "quarter turn", "upside down")
    }
    assert told == {
        "half size": "same frame",
        "mirrored": "mirrored",
        "quarter turn": "turned 90° counter-clockwise",
        "upside down": "turned 180° counter-clockwise",
    }


@pytest.mark.parametrize("host", HOSTS)
def test_unmarked_and_strangers_marks_are_not_there(
    watermark: PilotWatermark,
    other_watermark: PilotWatermark,
    marked: dict[str, MarkedImage],
    host: str,
) -> None:
    for pixels, reader in (
        (HOSTS[host], watermark),
        (marked[host].pixels, other_watermark),
    ):
        found = reader.detect(pixels)
        assert not found.detected
        assert (found.payload, found.key_id, found.geometry) == (None, "", "")
        assert found.p_value > 1e-4


@given(kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
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
    ("height", "width"),
    [(128, 128), (128, 1000), (131, 257), (200, 300), (768, 512), (511, 1023)],
)
@pytest.mark.parametrize("draw", [flat_art, scene])
def test_sizes_and_shapes(
    watermark: PilotWatermark, draw: Callable[..., Pixels], height: int, width: int
) -> None:
    pixels = draw(7, height, width)
    result = watermark.embed(pixels, PAYLOAD)
    assert result.pixels.shape == pixels.shape
    assert watermark.detect(recoded(result.pixels, "jpeg", 75)).payload == PAYLOAD.hex()


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
    assert 40 < result.mark.psnr_db < 60


def test_embedding_and_reading_are_deterministic(payload: bytes) -> None:
    secret = b"the same secret, twice over now."
    first, second = PilotWatermark(secret), PilotWatermark(secret)
    one, two = first.embed(scene(9), payload), second.embed(scene(9), payload)
    assert np.array_equal(one.pixels, two.pixels)
    assert one.mark == two.mark
    assert first.detect(one.pixels) == second.detect(two.pixels)


def test_views_are_as_good_as_copies(watermark: PilotWatermark, payload: bytes) -> None:
    wide = scene(10, 400, 800)
    view = wide[::-1, ::2]
    result = watermark.embed(view, payload)
    assert np.array_equal(result.pixels, watermark.embed(view.copy(), payload).pixels)
    assert watermark.detect(result.pixels[:, :, ::-1]).payload == payload.hex()


@pytest.mark.parametrize("value", [0, 1, 64, 128, 200, 254, 255])
def test_one_colour_is_marked_or_refused(
    watermark: PilotWatermark, payload: bytes, value: int
) -> None:
    pixels = np.full((256, 320, 3), value, dtype=np.uint8)
    try:
        result = watermark.embed(pixels, payload)
    except MarkRejected:
        return  # said so: what it must never do is to answer an unmarked picture
    assert watermark.detect(result.pixels).payload == payload.hex()


def test_a_faint_mark_on_noise_is_refused(payload: bytes) -> None:
    faint = PilotWatermark(b"a secret of enough bytes", target_psnr_db=60.0)
    with pytest.raises(MarkRejected, match="could not be read back"):
        faint.embed(noise(0, 256, 256), payload)


def test_strength_is_raised_where_a_codec_would_take_the_mark(payload: bytes) -> None:
    """Not only raised: what the faint mark lacked, the strong one has."""
    faint = PilotWatermark(b"a secret of enough bytes", target_psnr_db=52.0)
    released = faint.embed(scene(11, 256, 256), payload)
    assert released.mark.psnr_db < 50
    assert faint.detect(recoded(released.pixels, "jpeg", 75)).payload == payload.hex()


def test_keeps_a_faint_mark_that_no_strength_makes_survive_webp(
    watermark: PilotWatermark, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PilotWatermark, "_reads_wished", lambda *_: False)
    asked: list[bool] = []
    really = PilotWatermark._reads_back

    def only_the_first(self: PilotWatermark, pixels: Pixels, wanted: bytes) -> bool:
        asked.append(really(self, pixels, wanted))
        return asked[-1] and len(asked) == 1

    monkeypatch.setattr(PilotWatermark, "_reads_back", only_the_first)
    result = watermark.embed(flat_art(12), payload)
    assert asked == [True, True]
    assert watermark.detect(result.pixels).payload == payload.hex()


def test_large_pictures_skip_the_slow_check(watermark: PilotWatermark, payload: bytes) -> None:
    pixels = np.asarray(cv2.resize(flat_art(13), (1800, 1300)), dtype=np.uint8)
    result = watermark.embed(pixels, payload)
    assert watermark.detect(recoded(result.pixels, "webp", 75)).payload == payload.hex()


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
    "shape",
    [(1, 1), (1, 5000), (5000, 1), (2, 2), (23, 23), (24, 24), (24, 9000), (127, 128), (64, 4000)],
)
@pytest.mark.parametrize("value", [0, 255, None])
def test_detects_nothing_in_degenerate_pictures(
    watermark: PilotWatermark, shape: tuple[int, int], value: int | None
) -> None:
    pixels = noise(0, *shape) if value is None else np.full((*shape, 3), value, dtype=np.uint8)
    found = watermark.detect(pixels)
    assert not found.detected
    assert found.payload is None
    assert 0.0 < found.p_value <= 1.0


@pytest.mark.parametrize(
    "pixels",
    [
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
    "wrong",
    [
        {"target_psnr_db": 20.0},
        {"target_psnr_db": float("nan")},
        {"false_positive_rate": 0.0},
        {"false_positive_rate": 0.5},
    ],
)
def test_refuses_impossible_settings(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsInvalid, match=next(iter(wrong))):
        PilotWatermark(b"a secret of enough bytes", **wrong)


def test_a_stricter_rate_refuses_what_a_looser_one_takes(payload: bytes) -> None:
    secret = b"a secret of enough bytes"
    pixels = PilotWatermark(secret).embed(scene(14), payload).pixels
    strict = PilotWatermark(secret, false_positive_rate=1e-24)
    battered = recoded(_noisy(_resized(pixels, 0.5)), "jpeg", 40)
    loose = PilotWatermark(secret).detect(battered)
    assert loose.detected
    assert not strict.detect(battered).detected or loose.p_value < 1e-24


def test_a_failed_codec_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imencode", lambda *_: (False, None))
    with pytest.raises(MarkRejected, match="jpeg"):
        recoded(flat_art(0), "jpeg", 75)


def test_importing_the_protocol_loads_nothing_heavy() -> None:
    script = (
        "import sys, guard.watermark.base, guard.watermark.pilot_watermark, guard.watermark.legacy;"
        "print(*(m for m in ('cv2', 'scipy', 'torch', 'imwatermark', 'pywt') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
