"""How far two words are apart: keyboard slips and single edits."""

from __future__ import annotations

import functools
from typing import Final

MIN_VOWEL: Final = 6
"""In shorter words another vowel makes another word."""

_VOWELS: Final = frozenset("aeiou")
_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def one_slip(word: str, target: str) -> bool:
    """Whether one keyboard slip leads from ``target`` to ``word``; the first letter is right.

    A slip is a letter left out, two swapped, one hit twice, a key beside the right one hit with
    it or in its place, or in longer words another vowel.
    """
    if word[:1] != target[:1] or abs(len(word) - len(target)) > 1 or word == target:
        return False
    at = next((i for i, (a, b) in enumerate(zip(word, target, strict=False)) if a != b), None)
    if at is None:  # one is the other and a last letter
        return len(word) < len(target) or word[-1] in _beside(target[-1])
    if len(word) < len(target):
        return word[at:] == target[at + 1 :]
    if len(word) > len(target):
        near = _beside(target[at]) | _beside(target[at - 1])
        return word[at + 1 :] == target[at:] and word[at] in near
    if word[at : at + 2] == target[at : at + 2][::-1] and word[at + 2 :] == target[at + 2 :]:
        return True
    vowels = len(word) >= MIN_VOWEL and {word[at], target[at]} <= _VOWELS
    return (vowels or word[at] in _beside(target[at])) and word[at + 1 :] == target[at + 1 :]


def one_edit(word: str, target: str) -> bool:
    """Whether the two differ by one letter added, left out, replaced or swapped."""
    more = len(word) - len(target)
    if more > 1 or more < -1 or word == target:
        return False
    at = next((i for i, (a, b) in enumerate(zip(word, target, strict=False)) if a != b), None)
    if at is None:  # one is the other and a last letter
        return True
    if more:
        longer, shorter = (word, target) if more > 0 else (target, word)
        return longer[at + 1 :] == shorter[at:]
    if word[at + 1 :] == target[at + 1 :]:
        return True
    return word[at : at + 2] == target[at : at + 2][::-1] and word[at + 2 :] == target[at + 2 :]


@functools.cache
def _beside(letter: str) -> frozenset[str]:
    """The letter and the keys around it on a QWERTY keyboard."""
    place = {char: (y, x + y / 2) for y, row in enumerate(_ROWS) for x, char in enumerate(row)}
    if letter not in place:
        return frozenset(letter)
    y, x = place[letter]
    return frozenset(c for c, (v, u) in place.items() if abs(v - y) <= 1 and abs(u - x) <= 1)
