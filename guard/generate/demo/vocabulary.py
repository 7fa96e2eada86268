"""The words that the embedded demo model was trained on. Plain data: nothing heavy is imported."""

from __future__ import annotations

import re
from typing import Final

#: What a caption may call each shape; the first word is the usual one.
SHAPE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "circle": ("circle", "disc"),
    "square": ("square",),
    "triangle": ("triangle",),
    "cross": ("cross", "plus"),
    "star": ("star",),
    "heart": ("heart",),
    "diamond": ("diamond", "rhombus"),
    "ring": ("ring",),
    "moon": ("moon", "crescent"),
}

#: What a caption may call each colour, of shapes and of backgrounds alike.
COLOUR_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "red": ("red",),
    "orange": ("orange",),
    "yellow": ("yellow",),
    "green": ("green",),
    "cyan": ("cyan", "turquoise"),
    "blue": ("blue",),
    "purple": ("purple", "violet"),
    "pink": ("pink",),
    "brown": ("brown",),
    "black": ("black",),
    "white": ("white",),
    "gray": ("gray", "grey"),
}

BACKGROUND_NOUNS: Final = ("background", "backdrop")
OPENINGS: Final = (
    "a picture of",
    "an image of",
    "a drawing of",
    "a painting of",
    "an illustration of",
    "a photo of",
    "an icon of",
)
_GLUE: Final = ("a", "an", "the", "with", "against", "in", "front", "of", "on", "and")
PUNCTUATION: Final = (",", ".")

_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+", re.UNICODE)


def _known_words() -> frozenset[str]:
    phrases = [
        word for group in (SHAPE_WORDS, COLOUR_WORDS) for row in group.values() for word in row
    ]
    phrases += [*BACKGROUND_NOUNS, *OPENINGS, *_GLUE]
    return frozenset(word for phrase in phrases for word in phrase.split())


#: Every word that the model was trained on.
KNOWN_WORDS: Final = _known_words()


def unknown_words(prompt: str) -> tuple[str, ...]:
    """The words of ``prompt`` that the demo model never saw, lower-cased, each once, in order.

    Digits count as words; punctuation does not.
    """
    seen = dict.fromkeys(word.lower() for word in _WORD.findall(prompt))
    return tuple(word for word in seen if word not in KNOWN_WORDS)
