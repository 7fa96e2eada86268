"""The nine shapes as signed distance fields, and scenes rendered from them.

Coordinates of a shape: x to the right, y up, the outline inside the square [-1, 1]².
Distances are negative inside and, near the outline, true to scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def _polygon(x: Array, y: Array, corners: list[tuple[float, float]]) -> Array:
    """Distance to a closed polygon: nearest edge, signed by counting crossings."""
    best = np.full(x.shape, np.inf, np.float32)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        ex, ey = bx - ax, by - ay
        px, py = x - ax, y - ay
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0.0, 1.0)
        best = np.minimum(best, (px - along * ex) ** 2 + (py - along * ey) ** 2)
        if ey != 0.0:
            crosses = (y >= min(ay, by)) & (y < max(ay, by))
            inside ^= crosses & (px < py * (ex / ey))
    return np.where(inside, -1.0, 1.0).astype(np.float32) * np.sqrt(best)


def _circle(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - np.float32(0.95)


def _ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - np.float32(0.71)) - np.float32(0.27)


def _square(x: Array, y: Array) -> Array:
    return _polygon(x, y, [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)])


def _triangle(x: Array, y: Array) -> Array:
    return _polygon(x, y, [(-1.0, -0.85), (1.0, -0.85), (0.0, 0.95)])


def _diamond(x: Array, y: Array) -> Array:
    return _polygon(x, y, [(0.0, -1.0), (0.72, 0.0), (0.0, 1.0), (-0.72, 0.0)])


def _cross(x: Array, y: Array) -> Array:
    w, e = 0.34, 0.97
    quarter = [(w, w), (w, e), (-w, e), (-w, w), (-e, w), (-e, -w)]
    return _polygon(x, y, quarter + [(-a, -b) for a, b in quarter])


def _star(x: Array, y: Array) -> Array:
    corners = []
    for i in range(10):
        radius = 1.03 if i % 2 == 0 else 0.45
        angle = np.pi / 2 + i * np.pi / 5
        corners.append((float(radius * np.cos(angle)), float(radius * np.sin(angle)) - 0.08))
    return _polygon(x, y, corners)


def _heart(x: Array, y: Array) -> Array:
    """Two arcs over a right angle, in units where the lobes have the radius √2/4."""
    scale = np.float32(0.62)
    u, v = np.abs(x) * scale, y * scale + np.float32(0.54)
    lobe = np.hypot(u - 0.25, v - 0.75) - np.float32(np.sqrt(2) / 4)
    foot = np.maximum(u + v, 0.0) * np.float32(0.5)
    edge = np.sqrt(np.minimum(u**2 + (v - 1.0) ** 2, (u - foot) ** 2 + (v - foot) ** 2))
    return np.where(u + v > 1.0, lobe, np.sign(u - v) * edge).astype(np.float32) / scale


def _moon(x: Array, y: Array) -> Array:
    """A disc with a smaller disc bitten out; the two horns are points of their own."""
    outer, inner, apart = 0.98, 0.82, float(np.hypot(0.5, 0.16))
    along = ((x - 0.12) * 0.5 + y * 0.16) / apart
    across = np.abs(y * 0.5 - (x - 0.12) * 0.16) / apart
    horn_x = (outer**2 - inner**2 + apart**2) / (2 * apart)
    horn_y = float(np.sqrt(outer**2 - horn_x**2))
    rim = np.hypot(along, across) - outer
    bite = inner - np.hypot(along - apart, across)
    # Beyond both arcs' ends, seen from the middle of the bite, a horn is nearest.
    past = apart * (along * horn_y - across * horn_x) > apart**2 * np.maximum(horn_y - across, 0.0)
    horn = np.hypot(along - horn_x, across - horn_y)
    return np.where(past, horn, np.maximum(rim, bite)).astype(np.float32)


DISTANCE: Final[dict[str, Callable[[Array, Array], Array]]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "heart": _heart,
    "diamond": _diamond,
    "ring": _ring,
    "moon": _moon,
}
SHAPES: Final = tuple(DISTANCE)


def pixel_grid(size: int) -> tuple[Array, Array]:
    """Centres of ``size``² pixels in frame units: x right, y down, both in (0, 1)."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / np.float32(size)
    xs, ys = np.meshgrid(axis, axis)
    return xs, ys


def distance(shape: str, spot: tuple[float, float, float], grid: tuple[Array, Array]) -> Array:
    """Signed distance, in frame widths, to ``shape`` at ``spot`` (x, y, radius)."""
    cx, cy, radius = spot
    xs, ys = grid
    local_x = (xs - np.float32(cx)) / np.float32(radius)
    local_y = (np.float32(cy) - ys) / np.float32(radius)
    return DISTANCE[shape](local_x, local_y) * np.float32(radius)


def coverage(dist: Array, size: int) -> Array:
    """How much of each pixel of a ``size``² frame lies inside, 0..1 (anti-aliased edge)."""
    return np.clip(0.5 - dist * np.float32(size), 0.0, 1.0)
