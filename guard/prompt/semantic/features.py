"""What the hashed model sees of a text: hashed character n-grams, words and pairs of words.

Letters are lower-cased and stripped of accents, everything else becomes a space, digits become
``0``. Undoing disguises is the lexical tier's work. Hashing needs no vocabulary, so an unknown or
misspelt word still shares most of its n-grams with those seen in training (Weinberger et al.,
"Feature Hashing for Large Scale Multitask Learning", 2009).
"""

from __future__ import annotations

import unicodedata
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BITS: Final = 18
BUCKETS: Final = 1 << BITS
SHORTEST: Final = 3
LONGEST: Final = 5
WORD_CHARACTERS: Final = 40
"""Longer "words" are noise, and are cut."""

_SPREAD: Final = np.uint32(0x9E3779B1)  # 2^32 / golden ratio: Knuth's multiplicative hashing
_STEP: Final = np.uint32(0x01000193)  # the FNV prime
_SHIFT: Final = np.uint32(32 - BITS)
_TABLE: Final = bytes(
    code
    if chr(code).islower() and code < 128
    else code + 32
    if 65 <= code <= 90
    else 48
    if 48 <= code <= 57
    else 32
    for code in range(256)
)


def words_of(text: str) -> list[str]:
    """The words of ``text`` as the model sees them; never raises."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        text = "".join(one for one in text if not unicodedata.combining(one))
    plain = text.encode("ascii", "replace").translate(_TABLE).decode("ascii")
    return [word[:WORD_CHARACTERS] for word in plain.split()]


def buckets(words: list[str]) -> NDArray[np.intp]:
    """Bucket of every feature of ``words``, in 0..BUCKETS-1, with repeats."""
    line = f" {' '.join(words)} ".encode("ascii", "replace")
    letters = np.frombuffer(line, np.uint8).astype(np.uint32)
    parts: list[NDArray[Any]] = []
    rolling = letters
    for size in range(2, LONGEST + 1):
        if len(letters) < size:
            break
        rolling = rolling[:-1] * _STEP ^ letters[size - 1 :]
        if size >= SHORTEST:
            parts.append(rolling * _SPREAD >> _SHIFT)
    crc = zlib.crc32
    whole = [crc(word.encode("ascii", "replace")) for word in words]
    codes = np.array(whole or [0], np.uint32)
    parts += [codes * _SPREAD >> _SHIFT, (codes[:-1] * _STEP ^ codes[1:]) * _SPREAD >> _SHIFT]
    return np.concatenate(parts).astype(np.intp)
