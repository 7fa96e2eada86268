"""What transforms of words are made of: tables of letters, and choices that two runs agree on."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

VOWELS = "aeiou"
LETTERS = string.ascii_lowercase


def mapped(table: dict[str, str]) -> Callable[[str], str]:
    """Every letter by the table."""
    return lambda word: "".join(table.get(char, char) for char in word)


class Dice:
    """Chooses letters and places of a word, the same each time; ``salt`` tells one set of
    transforms from another."""

    def __init__(self, salt: str = "") -> None:
        self._salt = salt

    def rng(self, word: str) -> random.Random:
        """The choices of one word."""
        return random.Random(self._salt + word)  # noqa: S311

    def inner(self, word: str) -> int:
        """A place inside the word, never its first or last letter."""
        return self.rng(word).randrange(1, max(2, len(word) - 1))

    def one(self, table: dict[str, str]) -> Callable[[str], str]:
        """One letter by the table; the word itself when it has none of its letters."""

        def change(word: str) -> str:
            places = [i for i, char in enumerate(word) if char in table]
            if not places:
                return word
            at = self.rng(word).choice(places)
            return word[:at] + table[word[at]] + word[at + 1 :]

        return change
