"""The visible sign that a picture was made or changed by AI: a badge that reads "AI".

Drawn here, from lines of our own, so that it needs no font and looks the same everywhere. It must
be seen on any ground: letters and rim are white, the plate is nearly black and not transparent, so
that on white the plate stands out and on black the rim. It goes into the lower right corner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from guard.types import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

SHARE = 12
"""The badge is a twelfth of the shorter side high: read on a phone, and not in the way."""

LEAST, MOST = 12, 160
"""Height in pixels: below 12 the letters run together, above 160 it needs to be no larger."""

SHAPE = 1.5
"""Width of the badge to its height."""

PLATE = (20, 20, 24)
INK = (255, 255, 255)
"""Contrast 18:1; WCAG 2.2 asks 7:1 of the most careful."""

_FINER = 8  # drawn so many times larger and scaled down: smooth edges
_STROKES = (
    ((0.26, 0.76), (0.415, 0.24)),  # A
    ((0.57, 0.76), (0.415, 0.24)),
    ((0.315, 0.575), (0.515, 0.575)),
    ((0.74, 0.24), (0.74, 0.76)),  # I
)
"""From where to where, in shares of the badge's width and height."""

_STROKE = 0.105  # of the height
_RIM = 0.07
_ROUND = 0.28


def visibly_labelled(
    pixels: Pixels, alpha: NDArray[np.uint8] | None = None
) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """A copy of the picture with the badge, and its ``alpha`` made opaque beneath the badge.

    Pictures narrower or lower than the smallest badge get as much of it as fits.
    """
    height, width = pixels.shape[:2]
    tall, wide = _size(height, width)
    drawn, cover = _badge(tall, wide)
    margin = max(1, tall // 4)
    bottom, right = max(tall, height - margin), max(wide, width - margin)
    top, left = min(bottom, height) - tall, min(right, width) - wide
    rows, columns = slice(max(top, 0), max(top, 0) + tall), slice(max(left, 0), max(left, 0) + wide)
    labelled = pixels.copy()
    ground = labelled[rows, columns].astype(np.float32)
    part = cover[: ground.shape[0], : ground.shape[1], None]
    mixed = ground + (drawn[: ground.shape[0], : ground.shape[1]] - ground) * part
    labelled[rows, columns] = np.rint(mixed).astype(np.uint8)
    labelled.setflags(write=False)
    return labelled, _opaque(alpha, rows, columns, part[..., 0])


def _opaque(
    alpha: NDArray[np.uint8] | None, rows: slice, columns: slice, cover: NDArray[np.float32]
) -> NDArray[np.uint8] | None:
    if alpha is None:
        return None
    changed = alpha.copy()
    below = changed[rows, columns]
    changed[rows, columns] = np.maximum(below, np.rint(cover * 255)).astype(np.uint8)
    changed.setflags(write=False)
    return changed


def _size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the badge in pixels."""
    tall = int(np.clip(min(height, width) / SHARE, LEAST, MOST))
    return tall, round(tall * SHAPE)


def _badge(tall: int, wide: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours (tall, wide, 3) in 0–255 and how far they cover (tall, wide) in 0–1."""
    from PIL import Image, ImageDraw

    size = (wide * _FINER, tall * _FINER)
    edge = (0, 0, size[0] - 1, size[1] - 1)
    cover, ink = Image.new("L", size, 0), Image.new("L", size, 0)
    radius, rim = _ROUND * size[1], round(_RIM * size[1])
    ImageDraw.Draw(cover).rounded_rectangle(edge, radius, fill=255)
    pen = ImageDraw.Draw(ink)
    pen.rounded_rectangle(edge, radius, outline=255, width=rim)
    for start, end in _STROKES:
        _stroke(pen, size, start, end)
    shares = [_smooth(one, (wide, tall)) for one in (ink, cover)]
    plate, white = (np.array(colour, np.float32) for colour in (PLATE, INK))
    return plate + (white - plate) * shares[0][..., None], shares[1]


def _stroke(
    pen: object, size: tuple[int, int], start: tuple[float, float], end: tuple[float, float]
) -> None:
    """A line with round ends."""
    half = _STROKE * size[1] / 2
    points = [(x * size[0], y * size[1]) for x, y in (start, end)]
    pen.line(points, fill=255, width=round(2 * half))  # type: ignore[attr-defined]
    for x, y in points:
        pen.ellipse((x - half, y - half, x + half, y + half), fill=255)  # type: ignore[attr-defined]


def _smooth(image: Image, size: tuple[int, int]) -> NDArray[np.float32]:
    """Scaled down, as shares of 1."""
    from PIL.Image import Resampling

    return np.asarray(image.resize(size, Resampling.BOX), np.float32) / np.float32(255)
