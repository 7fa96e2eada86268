"""What can stand in a scene, what is kept out of training, and how a scene is laid out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from datasets.demo_model.shapes import SHAPES

#: sRGB of each colour word, chosen far apart from one another.
PALETTE: Final[dict[str, tuple[int, int, int]]] = {
    "red": (222, 46, 44),
    "orange": (250, 136, 20),
    "yellow": (252, 214, 48),
    "green": (44, 160, 74),
    "cyan": (60, 202, 214),
    "blue": (40, 88, 214),
    "purple": (134, 58, 190),
    "pink": (248, 142, 194),
    "brown": (124, 74, 40),
    "black": (24, 24, 30),
    "white": (248, 248, 246),
    "gray": (150, 154, 162),
}
COLOURS: Final = tuple(PALETTE)
SIZES: Final = ("large", "medium", "small")
PLACES: Final = ("centre", "left", "right", "top", "bottom")
RELATIONS: Final = ("left", "right", "above", "below")

#: Radius of a lone shape in frame widths; a small one still spans a third of the frame.
RADIUS: Final = {"large": 0.36, "medium": 0.29, "small": 0.165}
#: How far from the centre a lone shape stands when a place is named.
OFFSET: Final = {"large": 0.13, "medium": 0.21, "small": 0.27}
PAIR_RADIUS: Final = 0.19
PAIR_OFFSET: Final = 0.23
#: Seeds differ by this much, so that one caption has many pictures.
JITTER: Final = 0.02
RADIUS_JITTER: Final = 0.04

_DIRECTION: Final = {
    "centre": (0.0, 0.0),
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "top": (0.0, -1.0),
    "bottom": (0.0, 1.0),
}
#: Where the first and the second shape of a pair stand.
PAIR_PLACES: Final = {
    "left": ("left", "right"),
    "right": ("right", "left"),
    "above": ("top", "bottom"),
    "below": ("bottom", "top"),
}
#: What the shipped model is taught: one shape in the middle. Sizes, places and pairs are
#: rendered and judged as well, but took more training than there was (see MODEL_CARD.md).
TAUGHT_SIZES: Final = ("medium",)
TAUGHT_PLACES: Final = ("centre",)
TAUGHT_PAIRS: Final = 0.0
#: One combination in so many is never trained on.
HELD_OUT_ONE_IN: Final = 10


@dataclass(frozen=True)
class Thing:
    """A coloured shape."""

    shape: str
    colour: str


@dataclass(frozen=True)
class Scene:
    """What a caption says: one shape with a size and a place, or two with a relation."""

    things: tuple[Thing, ...]
    background: str
    size: str = "medium"
    place: str = "centre"
    relation: str = "left"

    @property
    def slots(self) -> tuple[str, ...]:
        """The kind of spot of each thing, such as ``small/left`` or ``pair/top``."""
        if len(self.things) == 1:
            return (f"{self.size}/{self.place}",)
        return tuple(f"pair/{place}" for place in PAIR_PLACES[self.relation])


SLOTS: Final = tuple(f"{size}/{place}" for size in SIZES for place in PLACES) + tuple(
    f"pair/{place}" for place in PLACES if place != "centre"
)


def held_out(scene: Scene) -> bool:
    """Whether the scene's combination belongs to the test.

    One shape: the combination of shape, colour and background, whatever its size and
    place. Two: the two coloured shapes in any order, relation and background. One in ten
    is held out, by SHA-256 of the words.
    """
    words = sorted(f"{thing.colour} {thing.shape}" for thing in scene.things)
    if len(scene.things) == 1:
        words.append(scene.background)
    digest = hashlib.sha256("|".join(words).encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT_ONE_IN == 0


def random_scene(rng: np.random.Generator, *, test: bool) -> Scene:
    """A scene from the training combinations, or from those held out for the test."""
    while True:
        scene = _any_scene(rng)
        if held_out(scene) == test:
            return scene


def _any_scene(rng: np.random.Generator) -> Scene:
    pair = rng.random() < TAUGHT_PAIRS
    colours = [COLOURS[i] for i in rng.permutation(len(COLOURS))[: 3 if pair else 2]]
    background = colours.pop()
    things = tuple(Thing(SHAPES[rng.integers(len(SHAPES))], colour) for colour in colours)
    if pair:
        return Scene(things, background, relation=RELATIONS[rng.integers(len(RELATIONS))])
    size = TAUGHT_SIZES[rng.integers(len(TAUGHT_SIZES))]
    place = TAUGHT_PLACES[rng.integers(len(TAUGHT_PLACES))]
    return Scene(things, background, size=size, place=place)


def spot(slot: str, rng: np.random.Generator) -> tuple[float, float, float]:
    """A jittered (x, y, radius) for a slot, in frame units with y down."""
    size, place = slot.split("/")
    radius = PAIR_RADIUS if size == "pair" else RADIUS[size]
    offset = PAIR_OFFSET if size == "pair" else OFFSET[size]
    dx, dy = _DIRECTION[place]
    jx, jy, jr = rng.uniform(-1.0, 1.0, 3)
    return (
        float(0.5 + dx * offset + jx * JITTER),
        float(0.5 + dy * offset + jy * JITTER),
        float(radius * (1.0 + jr * RADIUS_JITTER)),
    )
