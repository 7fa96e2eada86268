"""What the lexical tier makes of the prompts, cached: for cleaning labels and for joint figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

CATEGORIES = ("sexual", "nudity", "violence", "self-harm", "hate")


def scores(texts: Sequence[str], work: Path, policy: str = "default") -> Array:
    """(texts, CATEGORIES) float32: the highest score of a lexical finding of each category."""
    path = work / f"lexical-{policy}-{len(texts)}.npy"
    if not path.exists():
        np.save(path, _scores(texts, policy))
    answer: Array = np.load(path)
    return answer


def _scores(texts: Sequence[str], policy: str) -> Array:
    from guard.policy.load import load_policy
    from guard.prompt.screen import PolicyScreener

    screener = PolicyScreener(load_policy(policy))
    answer = np.zeros((len(texts), len(CATEGORIES)), np.float32)
    for row, text in enumerate(texts):
        for finding in screener.screen(text):
            if finding.tier == "lexical" and finding.category in CATEGORIES:
                column = CATEGORIES.index(finding.category)
                answer[row, column] = max(answer[row, column], finding.score)
    return answer
