"""Near-duplicate groups, and the fold of each prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from datasets.semantic.data import Corpus, fold_of, read
from datasets.semantic.embedding import embed

NEAR = 0.8
"""Cosine of MiniLM embeddings over which two prompts are near-duplicates."""
SALT = "genguard-semantic-1/"
FOLDS = 5
NEVER = -1
"""The fold of rows that are never trained on (the hard negatives)."""
ALWAYS = FOLDS
"""The fold of rows that are always trained on and never tested on (our own)."""


def group(embedding: np.ndarray[Any, Any], source: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Connected components of "cosine > .8", within families of sources.

    Captions are not compared with the rest: they come from other people about other things, and
    chains of "a man with a ..." would make one giant group.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    answer = np.arange(len(unit))
    families = ({"i2p", "diffusiondb"}, {"copro", "copro-safe"}, {"coco"}, {"parti", "dpg"})
    for family in families:
        mine = np.flatnonzero(np.isin(source, sorted(family)))
        near = [], []
        for start in range(0, len(mine), 2000):
            a, b = np.nonzero(unit[mine[start : start + 2000]] @ unit[mine].T > NEAR)
            near[0].append(a + start)
            near[1].append(b)
        rows, columns = np.concatenate(near[0]), np.concatenate(near[1])
        ones = np.ones(len(rows), bool)
        graph = coo_array((ones, (rows, columns)), shape=(len(mine), len(mine)))
        label = connected_components(graph, directed=False)[1]
        first = {one: mine[np.argmax(label == one)] for one in np.unique(label)}
        answer[mine] = [first[one] for one in label]
    return answer


def load(work: Path) -> tuple[Corpus, np.ndarray[Any, Any]]:
    """The corpus with its groups, and the fold of each row."""
    corpus = read()
    cached = work / "group.npy"
    if not cached.exists():
        meaning = embed(corpus.texts, work)
        np.save(cached, group(meaning, corpus.source))
    corpus.group = np.load(cached)
    fold = fold_of(corpus.group, FOLDS, SALT)
    fold[corpus.source == "hard"] = NEVER
    fold[corpus.source == "curated"] = ALWAYS
    return corpus, fold
