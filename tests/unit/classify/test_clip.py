from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from guard.classify import clip, weights
from guard.classify.clip import REMEMBERED, ClipDetector, ClipEncoder, ConceptHead, clip_detectors
from guard.classify.screen import Classifier
from guard.errors import DetectorUnavailable, StageMisbehaved
from guard.policy.model import ClipSettings, Concept, OutputRule, Policy

from .conftest import DIM

GORE = Concept(name="gore", prompts=("blood and guts", "a wound"), neutral=("a photo", "a drawing"))
RNG = np.random.default_rng(1)


def picture(height: int = 40, width: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def head_file(folder: Path, name: str, dim: int = DIM) -> Path:
    path = folder / f"{name}.safetensors"
    rows = RNG.normal(size=(2, dim)).astype(np.float32)
    save_file({"prompts": rows}, str(path), metadata={"encoder": "tiny-clip"})
    return path


def settings(tiny_clip: Path, **fields: Any) -> ClipSettings:
    return ClipSettings(**{"model": f"local-dir:{tiny_clip}", "concepts": (GORE,), **fields})


@pytest.fixture(scope="module")
def encoder(tiny_clip: Path) -> ClipEncoder:
    return ClipEncoder(settings(tiny_clip))


def test_one_embedding_for_each_view(encoder: ClipEncoder) -> None:
    assert encoder.embed(picture()).shape == (1, DIM)
    wide = picture(40, 100)
    rows = encoder.embed(wide)
    assert rows.shape == (3, DIM)
    assert rows.dtype == np.float32
    left = encoder.embed(np.ascontiguousarray(wide[:, :40]))
    assert rows[0] == pytest.approx(left[0], abs=1e-5)


def test_the_embedding_is_open_clip_s_own(encoder: ClipEncoder, tiny_clip: Path) -> None:
    import open_clip
    import torch
    from PIL import Image

    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tiny_clip}")
    model.eval()
    pixels = picture(64, 64, 3)
    with torch.inference_mode():
        theirs = model.encode_image(transform(Image.fromarray(pixels))[None]).numpy()
        words = model.encode_text(open_clip.tokenize(["a photo"])).numpy()[0]
    assert encoder.embed(pixels) == pytest.approx(theirs, abs=1e-4)
    assert encoder.embed_texts(["a photo"])[0] == pytest.approx(
        words / np.linalg.norm(words), abs=1e-4
    )
    assert encoder.scale == pytest.approx(model.logit_scale.exp().item(), rel=1e-5)


def test_several_heads_share_one_pass(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [head_file(tmp_path, name) for name in ("q16", "laion-violence")]
    detectors = clip_detectors(settings(tiny_clip, heads=tuple(map(str, paths))))
    assert [one.id for one in detectors] == [
        "clip:tiny-clip/zero-shot",
        "clip:tiny-clip/q16",
        "clip:tiny-clip/laion-violence",
    ]
    passes: list[int] = []
    embed = ClipEncoder._embed

    def counted(self: ClipEncoder, views: list[np.ndarray]) -> np.ndarray:
        passes.append(len(views))
        return embed(self, views)

    monkeypatch.setattr(ClipEncoder, "_embed", counted)
    scores = [one.score(picture()) for one in detectors]
    assert passes == [1]
    assert [set(one) for one in scores] == [{"gore"}, {"inappropriate"}, {"violence"}]
    for one in scores:
        assert all(0.0 <= value <= 1.0 for value in one.values())
    assert len({one.model_digest for one in detectors}) == 3


def test_the_memory_of_embeddings_is_bounded_and_right(encoder: ClipEncoder) -> None:
    first = encoder.embed(picture(seed=100)).copy()
    for seed in range(101, 101 + REMEMBERED + 2):
        encoder.embed(picture(seed=seed))
    assert len(encoder._recent) == REMEMBERED
    assert encoder.embed(picture(seed=100)) == pytest.approx(first, abs=1e-6)


def test_same_bytes_in_another_shape_are_another_picture(encoder: ClipEncoder) -> None:
    flat = picture(32, 64, 9)
    assert encoder.embed(flat).shape == (2, DIM)
    assert encoder.embed(flat.reshape(64, 32, 3)).shape == (2, DIM)
    assert not np.allclose(encoder.embed(flat), encoder.embed(flat.reshape(64, 32, 3)))


def test_of_several_views_the_worst_counts(tiny_clip: Path) -> None:
    class Loud:
        name, categories, digest = "loud", ("c",), "0"

        def scores(self, embeddings: np.ndarray) -> np.ndarray:
            return embeddings[:, :1].astype(float)

    class Fixed(ClipEncoder):
        def embed(self, pixels: np.ndarray) -> np.ndarray:
            return np.array([[0.1], [0.9], [0.3]], np.float32)

    detector = ClipDetector(Fixed(settings(tiny_clip)), Loud())
    assert detector.score(picture()) == pytest.approx({"c": 0.9})


def test_zero_shot_is_the_share_of_the_concept_s_words(encoder: ClipEncoder) -> None:
    head = ConceptHead(encoder, (GORE,))
    (row,) = encoder.embed(picture())
    cosines = encoder.embed_texts([*GORE.prompts, *GORE.neutral]) @ (row / np.linalg.norm(row))
    odds = np.exp(encoder.scale * cosines)
    assert head.score(row)["gore"] == pytest.approx(odds[:2].sum() / odds.sum(), rel=1e-5)
    assert head.name == "zero-shot"
    other = ConceptHead(encoder, (GORE.model_copy(update={"prompts": ("blood",)}),))
    assert head.digest != other.digest


@pytest.fixture
def built_in(tiny_clip: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tiny model's name, as if open_clip had brought it."""
    import open_clip

    config = json.loads((tiny_clip / "open_clip_config.json").read_text())["model_cfg"]
    narrow = {**config, "embed_dim": DIM // 2}
    known = {"genguard-tiny": config, "genguard-other": narrow}
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", known)
    return "genguard-tiny"


def test_a_builtin_architecture_with_a_local_checkpoint(
    tiny_clip: Path, tmp_path: Path, built_in: str
) -> None:
    import torch
    from safetensors.torch import load_file

    checkpoint = tiny_clip / "open_clip_model.safetensors"
    torch.save(load_file(str(checkpoint)), tmp_path / "tiny.pt")
    shutil.copy(checkpoint, tmp_path / "tiny.safetensors")
    expected = ClipEncoder(settings(tiny_clip)).embed(picture())
    for pretrained, models in (("tiny.safetensors", tmp_path), (f"{tmp_path}/tiny.pt", None)):
        chosen = ClipSettings(model=built_in, pretrained=pretrained)
        encoder = ClipEncoder(chosen, models=models)
        assert encoder.name == built_in
        assert encoder.embed(picture()) == pytest.approx(expected, abs=1e-4)


class _Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("unpickled"),))


def test_a_checkpoint_with_code_is_refused(
    tmp_path: Path, built_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": _Bomb()}, tmp_path / "bad.pt")
    encoder = ClipEncoder(ClipSettings(model=built_in, pretrained=str(tmp_path / "bad.pt")))
    with pytest.raises(DetectorUnavailable, match=r"bad\.pt cannot be opened") as caught:
        encoder.prepare()
    assert "nothing but tensors" in caught.value.hint
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.usefixtures("built_in")
def test_a_checkpoint_of_another_architecture_is_refused(tiny_clip: Path) -> None:
    checkpoint = tiny_clip / "open_clip_model.safetensors"
    encoder = ClipEncoder(ClipSettings(model="genguard-other", pretrained=str(checkpoint)))
    with pytest.raises(DetectorUnavailable, match="cannot be opened as genguard-other"):
        encoder.embed(picture())


def test_missing_weights_fail_closed_with_a_hint_at_every_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (detector,) = clip_detectors(ClipSettings(concepts=(GORE,)))
    assert detector.id == "clip:ViT-B-32/zero-shot"
    for use in (
        lambda: detector.score(picture()),
        detector.prepare,
        lambda: detector.model_digest,
    ):
        with pytest.raises(DetectorUnavailable, match="not on this machine") as caught:
            use()
        assert "guard models pull" in caught.value.hint
        assert "local checkpoint" in caught.value.hint


def test_a_section_without_anything_to_score_is_refused() -> None:
    with pytest.raises(DetectorUnavailable, match="neither concepts nor heads"):
        clip_detectors(ClipSettings())


def test_heads_are_also_looked_up_among_the_models(tiny_clip: Path, tmp_path: Path) -> None:
    head_file(tmp_path, "q16")
    chosen = settings(tiny_clip, concepts=(), heads=("q16.safetensors",))
    (detector,) = clip_detectors(chosen, models=tmp_path)
    assert detector.id == "clip:tiny-clip/q16"
    with pytest.raises(DetectorUnavailable):
        clip_detectors(chosen)


def test_a_head_of_another_encoder_is_refused(tiny_clip: Path, tmp_path: Path) -> None:
    path = head_file(tmp_path, "q16", dim=DIM + 1)
    (detector,) = clip_detectors(settings(tiny_clip, concepts=(), heads=(str(path),)))
    with pytest.raises(StageMisbehaved, match="reads embeddings"):
        detector.score(picture())
    with pytest.raises(DetectorUnavailable, match="makes 16"):
        detector.prepare()


@pytest.mark.parametrize(
    "rows",
    [np.zeros((2, DIM)), np.full((1, DIM), np.nan), np.zeros(DIM)],
    ids=["count", "nan", "1d"],
)
def test_a_model_that_answers_nonsense_is_refused(tiny_clip: Path, rows: np.ndarray) -> None:
    import torch

    class Broken:
        def encode_image(self, batch: Any) -> Any:
            return torch.tensor(rows)

    encoder = ClipEncoder(settings(tiny_clip))
    encoder.__dict__["_opened"] = (Broken(), lambda image: torch.zeros(3, 8, 8), "cpu")
    with pytest.raises(StageMisbehaved, match="finite embeddings"):
        encoder.embed(picture())
    with pytest.raises(StageMisbehaved, match="concepts"):
        encoder.embed_texts(["x"])
    assert encoder.scale == 100.0
    encoder.__dict__["_opened"] = (None, lambda image: torch.zeros(3, 8, 8), "cpu")
    with pytest.raises(StageMisbehaved, match="could not score"):
        encoder.embed(picture(seed=5))


def test_a_tokenizer_that_is_not_here_is_not_fetched(
    tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    def missing(*_: Any) -> None:
        raise OSError("offline")

    monkeypatch.setattr(open_clip, "get_tokenizer", missing)
    with pytest.raises(DetectorUnavailable, match="tokenizer"):
        ClipEncoder(settings(tiny_clip)).embed_texts(["x"])


def test_openai_s_tags_get_their_own_activation(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ViT-B-32 with OpenAI's weights needs QuickGELU; plain GELU gives other embeddings."""
    found = tmp_path / "open_clip_model.safetensors"
    shutil.copy(tiny_clip / "open_clip_model.safetensors", found)
    monkeypatch.setattr(weights, "_cache_lookup", lambda *_: found)
    place = weights.find_weights("ViT-B-32", "openai")
    assert place.quick_gelu is True
    assert place.preprocess["mean"] == pytest.approx((0.4815, 0.4578, 0.4082), abs=1e-3)
    assert weights.find_weights("ViT-B-32", "laion2b_s34b_b79k").quick_gelu is False
    assert clip.find_weights is weights.find_weights


def test_a_classifier_shows_a_picture_to_the_encoder_once(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(head_file(tmp_path, name)) for name in ("q16", "laion-violence")]
    chosen = settings(tiny_clip, heads=tuple(paths))
    rule = OutputRule(id="r", category="gore", detectors=("clip",), block=0.9, message="No.")
    policy = Policy(name="p", output_rules=(rule,), required_detectors=("clip",), clip=chosen)
    detectors = clip_detectors(chosen)
    classifier = Classifier(policy, detectors)
    classifier.prepare()
    passes: list[int] = []
    embed = ClipEncoder._embed

    def counted(self: ClipEncoder, views: list[np.ndarray]) -> np.ndarray:
        passes.append(len(views))
        return embed(self, views)

    monkeypatch.setattr(ClipEncoder, "_embed", counted)
    pictures = [picture(seed=1), picture(40, 100, seed=2), picture(seed=3)]
    together = classifier.score_all(pictures)
    assert passes == [5]  # one of each square one, three of the wide one
    for pixels, scores in zip(pictures, together, strict=True):
        apart = {(d.id, c): v for d in detectors for c, v in d.score(pixels).items()}
        assert {(one.detector, one.category): one.value for one in scores} == pytest.approx(
            apart, abs=1e-5
        )
    assert classifier.score_all([]) == []


def test_templates_and_temperature(encoder: ClipEncoder) -> None:
    told = GORE.model_copy(update={"templates": ("a photo of {}", "{}, drawn"), "temperature": 0.5})
    (row,) = encoder.embed(picture())

    def mean(prompt: str) -> np.ndarray:
        rows = encoder.embed_texts([f"a photo of {prompt}", f"{prompt}, drawn"]).mean(axis=0)
        return np.asarray(rows / np.linalg.norm(rows))

    rows = np.stack([mean(one) for one in (*told.prompts, *told.neutral)])
    odds = np.exp(rows @ (row / np.linalg.norm(row)) / 0.5)
    found = ConceptHead(encoder, (told,)).score(row)["gore"]
    assert found == pytest.approx(odds[:2].sum() / odds.sum(), rel=1e-5)


@pytest.mark.parametrize(
    "fields", [{"templates": ("a photo",)}, {"templates": ()}, {"temperature": 0}, {"neutral": ()}]
)
def test_concepts_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Concept"):
        Concept(name="c", prompts=("x",), **fields)
