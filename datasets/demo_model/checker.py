"""What a picture shows, told from its pixels alone.

Nothing here knows how scenes are drawn: colours are named by hue, saturation and value,
shapes by their overlap with templates drawn anew with straight and round strokes.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datasets.demo_model.world import Scene

Mask = NDArray[np.bool_]

#: Side of a template, in pixels.
_SIDE: Final = 96
#: Overlap (intersection over union) under which a blob is no known shape.
_LEAST_OVERLAP: Final = 0.7
#: How far the best template must be ahead of the next.
_LEAST_LEAD: Final = 0.05
#: Share of the frame under which a blob is a blemish: a third of the smallest shape there is.
_SPECK: Final = 0.01
#: Pictures are judged as seen from a distance, at about so many pixels a side, without their
#: outermost rim: whether edges are crisp and flat areas flat is no matter of right or wrong.
_DISTANT: Final = 160
_RIM: Final = 0.03
#: RGB distance from the background beyond which a pixel belongs to something.
_APART: Final = 44.0
#: A pixel with this share of the background's light, in all channels alike, is shadow.
_SHADOW: Final = 0.67
#: Widest side, in frame widths, that separates small, medium and large.
_SMALL_BELOW: Final = 0.41
_LARGE_ABOVE: Final = 0.59
#: A square as large as a circle in area spans less; its side is weighed by this.
_SQUARE_SPAN: Final = 1.15
#: Distance from the middle, in frame widths, under which a shape stands in the centre.
_CENTRED: Final = 0.07


@dataclass(frozen=True)
class Blob:
    """One thing seen.

    ``x``, ``y``: middle of its bounding box, ``span``: its longer side, all in frame widths
    with y down. ``overlap``: how well the shape fits, 0..1.
    """

    shape: str
    colour: str
    x: float
    y: float
    span: float
    overlap: float


@dataclass(frozen=True)
class Seen:
    """Everything seen in a picture."""

    background: str
    blobs: tuple[Blob, ...]


def colour_name(rgb: Any) -> str:
    """The word for an sRGB colour (three numbers, 0..255)."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(float(c) / 255.0 for c in rgb))
    degrees = hue * 360.0
    if value < 0.2:
        return "black"
    if saturation < 0.16:
        return "white" if value > 0.84 else "gray"
    if 14.0 <= degrees < 65.0:
        if value < 0.68:
            return "brown"
        return "orange" if degrees < 40.0 else "yellow"
    bounds = ((14.0, "red"), (165.0, "green"), (204.0, "cyan"), (250.0, "blue"))
    for bound, word in (*bounds, (300.0, "purple")):
        if degrees < bound:
            return word
    return "pink" if degrees < 345.0 and saturation < 0.7 else "red"


def look(pixels: NDArray[np.uint8]) -> Seen:
    """Name what an (h, w, 3) picture shows."""
    from scipy import ndimage

    image = _from_a_distance(pixels)
    edge = max(2, image.shape[0] // 20)
    sides = (image[:edge], image[-edge:], image[:, :edge], image[:, -edge:])
    border = np.concatenate([side.reshape(-1, 3) for side in sides])
    ground = np.median(border, axis=0)
    solid = ndimage.binary_opening(_apart(image, ground), iterations=1)
    labels, count = ndimage.label(solid)
    sizes = ndimage.sum_labels(solid, labels, range(1, count + 1))
    big = [i + 1 for i, size in enumerate(np.atleast_1d(sizes)) if size > _SPECK * solid.size]
    blobs = tuple(_blob(labels == i, image) for i in big)
    return Seen(colour_name(ground), blobs)


def _from_a_distance(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    step = max(1, round(pixels.shape[0] / _DISTANT))
    height, width = (side // step for side in pixels.shape[:2])
    cut = pixels[: height * step, : width * step].astype(np.float32)
    small = cut.reshape(height, step, width, step, 3).mean((1, 3))
    rim = int(_RIM * height)
    small[:rim], small[height - rim :] = small[rim], small[height - rim - 1]
    small[:, :rim], small[:, width - rim :] = small[:, rim, None], small[:, width - rim - 1, None]
    return small


def _apart(image: NDArray[np.float32], ground: NDArray[np.float32]) -> Mask:
    far = np.linalg.norm(image - ground, axis=-1) > _APART
    share = (image + 4.0) / (ground + 4.0)
    even = share.max(-1) - share.min(-1) < 0.12
    shadow = even & (share.mean(-1) > _SHADOW) & (share.mean(-1) < 1.0)
    return np.asarray(far & ~shadow, bool)


def _blob(mask: Mask, image: NDArray[np.float32]) -> Blob:
    from scipy import ndimage

    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    height, width = mask.shape
    cut = mask[top:bottom, left:right]
    inner = ndimage.binary_erosion(mask, iterations=max(1, height // 80))
    core = inner if inner.any() else mask
    shape, overlap = _name_shape(cut)
    return Blob(
        shape=shape,
        colour=colour_name(np.median(image[core], axis=0)),
        x=float(left + right) / 2 / width,
        y=float(top + bottom) / 2 / height,
        span=float(max((right - left) / width, (bottom - top) / height)),
        overlap=overlap,
    )


def _name_shape(cut: Mask) -> tuple[str, float]:
    rows = (np.arange(_SIDE) + 0.5) * cut.shape[0] / _SIDE
    columns = (np.arange(_SIDE) + 0.5) * cut.shape[1] / _SIDE
    scaled = cut[np.ix_(rows.astype(int), columns.astype(int))]
    scores = {
        name: float((scaled & template).sum() / (scaled | template).sum())
        for name, template in templates().items()
    }
    next_best, best = sorted(scores, key=scores.__getitem__)[-2:]
    clear = scores[best] - scores[next_best] >= _LEAST_LEAD
    known = clear and scores[best] >= _LEAST_OVERLAP
    return (best if known else "unknown"), scores[best]


@cache
def templates() -> dict[str, Mask]:
    """A mask of each shape, stretched to its bounding box."""
    from PIL import Image, ImageDraw

    big = 400
    masks: dict[str, Mask] = {}
    for name, strokes in _strokes().items():
        canvas = Image.new("L", (big, big))
        pen = ImageDraw.Draw(canvas)
        for kind, fill, points in strokes:
            scaled = [(200 + 190 * x, 200 - 190 * y) for x, y in points]
            (pen.ellipse if kind == "oval" else pen.polygon)(scaled, fill=fill)
        fitted = canvas.crop(canvas.getbbox()).resize((_SIDE, _SIDE))
        masks[name] = np.asarray(fitted) > 127
    return masks


def _strokes() -> dict[str, list[tuple[str, int, list[tuple[float, float]]]]]:
    turn = np.linspace(0.0, 2 * np.pi, 80, endpoint=False)
    heart = [
        (float(np.sin(t) ** 3), float(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t)) / 17)
        for t in turn
    ]
    star = []
    for i in range(10):
        radius, angle = (1.0, 0.42)[i % 2], np.pi / 2 + np.pi / 5 * i
        star.append((float(radius * np.cos(angle)), float(radius * np.sin(angle))))
    bar = [(-0.35, 1.0), (0.35, 1.0), (0.35, -1.0), (-0.35, -1.0)]
    disc = [(-1.0, 1.0), (1.0, -1.0)]
    return {
        "circle": [("oval", 255, disc)],
        "square": [("path", 255, [(-1.0, 1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)])],
        "triangle": [("path", 255, [(-1.0, -1.0), (1.0, -1.0), (0.0, 1.0)])],
        "cross": [("path", 255, bar), ("path", 255, [(y, x) for x, y in bar])],
        "star": [("path", 255, star)],
        "heart": [("path", 255, heart)],
        "diamond": [("path", 255, [(0.0, 1.0), (0.7, 0.0), (0.0, -1.0), (-0.7, 0.0)])],
        "ring": [("oval", 255, disc), ("oval", 0, [(-0.45, 0.45), (0.45, -0.45)])],
        "moon": [("oval", 255, disc), ("oval", 0, [(-0.3, 1.0), (1.35, -0.65)])],
    }


def verdict(seen: Seen, scene: Scene) -> dict[str, bool]:
    """Which of the things that the plain caption of ``scene`` says are in the picture.

    Always ``count``, ``shape``, ``colour`` and ``background``; ``size`` and ``place`` of a
    lone shape where the caption names them; ``relation`` of a pair. A size or place that
    the caption leaves open is not judged.
    """
    told = {"count": len(seen.blobs) == len(scene.things)}
    told["background"] = seen.background == scene.background
    blobs = _matched(seen.blobs, scene) if told["count"] else ()
    pairs = list(zip(blobs, scene.things, strict=False))
    told["shape"] = bool(pairs) and all(blob.shape == thing.shape for blob, thing in pairs)
    told["colour"] = bool(pairs) and all(blob.colour == thing.colour for blob, thing in pairs)
    if len(scene.things) == 2:
        told["relation"] = bool(pairs) and _relation(blobs[0], blobs[1]) == scene.relation
        return told
    if scene.size != "medium":
        told["size"] = bool(pairs) and _size(blobs[0]) == scene.size
    if scene.place != "centre":
        told["place"] = bool(pairs) and _place(blobs[0]) == scene.place
    return told


def _matched(blobs: tuple[Blob, ...], scene: Scene) -> tuple[Blob, ...]:
    """The blobs in the order of the scene's things that fits them best.

    Of two equal things either order fits, so the one with the right relation is taken.
    """

    def fit(order: tuple[Blob, ...]) -> tuple[int, bool]:
        same = sum(
            (blob.shape == thing.shape) + (blob.colour == thing.colour)
            for blob, thing in zip(order, scene.things, strict=True)
        )
        return same, len(order) == 2 and _relation(order[0], order[1]) == scene.relation

    return max(permutations(blobs), key=fit)


def _relation(first: Blob, second: Blob) -> str:
    dx, dy = first.x - second.x, first.y - second.y
    if abs(dx) > abs(dy):
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"


def _size(blob: Blob) -> str:
    span = blob.span * (_SQUARE_SPAN if blob.shape == "square" else 1.0)
    if span < _SMALL_BELOW:
        return "small"
    return "large" if span > _LARGE_ABOVE else "medium"


def _place(blob: Blob) -> str:
    dx, dy = blob.x - 0.5, blob.y - 0.5
    if max(abs(dx), abs(dy)) < _CENTRED:
        return "centre"
    if abs(dx) > abs(dy):
        return "left" if dx < 0 else "right"
    return "top" if dy < 0 else "bottom"
