"""What may happen to a picture on its way through the world."""

from __future__ import annotations

import cv2
import numpy as np

from guard.types import Pixels
from tests.support.mark_pictures import texture


def _pixels(picture: object) -> Pixels:
    return np.ascontiguousarray(picture, dtype=np.uint8)


def resized(pixels: Pixels, across: float, down: float | None = None) -> Pixels:
    """Scaled by ``across`` and ``down``, which is ``across`` when not given."""
    size = (round(pixels.shape[1] * across), round(pixels.shape[0] * (down or across)))
    method = cv2.INTER_AREA if across < 1 else cv2.INTER_CUBIC
    return _pixels(cv2.resize(pixels, size, interpolation=method))


def noisy(pixels: Pixels, sigma: float = 5.0) -> Pixels:
    """With grain of a sensor."""
    grain = np.random.default_rng(0).normal(0, sigma, pixels.shape)
    return np.clip(np.rint(pixels + grain), 0, 255).astype(np.uint8)


def turned(pixels: Pixels, degrees: float, scale: float = 1.0) -> Pixels:
    """Turned clockwise about the middle and scaled; black where nothing was."""
    height, width = pixels.shape[:2]
    there = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, scale)
    return _pixels(cv2.warpAffine(pixels, there, (width, height), flags=cv2.INTER_LINEAR))


def half(pixels: Pixels) -> Pixels:
    """Half of each side, off the middle."""
    height, width = pixels.shape[:2]
    top, left = height // 4, width // 5
    return _pixels(pixels[top : top + height // 2, left : left + width // 2])


def tilted(pixels: Pixels, share: float = 0.02) -> Pixels:
    """As a camera sees a screen that it does not face squarely."""
    height, width = pixels.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    off = np.array([[width, 0], [-width, height], [0, 0], [0, -height]], np.float32)
    there = cv2.getPerspectiveTransform(corners, corners + np.float32(share) * off)
    return _pixels(
        cv2.warpPerspective(pixels, there, (width, height), borderMode=cv2.BORDER_REPLICATE)
    )


def letterboxed(pixels: Pixels, bar: int = 90) -> Pixels:
    """Black bars above and below."""
    return _pixels(cv2.copyMakeBorder(pixels, bar, bar, 0, 0, cv2.BORDER_CONSTANT))


def pasted(pixels: Pixels) -> Pixels:
    """In the corner of another, larger picture."""
    height, width = pixels.shape[:2]
    canvas = texture(77, height + 190, width + 390)
    canvas[90 : 90 + height, 200 : 200 + width] = pixels
    return canvas


def grey(pixels: Pixels) -> Pixels:
    """Without its colours."""
    return _pixels(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, 2))
