"""Figures of models that never saw what they are tested on.

``python -m datasets.semantic.evaluate --work CACHE`` prints figures only: AUROC, recall at 1 % of
pooled false positives, false positives of each source at that threshold. Scores are out of fold by
near-duplicate group, and calibrated on the other folds. ``+lexical`` adds the lexical tier: what it
found counts with its own score.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np

from datasets.semantic.data import BENIGN, HEADS
from datasets.semantic.lexical import CATEGORIES, scores
from datasets.semantic.splits import NEVER
from datasets.semantic.train import TESTED, Prepared, calibrated, prepare

Array = np.ndarray[Any, Any]

POOLED: Final = 0.01
ACTS: Final = 0.5
"""Score from which a lexical finding acts under the default policy."""
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


def by_kind(first: Array, second: Array, known: dict[str, Array]) -> dict[str, Array]:
    """(rows, heads) probabilities of each way to run the tier."""
    alone, both = known["alone"], known["both"]
    hashed = sigmoid(first * alone[:, 0] + alone[:, 1])
    joint = sigmoid(first * both[:, 0] + second * both[:, 1] + both[:, 2])
    asked = (hashed >= known["gate"]).any(1)
    return {
        "hashed": hashed,
        "minilm": sigmoid(second),
        "both": joint,
        "cascade": np.where(asked[:, None], joint, hashed),
    }


def out_of_fold(data: Prepared, work: Path) -> dict[str, Array]:
    """Probabilities of every row by models and calibrations that never saw its group."""
    with np.load(work / "folds.npz") as file:
        first, second = file["first"], file["second"]
    answer: dict[str, Array] = {}
    fold = np.where(data.fold == NEVER, np.arange(len(first)) % len(TESTED), data.fold)
    for k in TESTED:
        others = np.isin(data.fold, TESTED) & (data.fold != k) & ~data.added
        known = calibrated(data, first, second, np.flatnonzero(others))
        mine = fold == k
        for kind, values in by_kind(first, second, known).items():
            answer.setdefault(kind, np.zeros_like(values))[mine] = values[mine]
    return answer


def without_i2p(work: Path) -> dict[str, Array]:
    """Probabilities of every row by the model that saw no I2P."""
    with np.load(work / "no-i2p.npz") as file:
        return by_kind(file["first"], file["second"], dict(file))


def with_lexical(values: Array, lexical: Array, head: str) -> Array:
    """``values`` of a head, or the score of what the lexical tier would act on by itself."""
    columns = [CATEGORIES.index(one) for one in _LEXICAL.get(head, ())]
    if not columns:
        return values
    found = lexical[:, columns].max(1)
    return np.maximum(values, np.where(found >= ACTS, found, 0.0))


def figures(data: Prepared, values: Array, lexical: Array, tested: Array) -> dict[str, Any]:
    """Figures of each head over the rows ``tested``."""
    rows = len(lexical)
    source, hard, labels = (
        getattr(data.corpus, name)[:rows] for name in ("source", "hard", "labels")
    )
    pooled = tested & np.isin(source, BENIGN)
    answer = {}
    for number, head in enumerate(HEADS):
        one = with_lexical(values[:rows, number], lexical, head)
        positive = tested & (source == "i2p") & (labels[:, number] > 0)
        bar = np.quantile(one[pooled], 1 - POOLED)
        answer[head] = {
            "n": int(positive.sum()),
            "auroc_diffusiondb": auroc(one[pooled & (source == "diffusiondb")], one[positive]),
            "auroc_pool": auroc(one[pooled], one[positive]),
            "recall": float((one[positive] > bar).mean()),
            "recall_hard": float((one[positive & hard] > bar).mean()),
            **{f"fp_{s}": float((one[pooled & (source == s)] > bar).mean()) for s in BENIGN},
        }
    return answer


def measure(work: Path) -> dict[str, Any]:
    """Figures of every run, kind and head, without and with the lexical tier."""
    data = prepare(work)
    rows = int((~data.added).sum())
    fold, i2p = data.fold[:rows], data.corpus.source[:rows] == "i2p"
    lexical = scores(data.corpus.texts[:rows], work)
    runs = {
        "folds": (out_of_fold(data, work), np.isin(fold, (*TESTED, NEVER))),
        "no-i2p": (without_i2p(work), (fold == 0) | (fold == NEVER) | i2p),
    }
    result: dict[str, Any] = {}
    for run, (kinds, tested) in runs.items():
        for kind, values in kinds.items():
            result[f"{run}/{kind}"] = figures(data, values, np.zeros_like(lexical), tested)
            result[f"{run}/{kind}+lexical"] = figures(data, values, lexical, tested)
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
            print(f"{name:24} {head:11} {cells}")


if __name__ == "__main__":
    main()
