"""The hashed model: one logistic head a category over hashed n-grams, fitted by L-BFGS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from guard.prompt.semantic.features import BUCKETS, buckets, words_of

Array = np.ndarray[Any, Any]


def matrix(texts: Sequence[str]) -> Any:
    """(texts, BUCKETS) CSR: counts over the square root of their number, as at run time."""
    from scipy.sparse import csr_array

    found = [buckets(words_of(text)) for text in texts]
    ends = np.cumsum([0, *(len(one) for one in found)])
    values = np.concatenate([np.full(len(one), len(one) ** -0.5, np.float32) for one in found])
    answer = csr_array(
        (values, np.concatenate(found).astype(np.int32), ends), shape=(len(texts), BUCKETS)
    )
    answer.sum_duplicates()
    return answer


def fit(
    x: Any, labels: Array, weights: Array, *, penalty: float, rounds: int = 60
) -> tuple[Array, Array]:
    """Weights (features, heads) and biases (heads,) that minimise the weighted log loss."""
    from scipy.optimize import minimize

    features, heads = x.shape[1], labels.shape[1]
    total = weights.sum(0)
    x_turned = x.T.tocsr() if hasattr(x, "tocsr") else x.T

    def loss(flat: Array) -> tuple[float, Array]:
        w = flat[: features * heads].reshape(features, heads).astype(np.float32)
        b = flat[features * heads :]
        z = x @ w + b.astype(np.float32)
        signed = z * (2 * labels - 1)
        value = (weights * np.logaddexp(0, -signed)).sum() + 0.5 * penalty * float((w * w).sum())
        residual = weights * (1 / (1 + np.exp(-z)) - labels)
        grad = x_turned @ residual + penalty * w
        return float(value), np.concatenate([grad.ravel(), residual.sum(0)]).astype(np.float64)

    rate = np.clip((weights * labels).sum(0) / total, 1e-4, 0.5)
    start = np.concatenate([np.zeros(features * heads), np.log(rate / (1 - rate))])
    best = minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": rounds, "maxcor": 6}
    )
    w = best.x[: features * heads].reshape(features, heads).astype(np.float32)
    return w, best.x[features * heads :].astype(np.float32)


def prepared(texts: Sequence[str], work: Any) -> tuple[Any, Array]:
    """(texts, BUCKETS) CSR of unit rows weighted by rarity, and the rarity (BUCKETS,) itself."""
    from scipy.sparse import csr_array, diags_array, load_npz, save_npz

    path = work / f"features-{len(texts)}.npz"
    if not path.exists():
        save_npz(path, matrix(texts))
    counts = csr_array(load_npz(path))
    seen = np.bincount(counts.indices, minlength=BUCKETS)
    # As bytes at run time: squared rarity in 0–255, so its root is the weight.
    rarity = np.sqrt(whole(np.log((len(texts) + 1) / (seen + 1))).astype(np.float32))
    length = np.asarray(counts @ (rarity**2)).ravel() / np.asarray(counts.sum(1)).ravel()
    rows = diags_array(1 / np.sqrt(np.maximum(length, 1e-6)))
    return csr_array((rows @ counts @ diags_array(rarity)).astype(np.float32)), rarity


def whole(rarity: Array) -> Array:
    """The square of a rarity as a byte, which is what ships; never 0."""
    return np.clip(np.rint(rarity**2), 1, 255).astype(np.uint8)


def quantise(w: Array, rarity: Array) -> tuple[Array, Array]:
    """int8 table (BUCKETS, heads) of weight × rarity, and its scale (heads,)."""
    full = w * rarity[:, None]
    # The very largest weights are clipped: they are few, and would cost all others their precision.
    top = np.quantile(np.abs(full[np.abs(full).sum(1) > 0]), 0.9999, axis=0)
    scale = (top / 127).astype(np.float32)
    return np.clip(np.rint(full / scale), -127, 127).astype(np.int8), scale
