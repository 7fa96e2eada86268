"""Small models that read a CLIP embedding, for one picture or for many at once, in float64.

* MLP: linear layers with ReLU in between and a sigmoid at the end, one output a category (the
  LAION NSFW detector, unsafe-diffusion's five).
* Prompts: embedded prompts, bad ones against harmless ones, softmax over 100 × cosine (Q16,
  LAION's violence detector, a policy's concepts in words).
* Concepts with thresholds: :mod:`guard.classify.safety_checker`.

How they lie in files: :mod:`guard.classify.head_files`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from guard.errors import StageMisbehaved

Floats = NDArray[np.float64]

LOGIT_SCALE = 100.0
"""CLIP's learned temperature ends at its cap, 100; published prompt heads were trained with it."""

KERAS_EPSILON = 1e-7
"""Keras' Normalization divides by max(sqrt(variance), epsilon)."""


class Head(Protocol):
    """Scores embeddings."""

    @property
    def name(self) -> str:
        """Lower-case, unique among the heads of an encoder."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """What it scores."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the file or of what it was made from."""
        ...

    def scores(self, embeddings: NDArray[Any]) -> Floats:
        """(n, categories) probabilities for (n, d) embeddings, as the encoder gives them.

        Raises StageMisbehaved for another shape, NaN, or a vector of zeros.
        """
        ...


class _Base(ABC):
    """One picture is a batch of one."""

    categories: tuple[str, ...]

    @abstractmethod
    def scores(self, embeddings: NDArray[Any]) -> Floats:
        """See :class:`Head`."""

    def score(self, embedding: NDArray[Any]) -> Mapping[str, float]:
        """Category → probability, for one embedding of shape (d,). Raises as ``scores``."""
        (row,) = self.scores(np.asarray(embedding)[None])
        return dict(zip(self.categories, map(float, row), strict=True))


@dataclass(frozen=True)
class MlpHead(_Base):
    """Linear layers with ReLU in between and a sigmoid at the end.

    ``norm``, mean and variance (d), standardises the input first; ``unit_input`` scales it to
    length 1 before that.
    """

    name: str
    categories: tuple[str, ...]
    digest: str
    layers: tuple[tuple[Floats, Floats], ...] = field(repr=False)
    norm: tuple[Floats, Floats] | None = field(default=None, repr=False)
    unit_input: bool = True

    @property
    def width(self) -> int:
        """How many numbers an embedding must have."""
        return int(self.layers[0][0].shape[1])

    def scores(self, embeddings: NDArray[Any]) -> Floats:
        """See :class:`Head`."""
        value = checked(embeddings, self.width, self.name)
        if self.unit_input:
            value = unit(value)
        if self.norm is not None:
            mean, variance = self.norm
            value = (value - mean) / np.maximum(np.sqrt(variance), KERAS_EPSILON)
        for index, (weight, bias) in enumerate(self.layers):
            value = (np.maximum(value, 0.0) if index else value) @ weight.T + bias
        return sigmoid(value)


@dataclass(frozen=True)
class PromptHead(_Base):
    """Compares embeddings with embedded prompts, bad ones against harmless ones.

    ``prompts`` maps a category to its bad (b, d) and harmless (g, d) rows; the probability is
    the share of the bad rows in a softmax over scale × cosine. ``scales`` are the categories' own
    (inverse) temperatures, ``scale`` that of the others.
    """

    name: str
    digest: str
    prompts: Mapping[str, tuple[Floats, Floats]] = field(repr=False)
    scale: float = LOGIT_SCALE
    scales: Mapping[str, float] = field(default_factory=dict, repr=False)

    @property
    def categories(self) -> tuple[str, ...]:  # type: ignore[override]  # read-only here
        """The keys of ``prompts``."""
        return tuple(self.prompts)

    @property
    def width(self) -> int:
        """How many numbers an embedding must have."""
        return int(next(iter(self.prompts.values()))[0].shape[1])

    def scores(self, embeddings: NDArray[Any]) -> Floats:
        """See :class:`Head`."""
        value = unit(checked(embeddings, self.width, self.name))
        columns = [self._one(value, name, *rows) for name, rows in self.prompts.items()]
        return np.stack(columns, axis=1)

    def _one(self, value: Floats, name: str, bad: Floats, harmless: Floats) -> Floats:
        scale = self.scales.get(name, self.scale)
        logits = scale * (value @ unit(np.concatenate([bad, harmless])).T)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        share = odds[:, : len(bad)].sum(axis=1) / odds.sum(axis=1)
        return np.asarray(share, dtype=np.float64)


def unit(vectors: Floats) -> Floats:
    """Vectors (…, d) scaled to length 1. Raises StageMisbehaved for a vector of zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not (lengths > 0).all():
        raise StageMisbehaved("An embedding is all zeros.")
    return np.asarray(vectors / lengths, dtype=np.float64)


def checked(embeddings: NDArray[Any], dim: int, name: str) -> Floats:
    """``embeddings`` as float64. Raises StageMisbehaved unless they are (n, dim) and finite."""
    value = np.asarray(embeddings, dtype=np.float64)
    if value.ndim != 2 or value.shape[1] != dim:
        raise StageMisbehaved(
            f"The head '{name}' reads embeddings of {dim} numbers, not of shape {value.shape}.",
            hint="Use the head that was made for this CLIP model.",
        )
    if not np.isfinite(value).all():
        raise StageMisbehaved("An embedding holds NaN or infinity.")
    return value


def sigmoid(value: Floats) -> Floats:
    """1 / (1 + e^-x), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * value)), dtype=np.float64)
