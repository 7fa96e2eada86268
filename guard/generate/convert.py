"""From what a pipeline answers to pixels that may cross a border."""

from __future__ import annotations

from typing import Any

import numpy as np

from guard.errors import StageMisbehaved
from guard.types import Pixels


def to_pixels(answer: Any) -> Pixels:
    """One image as uint8 RGB (h, w, 3), from floats in 0–1 or uint8, one, three or four channels.

    Raises StageMisbehaved for NaN, another shape or another type. Floats a little outside 0–1
    are clipped, as every pipeline does.
    """
    array = np.asarray(answer)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in {1, 3, 4} or 0 in array.shape:
        raise StageMisbehaved(f"The model answered an image of shape {array.shape}.")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise StageMisbehaved(
                "The model answered NaN.",
                hint="Half precision can overflow in the autoencoder: try device='cpu'.",
            )
        array = np.rint(np.clip(array, 0.0, 1.0) * 255.0).astype(np.uint8)
    if array.dtype != np.uint8:
        raise StageMisbehaved(f"The model answered an image of {array.dtype} numbers.")
    rgb = np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array[..., :3]
    return np.ascontiguousarray(rgb)


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """``pixels`` at ``size`` (width, height), by Lanczos."""
    if pixels.shape[1::-1] == size:
        return pixels
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
