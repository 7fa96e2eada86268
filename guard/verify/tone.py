"""What was done to a picture's tones as a whole: brightness, contrast, gamma, colour cast, grey.

A smooth map from the recorded colour of a cell to the one that a suspect shows there, the same for
all cells, is fitted by least squares; cells that do not follow it lose their say (Beaton and Tukey,
"The Fitting of Power Series", 1974). What the map leaves over is not a matter of tone.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float32]

ROUNDS: Final = 4
COLOUR: Final = 1.2
"""Sigma in cells over which colour differences are smoothed."""

OUTLIER: Final = 3.5
"""Deviations, in units of the median one, from which a cell has no say."""

_RIDGE: Final = 1e-3
_MEDIAN_TO_SIGMA: Final = 1.4826


def opponent(cells: NDArray[np.uint8] | Cells) -> Cells:
    """Rec. 601 luma (0–255), blue and red difference (−128–128) of RGB cells.

    The differences are smoothed: descriptions keep colour at half the resolution.
    """
    rgb = cells.astype(np.float32)
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    colour = np.stack([(rgb[..., 2] - luma) * 0.564, (rgb[..., 0] - luma) * 0.713], axis=-1)
    return np.dstack([luma, cv2.GaussianBlur(colour, (0, 0), COLOUR)])


def matched(recorded: Cells, shown: Cells, seen: NDArray[np.bool_]) -> tuple[Cells, Cells]:
    """``recorded`` in the tones of ``shown``, and (3,) robust deviations of what is left over.

    All of shape (rows, columns, 3), as :func:`opponent` answers; fitted where ``seen``.
    """
    terms = _terms(recorded)
    known, wanted = terms[seen], shown[seen].astype(np.float64)
    say = np.ones(len(known))
    for _ in range(ROUNDS):
        weighted = known * say[:, None]
        square = weighted.T @ known + _RIDGE * np.eye(known.shape[1])
        factors = np.linalg.solve(square, weighted.T @ wanted)
        off = wanted - known @ factors
        deviation = _MEDIAN_TO_SIGMA * np.median(np.abs(off), axis=0)
        size = np.sqrt(((off / (deviation + 1.0)) ** 2).mean(axis=1)) / OUTLIER
        say = np.where(size < 1, (1 - size**2) ** 2, 0.0)
    return (terms @ factors).astype(np.float32), deviation.astype(np.float32)


def _terms(cells: Cells) -> NDArray[np.float64]:
    """Powers of the three values; the root, which gammas bend steeply near black."""
    y, b, r = (cells[..., one].astype(np.float64) / 128 for one in range(3))
    root = np.sqrt(np.maximum(y, 0.0) + 0.02)
    y = y - 1.0
    one = np.ones_like(y)
    return np.stack([one, y, y * y, y**3, root, b, r, b * b, r * r, b * r, y * b, y * r], axis=-1)
