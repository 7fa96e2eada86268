from __future__ import annotations

import struct
import threading
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from guard.errors import InvalidImage
from guard.image import decode as module
from guard.image.decode import Decoded, decode, load


def gradient(height: int = 24, width: int = 40) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 6 % 256, y * 9 % 256, (x + y) * 3 % 256], axis=-1).astype(np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


PNG = saved(Image.fromarray(gradient()))


@pytest.mark.parametrize(
    ("kind", "media_type", "worst"),
    [
        ("PNG", "image/png", 0),
        ("BMP", "image/bmp", 0),
        ("TIFF", "image/tiff", 0),
        ("JPEG", "image/jpeg", 40),
        ("WEBP", "image/webp", 40),
        ("AVIF", "image/avif", 40),
    ],
)
def test_formats_become_rgb(kind: str, media_type: str, worst: int) -> None:
    data = saved(Image.fromarray(gradient()), kind)
    found = decode(data)
    assert found.media_type == media_type
    assert found.data == data
    assert found.alpha is None
    assert found.pixels.shape == (24, 40, 3)
    assert found.pixels.dtype == np.uint8
    assert np.abs(found.pixels.astype(int) - gradient()).max() <= worst


def test_gif_with_one_frame_is_read() -> None:
    found = decode(saved(Image.fromarray(gradient()).quantize(), "GIF"))
    assert found.media_type == "image/gif"


def test_pixels_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        decode(PNG).pixels[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("mode", "kind", "worst"),
    [
        ("1", "PNG", 255),
        ("L", "PNG", 0),
        ("P", "PNG", 60),  # the palette has 216 colours
        ("RGB", "PNG", 0),
        ("CMYK", "TIFF", 2),
        ("YCbCr", "TIFF", 2),
        ("LA", "PNG", 0),
        ("RGBA", "PNG", 0),
    ],
)
def test_every_colour_mode_keeps_the_picture(mode: str, kind: str, worst: int) -> None:
    grey = Image.fromarray(gradient()).convert("L").convert("RGB")
    found = decode(saved(grey.convert(mode), kind))
    assert found.pixels.shape == (24, 40, 3)
    assert np.abs(found.pixels.astype(int) - np.asarray(grey)).max() <= worst
    assert (found.alpha is not None) == (mode in {"LA", "RGBA"})


def test_palette_with_alpha() -> None:
    found = load(Image.fromarray(gradient()).convert("P").convert("PA"))
    assert found.alpha is not None
    assert (found.alpha == 255).all()


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_alpha(mode: str) -> None:
    plain = Image.fromarray(np.dstack([gradient(), np.full((24, 40), 128, np.uint8)]))
    source = plain.convert("LA").convert("La") if mode == "La" else plain.convert("RGBa")
    assert load(source).alpha is not None


def test_sixteen_bits_keep_the_high_byte() -> None:
    ramp = np.linspace(0, 65535, 24 * 40).reshape(24, 40).astype(np.uint16)
    found = decode(saved(Image.fromarray(ramp)))
    assert np.abs(found.pixels[..., 0].astype(int) - ramp / 257).max() <= 1
    assert found.pixels[-1, -1].tolist() == [255, 255, 255]


def test_deeper_than_sixteen_bits_is_refused() -> None:
    deep = Image.fromarray(np.full((4, 4), 1 << 20, np.int32))
    for image in (deep, Image.fromarray(np.ones((4, 4), np.float32))):
        with pytest.raises(InvalidImage, match="colour format") as caught:
            decode(saved(image, "TIFF"))
        assert "8 or 16 bits" in caught.value.hint


def test_transparency_is_laid_on_white_and_kept() -> None:
    alpha = np.zeros((24, 40), np.uint8)
    alpha[:, 20:] = 255
    found = decode(saved(Image.fromarray(np.dstack([gradient(), alpha]))))
    assert (found.pixels[:, :20] == 255).all()
    assert np.array_equal(found.pixels[:, 20:], gradient()[:, 20:])
    assert found.alpha is not None
    assert np.array_equal(found.alpha, alpha)
    with pytest.raises(ValueError, match="read-only"):
        found.alpha[0, 0] = 1


def test_a_transparent_colour_hides_nothing() -> None:
    """What is under a fully transparent area cannot be smuggled past the classifiers' eyes."""
    solid = Image.new("RGB", (8, 8), (10, 20, 30))
    found = decode(saved(solid, "PNG", transparency=(10, 20, 30)))
    assert (found.pixels == 255).all()
    assert found.alpha is not None
    assert not found.alpha.any()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_exif_orientation_is_applied(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    picture = np.full((16, 32, 3), 255, np.uint8)
    picture[:8, :8] = 0
    found = decode(saved(Image.fromarray(picture), kind, exif=exif.tobytes()))
    assert found.pixels.shape == (32, 16, 3)
    assert found.pixels[:6, 10:].mean() < 40
    assert found.pixels[:6, :6].mean() > 200


def test_corrupt_exif_does_not_hide_the_picture() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = saved(Image.fromarray(gradient()), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
        assert decode(data).pixels.shape == (24, 40, 3)


@pytest.mark.parametrize(
    "data",
    [b"\0" * 500, b"not a picture", PNG[:12], b"GIF89a", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"RIFF"],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage) as caught:
        decode(data)
    assert caught.value.hint


def test_empty_is_refused() -> None:
    with pytest.raises(InvalidImage, match="empty"):
        decode(b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF"])
def test_a_truncated_picture_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with pytest.raises(InvalidImage, match=r"damaged|known format"):
        decode(data[: len(data) * 2 // 3])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_more_than_one_frame_is_refused(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 128, 255)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidImage, match="animated"):
        decode(data)


def test_the_main_picture_of_a_phone_is_read() -> None:
    frames = [Image.new("RGB", (8, 8), (200, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 200))]
    found = decode(saved(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert found.media_type == "image/jpeg"
    assert found.pixels[0, 0, 0] > 150


def bomb(width: int, height: int) -> bytes:
    """A PNG header that promises far more pixels than the file holds."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"), [(8193, 8192), (10_000, 10_000), (60_000, 60_000), (70_000, 1)]
)
def test_decompression_bombs_are_refused_without_unpacking(width: int, height: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidImage, match="too large") as caught:
            decode(bomb(width, height))
    assert "Scale it down" in caught.value.hint


def test_an_oversized_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    for source in (PNG, path):
        with pytest.raises(InvalidImage, match="too large"):
            load(source)


def test_load_takes_bytes_paths_and_pillow_images(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    sources: list[object] = [PNG, bytearray(PNG), path, str(path), Image.fromarray(gradient())]
    for source in sources:
        found = load(source)  # type: ignore[arg-type]
        assert isinstance(found, Decoded)
        assert np.array_equal(found.pixels, gradient())
        assert np.array_equal(decode(found.data).pixels, gradient())


def test_load_refuses_other_things() -> None:
    with pytest.raises(InvalidImage, match="ndarray"):
        load(gradient())  # type: ignore[arg-type]


def test_a_pillow_image_without_pixels_is_refused() -> None:
    with pytest.raises(InvalidImage, match="no pixels"):
        load(Image.new("RGB", (0, 5)))


def test_a_pillow_image_whose_file_is_broken_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = saved(Image.fromarray(noise))
    with Image.open(BytesIO(whole[: len(whole) // 2])) as image, pytest.raises(InvalidImage):
        load(image)


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing.png", "no file"), (".", "not a file"), ("a\0b", "no file")],
)
def test_bad_paths(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InvalidImage, match=message):
        load(f"{tmp_path}/{name}")


@pytest.mark.parametrize(
    "problem", [OSError(5, "Input/output error"), PermissionError(13, "Permission denied")]
)
def test_a_read_error_is_an_invalid_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: OSError
) -> None:
    def fail(self: Path) -> bytes:
        raise problem

    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(InvalidImage, match=problem.strerror):
        load(path)


def test_threads_decode_side_by_side_and_leave_the_warning_filters_alone() -> None:
    before = list(warnings.filters)
    found: list[bool] = []

    def work() -> None:
        found.extend(np.array_equal(decode(PNG).pixels, gradient()) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 160
    assert list(warnings.filters) == before


@settings(max_examples=150, deadline=None)
@given(
    at=st.floats(0, 1, exclude_max=True),
    value=st.integers(0, 255),
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"]),
)
def test_a_changed_byte_gives_a_picture_or_invalid_image(at: float, value: int, kind: str) -> None:
    data = bytearray(SAMPLES[kind])
    data[int(at * len(data))] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = decode(bytes(data))
        except InvalidImage:
            return
    assert found.pixels.ndim == 3
    assert found.pixels.dtype == np.uint8


SAMPLES = {
    kind: saved(Image.fromarray(gradient()), kind)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")
}
