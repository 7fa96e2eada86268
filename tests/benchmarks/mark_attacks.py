"""What the internet does to pictures: attacks by name, each from RGB pixels to RGB pixels.

Chance (where a crop is cut, noise) depends on the attack's name and the picture's shape alone, so a
run repeats itself. ``BARS`` says of how many pictures a mark should still be read afterwards.
"""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from guard.types import Pixels
from guard.watermark.assurance import recoded

Attack = Callable[[Pixels], Pixels]


def chance(name: str, pixels: Pixels) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(name.encode()), *pixels.shape])


def chain(*steps: Attack) -> Attack:
    def attack(pixels: Pixels) -> Pixels:
        for step in steps:
            pixels = step(pixels)
        return pixels

    return attack


def codec(name: str, quality: int) -> Attack:
    return lambda pixels: recoded(pixels, name, quality)


def sized(pixels: Pixels, width: int, height: int) -> Pixels:
    less = width * height < pixels.shape[0] * pixels.shape[1]
    method = cv2.INTER_AREA if less else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (max(1, width), max(1, height)), interpolation=method))


def resized(across: float, down: float | None = None) -> Attack:
    def attack(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        return sized(pixels, round(width * across), round(height * (down or across)))

    return attack


def halved_and_back(pixels: Pixels) -> Pixels:
    return sized(resized(0.5)(pixels), pixels.shape[1], pixels.shape[0])


def cropped(kept: float, *, back: bool = False) -> Attack:
    """``kept``: share of each side, cut somewhere; ``back``: enlarged to the old size."""

    def attack(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        tall, wide = round(height * kept), round(width * kept)
        rng = chance(f"crop {kept}", pixels)
        top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
        part = np.ascontiguousarray(pixels[top : top + tall, left : left + wide])
        return sized(part, width, height) if back else part

    return attack


def turned(degrees: float, scale: float = 1.0, *, whole: bool = True) -> Attack:
    """``whole``: on a canvas that holds all of it; else corners are cut off."""

    def attack(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
        size = (width, height)
        if whole:
            size = (
                round(scale * (width * cos + height * sin)),
                round(scale * (width * sin + height * cos)),
            )
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
        matrix[:, 2] += np.array([size[0] - width, size[1] - height]) / 2
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return np.asarray(
            cv2.warpAffine(pixels, matrix, size, flags=method, borderValue=(255, 255, 255))
        )

    return attack


def perspective(strength: float) -> Attack:
    """Corners moved by up to ``strength`` of the sides, each its own way."""

    def attack(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
        inward = np.array([[1, 0.5], [-0.8, 1], [-0.2, -1], [0.3, -0.4]], np.float32) * strength
        size = np.array([width, height], np.float32)
        matrix = cv2.getPerspectiveTransform(corners * size, (corners + inward) * size)
        return np.asarray(
            cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC)
        )

    return attack


def wavy(amplitude: float, period: float) -> Attack:
    """A sine of both axes, pixels for a picture of 512."""

    def attack(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        unit = min(height, width) / 512
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        turn = 2 * np.pi / (period * unit)
        moved_x = x + np.float32(amplitude * unit) * np.sin(turn * y)
        moved_y = y + np.float32(amplitude * unit) * np.sin(turn * x)
        return np.asarray(
            cv2.remap(pixels, moved_x, moved_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        )

    return attack


def grain(deviation: float) -> Attack:
    def attack(pixels: Pixels) -> Pixels:
        added = chance(f"grain {deviation}", pixels).normal(0, deviation, pixels.shape)
        return np.clip(np.rint(pixels + added), 0, 255).astype(np.uint8)

    return attack


def blurred(sigma: float) -> Attack:
    return lambda pixels: np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma))


def toned(gain: float, offset: float = 0.0) -> Attack:
    return lambda pixels: np.clip(pixels * gain + offset, 0, 255).astype(np.uint8)


def gamma(power: float) -> Attack:
    table = np.rint(255 * (np.arange(256) / 255) ** power).astype(np.uint8)
    return lambda pixels: table[pixels]


def sharpened(pixels: Pixels) -> Pixels:
    soft = cv2.GaussianBlur(pixels, (0, 0), 1.5)
    return np.asarray(cv2.addWeighted(pixels, 1.8, soft, -0.8, 0))


def recoloured(pixels: Pixels) -> Pixels:
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV).astype(np.int16)
    hsv[..., 0] = (hsv[..., 0] + 8) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * 1.2, 0, 255)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB))


def grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.merge([cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)] * 3))


def denoised(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.fastNlMeansDenoisingColored(pixels, None, 5, 5, 5, 15))


def captioned(pixels: Pixels) -> Pixels:
    """Words and a logo, as a meme has them."""
    height, width = pixels.shape[:2]
    drawn, unit = pixels.copy(), height / 512
    corner = (int(0.7 * width), int(0.8 * height))
    cv2.rectangle(drawn, corner, (int(0.97 * width), int(0.96 * height)), (250, 250, 250), -1)
    centre = (int(0.78 * width), int(0.88 * height))
    cv2.circle(drawn, centre, int(30 * unit), (220, 30, 60), -1)
    for place, colour in ((0.12, (255, 240, 0)), (0.94, (255, 255, 255))):
        spot, font = (int(0.04 * width), int(place * height)), cv2.FONT_HERSHEY_DUPLEX
        cv2.putText(drawn, "WHEN IT SHIPS", spot, font, 1.5 * unit, (0, 0, 0), int(8 * unit) + 1)
        cv2.putText(drawn, "WHEN IT SHIPS", spot, font, 1.5 * unit, colour, int(3 * unit) + 1)
    return drawn


def letterboxed(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    canvas = np.full((height + 40, width + width // 2, 3), 24, np.uint8)
    left = (canvas.shape[1] - width) // 2
    canvas[20 : 20 + height, left : left + width] = pixels
    return resized(0.8)(canvas)


def pasted(share: float) -> Attack:
    """Laid at ``share`` of its size on a busy page of the old size, and saved."""

    def attack(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        rng = chance(f"paste {share}", pixels)
        page = rng.integers(40, 230, (height // 16 + 1, width // 16 + 1, 3)).astype(np.uint8)
        page = np.ascontiguousarray(sized(page, width, height))
        small = resized(share)(pixels)
        top = int(rng.integers(0, height - small.shape[0] + 1))
        left = int(rng.integers(0, width - small.shape[1] + 1))
        page[top : top + small.shape[0], left : left + small.shape[1]] = small
        return recoded(page, "jpeg", 85)

    return attack


def to_width(width: int) -> Attack:
    return lambda pixels: sized(pixels, width, round(pixels.shape[0] * width / pixels.shape[1]))


def regenerated(folder: Path) -> Attack:
    """Through the latents of FLUX.2's tiny autoencoder and back.

    ``folder``: a clone of https://github.com/madebyollin/taesd with its weights (MIT).
    """
    import torch

    sys.path.insert(0, str(folder))
    import taesd

    torch.set_num_threads(1)
    names = [str(folder / f"taef2_{part}.pth") for part in ("encoder", "decoder")]
    coder = taesd.TAESD(*names).eval()

    def attack(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        padded = cv2.copyMakeBorder(pixels, 0, -height % 8, 0, -width % 8, cv2.BORDER_REFLECT)
        with torch.no_grad():
            shown = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
            again = coder.decoder(coder.encoder(shown)).clamp(0, 1)[0].permute(1, 2, 0)
        return np.ascontiguousarray(np.rint(again.numpy() * 255).astype(np.uint8)[:height, :width])

    return attack


JPEG_75: Final = codec("jpeg", 75)
ATTACKS: Final[dict[str, Attack]] = {
    "untouched": lambda pixels: pixels,
    **{f"JPEG {quality}": codec("jpeg", quality) for quality in (90, 75, 50, 30, 20)},
    **{f"WebP {quality}": codec("webp", quality) for quality in (80, 50)},
    "brightness +20 %": toned(1.2),
    "brightness −20 %": toned(0.8),
    "contrast +20 %": toned(1.2, -25.6),
    "contrast −20 %": toned(0.8, 25.6),
    "gamma .7": gamma(0.7),
    "gamma 1.4": gamma(1.4),
    "sharpened": sharpened,
    "recoloured": recoloured,
    "grey": grey,
    "negative": lambda pixels: 255 - pixels,
    **{f"noise {deviation}": grain(deviation) for deviation in (5, 10, 20)},
    **{f"blur {sigma}": blurred(sigma) for sigma in (1, 2)},
    "median 3": lambda pixels: np.asarray(cv2.medianBlur(pixels, 3)),
    "denoised": denoised,
    **{f"resize {factor:g}": resized(factor) for factor in (0.35, 0.5, 0.75, 1.5, 2.0)},
    "halved and back": halved_and_back,
    "stretch 1.25": resized(1.25, 1.0),
    "stretch .8": resized(0.8, 1.0),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "upside down": lambda pixels: np.ascontiguousarray(pixels[::-1, ::-1]),
    "quarter turn": lambda pixels: np.ascontiguousarray(np.rot90(pixels)),
    "turn 2°": turned(2, whole=False),
    "turn 5°": turned(5, whole=False),
    "turn 17°": turned(17),
    "turn 45°": turned(45),
    "turn 120° × .6": turned(120, 0.6),
    "turn 77° × 1.8": turned(77, 1.8),
    "turn 33° × .7, JPEG 75": chain(turned(33, 0.7), JPEG_75),
    "turn 2°, JPEG 75": chain(turned(2, whole=False), JPEG_75),
    "crop 90 %": cropped(0.9),
    "crop 75 %": cropped(0.75),
    "crop 50 %": cropped(0.5),
    "crop 25 %": cropped(0.25),
    "crop 75 % and back": cropped(0.75, back=True),
    "crop 75 % × .8, JPEG 75": chain(cropped(0.75), resized(0.8), JPEG_75),
    "crop 50 %, JPEG 75": chain(cropped(0.5), JPEG_75),
    "crop 50 % and back, JPEG 75": chain(cropped(0.5, back=True), JPEG_75),
    "mirrored, turn 3°, crop 80 %": chain(
        lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
        turned(3, whole=False),
        cropped(0.8),
    ),
    "wave 1 px": wavy(1.0, 128),
    "perspective 2 %": perspective(0.02),
    "perspective 5 %": perspective(0.05),
    "captioned": captioned,
    "screenshot": chain(resized(0.73), codec("jpeg", 80)),
    "social": chain(to_width(1080), JPEG_75, to_width(1080), JPEG_75),
    "meme": chain(cropped(0.85), captioned, resized(0.75), codec("jpeg", 70)),
    "letterboxed": letterboxed,
    "pasted at 60 %": pasted(0.6),
    "photograph of a screen": chain(
        perspective(0.05), blurred(1.2), gamma(0.85), grain(6), codec("jpeg", 80)
    ),
}

BARS: Final = {
    **dict.fromkeys(ATTACKS, 0.995),
    "untouched": 1.0, "JPEG 90": 1.0, "JPEG 75": 1.0, "JPEG 50": 1.0, "JPEG 30": 0.99,
    "JPEG 20": 0.90, "WebP 50": 0.90, "crop 25 %": 0.90, "perspective 5 %": 0.97,
    "pasted at 60 %": 0.98, "photograph of a screen": 0.70,
    "regenerated": 0.99,
}  # fmt: skip

REGENERATED: Final = "regenerated"
"""Measured where somebody has the autoencoder: see :func:`regenerated`."""

BESIDE_THE_STANDARD: Final = (
    "JPEG 20", "crop 25 %", "perspective 5 %", "photograph of a screen", REGENERATED
)  # fmt: skip
"""Attacks that are not part of the standard suite, whose mean has a bar of its own."""
