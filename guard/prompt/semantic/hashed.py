"""The first stage: linear heads over hashed n-grams. No model runs, no memory to speak of."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from guard.prompt.semantic.features import buckets, words_of

Floats = NDArray[np.float32]

TELLING_WORDS: Final = 3


class Hashed(NamedTuple):
    """``table`` (buckets, heads) int8, ``scale`` and ``bias`` (heads,) float32.

    ``rarity`` (buckets,) uint8 is the squared inverse document frequency of each bucket: rare
    n-grams make up most of a text's length, so that a text of stock phrases does not drown its
    one rare word.
    """

    table: NDArray[np.int8]
    rarity: NDArray[np.uint8]
    scale: Floats
    bias: Floats

    def logits(self, text: str) -> Floats:
        """Raw scores (heads,) of a text."""
        found = buckets(words_of(text))
        total = np.add.reduce(self.table[found], axis=0, dtype=np.int32)
        shown = total * self.scale * self._shorten(found) + self.bias
        return np.asarray(shown, np.float32)

    def _shorten(self, found: NDArray[np.intp]) -> np.float32:
        length = float(np.add.reduce(self.rarity[found], dtype=np.int64))
        return np.float32(max(length, 1.0) ** -0.5)

    def telling(self, text: str, head: int) -> list[str]:
        """The words of ``text`` that speak most for a head, strongest first."""
        weight = {
            word: float(self.table[buckets([word]), head].sum(dtype=np.int32))
            for word in dict.fromkeys(words_of(text))
            if len(word) > 2
        }
        best = sorted(weight, key=lambda word: -weight[word])[:TELLING_WORDS]
        return [word for word in best if weight[word] > 0]

    def pull(self, text: str, head: int) -> float:
        """How much a clause speaks for a head, in the model's own units."""
        return float(self.table[buckets(words_of(text)), head].sum(dtype=np.int32))
