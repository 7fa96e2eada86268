from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.classify.evaluate import evaluate, wilson
from guard.classify.screen import Classifier
from guard.errors import InvalidInput
from guard.image.encode import encode
from guard.policy.model import OutputRule, Policy


class Redness:
    """Scores how red a picture is, and how green."""

    id = "opennsfw"
    model_digest = "0"

    def score(self, pixels: np.ndarray) -> Mapping[str, float]:
        return {"red": pixels[..., 0].mean() / 255, "green": pixels[..., 1].mean() / 255}


@pytest.fixture
def classifier() -> Classifier:
    rules = tuple(
        OutputRule(id=name, category=name, detectors=("opennsfw",), block=0.5, message="No.")
        for name in ("red", "green")
    )
    return Classifier(Policy(name="p", output_rules=rules), [Redness()])


def picture(path: Path, red: int, green: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = red, green
    path.write_bytes(encode(pixels, "image/png"))


def test_figures_are_counted_by_category(classifier: Classifier, tmp_path: Path) -> None:
    for index, red in enumerate((0, 10, 20, 250)):
        picture(tmp_path / "safe" / f"{index}.png", red)
    for index, red in enumerate((255, 255, 40)):
        picture(tmp_path / "unsafe" / f"{index}.PNG", red)
    seen: list[tuple[int, int]] = []
    found = evaluate(classifier, tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(n, 7) for n in range(1, 8)]
    assert (found.safe, found.unsafe) == (4, 3)
    by_name = {one.category: one for one in found.categories}
    assert set(by_name) == {"any", "red", "green"}
    for name in ("any", "red"):
        one = by_name[name]
        assert (one.true_positives, one.false_negatives) == (2, 1)
        assert (one.false_positives, one.true_negatives) == (1, 3)
        assert one.precision.value == pytest.approx(2 / 3)
        assert one.recall.value == pytest.approx(2 / 3)
        assert one.false_positive_rate.value == pytest.approx(1 / 4)
    assert by_name["green"].precision.value is None
    assert by_name["green"].precision.interval is None
    assert by_name["green"].recall.value == 0.0


def test_a_sorted_unsafe_picture_counts_for_its_own_category(
    classifier: Classifier, tmp_path: Path
) -> None:
    picture(tmp_path / "safe" / "a.png", 0)
    picture(tmp_path / "unsafe" / "red" / "a.png", 255)
    picture(tmp_path / "unsafe" / "green" / "deep" / "a.png", 0, 255)
    found = {one.category: one for one in evaluate(classifier, tmp_path).categories}
    assert found["red"].recall.total == 1
    assert found["green"].recall.total == 1
    assert found["any"].recall.hits == found["any"].recall.total == 2


def test_unreadable_files_are_named_and_others_ignored(
    classifier: Classifier, tmp_path: Path
) -> None:
    picture(tmp_path / "safe" / "a.png", 0)
    (tmp_path / "unsafe").mkdir()
    (tmp_path / "unsafe" / "broken.png").write_bytes(b"\x89PNG")
    (tmp_path / "unsafe" / "notes.txt").write_text("not a picture")
    found = evaluate(classifier, tmp_path)
    assert (found.safe, found.unsafe) == (1, 0)
    ((path, message),) = found.unreadable
    assert path.endswith("broken.png")
    assert message
    plain = found.as_dict()
    assert plain["unreadable"] == [{"path": path, "message": message}]
    assert plain["categories"][0]["recall"]["value"] is None


@pytest.mark.parametrize("there", [(), ("safe",), ("unsafe",), ("safe", "unsafe")])
def test_a_folder_without_pictures_is_refused(
    classifier: Classifier, tmp_path: Path, there: tuple[str, ...]
) -> None:
    for name in there:
        (tmp_path / name).mkdir()
    with pytest.raises(InvalidInput, match=r"folder 'safe'|folder 'unsafe'|no pictures") as caught:
        evaluate(classifier, tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1.0)],
)
def test_wilson_s_interval(hits: int, total: int, low: float, high: float) -> None:
    assert wilson(hits, total) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share(counts: tuple[int, int]) -> None:
    low, high = wilson(*counts)
    assert 0.0 <= low <= counts[0] / counts[1] + 1e-12
    assert counts[0] / counts[1] - 1e-12 <= high <= 1.0
