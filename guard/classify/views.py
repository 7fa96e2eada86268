"""Square windows over a picture.

Both kinds of detector look at a small square. Cropping the middle (CLIP's recipe) never sees the
ends of a wide picture, and squashing (open_nsfw's) makes a panorama unrecognisable, so a picture
is shown to a detector in as many overlapping squares as its sides need and the highest score
counts.
"""

from __future__ import annotations

import math

import numpy as np

from guard.types import Pixels

MAX_VIEWS = 16
"""More windows than this would let one absurd panorama hold a worker for seconds; the windows
then lie further apart than their side."""


def square_views(pixels: Pixels) -> list[Pixels]:
    """Evenly spaced squares of the shorter side that together cover an (h, w, 3) picture.

    One for a square picture, two for anything up to 2:1, and so on, at most ``MAX_VIEWS``.
    """
    height, width = pixels.shape[:2]
    side, length = min(height, width), max(height, width)
    count = min(math.ceil(length / side), MAX_VIEWS)
    starts = np.linspace(0, length - side, count).round().astype(int)
    if width >= height:
        return [pixels[:, start : start + side] for start in starts]
    return [pixels[start : start + side] for start in starts]
