"""Where scores come from, and what of a picture may be seen while that is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from guard.classify.explain import GRID, Explanation, explain, overlay, reduced
from guard.classify.screen import Classifier
from guard.errors import StageMisbehaved
from guard.policy.model import OutputRule, Policy
from guard.types import Score


class Redness:
    """How red the reddest pixel is, and how blue."""

    id, model_digest = "opennsfw", "0"

    def score(self, pixels: np.ndarray) -> Mapping[str, float]:
        red = pixels[..., 0].astype(float) - pixels[..., 1]
        blue = pixels[..., 2].astype(float) - pixels[..., 1]
        return {"red": float(red.clip(0).max()) / 255, "blue": float(blue.clip(0).max()) / 255}


@pytest.fixture
def classifier() -> Classifier:
    rules = tuple(
        OutputRule(id=name, category=name, detectors=("opennsfw",), block=0.5, message="No.")
        for name in ("red", "blue")
    )
    return Classifier(Policy(name="p", output_rules=rules), [Redness()])


def dotted(x: float, y: float, size: tuple[int, int] = (200, 300)) -> np.ndarray:
    pixels = np.full((*size, 3), 120, np.uint8)
    row, column = int(y * size[0]), int(x * size[1])
    pixels[row - 4 : row + 4, column - 4 : column + 4] = (255, 0, 0)
    return pixels


@pytest.mark.parametrize("place", [(0.2, 0.2), (0.8, 0.3), (0.55, 0.9)])
@pytest.mark.parametrize("size", [(200, 300), (1200, 700)])
def test_the_heat_is_where_the_score_comes_from(
    classifier: Classifier, place: tuple[float, float], size: tuple[int, int]
) -> None:
    pixels = dotted(*place, size)
    (one,) = explain(classifier, pixels, classifier.score(pixels))
    assert one.heat.shape == (GRID, GRID)
    assert one.where is not None
    assert one.where == pytest.approx(place, abs=1.01 / GRID)
    assert one.heat.min() == 0
    assert (one.score.category, one.over > 0) == ("red", True)
    assert "over the threshold of 0.50" in str(one)


def test_without_anything_over_its_threshold_the_nearest_is_explained(
    classifier: Classifier,
) -> None:
    pixels = np.full((64, 64, 3), 100, np.uint8)
    pixels[:8, :8, 2] = 180
    (one,) = explain(classifier, pixels, classifier.score(pixels))
    assert one.score.category == "blue"
    assert one.over < 0
    assert "under the threshold" in str(one)
    calm = np.full((64, 64, 3), 100, np.uint8)
    assert explain(classifier, calm, classifier.score(calm))[0].where is None


def test_banks_and_nothing_have_no_place(classifier: Classifier) -> None:
    pixels = dotted(0.5, 0.5)
    known = Score("known-bad", 1.0, 0.9, "known-bad:main", "")
    assert explain(classifier, pixels, [known]) == ()
    assert explain(classifier, pixels, []) == ()


def test_a_detector_that_falls_silent(classifier: Classifier) -> None:
    other = Score("green", 1.0, 0.5, "opennsfw", "")
    with pytest.raises(StageMisbehaved, match="no longer scores"):
        explain(classifier, dotted(0.5, 0.5), [other])


def explained(classifier: Classifier, pixels: np.ndarray) -> Explanation:
    (one,) = explain(classifier, pixels, classifier.score(pixels))
    return one


def test_the_overlay_is_red_where_it_is_hot(classifier: Classifier) -> None:
    pixels = dotted(0.2, 0.3)
    shown = overlay(pixels, explained(classifier, pixels), hidden=False)
    assert shown.shape[0] > 200
    assert shown.shape[1:] == (300, 3)
    redness = shown[:200, :, 0].astype(int) - shown[:200, :, 1]
    row, column = np.unravel_index(redness.argmax(), redness.shape)
    assert abs(row / 200 - 0.3) < 0.2
    assert abs(column / 300 - 0.2) < 0.2
    assert redness[150:, 200:].max() == 0
    assert (shown[200:] < 100).any()  # words


def test_a_blocked_picture_cannot_be_read_from_its_overlay(classifier: Classifier) -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 255
    cold = replace(explained(classifier, dotted(0.5, 0.5)), heat=np.zeros((GRID, GRID)))
    seen = overlay(stripes, cold, hidden=False)[:256, :, 0]
    hidden = overlay(stripes, cold, hidden=True)[:256, :, 0]
    assert seen.std() > 80
    assert hidden[40:-40, 40:-40].std() < 3


@pytest.mark.parametrize("size", [(3, 700), (9, 9), (700, 3)])
def test_odd_shapes(classifier: Classifier, size: tuple[int, int]) -> None:
    pixels: Any = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    for one in explain(classifier, pixels, classifier.score(pixels)):
        assert overlay(pixels, one, hidden=True).dtype == np.uint8
    assert max(reduced(pixels).shape[:2]) <= 512
