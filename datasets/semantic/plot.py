"""The reliability plot of the docs, and the calibration error (ECE) of each category.

``python -m datasets.semantic.plot --work CACHE --out docs/explanation/semantic-reliability.png``.
Scores are out of fold, and rows weigh what they weigh in the mix that calibration assumes. Needs
matplotlib.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np

from datasets.semantic.data import HEADS
from datasets.semantic.evaluate import out_of_fold
from datasets.semantic.train import TESTED, calibration_weights, prepare

Array = np.ndarray[Any, Any]

BINS: Final = 8


def reliability(said: Array, true: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Mean probability said, share that was true, and weight, of bins of equal width."""
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    total = np.bincount(place, weight, BINS)
    shown = np.maximum(total, 1e-9)
    return (
        np.bincount(place, weight * said, BINS) / shown,
        np.bincount(place, weight * true, BINS) / shown,
        total / total.sum(),
    )


def expected_error(said: Array, true: Array, weight: Array) -> float:
    """Expected calibration error: mean gap between said and true over the bins."""
    mean, share, part = reliability(said, true, weight)
    return float((np.abs(mean - share) * part).sum())


def main() -> None:
    """Command line."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    data = prepare(args.work)
    rows = np.flatnonzero(np.isin(data.fold, TESTED) & ~data.added)
    weight, values = calibration_weights(data, rows), out_of_fold(data, args.work)
    figure, axes = plt.subplots(2, 4, figsize=(11, 5.6), sharex=True, sharey=True)
    for number, (head, axis) in enumerate(zip(HEADS, axes.flat, strict=False)):
        known = data.corpus.weights[rows, number] > 0
        true = data.corpus.labels[rows, number][known]
        axis.plot([0, 1], [0, 1], color="0.75", linewidth=1)
        errors = []
        for kind, colour in (("hashed", "#d08020"), ("cascade", "#2060a0")):
            said = values[kind][rows, number][known]
            mean, share, part = reliability(said, true, weight[known])
            seen = part > 2e-5
            axis.plot(mean[seen], share[seen], "o-", color=colour, markersize=4, label=kind)
            errors.append(expected_error(said, true, weight[known]))
        print(f"{head:12} ECE hashed {errors[0]:.4f} cascade {errors[1]:.4f}")
        axis.set_title(f"{head}  (ECE {errors[1]:.3f})", fontsize=10)
        axis.set_aspect("equal")
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
    last = axes.flat[-1]
    last.axis("off")
    handles, _labels = axes.flat[0].get_legend_handles_labels()
    last.legend(handles, ["hashed", "embedding"], loc="center", frameon=False)
    figure.supxlabel("probability said", fontsize=10)
    figure.supylabel("share that was so", fontsize=10)
    figure.tight_layout()
    figure.savefig(args.out, dpi=110)


if __name__ == "__main__":
    main()
