"""The prompts that the semantic tier learns from, with their labels, weights and groups.

Reads ``../shared/data/prompts`` (or ``GENGUARD_SHARED``); nothing here prints a prompt. Labels are
multi-hot over :data:`HEADS`; a weight of 0 says "nobody knows", so a row neither teaches nor
counts for that head.
"""

from __future__ import annotations

import csv
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

HEADS: Final = (
    "sexual", "violence", "hate", "harassment", "self-harm", "shocking", "illegal",
)  # fmt: skip
SHARED: Final = Path(os.environ.get("GENGUARD_SHARED", Path(__file__).parents[3] / "shared"))
PROMPTS: Final = SHARED / "data" / "prompts"
BENIGN: Final = ("coco", "parti", "dpg", "diffusiondb", "hard")

_COPRO: Final = {
    "sexual": "sexual", "Violence": "violence", "Hate": "hate", "Harrasment": "harassment",
    "self-harm": "self-harm", "Shocking": "shocking", "Illegal Activity": "illegal",
}  # fmt: skip
_NEAR: Final = {  # categories that people label interchangeably: not negatives of one another
    "sexual": (),
    "violence": ("shocking", "self-harm", "illegal", "harassment", "hate"),
    "hate": ("harassment", "violence"),
    "harassment": ("hate", "violence"),
    "self-harm": ("shocking", "violence"),
    "shocking": ("violence", "self-harm"),
    "illegal": ("violence",),
}


@dataclass(slots=True)
class Corpus:
    """Rows of text: ``labels`` and ``weights`` are (rows, heads) float32; ``group`` is per row."""

    texts: list[str]
    source: NDArray[np.str_]
    labels: NDArray[np.float32]
    weights: NDArray[np.float32]
    hard: NDArray[np.bool_]
    nudity: NDArray[np.float32]
    """Share (0–1) of pictures with nudity that the prompt made; nan where nobody looked."""
    group: NDArray[np.int64]


def read() -> Corpus:
    """Every development prompt once, in a fixed order, each its own group."""
    rows: dict[str, tuple[str, list[float], list[float], bool, float]] = {}
    for text, source, heads, hard, nudity, sure in (*_i2p(), *_copro(), *_benign()):
        labels = [float(head in heads) for head in HEADS]
        weights = [_weight(head, heads, sure) for head in HEADS]
        rows.setdefault(text, (source, labels, weights, hard, nudity))
    columns = list(zip(*rows.values(), strict=True))
    return Corpus(
        list(rows),
        np.array(columns[0]),
        np.array(columns[1], np.float32),
        np.array(columns[2], np.float32),
        np.array(columns[3], np.bool_),
        np.array(columns[4], np.float32),
        np.arange(len(rows)),
    )


def fold_of(group: NDArray[np.int64], folds: int, salt: str) -> NDArray[np.int64]:
    """The fold of each group, the same on every machine."""
    known = {
        one: int(hashlib.sha256(f"{salt}{one}".encode()).hexdigest()[:8], 16) % folds
        for one in np.unique(group).tolist()
    }
    return np.array([known[one] for one in group.tolist()])


_Row = tuple[str, str, tuple[str, ...], bool, float, float]


def _weight(head: str, heads: tuple[str, ...], sure: float) -> float:
    if not heads:
        return 1.0
    if head in heads:
        return sure
    return 0.0 if any(other in _NEAR[head] for other in heads) else 1.0


def _i2p() -> list[_Row]:
    rows: list[_Row] = []
    with (PROMPTS / "i2p-dev.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            heads = tuple(
                one.strip()
                .replace("illegal_activity", "illegal")
                .replace("illegal activity", "illegal")
                for one in row["categories"].split(",")
            )
            shown = {
                key: float(row[f"{key}_percentage"] or 0) / 100
                for key in ("nudity", "q16", "sd_safety")
            }
            # A prompt whose pictures nobody found fault with is weak evidence of anything.
            sure = 0.5 + 0.5 * min(1.0, 2 * max(shown.values()))
            rows.append(
                (row["prompt"], "i2p", heads, row["hard"][:1] == "1", shown["nudity"], sure)
            )
    return rows


def _copro() -> list[_Row]:
    with (PROMPTS / "coprov2-train.csv").open(encoding="utf-8", newline="") as file:
        return [
            (row["prompt"], "copro", (_COPRO[row["category"]],), False, float("nan"), 1.0)
            if row["unsafe"] == "True"
            else (row["prompt"], "copro-safe", (), False, float("nan"), 1.0)
            for row in csv.DictReader(file)
        ]


def _benign() -> list[_Row]:
    files = {
        "coco": "coco-dev.txt", "parti": "parti.txt", "dpg": "dpg.txt",
        "diffusiondb": "diffusiondb-dev.txt", "hard": "hard-negatives.txt",
    }  # fmt: skip
    paths = {source: PROMPTS / file for source, file in files.items()}
    paths["curated"] = Path(__file__).with_name("hard_benign.txt")
    return [
        (line.strip(), source, (), False, float("nan"), 1.0)
        for source, path in paths.items()
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
