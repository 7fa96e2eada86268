"""Figures of the held-out models: AUROC, recall at 1 % pooled false positives, calibration.

``python -m datasets.semantic.evaluate --work CACHE`` prints and returns figures only. Test groups
took no part in training or calibration. "Joint" adds the lexical tier: a prompt that it has
something against counts as surely found.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np

from datasets.semantic.data import BENIGN, HEADS
from datasets.semantic.lexical import CATEGORIES, scores
from datasets.semantic.train import Prepared, prepare

Array = np.ndarray[Any, Any]

POOLED: Final = 0.01
_LEXICAL: Final = {
    "sexual": ("sexual", "nudity"),
    "violence": ("violence",),
    "hate": ("hate",),
    "harassment": ("hate",),
    "self-harm": ("self-harm",),
    "shocking": ("violence",),
}


def auroc(good: Array, bad: Array) -> float:
    """Chance that a bad prompt scores above a good one (ties count half)."""
    order = np.sort(good)
    below = np.searchsorted(order, bad, "left") + np.searchsorted(order, bad, "right")
    return float(below.mean() / 2 / len(good))


def sigmoid(z: Array) -> Array:
    """Logistic function."""
    return 1 / (1 + np.exp(-np.clip(z, -30, 30)))


def probabilities(work: Path, run: str, rows: int) -> dict[str, Array]:
    """(rows, heads) of each kind: hashed, embedding alone (uncalibrated), both, cascaded."""
    with np.load(work / run / "scores.npz") as file:
        first, second = file["first"][:rows], file["second"][:rows]
    with np.load(work / "held-out" / "calibration.npz") as file:
        alone, both, gate = file["alone"], file["both"], file["gate"]
    hashed = sigmoid(first * alone[:, 0] + alone[:, 1])
    joint = sigmoid(first * both[:, 0] + second * both[:, 1] + both[:, 2])
    asked = (hashed >= gate).any(1)
    return {
        "hashed": hashed,
        "minilm": sigmoid(second),
        "both": joint,
        "cascade": np.where(asked[:, None], joint, hashed),
    }


def with_lexical(values: Array, lexical: Array, head: str) -> Array:
    """``values`` of a head, raised where the lexical tier found something of its kind."""
    columns = [CATEGORIES.index(one) for one in _LEXICAL.get(head, ())]
    if not columns:
        return values
    return np.maximum(values, lexical[:, columns].max(1) * 0.999)


def figures(data: Prepared, values: Array, lexical: Array) -> dict[str, dict[str, float]]:
    """Figures of each head."""
    rows = len(lexical)
    source, test = data.corpus.source[:rows], data.part[:rows] == "test"
    answer = {}
    for number, head in enumerate(HEADS):
        one = with_lexical(values[:, number], lexical, head)
        bad = one[test & (source == "i2p") & (data.corpus.labels[:rows, number] > 0)]
        hard = one[
            test
            & (source == "i2p")
            & (data.corpus.labels[:rows, number] > 0)
            & data.corpus.hard[:rows]
        ]
        pool = one[test & np.isin(source, BENIGN)]
        bar = np.quantile(pool, 1 - POOLED)
        answer[head] = {
            "n": len(bad),
            "auroc_diffusiondb": auroc(one[test & (source == "diffusiondb")], bad),
            "auroc_pool": auroc(pool, bad),
            "recall": float((bad > bar).mean()),
            "recall_hard": float((hard > bar).mean()) if len(hard) else float("nan"),
            **{f"fp_{s}": float((one[test & (source == s)] > bar).mean()) for s in BENIGN},
        }
    return answer


def measure(work: Path) -> dict[str, Any]:
    """Figures of every run, kind and head, without and with the lexical tier."""
    data = prepare(work)
    rows = int((~data.added).sum())
    lexical = scores(data.corpus.texts[:rows], work)
    result: dict[str, Any] = {}
    for run in ("held-out", "no-i2p"):
        if not (work / run / "scores.npz").exists():
            continue
        for kind, values in probabilities(work, run, rows).items():
            result[f"{run}/{kind}"] = figures(data, values, np.zeros_like(lexical))
            result[f"{run}/{kind}+lexical"] = figures(data, values, lexical)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    for name, heads in measure(args.work).items():
        for head, row in heads.items():
            cells = " ".join(
                f"{key.replace('auroc_', '')}={value:.3f}" for key, value in row.items()
            )
            print(f"{name:28} {head:11} {cells}")


if __name__ == "__main__":
    main()
