"""Small models that read a CLIP embedding: linear and MLP heads, prompt heads, zero-shot concepts.

Heads come from safetensors files only, which hold numbers and no code. Two layouts are known:

* MLP: ``linear_1.weight`` (out, in), ``linear_1.bias`` … ``linear_N``, ReLU in between, sigmoid at
  the end; with ``norm.mean`` and ``norm.variance`` (in), the input is standardised first (the
  LAION NSFW detector is one). One output a category.
* Prompts: ``prompts`` (2, d), row 0 harmless, row 1 bad; softmax over 100 × cosine (Q16, LAION's
  violence detector).

A file's metadata may say ``name``, ``categories`` (separated by commas) and ``input``:
``unit`` (the default: the embedding is scaled to length 1) or ``raw``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from guard.errors import DetectorUnavailable, StageMisbehaved

Floats = NDArray[np.float64]

MAX_HEAD_BYTES = 64 * 2**20
"""The largest published head (ViT-L/14) is under 1 MB; a checkpoint in its place is a mistake."""

MAX_LAYERS = 16
LOGIT_SCALE = 100.0
"""CLIP's learned temperature ends at its cap, 100; published prompt heads were trained with it."""

KERAS_EPSILON = 1e-7
"""Keras' Normalization divides by max(sqrt(variance), epsilon)."""

IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""As in policies, which refer to heads and categories by name."""

KNOWN_CATEGORIES = {"laion-nsfw": "nsfw", "laion-violence": "violence", "q16": "inappropriate"}
"""What published heads score, by file name, when their metadata does not say."""


class Head(Protocol):
    """Scores one embedding."""

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

    def score(self, embedding: NDArray[Any]) -> Mapping[str, float]:
        """Category → probability, for one embedding of shape (d,), as the encoder gives it.

        Raises StageMisbehaved for another shape, NaN, or a vector of zeros.
        """
        ...


@dataclass(frozen=True)
class MlpHead:
    """Linear layers with ReLU in between and a sigmoid at the end, float64."""

    name: str
    categories: tuple[str, ...]
    digest: str
    layers: tuple[tuple[Floats, Floats], ...] = field(repr=False)
    norm: tuple[Floats, Floats] | None = field(default=None, repr=False)
    unit_input: bool = True

    def score(self, embedding: NDArray[Any]) -> Mapping[str, float]:
        """See :class:`Head`."""
        value = _checked(embedding, self.layers[0][0].shape[1], self.name)
        if self.unit_input:
            value = unit(value)
        if self.norm is not None:
            mean, variance = self.norm
            value = (value - mean) / np.maximum(np.sqrt(variance), KERAS_EPSILON)
        for index, (weight, bias) in enumerate(self.layers):
            value = weight @ (np.maximum(value, 0.0) if index else value) + bias
        return dict(zip(self.categories, map(float, _sigmoid(value)), strict=True))


@dataclass(frozen=True)
class PromptHead:
    """Compares an embedding with embedded prompts, bad ones against harmless ones.

    ``prompts`` maps a category to its bad (b, d) and harmless (g, d) rows; the probability is
    the share of the bad rows in a softmax over ``scale`` × cosine.
    """

    name: str
    digest: str
    prompts: Mapping[str, tuple[Floats, Floats]] = field(repr=False)
    scale: float = LOGIT_SCALE

    @property
    def categories(self) -> tuple[str, ...]:
        """The keys of ``prompts``."""
        return tuple(self.prompts)

    def score(self, embedding: NDArray[Any]) -> Mapping[str, float]:
        """See :class:`Head`."""
        return {category: self._one(embedding, *rows) for category, rows in self.prompts.items()}

    def _one(self, embedding: NDArray[Any], bad: Floats, harmless: Floats) -> float:
        value = unit(_checked(embedding, bad.shape[1], self.name))
        logits = self.scale * (unit(np.concatenate([bad, harmless])) @ value)
        odds = np.exp(logits - logits.max())
        return float(odds[: len(bad)].sum() / odds.sum())


def unit(vectors: Floats) -> Floats:
    """Vectors (…, d) scaled to length 1. Raises StageMisbehaved for a vector of zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not (lengths > 0).all():
        raise StageMisbehaved("An embedding is all zeros.")
    return np.asarray(vectors / lengths, dtype=np.float64)


def _checked(embedding: NDArray[Any], dim: int, name: str) -> Floats:
    value = np.asarray(embedding, dtype=np.float64)
    if value.shape != (dim,):
        raise StageMisbehaved(
            f"The head '{name}' reads embeddings of {dim} numbers, not of shape {value.shape}.",
            hint="Use the head that was made for this CLIP model.",
        )
    if not np.isfinite(value).all():
        raise StageMisbehaved("An embedding holds NaN or infinity.")
    return value


def _sigmoid(value: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * value)), dtype=np.float64)


def load_head(path: Path) -> MlpHead | PromptHead:
    """The head in a safetensors file.

    Raises DetectorUnavailable when it is missing, too large, not safetensors, of an unknown
    layout, of shapes that do not fit together, or holds NaN.
    """
    tensors, metadata, digest = _read(path)
    name, categories = _names(path, metadata)
    if set(tensors) == {"prompts"}:
        rows = tensors["prompts"]
        if rows.ndim != 2 or len(rows) != 2 or len(categories) != 1:
            raise _broken(path, "'prompts' must have two rows and one category")
        return PromptHead(name, digest, {categories[0]: (rows[1:], rows[:1])})
    layers, norm = _mlp(path, tensors)
    if len(layers[-1][1]) != len(categories):
        raise _broken(path, f"{len(layers[-1][1])} outputs for {len(categories)} categories")
    raw = metadata.get("input", "unit")
    if raw not in {"unit", "raw"}:
        raise _broken(path, f"its metadata says input={raw!r}")
    return MlpHead(name, categories, digest, layers, norm, unit_input=raw == "unit")


def _names(path: Path, metadata: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The head's name and categories, from metadata or the file's name."""
    name = metadata.get("name") or re.sub(r"-head$", "", path.name.split(".")[0]).lower()
    said = tuple(one.strip() for one in metadata.get("categories", "").split(",") if one.strip())
    categories = said or (KNOWN_CATEGORIES.get(name, name),)
    wrong = [one for one in (name, *categories) if not IDENTIFIER.fullmatch(one)]
    if wrong or len(set(categories)) < len(categories):
        raise _broken(path, f"{wrong or categories} cannot name a head or its categories")
    return name, categories


def _read(path: Path) -> tuple[dict[str, Floats], dict[str, str], str]:
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_HEAD_BYTES else b""
    except OSError as error:
        raise DetectorUnavailable(
            f"The head {path.name} cannot be read: {error.strerror}.",
            hint="Import it with `guard models import-head FILE`, or correct the policy's clip "
            "section.",
        ) from error
    if size > MAX_HEAD_BYTES:
        raise _broken(path, f"it is larger than {MAX_HEAD_BYTES >> 20} MiB")
    return *_parse(path, data), hashlib.sha256(data).hexdigest()


def _parse(path: Path, data: bytes) -> tuple[dict[str, Floats], dict[str, str]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
        # The header was validated by load: its length in 8 bytes, then JSON.
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _broken(path, f"it is not a safetensors file ({error})") from error
    for key, tensor in tensors.items():
        if tensor.dtype.kind != "f" or not np.isfinite(tensor).all():
            raise _broken(path, f"'{key}' is not made of finite floating-point numbers")
    doubles = {key: tensor.astype(np.float64) for key, tensor in tensors.items()}
    return doubles, header.get("__metadata__") or {}


def _mlp(
    path: Path, tensors: Mapping[str, Floats]
) -> tuple[tuple[tuple[Floats, Floats], ...], tuple[Floats, Floats] | None]:
    depth = sum(key.endswith(".weight") for key in tensors)
    names = [f"linear_{i}" for i in range(1, depth + 1)]
    expected = {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    normed = {"norm.mean", "norm.variance"} if "norm.mean" in tensors else set()
    if not 1 <= depth <= MAX_LAYERS or set(tensors) != expected | normed:
        raise _broken(path, f"its layout is unknown ({', '.join(sorted(tensors)[:6])} …)")
    layers = tuple((tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names)
    width = layers[0][0].shape[1] if layers[0][0].ndim == 2 else -1
    norm = (tensors["norm.mean"], tensors["norm.variance"]) if normed else None
    if norm and not (norm[0].shape == norm[1].shape == (width,) and (norm[1] >= 0).all()):
        raise _broken(path, "'norm' does not fit the first layer")
    for weight, bias in layers:
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != (weight.shape[0],):
            raise _broken(path, "its layers do not fit together")
        width = weight.shape[0]
    return layers, norm


def _broken(path: Path, why: str) -> DetectorUnavailable:
    return DetectorUnavailable(
        f"The head {path.name} cannot be used: {why}.",
        hint="Heads are safetensors files in one of the layouts of docs/adr/0006.",
    )
