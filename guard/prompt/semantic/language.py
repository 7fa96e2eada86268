"""Whether a text is English enough for a model that read nothing else."""

from __future__ import annotations

import re
from typing import Final

from guard.prompt.lexicon import everyday

_WORD: Final = re.compile(r"[^\W\d_]{2,}")
LEAST: Final = 0.5
"""Share of a text's words that must be everyday English ones; names and jargon are the rest."""

FEWEST_WORDS: Final = 4
"""Fewer words say too little: of single ones one in thirty would be held."""

MOST_WORDS: Final = 400
"""So many words tell the language."""


def is_english(text: str) -> bool:
    """Whether ``text`` has some words, and at least half of them are everyday English ones."""
    words = _WORD.findall(text.lower())[:MOST_WORDS]
    known = sum(word in everyday() for word in words)
    return len(words) >= FEWEST_WORDS and known >= LEAST * len(words)
