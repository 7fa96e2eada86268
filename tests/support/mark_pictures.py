"""Pictures drawn by formula, for tests and benchmarks of the mark: no file, a seed each."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from guard.types import Pixels

INKS = (
    (220, 50, 47),
    (38, 139, 210),
    (133, 153, 0),
    (255, 255, 255),
    (0, 0, 0),
    (245, 222, 179),
    (108, 113, 196),
    (135, 206, 235),
    (250, 250, 250),
    (30, 30, 40),
)


def flat_art(seed: int, height: int = 512, width: int = 512) -> Pixels:
    """One to three anti-aliased shapes of one colour each on one colour: the demo model's world."""
    rng = np.random.default_rng(seed)
    inks = rng.permutation(len(INKS))
    canvas = np.full((height, width, 3), INKS[inks[0]], dtype=np.uint8)
    side = min(height, width)
    for ink in inks[1 : 2 + rng.integers(3)]:
        x, y = rng.uniform(0.2, 0.8, 2) * (width, height)
        r = rng.uniform(0.1, 0.3) * side
        kind = rng.integers(3)
        if kind == 0:
            angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
        else:
            angles = np.arange(4 if kind == 1 else 3) * 2 * np.pi / (4 if kind == 1 else 3)
            angles = angles + rng.uniform(0, np.pi)
        corners = np.stack([x + r * np.cos(angles), y + r * np.sin(angles)], axis=1)
        fixed = np.rint(corners * 256).astype(np.int32)
        cv2.fillPoly(canvas, [fixed], tuple(map(int, INKS[ink])), cv2.LINE_AA, 8)
    return canvas


def gradient(seed: int, height: int = 512, width: int = 512) -> Pixels:
    """A smooth sky between two colours."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    angle, (first, last) = rng.uniform(0, 2 * np.pi), rng.uniform(0, 255, (2, 3))
    blend = 0.5 + (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)) / 1.5
    return np.asarray(np.clip(first + (last - first) * blend[..., None], 0, 255), np.uint8)


def texture(seed: int, height: int = 512, width: int = 512) -> Pixels:
    """Coloured noise whose spectrum falls like that of landscapes, steeper or flatter by seed."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    fall = np.maximum(radius, 1 / max(height, width)) ** -rng.uniform(1.0, 1.6)
    shared = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) * fall, (height, width))
    own = rng.normal(size=(height, width, 3))
    own = np.stack(
        [np.fft.irfft2(np.fft.rfft2(own[..., c]) * fall, (height, width)) for c in range(3)], -1
    )
    mixed = shared[..., None] / shared.std() + 0.4 * own / own.std()
    contrast, middle = rng.uniform(15, 45), rng.uniform(60, 190, 3)
    return np.asarray(np.clip(middle + contrast * mixed, 0, 255), np.uint8)


def scene(seed: int, height: int = 512, width: int = 512) -> Pixels:
    """Textured surfaces before a sky, edges softened by a lens, grain from a sensor."""
    rng = np.random.default_rng(seed)
    canvas = gradient(seed, height, width).astype(np.float32)
    for layer in range(4):
        mask = np.zeros((height, width), dtype=np.uint8)
        corners = rng.uniform(-0.2, 1.2, (5, 2)) * (width, height)
        hull = cv2.convexHull(corners.astype(np.float32)).astype(np.int32)
        cv2.fillPoly(mask, [hull], 255, cv2.LINE_AA)
        soft = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.6, 4))[..., None] / np.float32(255)
        canvas += soft * (texture(1000 * seed + layer, height, width) - canvas)
    grain = rng.normal(0, rng.uniform(0.5, 3), (height, width, 1))
    return np.clip(canvas + grain, 0, 255).astype(np.uint8)


def line_art(seed: int, height: int = 512, width: int = 512) -> Pixels:
    """Dark strokes and letters on paper."""
    rng = np.random.default_rng(seed)
    canvas = np.full((height, width, 3), 255 - rng.integers(0, 12), dtype=np.uint8)
    for _ in range(30):
        ends = rng.integers(0, (width, height), (2, 2))
        cv2.line(canvas, ends[0].tolist(), ends[1].tolist(), (20, 20, 30), 2, cv2.LINE_AA)
    for row in range(8):
        at = (int(rng.integers(0, width // 3)), (row + 1) * height // 9)
        word = "".join(chr(code) for code in rng.integers(97, 123, 14))
        cv2.putText(canvas, word, at, cv2.FONT_HERSHEY_SIMPLEX, height / 640, (0, 0, 0), 1)
    return canvas


def striped(at: float = 0.4) -> Pixels:
    """A grey ground with one bright line across: hardly any form."""
    down = np.arange(384, dtype=np.float32)[:, None] / 384 - np.arange(512)[None] / 4000
    luma = 90 + 20 * down + 110 * np.exp(-(((down - at) / 0.008) ** 2))
    return np.repeat(luma[..., None], 3, axis=2).astype(np.uint8)


def noise(seed: int, height: int = 512, width: int = 512) -> Pixels:
    """Independent pixels: the worst host."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


KINDS: dict[str, Callable[..., Pixels]] = {
    "flat art": flat_art,
    "gradient": gradient,
    "texture": texture,
    "scene": scene,
    "line art": line_art,
    "noise": noise,
}
