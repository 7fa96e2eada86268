"""Damage that a mark must be read back from before its picture is released.

Each damage is a name of a policy (``jpeg75``, ``crop90-jpeg75``, ``webp50``): what is done to a
copy, and where in the copy the picture then lies, so that the reading needs no search.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from guard.errors import MarkRejected, SettingsInvalid
from guard.types import Pixels

PATTERN: Final = r"(crop(?P<kept>[5-9][0-9])-)?(?P<codec>jpeg|webp)(?P<quality>[1-9][0-9]?)"


@dataclass(frozen=True, slots=True)
class Damage:
    """``kept``: share of each side that a centred crop leaves, then a codec at a quality."""

    name: str
    kept: float
    codec: str
    quality: int

    def copy(self, pixels: Pixels) -> tuple[Pixels, tuple[int, int]]:
        """A damaged copy, and the (left, top) pixel of ``pixels`` where a crop of it begins."""
        height, width = pixels.shape[:2]
        top, left = (round(side * (1 - self.kept) / 2) for side in (height, width))
        part = pixels[top : height - top, left : width - left]
        return recoded(part, self.codec, self.quality), (left, top)


def damage(name: str) -> Damage:
    """The damage of this name. Raises SettingsInvalid for a name that says nothing."""
    match = re.fullmatch(PATTERN, name)
    if match is None:
        raise SettingsInvalid(
            f"{name!r} names no damage.",
            hint="Write a codec and its quality, after a crop if you like: jpeg75, crop90-webp50.",
        )
    kept = int(match["kept"] or 100) / 100
    return Damage(name, kept, match["codec"], int(match["quality"]))


def recoded(pixels: Pixels, codec: str, quality: int) -> Pixels:
    """``pixels`` as they come back from ``codec`` (jpeg or webp) at ``quality`` (1–100)."""
    flag = cv2.IMWRITE_JPEG_QUALITY if codec == "jpeg" else cv2.IMWRITE_WEBP_QUALITY
    solid = np.ascontiguousarray(pixels[..., ::-1])
    done, data = cv2.imencode(f".{codec}", solid, [flag, quality])
    copy = cv2.imdecode(data, cv2.IMREAD_COLOR) if done else None
    if copy is None:
        raise MarkRejected(f"The picture could not be encoded as {codec} to check its mark.")
    return np.ascontiguousarray(copy[..., ::-1], dtype=np.uint8)
