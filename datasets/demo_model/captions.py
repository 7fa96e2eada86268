"""Captions: one plain sentence per scene, with paraphrases."""

from __future__ import annotations

from typing import Final

import numpy as np

from datasets.demo_model.world import Scene, Thing
from guard.generate.demo import vocabulary as words

# Words of scenes that the shipped model is not taught (see ``world.TAUGHT_PAIRS``).
SIZE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "large": ("large", "big", "huge"),
    "small": ("small", "little", "tiny"),
}

#: Where a lone shape may be told to stand; without a phrase it stands in the centre.
PLACE_PHRASES: Final[dict[str, tuple[str, ...]]] = {
    "left": ("on the left", "at the left"),
    "right": ("on the right", "at the right"),
    "top": ("at the top", "on top"),
    "bottom": ("at the bottom", "on the bottom"),
    "centre": ("in the middle", "in the center", "in the centre"),
}

#: How the first shape of a pair stands to the second.
RELATION_PHRASES: Final[dict[str, tuple[str, ...]]] = {
    "left": ("left of", "to the left of", "on the left of", "and", "next to", "beside"),
    "right": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
}

#: How often a caption leaves the plain form, per choice.
_PARAPHRASE: Final = 0.25
#: How often nothing is said about the background, which then may be anything.
_SILENT_BACKGROUND: Final = 0.02
#: How often a word from outside the world slips in, so that the model learns to ignore such words.
_STRAY: Final = 0.02
_STRAYS: Final = (
    "beautiful",
    "bright",
    "calm",
    "clean",
    "cute",
    "dark",
    "detailed",
    "digital",
    "fancy",
    "flat",
    "friendly",
    "funny",
    "gentle",
    "glossy",
    "great",
    "happy",
    "lovely",
    "modern",
    "new",
    "nice",
    "old",
    "plain",
    "pretty",
    "quiet",
    "shiny",
    "simple",
    "soft",
    "strange",
    "sunny",
    "tall",
    "thin",
    "very",
    "warm",
    "wild",
    "wonderful",
    "young",
    "high",
    "quality",
    "lighthouse",
    "storm",
    "cat",
    "dog",
    "house",
    "tree",
    "river",
    "city",
    "mountain",
    "castle",
    "robot",
    "portrait",
    "photograph",
    "forest",
    "ocean",
    "night",
    "sky",
    "table",
)


def plain_caption(scene: Scene) -> str:
    """The fixed grammar: ``a large red heart on the left on a blue background``."""
    subject = _noun(scene.things[0])
    if len(scene.things) == 2:
        relation = RELATION_PHRASES[scene.relation][0]
        body = f"{_with_article(subject)} {relation} {_with_article(_noun(scene.things[1]))}"
    else:
        size = "" if scene.size == "medium" else f"{scene.size} "
        place = "" if scene.place == "centre" else " " + PLACE_PHRASES[scene.place][0]
        body = _with_article(size + subject) + place
    return f"{body} on {_with_article(scene.background)} background"


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """A caption of ``scene``: often the plain form, else a paraphrase."""
    if rng.random() < 0.6:
        return plain_caption(scene)
    body = _body(scene, rng)
    text = _with_background(body, scene, rng)
    if rng.random() < 0.1 and not text.startswith(tuple(words.COLOUR_WORDS)):
        text = f"{_pick(words.OPENINGS, rng)} {text}"
    if rng.random() < 0.05:
        text += "."
    return _stray(text, rng) if rng.random() < _STRAY else text


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    if len(options) == 1 or rng.random() > _PARAPHRASE:
        return options[0]
    return options[rng.integers(1, len(options))]


def _any(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[rng.integers(len(options))]


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _noun(thing: Thing) -> str:
    return f"{thing.colour} {thing.shape}"


def _subject(thing: Thing, size: str, rng: np.random.Generator) -> str:
    colour = _pick(words.COLOUR_WORDS[thing.colour], rng)
    noun = f"{colour} {_pick(words.SHAPE_WORDS[thing.shape], rng)}"
    if size != "medium":
        noun = f"{_pick(SIZE_WORDS[size], rng)} {noun}"
    chance = rng.random()
    if chance < 0.2:
        return noun
    return f"the {noun}" if chance < 0.3 else _with_article(noun)


def _body(scene: Scene, rng: np.random.Generator) -> str:
    if len(scene.things) == 2:
        first, second = (_subject(thing, "medium", rng) for thing in scene.things)
        return f"{first} {_any(RELATION_PHRASES[scene.relation], rng)} {second}"
    subject = _subject(scene.things[0], scene.size, rng)
    if scene.place == "centre":
        return subject
    return f"{subject} {_any(PLACE_PHRASES[scene.place], rng)}"


def _with_background(body: str, scene: Scene, rng: np.random.Generator) -> str:
    chance = rng.random()
    if chance < _SILENT_BACKGROUND:
        return body
    noun = (
        f"{_pick(words.COLOUR_WORDS[scene.background], rng)} {_pick(words.BACKGROUND_NOUNS, rng)}"
    )
    if chance < 0.5:
        return f"{body} on {_with_article(noun)}"
    if chance < 0.75:
        return f"{body}, {noun}"
    if chance < 0.85:
        return f"{noun} with {body}"
    joint = _any(("with", "against", "in front of", "on the"), rng)
    return f"{body} {joint} {noun if joint == 'on the' else _with_article(noun)}"


def _stray(text: str, rng: np.random.Generator) -> str:
    parts = text.split(" ")
    parts.insert(int(rng.integers(len(parts) + 1)), _any(_STRAYS, rng))
    return " ".join(parts)
