"""Embeddings of prompts (cached, each text once) and the heads over them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

WIDTH = 384
PENALTY = 300.0
"""Chosen on folds: with less, heads learn their few hundred prompts by heart."""


def embed(texts: Sequence[str], work: Path) -> Array:
    """(texts, 384) unit embeddings, as the run time makes them."""
    from guard.prompt.semantic.encoder import Encoder

    path = work / "embeddings.npz"
    known: dict[str, Array] = {}
    if path.exists():
        with np.load(path) as file:
            known = dict(zip(file["keys"].tolist(), file["values"], strict=True))
    keys = [hashlib.sha256(text.encode()).hexdigest()[:24] for text in texts]
    missing = [(key, text) for key, text in zip(keys, texts, strict=True) if key not in known]
    if missing:
        encoder = Encoder()
        known |= {key: encoder.embed(text) for key, text in missing}
        np.savez(path, keys=np.array(list(known)), values=np.stack(list(known.values())))
    return np.stack([known[key] for key in keys])


def fit_heads(meaning: Array, labels: Array, weights: Array) -> tuple[Array, Array]:
    """Logistic heads (384, heads) with biases (heads,)."""
    from datasets.semantic.hashed import fit

    # Numbers of a unit vector are small; scaled up, the optimiser gets along better.
    w, b = fit(meaning * 10, labels, weights, penalty=PENALTY, rounds=150)
    return w * 10, b
