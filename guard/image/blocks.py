"""What a picture looks like, coarsely: enough to say later whether, and where, a copy differs.

The picture is averaged over square cells, ``SHORT`` of them along its short side, counted from its
top left corner; along the long side the last cell may reach beyond the picture, which is mirrored
there. A cell measures ``CELL`` canonical units, of which the short side has 256: the watermark's
own unit, so that a mark's placement says which cell a pixel of a suspect falls into. The cells are
kept as a WebP picture of about a kilobyte.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from guard.errors import LogTampered
from guard.types import Pixels

if TYPE_CHECKING:
    Cells = NDArray[np.float32]

SHORT: Final = 64
"""Cells along the short side: a face of an eighth of it still covers 8 by 8 of them."""

UNITS: Final = 256.0
CELL: Final = UNITS / SHORT

LONGEST: Final = 8 * SHORT
"""Cells of a ribbon that are described: its mark is looked for there only, too."""

QUALITY: Final = 85
"""Of WebP: about 1 kB, and 2.5 levels off in the root mean square."""

_HEAD: Final = struct.Struct(">2sII")
_MAGIC: Final = b"B1"
_ANTIALIAS: Final = 0.45  # sigma per unit of reduction, below which linear sampling aliases


@dataclass(frozen=True, slots=True)
class Blocks:
    """A described picture: its size in pixels, and its cells as RGB of shape (rows, columns, 3)."""

    width: int
    height: int
    cells: Pixels

    @property
    def unit(self) -> float:
        """Pixels of the picture per canonical unit."""
        return min(self.width, self.height) / UNITS


def describe(pixels: Pixels) -> bytes:
    """The description of a picture, shape (height, width, 3)."""
    from PIL import Image

    height, width = pixels.shape[:2]
    unit = min(height, width) / UNITS
    size = tuple(min(LONGEST, math.ceil(side / unit / CELL - 1e-9)) for side in (width, height))
    shown = fine(pixels, np.eye(2) / unit, np.array([width, height]) / unit / 2, (0, 0), size)[0]
    out = BytesIO()
    cells = np.rint(coarse(shown)).astype(np.uint8)
    Image.fromarray(cells).save(out, "WEBP", quality=QUALITY, method=4)
    return _HEAD.pack(_MAGIC, width, height) + out.getvalue()


def read(data: bytes) -> Blocks:
    """What :func:`describe` made. Raises LogTampered for anything else."""
    try:
        magic, width, height = _HEAD.unpack_from(data)
        cells = _cells(data[_HEAD.size :])
    except (ValueError, OSError, struct.error) as error:
        raise _unreadable() from error
    if magic != _MAGIC or not width or not height or cells is None:
        raise _unreadable()
    return Blocks(width, height, cells)


def _cells(data: bytes) -> Pixels | None:
    from PIL import Image

    with Image.open(BytesIO(data), formats=["WEBP"]) as picture:
        return None if max(picture.size) > LONGEST else np.asarray(picture.convert("RGB"))


def _unreadable() -> LogTampered:
    return LogTampered(
        "What is kept of a recorded picture's looks cannot be read.",
        hint="Run guard audit verify.",
    )


def fine(
    pixels: Pixels,
    matrix: NDArray[np.float64],
    shift: NDArray[np.float64],
    corner: tuple[int, int],
    size: tuple[int, ...],
) -> tuple[Pixels, Pixels]:
    """``pixels`` laid onto the canonical plane: one sample per unit, ``CELL`` a side per cell.

    Point p of ``pixels`` from their centre lies at ``matrix`` · p + ``shift`` there. Answered are
    ``size`` (columns, rows) cells from cell ``corner`` on, and a mask: 255 where ``pixels`` reach.
    """
    import cv2

    unit = 1.0 / math.sqrt(abs(float(np.linalg.det(matrix))))
    height, width = pixels.shape[:2]
    pixels = np.ascontiguousarray(pixels)
    if unit >= 2:
        small = (max(1, round(width / int(unit))), max(1, round(height / int(unit))))
        pixels = np.asarray(cv2.resize(pixels, small, interpolation=cv2.INTER_AREA))
    ratio = np.array([width / pixels.shape[1], height / pixels.shape[0]])
    left_over = unit / float(np.sqrt(ratio.prod()))
    if left_over > 1.2:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), _ANTIALIAS * left_over))
    # Sample u of the plane has its centre at u + ½ units; so have pixels.
    back = np.linalg.inv(matrix) / ratio[:, None]
    centre = (np.array(pixels.shape[1::-1]) - 1) / 2
    offset = back @ (np.array(corner) * CELL + 0.5 - shift) + centre
    affine = np.column_stack([back, offset])
    shape = tuple(int(CELL) * one for one in size)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(pixels, affine, shape, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    there = np.full(pixels.shape[:2], 255, np.uint8)
    return np.asarray(shown), np.asarray(cv2.warpAffine(there, affine, shape, flags=flags))


def coarse(shown: NDArray[Any]) -> Cells:
    """What :func:`fine` answers, averaged over its cells."""
    import cv2

    size = (shown.shape[1] // int(CELL), shown.shape[0] // int(CELL))
    return np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA), np.float32)
