"""Stable Diffusion's safety checker as a head: 17 concepts and 3 of special care, on ViT-L/14.

Each concept is an embedded text with a threshold for the cosine. What the 17 and the 3 are was
never published (Rando et al., "Red-Teaming the Stable Diffusion Safety Filter", 2022, guess them),
so they have numbers for names. Their order in the file must not matter, and does in the original,
``StableDiffusionSafetyChecker.forward`` of diffusers:

* It goes through the concepts of special care one by one, and as soon as one is over its threshold
  adds 0.01 to everything that comes after it: to the 17, as was meant, but also to the special
  concepts further down. Whether the second of them is reported thus depends on whether it stands
  behind or before the first. Its twin for ONNX, ``forward_onnx``, does not.
* It rounds to three decimals before it compares, so that up to 0.0005 over a threshold is not over
  it, and with the 0.01 on top the two roundings meet at other values than the thresholds.

Here every special concept is compared as it is; if any is over its threshold, each of the 17 gets
0.01 more, once. Nothing is rounded, so whatever the original's 17 report is reported here, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guard.classify.heads import LOGIT_SCALE, Floats, _Base, checked, sigmoid, unit

ADJUSTMENT = 0.01
"""What a picture with a special concept gets on top, in cosine."""

CATEGORIES = ("nsfw", "special-care")


@dataclass(frozen=True)
class SafetyCheckerHead(_Base):
    """Concept rows (c, d) and special rows (s, d), each with its thresholds (c,) and (s,).

    A category's score is the sigmoid of 100 × the largest cosine over its threshold: 0.5 is just
    at the threshold, monotone on either side; it is no probability before it is calibrated.
    """

    name: str
    digest: str
    concepts: tuple[Floats, Floats] = field(repr=False)
    special: tuple[Floats, Floats] = field(repr=False)
    categories: tuple[str, ...] = CATEGORIES

    @property
    def width(self) -> int:
        """How many numbers an embedding must have."""
        return int(self.concepts[0].shape[1])

    def margins(self, embeddings: NDArray[Any]) -> tuple[Floats, Floats]:
        """How far over its threshold each concept is, in cosine: (n, c) and (n, s)."""
        value = unit(checked(embeddings, self.width, self.name))
        special = value @ unit(self.special[0]).T - self.special[1]
        careful = (special > 0).any(axis=1, keepdims=True)
        concepts = value @ unit(self.concepts[0]).T - self.concepts[1] + ADJUSTMENT * careful
        return concepts, special

    def scores(self, embeddings: NDArray[Any]) -> Floats:
        """See :class:`guard.classify.heads.Head`."""
        worst = [one.max(axis=1) for one in self.margins(embeddings)]
        return sigmoid(LOGIT_SCALE * np.stack(worst, axis=1))
