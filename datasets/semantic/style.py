"""Style tags of the generators, so that a model cannot tell unsafe from benign by them.

A head trained on I2P against captions learns "looks like a Stable Diffusion prompt". So captions
get the tags that recur in DiffusionDB's training part, and unsafe prompts are seen with and
without theirs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

LEAST_OFTEN = 4
"""A comma part seen this often is a tag, not somebody's idea."""


def tags(texts: Iterable[str]) -> list[str]:
    """Comma parts that recur, each as often as it was seen."""
    counted: Counter[str] = Counter()
    for text in texts:
        counted.update({part.strip().lower() for part in text.split(",")[1:]})
    return [
        part
        for part, seen in sorted(counted.items())
        if seen >= LEAST_OFTEN and 3 <= len(part) <= 40
        for _ in range(min(seen, 30))
    ]


def styled(text: str, known: list[str], chance: random.Random) -> str:
    """``text`` with one to eight tags after it."""
    return ", ".join([text.rstrip(" ."), *chance.choices(known, k=chance.randint(1, 8))])


def varied(text: str, known: list[str], chance: random.Random) -> str:
    """``text`` as somebody else might have typed it: tags dropped, swapped or added."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    roll = chance.random()
    if roll < 0.35:
        return text
    if len(parts) > 3:
        kept = [parts[0], *(part for part in parts[1:] if chance.random() < 0.75)]
        return ", ".join(kept)
    return styled(text, known, chance) if roll < 0.7 else text
