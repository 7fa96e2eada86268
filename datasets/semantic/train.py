"""Trains the semantic tier: hashed heads, their ensemble with the tuned encoder, calibration.

``python -m datasets.semantic.train --work CACHE --run folds|no-i2p|all`` writes to ``CACHE``:

* ``folds``: scores of the prompts in ``TESTED`` folds by models that never saw their near-duplicate
  groups, and the calibration on them;
* ``no-i2p``: scores of a model that saw no I2P prompt at all;
* ``all``: ``model.npz`` of a model that saw everything, which ships, with the calibration of
  ``folds``.

The encoder and its heads come from ``datasets.semantic.finetune``, which runs first. Needs
scikit-learn. Seeded; prints figures only.
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
from datasets.semantic.splits import NEVER, load
from datasets.semantic.style import styled, tags

Array = np.ndarray[Any, Any]

SEED: Final = 20261124
PENALTY: Final = 0.1
ROUNDS: Final = 40
EMBEDDED_COPRO: Final = 0.25
"""CoPro is many and of one manner; the embedding's few numbers would serve it alone."""
GATE: Final = 0.02
"""Hashed probability of any head from which the encoder is asked."""
GROUPS: Final = {"01": (0, 1), "23": (2, 3)}
"""Folds that one fine-tuned encoder leaves out. Tuning takes long: fold 4 only teaches."""

TESTED: Final = tuple(fold for held in GROUPS.values() for fold in held)

STYLED: Final = {"coco": 1500, "copro": 2500, "copro-safe": 2500, "parti": 300, "i2p": 600}
"""Rows of each source that are seen a second time with style tags (I2P: without theirs)."""
SOURCE_WEIGHT: Final = {
    "i2p": 4.0, "diffusiondb": 2.0, "copro": 0.3, "copro-safe": 0.3, "coco": 0.4, "curated": 3.0,
}  # fmt: skip
OTHER_I2P: Final = 0.02
"""An I2P prompt of other categories is a weak negative: annotators chose one of several."""


@dataclass(slots=True)
class Prepared:
    """The corpus with its augmented rows, their fold, and which rows are augmented."""

    corpus: Corpus
    fold: Array
    added: Array


def prepare(work: Path) -> Prepared:
    """The corpus, augmented; the same on every machine."""
    corpus, fold = load(work)
    chance = random.Random(SEED)  # noqa: S311  no secret hangs on it
    styles = [
        one
        for one, source in zip(corpus.texts, corpus.source, strict=True)
        if source == "diffusiondb"
    ]
    known = tags(styles)
    chosen: list[int] = []
    texts: list[str] = []
    for source, count in STYLED.items():
        rows = np.flatnonzero(corpus.source == source).tolist()
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
        fold[again],
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


def teaching(data: Prepared) -> Array:
    """Which rows may teach at all: captions teach little, and a third of them does."""
    caption = data.corpus.source == "coco"
    return (data.fold != NEVER) & ~(caption & (np.arange(len(caption)) % 3 > 0))


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


class Trainer:
    """Corpus and features, once for all models."""

    def __init__(self, work: Path) -> None:
        self.data = prepare(work)
        self.features, self.rarity = hashed.prepared(self.data.corpus.texts, work)
        self.weights = weights_of(self.data)
        self.teaching = teaching(self.data)

    def fit(self, mask: Array) -> tuple[Array, Array]:
        """Hashed heads (features, heads) and biases (heads,) of the rows in ``mask``."""
        rows = np.flatnonzero(mask & self.teaching)
        labels, weights = self.data.corpus.labels[rows], self.weights[rows]
        return hashed.fit(self.features[rows], labels, weights, penalty=PENALTY, rounds=ROUNDS)

    def logits(self, heads: Array, biases: Array) -> Array:
        """(rows, heads) logits of the first stage."""
        return np.asarray(self.features @ heads + biases, np.float32)


def folds(trainer: Trainer, work: Path) -> None:
    """Out-of-fold scores of both stages, and the calibration on them."""
    fold = trainer.data.fold
    # The hard negatives are in no model: each fold tests a part of them.
    fold = np.where(fold == NEVER, np.arange(len(fold)) % len(TESTED), fold)
    first = np.zeros((len(fold), len(HEADS)), np.float32)
    for k in TESTED:
        first[fold == k] = trainer.logits(*trainer.fit(trainer.data.fold != k))[fold == k]
        print(f"fold {k} of {len(TESTED)}", flush=True)
    second = np.zeros_like(first)
    for name, held in GROUPS.items():
        rows = np.isin(fold, held)
        second[rows] = tuned(work, name, len(fold))[rows]
    np.savez(work / "folds.npz", first=first, second=second)
    rows = np.flatnonzero(np.isin(trainer.data.fold, TESTED) & ~trainer.data.added)
    np.savez(work / "calibration.npz", **calibrated(trainer.data, first, second, rows))


def tuned(work: Path, name: str, count: int) -> Array:
    """(count, heads) logits of a fine-tuned encoder; zero for rows it was not asked for."""
    answer = np.zeros((count, len(HEADS)), np.float32)
    with np.load(work / f"tuned-{name}.npz") as file:
        answer[file["rows"]] = file["logits"]
    return answer


def no_i2p(trainer: Trainer, work: Path) -> None:
    """Scores without I2P: folds 2 and up teach, 1 calibrates, 0 and I2P are for tests."""
    fold, i2p = trainer.data.fold, trainer.data.corpus.source == "i2p"
    first = trainer.logits(*trainer.fit((fold > 1) & ~i2p))
    second = tuned(work, "no-i2p", len(fold))
    rows = np.flatnonzero((fold == 1) & ~i2p & ~trainer.data.added)
    known = calibrated(trainer.data, first, second, rows)
    np.savez(work / "no-i2p.npz", first=first, second=second, **known)


def everything(trainer: Trainer, work: Path) -> None:
    """What ships. It cannot calibrate itself, and takes the calibration of the folds."""
    heads, biases = trainer.fit(np.ones(len(trainer.data.fold), bool))
    table, scale = hashed.quantise(heads, trainer.rarity)
    with (
        np.load(work / "calibration.npz") as known,
        np.load(work / "tuned-all.npz") as encoder,
    ):
        np.savez_compressed(
            work / "model.npz",
            table=table,
            rarity=hashed.whole(trainer.rarity),
            scale=scale,
            bias=biases,
            heads=encoder["heads"].astype(np.float16),
            offsets=encoder["offsets"] - encoder["shift"],
            **known,
        )


def calibrated(data: Prepared, first: Array, second: Array, rows: Array) -> dict[str, Array]:
    """Logistic parameters of both kinds, fitted on ``rows``."""
    weight = calibration_weights(data, rows)
    alone, both = [], []
    for head in range(len(HEADS)):
        known = weight * (data.corpus.weights[rows, head] > 0)
        target = data.corpus.labels[rows, head]
        alone.append(stack(first[rows, head, None], target, known))
        pair = np.stack([first[rows, head], second[rows, head]], 1)
        both.append(stack(pair, target, known))
    gate = np.full(len(HEADS), GATE, np.float32)
    return {"alone": np.array(alone), "both": np.array(both), "gate": gate}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", nargs="+", choices=["folds", "no-i2p", "all"], required=True)
    args = parser.parse_args()
    trainer = Trainer(args.work)
    runs = {"folds": folds, "no-i2p": no_i2p, "all": everything}
    for run in args.run:
        runs[run](trainer, args.work)
        print(f"done: {run}", flush=True)


if __name__ == "__main__":
    main()
