"""Where in a picture a score comes from: parts are covered one after the other, and it is watched.

Occlusion (Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section
4.2) needs nothing but the scores, so it explains every detector alike. It says which part the score
stands on, not why; and where two parts would each do alone, covering one changes little.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from guard.classify.screen import Classifier
from guard.errors import StageMisbehaved
from guard.types import Pixels, Score

if TYPE_CHECKING:
    from PIL.Image import Image

GRID = 8
"""Cells a side. A window of 2 × 2 of them is covered at a time, at the edges what is left of it:
every cell is covered four times, and none is hotter for its place. That makes 81 looks."""

WINDOW = 2
AT_ONCE = 8
SIDE = 512
"""Longer sides are reduced to this: detectors look at 224 pixels."""

FAINT = 0.02
"""A smaller change of a score is no heat: the map would glow with noise."""

BLUR = 24
"""A blocked picture is shown so that one sees where, and not what: blurred by 1/24 of its side."""

COLOUR = np.array([255.0, 32.0, 0.0])


@dataclass(frozen=True, slots=True)
class Explanation:
    """``heat`` (8, 8): by how much the score falls, in 0–1, when that part is covered.

    ``value`` is the score of the reduced picture that the parts were covered in.
    """

    score: Score
    value: float
    heat: NDArray[np.float64] = field(repr=False)

    @property
    def over(self) -> float:
        """How far the score is over the threshold at which a rule acts; negative below it."""
        return self.score.value - self.score.threshold

    @property
    def where(self) -> tuple[float, float] | None:
        """The middle of the hottest cell, (x, y) as shares of the sides; None without heat."""
        if self.heat.max() < FAINT:
            return None
        row, column = np.unravel_index(int(self.heat.argmax()), self.heat.shape)
        return (float(column) + 0.5) / GRID, (float(row) + 0.5) / GRID

    def __str__(self) -> str:
        one, far = self.score, abs(self.over)
        side = "over" if self.over >= 0 else "under"
        return (
            f"{one.category} {one.value:.2f} by {one.detector}: {far:.2f} {side} the threshold "
            f"of {one.threshold:.2f}"
        )


def explain(
    classifier: Classifier, pixels: Pixels, scores: Sequence[Score]
) -> tuple[Explanation, ...]:
    """Explanations of the scores that reach their thresholds; of the nearest, if none does.

    ``scores`` are what ``classifier`` said of ``pixels``. Those of banks have no place in the
    picture. Raises what the classifier raises.
    """
    wanted = _worth_it([one for one in scores if not classifier.is_bank(one.detector)])
    if not wanted:
        return ()
    small = reduced(pixels)
    fill = small.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    pictures, rows = _covered(small, fill), []
    while some := list(islice(pictures, AT_ONCE)):
        rows += [[_same(one, seen) for one in wanted] for seen in classifier.look_all(some)]
    values = np.array(rows)
    falls = np.maximum(values[0] - values[1:], 0.0)
    return tuple(
        Explanation(one, float(values[0, place]), _spread(falls[:, place]))
        for place, one in enumerate(wanted)
    )


def overlay(pixels: Pixels, explanation: Explanation, *, hidden: bool) -> Pixels:
    """The picture in grey, its heat in red, and in words below it what reached what.

    ``hidden`` blurs it until only the places can be made out: for what was blocked.
    """
    from PIL import Image, ImageFilter

    picture = Image.fromarray(np.ascontiguousarray(reduced(pixels))).convert("L")
    if hidden:
        picture = picture.filter(ImageFilter.GaussianBlur(max(picture.size) / BLUR))
    top = max(float(explanation.heat.max()), FAINT)
    shares = Image.fromarray((explanation.heat / top).astype(np.float32))
    share = np.clip(np.asarray(shares.resize(picture.size, Image.Resampling.BICUBIC)), 0, 1)
    strength = 0.65 * share[..., None]
    grey = np.asarray(picture, dtype=np.float64)[..., None] * 0.85
    mixed = grey * (1 - strength) + COLOUR * strength
    return np.asarray(_captioned(Image.fromarray(mixed.astype(np.uint8)), str(explanation)))


def reduced(pixels: Pixels) -> Pixels:
    """With its longer side at most 512."""
    from PIL import Image

    height, width = pixels.shape[:2]
    factor = SIDE / max(height, width)
    if factor >= 1:
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(size, Image.Resampling.BOX))


def _worth_it(scores: list[Score]) -> list[Score]:
    acting = [one for one in scores if one.value >= one.threshold]
    return acting or sorted(scores, key=lambda one: one.threshold - one.value)[:1]


def _corners() -> Iterator[tuple[int, int]]:
    yield from product(range(1 - WINDOW, GRID), repeat=2)


def _covered(pixels: Pixels, fill: NDArray[np.uint8]) -> Iterator[Pixels]:
    """The picture, and then as often as there are windows with one of them covered."""
    yield pixels
    height, width = pixels.shape[:2]
    rows = np.linspace(0, height, GRID + 1).round().astype(int)
    columns = np.linspace(0, width, GRID + 1).round().astype(int)
    for row, column in _corners():
        copy = pixels.copy()
        across, along = _cells(row), _cells(column)
        top, bottom = rows[across.start], rows[across.stop]
        copy[top:bottom, columns[along.start] : columns[along.stop]] = fill
        yield copy


def _cells(first: int) -> slice:
    """Which cells of a side a window covers that begins at ``first``, maybe outside."""
    return slice(max(first, 0), min(first + WINDOW, GRID))


def _spread(falls: NDArray[np.float64]) -> NDArray[np.float64]:
    """(8, 8): the mean of what the windows over a cell say."""
    heat = np.zeros((GRID, GRID))
    for (row, column), fall in zip(_corners(), falls, strict=True):
        heat[_cells(row), _cells(column)] += fall
    return heat / WINDOW**2


def _same(wanted: Score, scores: Sequence[Score]) -> float:
    """The value of the same detector for the same category."""
    for one in scores:
        if (one.detector, one.category) == (wanted.detector, wanted.category):
            return one.value
    raise StageMisbehaved(f"{wanted.detector} no longer scores '{wanted.category}'.")


def _captioned(picture: Image, text: str) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(14)
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > picture.width - 12:
            lines.append(line)
            longer = word
        line = longer
    lines.append(line)
    whole = Image.new("RGB", (picture.width, picture.height + 12 + 18 * len(lines)), "white")
    whole.paste(picture)
    draw = ImageDraw.Draw(whole)
    for place, one in enumerate(lines):
        draw.text((6, picture.height + 5 + 18 * place), one, "black", font=font)
    return whole
