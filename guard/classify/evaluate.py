"""How often the classifiers of a policy are right, on a folder that somebody sorted by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guard.classify.measure import Sample
from guard.classify.screen import Classifier
from guard.errors import InvalidImage, InvalidInput
from guard.image.decode import SUFFIXES, load
from guard.types import Score

Z_95 = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""

ANY = "any"
"""The row for the policy as a whole: some rule's threshold was reached."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Rate:
    """``hits`` of ``total`` with its 95 % Wilson interval; all None when ``total`` is 0."""

    hits: int
    total: int

    @property
    def value(self) -> float | None:
        """The share, 0–1."""
        return self.hits / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's score interval (1927), in 0–1."""
        return wilson(self.hits, self.total) if self.total else None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "value": self.value,
            "interval": self.interval,
            "hits": self.hits,
            "total": self.total,
        }


@dataclass(frozen=True, slots=True)
class Confusion:
    """One category's figures: unsafe pictures are the positives."""

    category: str
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def precision(self) -> Rate:
        """Of the pictures that were caught, how many are unsafe."""
        return Rate(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> Rate:
        """Of the unsafe pictures, how many were caught."""
        return Rate(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def false_positive_rate(self) -> Rate:
        """Of the safe pictures, how many were caught."""
        return Rate(self.false_positives, self.false_positives + self.true_negatives)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "category": self.category,
            "precision": self.precision.as_dict(),
            "recall": self.recall.as_dict(),
            "false_positive_rate": self.false_positive_rate.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What :func:`evaluate` found; ``unreadable`` are (path, message) of files left out.

    ``samples`` are all scores, for :mod:`guard.classify.measure`.
    """

    safe: int
    unsafe: int
    categories: tuple[Confusion, ...]
    unreadable: tuple[tuple[str, str], ...] = field(default=())
    samples: tuple[Sample, ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "safe": self.safe,
            "unsafe": self.unsafe,
            "categories": [one.as_dict() for one in self.categories],
            "unreadable": [{"path": path, "message": why} for path, why in self.unreadable],
        }


def evaluate(classifier: Classifier, folder: Path, progress: Progress | None = None) -> Evaluation:
    """Score ``folder/safe/**`` and ``folder/unsafe/**`` with the policy's thresholds.

    A picture is caught in a category when a score of it reaches its threshold, and in ``any``
    when some score does. In ``unsafe/CATEGORY/…`` a picture counts as unsafe for ``any`` and for
    that category, and is left out of the other categories' figures; directly in ``unsafe/`` it
    counts for all. ``progress`` is called with (done, all).

    Raises InvalidInput when the two folders are not there or both empty, and what the classifier
    raises.
    """
    files = list(_files(folder))
    tallies: dict[str, list[int]] = {}
    seen = {False: 0, True: 0}
    unreadable: list[tuple[str, str]] = []
    samples: list[Sample] = []
    for index, (path, unsafe, only) in enumerate(files):
        try:
            pixels = load(path).pixels
        except InvalidImage as error:
            unreadable.append((str(path), error.message))
        else:
            seen[unsafe] += 1
            scores = classifier.score(pixels)
            samples += [
                Sample(one.detector, one.category, one.value, unsafe)
                for one in scores
                if not unsafe or only is None or one.category == only
            ]
            for category, caught in _caught(scores).items():
                if not unsafe or only is None or category in {ANY, only}:
                    tallies.setdefault(category, [0, 0, 0, 0])[2 * unsafe + caught] += 1
        if progress is not None:
            progress(index + 1, len(files))
    rows = tuple(
        Confusion(category, tp, fp, tn, fn) for category, (tn, fp, fn, tp) in tallies.items()
    )
    return Evaluation(seen[False], seen[True], rows, tuple(unreadable), tuple(samples))


def wilson(hits: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's interval for ``hits`` of ``total`` (> 0), as (low, high) in 0–1."""
    share, spread = hits / total, z * z / total
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def _files(folder: Path) -> Iterator[tuple[Path, bool, str | None]]:
    found = False
    for name, unsafe in (("safe", False), ("unsafe", True)):
        root = folder / name
        if not root.is_dir():
            raise InvalidInput(
                f"{folder} has no folder '{name}'.",
                hint="Evaluation wants FOLDER/safe/ and FOLDER/unsafe/ with pictures in them.",
            )
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                found = True
                parts = path.relative_to(root).parts
                yield path, unsafe, parts[0] if unsafe and len(parts) > 1 else None
    if not found:
        raise InvalidInput(
            f"There are no pictures in {folder}/safe and {folder}/unsafe.",
            hint=f"Pictures end in {', '.join(sorted(SUFFIXES))}.",
        )


def _caught(scores: tuple[Score, ...]) -> dict[str, bool]:
    caught: dict[str, bool] = {ANY: False}
    for score in scores:
        reached = score.value >= score.threshold
        caught[score.category] = caught.get(score.category, False) or reached
        caught[ANY] = caught[ANY] or reached
    return caught
