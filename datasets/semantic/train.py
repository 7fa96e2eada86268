"""Trains the semantic tier: hashed heads, embedding heads, their calibration, their ensemble.

``python -m datasets.semantic.train --work CACHE --run held-out|no-i2p|all`` writes
``CACHE/<run>/model.npz`` and the scores of every prompt; ``evaluate.py`` reads those, ``ship.py``
puts the weights of ``all`` into the package. Needs scikit-learn. Seeded; prints figures only.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from datasets.semantic import hashed
from datasets.semantic.data import HEADS, Corpus
from datasets.semantic.embedding import embed, fit_heads
from datasets.semantic.splits import load
from datasets.semantic.style import styled, tags

Array = np.ndarray[Any, Any]

SEED: Final = 20261124
PENALTY: Final = 0.1
STYLED: Final = {"coco": 1500, "copro": 2500, "copro-safe": 2500, "parti": 300, "i2p": 600}
"""Rows of each source that are seen a second time with style tags (I2P: without theirs)."""
SOURCE_WEIGHT: Final = {
    "i2p": 12.0, "diffusiondb": 2.0, "copro": 0.3, "copro-safe": 0.3, "coco": 0.4, "curated": 3.0,
}  # fmt: skip
OTHER_I2P: Final = 0.03
"""An I2P prompt of other categories is a weak negative: annotators chose one of several."""


@dataclass(slots=True)
class Prepared:
    """The corpus with its augmented rows, their part, and which rows are augmented."""

    corpus: Corpus
    part: Array
    added: Array


def prepare(work: Path) -> Prepared:
    """The corpus, augmented; the same on every machine."""
    corpus, part = load(work)
    chance = random.Random(SEED)  # noqa: S311  no secret hangs on it
    known = tags(
        text
        for text, source, where in zip(corpus.texts, corpus.source, part, strict=True)
        if source == "diffusiondb" and where == "train"
    )
    chosen: list[int] = []
    texts: list[str] = []
    for source, count in STYLED.items():
        rows = np.flatnonzero((corpus.source == source) & (part != "test")).tolist()
        for row in chance.sample(rows, min(count, len(rows))):
            chosen.append(row)
            plain = corpus.texts[row].split(",")[0].strip()
            texts.append(plain if source == "i2p" else styled(corpus.texts[row], known, chance))
    again = np.array([*range(len(corpus.texts)), *chosen])
    return Prepared(
        replace(
            corpus,
            texts=corpus.texts + texts,
            **{
                name: getattr(corpus, name)[again]
                for name in ("source", "labels", "weights", "hard", "nudity", "group")
            },
        ),
        part[again],
        np.arange(len(again)) >= len(corpus.texts),
    )


def weights_of(data: Prepared) -> Array:
    """(rows, heads): how much each row teaches each head."""
    corpus = data.corpus
    scale = np.array([SOURCE_WEIGHT.get(one, 1.0) for one in corpus.source], np.float32)
    answer = corpus.weights * scale[:, None]
    answer[(corpus.source == "i2p")[:, None] & (corpus.labels == 0)] *= OTHER_I2P
    answer[data.added] *= 0.5
    return answer


def rows_of(run: str, data: Prepared) -> Array:
    """Row numbers that ``run`` trains on."""
    source = data.corpus.source.copy()
    # Captions teach little: a third of them does.
    source[(source == "coco") & (np.arange(len(source)) % 3 > 0)] = "hard"
    if run == "all":
        return np.flatnonzero(source != "hard")
    mine = (data.part == "train") & (source != "hard")
    return np.flatnonzero(mine & (source != "i2p") if run == "no-i2p" else mine)


def calibration_weights(data: Prepared, rows: Array) -> Array:
    """Validation rows weighted to what a platform sees: mostly prompts in DiffusionDB's manner."""
    share = {"i2p": 0.10, "copro": 0.05, "copro-safe": 0.10, "coco": 0.20, "diffusiondb": 0.50}
    source = data.corpus.source[rows]
    answer = np.zeros(len(rows), np.float32)
    for one in np.unique(source):
        mine = source == one
        answer[mine] = share.get(str(one), 0.05) / mine.sum()
    return answer * len(rows)


def stack(inputs: Array, labels: Array, weights: Array) -> Array:
    """(inputs + 1,): slopes and offset of a logistic regression (Platt scaling)."""
    from sklearn.linear_model import LogisticRegression

    # Some row may be unjudged (weight 0); slopes are kept from exploding on few positives.
    fitted = LogisticRegression(C=1.0, max_iter=500).fit(inputs, labels, sample_weight=weights)
    return np.concatenate([fitted.coef_[0], fitted.intercept_]).astype(np.float32)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", choices=["held-out", "no-i2p", "all"], required=True)
    args = parser.parse_args()
    data = prepare(args.work)
    features, rarity = hashed.prepared(data.corpus.texts, args.work)
    meaning = embed(data.corpus.texts, args.work)
    rows, weights = rows_of(args.run, data), weights_of(data)
    labels = data.corpus.labels
    w, b = hashed.fit(features[rows], labels[rows], weights[rows], penalty=PENALTY)
    table, scale = hashed.quantise(w, rarity)
    first = np.asarray(features @ w + b, np.float32)
    heads, offsets = fit_heads(meaning[rows], labels[rows], weights[rows])
    second = meaning @ heads + offsets
    out = args.work / args.run
    out.mkdir(exist_ok=True)
    arrays = {
        "table": table, "rarity": hashed.whole(rarity), "scale": scale, "bias": b,
        "heads": heads.astype(np.float16), "offsets": offsets,
    }  # fmt: skip
    np.savez(out / "scores.npz", first=first, second=second)
    held = args.work / "held-out" / "calibration.npz"
    if args.run == "held-out":
        np.savez(held, **calibrated(data, first, second))
    # A model that has seen everything cannot calibrate itself: it takes over the held-out one's.
    arrays |= dict(np.load(held))
    np.savez_compressed(out / "model.npz", **arrays)


def calibrated(data: Prepared, first: Array, second: Array) -> dict[str, Array]:
    """Logistic parameters of both kinds, on validation groups."""
    rows = np.flatnonzero((data.part == "validation") & ~data.added)
    weight = calibration_weights(data, rows)
    alone, both = [], []
    for head in range(len(HEADS)):
        known = weight * (data.corpus.weights[rows, head] > 0)
        target = data.corpus.labels[rows, head]
        alone.append(stack(first[rows, head, None], target, known))
        pair = np.stack([first[rows, head], second[rows, head]], 1)
        both.append(stack(pair, target, known))
    return {
        "alone": np.array(alone),
        "both": np.array(both),
        "gate": np.full(len(HEADS), 0.004, np.float32),
    }


if __name__ == "__main__":
    main()
