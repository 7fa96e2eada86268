"""Heads in safetensors files, which hold numbers and no code.

Four layouts are known:

* MLP: ``linear_1.weight`` (out, in), ``linear_1.bias`` … ``linear_N``; with ``norm.mean`` and
  ``norm.variance`` (in), the input is standardised first.
* Prompts: ``prompts`` (2, d), row 0 harmless, row 1 bad.
* unsafe-diffusion (Qu et al., 2023): the state of ``Sequential(Linear(768, 384), ReLU, Dropout,
  BatchNorm1d, Linear(384, 1))``: ``0.weight``, ``0.bias``, ``3.weight``, ``3.bias``,
  ``3.running_mean``, ``3.running_var``, ``4.weight``, ``4.bias``; reads the embedding as it comes.
* Safety checker: ``concept_embeds`` (c, d), ``concept_embeds_weights`` (c), and the same with
  ``special_care_embeds``.

A file's metadata may say ``name``, ``categories`` (separated by commas), ``encoder`` and ``input``:
``unit`` (the embedding is scaled to length 1) or ``raw``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from guard.classify.heads import Floats, MlpHead, PromptHead
from guard.classify.safety_checker import SafetyCheckerHead
from guard.errors import DetectorUnavailable

MAX_HEAD_BYTES = 64 * 2**20
"""The largest published head (ViT-L/14) is under 1 MB; a checkpoint in its place is a mistake."""

MAX_LAYERS = 16

BATCH_NORM_EPSILON = 1e-5
"""PyTorch's, which the files do not hold."""

IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""As in policies, which refer to heads and categories by name."""

KNOWN_CATEGORIES = {"laion-nsfw": "nsfw", "laion-violence": "violence", "q16": "inappropriate"}
"""What published heads score, by file name, when their metadata does not say."""

SAFETY_CHECKER = frozenset(
    {
        "concept_embeds",
        "concept_embeds_weights",
        "special_care_embeds",
        "special_care_embeds_weights",
    }
)
BATCH_NORMED = frozenset(
    {
        "0.weight",
        "0.bias",
        "3.weight",
        "3.bias",
        "3.running_mean",
        "3.running_var",
        "4.weight",
        "4.bias",
    }
)

AnyHead = MlpHead | PromptHead | SafetyCheckerHead
Tensors = Mapping[str, Floats]


def load_head(path: Path) -> AnyHead:
    """The head in a safetensors file.

    Raises DetectorUnavailable when it is missing, too large, not safetensors, of an unknown
    layout, of shapes that do not fit together, or holds NaN.
    """
    return head_of(path, *read_tensors(path))


def head_of(path: Path, tensors: Tensors, metadata: Mapping[str, str], digest: str) -> AnyHead:
    """The head that ``tensors`` are; ``path`` gives its name. Raises as :func:`load_head`."""
    name, categories = _names(path, metadata)
    if set(tensors) == {"prompts"}:
        rows = tensors["prompts"]
        if rows.ndim != 2 or len(rows) != 2 or len(categories) != 1:
            raise _broken(path, "'prompts' must have two rows and one category")
        return PromptHead(name, digest, {categories[0]: (rows[1:], rows[:1])})
    if set(tensors) == SAFETY_CHECKER:
        return _safety_checker(path, tensors, name, digest)
    usual = "unit"
    if set(tensors) >= BATCH_NORMED:
        tensors, usual = _folded(path, tensors), "raw"
    layers, norm = _mlp(path, tensors)
    if len(layers[-1][1]) != len(categories):
        raise _broken(path, f"{len(layers[-1][1])} outputs for {len(categories)} categories")
    raw = metadata.get("input", usual)
    if raw not in {"unit", "raw"}:
        raise _broken(path, f"its metadata says input={raw!r}")
    return MlpHead(name, categories, digest, layers, norm, unit_input=raw == "unit")


def _safety_checker(path: Path, tensors: Tensors, name: str, digest: str) -> SafetyCheckerHead:
    parts = []
    for kind in ("concept_embeds", "special_care_embeds"):
        rows, limits = tensors[kind], tensors[f"{kind}_weights"]
        if rows.ndim != 2 or not len(rows) or limits.shape != (len(rows),):
            raise _broken(path, f"'{kind}' and its thresholds do not fit together")
        parts.append((rows, limits))
    if parts[0][0].shape[1] != parts[1][0].shape[1]:
        raise _broken(path, "its concepts are of different encoders")
    return SafetyCheckerHead(name, digest, parts[0], parts[1])


def _folded(path: Path, tensors: Tensors) -> dict[str, Floats]:
    """BatchNorm, between ReLU and the last layer, taken into that layer: it is linear."""
    if set(tensors) - BATCH_NORMED - {"3.num_batches_tracked"}:
        raise _broken(path, "its layout is unknown")
    mean, variance = tensors["3.running_mean"], tensors["3.running_var"]
    gain, shift, last = tensors["3.weight"], tensors["3.bias"], tensors["4.weight"]
    fits = mean.ndim == 1 and last.ndim == 2 and last.shape[1] == len(mean)
    if not fits or not mean.shape == variance.shape == gain.shape == shift.shape:
        raise _broken(path, "its normalisation does not fit its layers")
    if not (variance >= 0).all():
        raise _broken(path, "a variance is negative")
    factor = gain / np.sqrt(variance + BATCH_NORM_EPSILON)
    return {
        "linear_1.weight": tensors["0.weight"],
        "linear_1.bias": tensors["0.bias"],
        "linear_2.weight": last * factor,
        "linear_2.bias": tensors["4.bias"] + last @ (shift - mean * factor),
    }


def _names(path: Path, metadata: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The head's name and categories, from metadata or the file's name."""
    name = metadata.get("name") or re.sub(r"-head$", "", path.name.split(".")[0]).lower()
    said = tuple(one.strip() for one in metadata.get("categories", "").split(",") if one.strip())
    categories = said or (KNOWN_CATEGORIES.get(name, name),)
    wrong = [one for one in (name, *categories) if not IDENTIFIER.fullmatch(one)]
    if wrong or len(set(categories)) < len(categories):
        raise _broken(path, f"{wrong or categories} cannot name a head or its categories")
    return name, categories


def read_tensors(path: Path) -> tuple[dict[str, Floats], dict[str, str], str]:
    """Tensors as float64, metadata and SHA-256 (hex) of a file. Raises as :func:`load_head`."""
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
        counter = key == "3.num_batches_tracked" and tensor.ndim == 0
        if (tensor.dtype.kind != "f" and not counter) or not np.isfinite(tensor).all():
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
        hint="Heads are safetensors files in one of the layouts of "
        "docs/explanation/classification.md.",
    )
