"""rivaGan, the neural method of invisible-watermark: 32 bits through two small ONNX models.

The models (1.7 MB, MIT) lie in the package invisible-watermark. They are opened where they lie,
without importing the package, which would import torch. Their signature, as the package uses it:
``frame`` float32 (1, 3, 1, h, w), BGR in −1…1, and ``data`` (1, 32) of 0 and 1 → the marked frame;
``frame`` → (1, 32), where a bit is one above .52.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from guard.errors import DetectorUnavailable
from guard.onnx import open_session
from guard.types import Pixels

LENGTH: Final = 32
PACKAGE: Final = "imwatermark"
_THRESHOLD: Final = 0.52


def installed() -> bool:
    """Whether the package with the models is there."""
    return _folder() is not None


def read_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """32 bits of 0 and 1: some come out of every picture. Raises DetectorUnavailable."""
    answer = _session("decoder").run(None, {"frame": _frame(pixels)})[0]
    return np.asarray(np.asarray(answer).ravel() > _THRESHOLD, dtype=np.uint8)


def write_bits(pixels: Pixels, bits: NDArray[np.uint8]) -> Pixels:
    """A copy of ``pixels`` (uint8, (h, w, 3)) with 32 ``bits``. Raises DetectorUnavailable."""
    inputs = {"frame": _frame(pixels), "data": bits[None].astype(np.float32)}
    frame = np.asarray(_session("encoder").run(None, inputs)[0])[0, :, 0]
    levels = np.rint((np.clip(frame, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0)[..., ::-1])


def _frame(pixels: Pixels) -> NDArray[np.float32]:
    scaled = pixels[..., ::-1].astype(np.float32) / 127.5 - 1.0
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None, :, None])


def _folder() -> Path | None:
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


@cache
def _session(part: str) -> Any:
    folder = _folder()
    if folder is None:
        raise DetectorUnavailable(
            "rivaGan's models lie in the package invisible-watermark, which is not installed.",
            hint="Install it beside: pip install --no-deps invisible-watermark",
        )
    try:
        return open_session((folder / f"rivagan_{part}.onnx").read_bytes())
    except Exception as error:
        raise DetectorUnavailable(
            f"rivaGan's {part} cannot be opened: {error}",
            hint="Install the package anew: pip install --no-deps invisible-watermark",
        ) from error
