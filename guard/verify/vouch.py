"""Whether a suspect shows the recorded picture's fine structure: a witness beside fingerprints.

A fingerprint tells pictures apart by their broad forms. A lamp before a white wall, or a road that
motion has drawn into stripes, has so few of them that chance decides many of its bits: copies are
then too far off to be told by their fingerprints alone, or other pictures too near. What is left
of the recorded description (:mod:`guard.image.blocks`) without its broad forms is thousands of
cells, and only a copy has them in the same places.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from guard.image.blocks import Blocks
from guard.types import Pixels
from guard.verify.align import Cells, spread

BROAD: Final = 1.5
"""Sigma in cells: what is broader is taken away."""

STRUCTURED: Final = 1.5
"""Levels of deviation that the fine structure must have to be told from what codecs leave."""

ALIKE: Final = 0.7
"""Correlation from which it is the same. Of 200 photographs those that have structure correlate
with copies (half size, JPEG quality 60) at .79 and more; the highest of 1.6 million pairs of
different pictures, in all positions, was .59."""

LEAST_CELLS: Final = 1000
"""Of fewer filled cells nothing is said."""


def vouches(pixels: Pixels, blocks: Blocks) -> bool:
    """Whether ``pixels``, uncropped and upright, show what ``blocks`` describe.

    False also where the recorded picture has too little fine structure to say so.
    """
    shown, filled = spread(pixels, blocks)
    if filled.sum() < LEAST_CELLS:
        return False
    seen, recorded = (_fine(cells)[filled] for cells in (shown, blocks.cells))
    strength = float(recorded.std()), float(seen.std())
    if min(strength) < STRUCTURED / 2 or strength[0] < STRUCTURED:
        return False
    return float(np.corrcoef(seen, recorded)[0, 1]) >= ALIKE


def _fine(cells: Pixels | Cells) -> Cells:
    """The luma of ``cells`` (0–255) without its broad forms."""
    luma = cells @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(luma - cv2.GaussianBlur(luma, (0, 0), BROAD), np.float32)
