from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save_file

from guard.classify import head_files
from guard.classify.head_files import load_head
from guard.classify.heads import MlpHead, PromptHead, unit
from guard.errors import DetectorUnavailable, StageMisbehaved

from .conftest import Published

RNG = np.random.default_rng(5)


def mlp(**changes: Any) -> dict[str, np.ndarray]:
    tensors = {
        "linear_1.weight": RNG.normal(size=(3, 4)),
        "linear_1.bias": RNG.normal(size=3),
        "linear_2.weight": RNG.normal(size=(1, 3)),
        "linear_2.bias": RNG.normal(size=1),
        "norm.mean": RNG.normal(size=4),
        "norm.variance": RNG.uniform(0.5, 2, size=4),
    }
    tensors |= {name.replace("__", "."): value for name, value in changes.items()}
    return {
        name: np.asarray(value, dtype=getattr(value, "dtype", np.float32))
        for name, value in tensors.items()
        if value is not None
    }


def saved(folder: Path, tensors: dict[str, np.ndarray], name: str = "h", **said: str) -> Path:
    path = folder / f"{name}.safetensors"
    save_file(tensors, str(path), metadata=said or None)
    return path


def test_an_mlp_computes_what_its_layers_say(tmp_path: Path) -> None:
    tensors = mlp()
    head = load_head(saved(tmp_path, tensors, categories="gore"))
    x = np.array([1.0, -2.0, 0.5, 3.0])
    value = (x / np.linalg.norm(x) - tensors["norm.mean"]) / np.sqrt(tensors["norm.variance"])
    hidden = np.maximum(tensors["linear_1.weight"] @ value + tensors["linear_1.bias"], 0)
    (logit,) = tensors["linear_2.weight"] @ hidden + tensors["linear_2.bias"]
    assert head.score(x) == pytest.approx({"gore": 1 / (1 + np.exp(-logit))})
    assert head.score(7 * x) == pytest.approx(head.score(x))


def test_a_raw_head_reads_the_embedding_as_it_comes(tmp_path: Path) -> None:
    tensors = mlp(norm__mean=None, norm__variance=None)
    head = load_head(saved(tmp_path, tensors, input="raw"))
    x = np.ones(4)
    assert head.score(x) != pytest.approx(head.score(3 * x))


def test_a_linear_head_with_several_categories(tmp_path: Path) -> None:
    tensors = {"linear_1.weight": np.eye(3, 4), "linear_1.bias": np.zeros(3)}
    head = load_head(saved(tmp_path, tensors, categories="a, b,c", name="many"))
    assert (head.name, head.categories) == ("many", ("a", "b", "c"))
    scores = head.score(np.array([0.0, 2.0, 0.0, 0.0]))
    assert scores["b"] == pytest.approx(1 / (1 + np.exp(-1)))
    assert scores["a"] == scores["c"] == 0.5


def test_a_prompt_head_is_a_softmax_over_cosines(tmp_path: Path) -> None:
    prompts = np.array([[2.0, 0.0], [0.0, 5.0]], np.float32)
    head = load_head(saved(tmp_path, {"prompts": prompts}, name="q16.ViT-B-32"))
    assert (head.name, head.categories) == ("q16", ("inappropriate",))
    assert head.score(np.array([1.0, 1.0])) == pytest.approx({"inappropriate": 0.5})
    tilted = head.score(np.array([1.0, 1.02]))["inappropriate"]
    cosine = np.array([1.0, 1.02]) / np.hypot(1.0, 1.02)
    assert tilted == pytest.approx(1 / (1 + np.exp(-100 * (cosine[1] - cosine[0]))))
    assert head.score(np.array([0.0, 1.0]))["inappropriate"] == pytest.approx(1.0)


@given(
    hnp.arrays(np.float32, 4, elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(1e-3, 1e3),
)
def test_scores_are_probabilities_and_ignore_length(x: np.ndarray, factor: float) -> None:
    if np.linalg.norm(x) < 1e-3:
        return
    rows = np.eye(2, 4) + 0.1
    head = PromptHead("p", "", {"c": (rows[:1], rows[1:])})
    score = head.score(x)["c"]
    assert 0.0 <= score <= 1.0
    assert head.score(x.astype(float) * factor)["c"] == pytest.approx(score, abs=1e-6)


def test_a_huge_logit_does_not_overflow() -> None:
    head = MlpHead("h", ("a", "b"), "", ((np.array([[1e9], [-1e9]]), np.zeros(2)),))
    assert head.score(np.ones(1)) == {"a": 1.0, "b": 0.0}


@pytest.mark.parametrize(
    "embedding",
    [
        np.zeros(4),
        np.array([np.nan, 1, 1, 1]),
        np.array([np.inf, 1, 1, 1]),
        np.ones(3),
        np.ones((1, 4)),
        np.float32(1),
    ],
    ids=["zeros", "nan", "inf", "short", "2d", "scalar"],
)
def test_an_impossible_embedding_is_refused(tmp_path: Path, embedding: np.ndarray) -> None:
    for number, tensors in enumerate([mlp(), {"prompts": np.eye(2, 4)}]):
        head = load_head(saved(tmp_path, tensors, name=f"h{number}"))
        with pytest.raises(StageMisbehaved):
            head.score(embedding)


@pytest.mark.parametrize(
    "tensors",
    [
        mlp(norm__variance=None),
        mlp(norm__mean=None),
        mlp(norm__mean=np.zeros(3)),
        mlp(norm__variance=np.full(4, -1.0)),
        mlp(linear_1__bias=None),
        mlp(linear_1__bias=np.zeros(4)),
        mlp(linear_2__weight=np.zeros((1, 4))),
        mlp(linear_2__weight=np.zeros((2, 3)), linear_2__bias=np.zeros(2)),
        mlp(linear_1__weight=np.zeros(4)),
        mlp(linear_1__weight=np.full((3, 4), np.nan)),
        mlp(linear_2__bias=np.full(1, np.inf)),
        mlp(linear_1__weight=np.zeros((3, 4), np.int32)),
        mlp(extra=np.zeros(1)),
        {"prompts": np.zeros((3, 4))},
        {"prompts": np.zeros(4)},
        {"prompts": np.eye(2, 4), "linear_1.weight": np.eye(2)},
        {"weight": np.eye(4)},
    ],
)
def test_a_head_whose_parts_do_not_fit_is_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray]
) -> None:
    with pytest.raises(DetectorUnavailable, match=r"h\.safetensors") as caught:
        load_head(saved(tmp_path, tensors))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (mlp(), {"input": "normalised"}),
        (mlp(), {"categories": "a,b"}),
        ({"prompts": np.eye(2, 4)}, {"categories": "a,b"}),
        (mlp(), {"name": "Not A Name"}),
        (mlp(), {"categories": "No/Category"}),
    ],
)
def test_metadata_that_cannot_be_is_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray], said: dict[str, str]
) -> None:
    with pytest.raises(DetectorUnavailable):
        load_head(saved(tmp_path, tensors, **said))


class _Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("unpickled"),))


def test_a_pickle_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "h.safetensors"
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(DetectorUnavailable, match="not a safetensors file"):
        load_head(path)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"\0" * 8, b"\x02" + b"\0" * 7 + b"{}"])
def test_a_damaged_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "h.safetensors"
    path.write_bytes(data)
    with pytest.raises(DetectorUnavailable):
        load_head(path)


def test_a_missing_head_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DetectorUnavailable, match=r"none\.safetensors") as caught:
        load_head(tmp_path / "none.safetensors")
    assert "guard models import-head" in caught.value.hint


def test_a_checkpoint_in_a_head_s_place_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, mlp())
    monkeypatch.setattr(head_files, "MAX_HEAD_BYTES", 100)
    with pytest.raises(DetectorUnavailable, match="larger"):
        load_head(path)


def test_unit_vectors_have_length_one() -> None:
    assert np.linalg.norm(unit(np.array([[3.0, 4.0], [0.0, -2.0]])), axis=1) == pytest.approx(1)


# -- published heads on real embeddings of OpenAI's ViT-B/32 --------------------------------


def test_the_embeddings_are_the_published_ones(published: Published) -> None:
    image = unit(published.embeddings("npclip_image").astype(float))
    texts = unit(published.embeddings("npclip_texts").astype(float))
    assert (100 * texts @ image.T).ravel() == pytest.approx([25.55, 20.09, 19.75], abs=0.02)


@pytest.mark.parametrize(
    ("file", "name", "category"),
    [
        ("laion-nsfw-head.ViT-B-32", "laion-nsfw", "nsfw"),
        ("laion-violence.ViT-B-32", "laion-violence", "violence"),
        ("q16.ViT-B-32", "q16", "inappropriate"),
    ],
)
def test_published_heads_stay_quiet_on_harmless_pictures(
    published: Published, file: str, name: str, category: str
) -> None:
    head = load_head(published.folder / f"{file}.safetensors")
    assert (head.name, head.categories) == (name, (category,))
    for embedding in (*published.embeddings("images"), *published.embeddings("npclip_image")):
        assert head.score(embedding)[category] < 0.5


@pytest.mark.parametrize(
    ("file", "dim"),
    [("laion-nsfw-head.ViT-L-14", 768), ("laion-violence.ViT-L-14", 768), ("q16.ViT-B-16", 512)],
)
def test_heads_of_other_encoders_load_and_refuse_what_does_not_fit(
    published: Published, file: str, dim: int
) -> None:
    head = load_head(published.folder / f"{file}.safetensors")
    (value,) = head.score(np.random.default_rng(0).normal(size=dim)).values()
    assert 0.0 <= value <= 1.0
    with pytest.raises(StageMisbehaved, match="reads embeddings"):
        head.score(np.ones(dim + 1))


def test_the_laion_head_is_the_formula_of_its_card(published: Published) -> None:
    from safetensors.numpy import load_file

    path = published.folder / "laion-nsfw-head.ViT-B-32.safetensors"
    w = load_file(path)
    x = published.embeddings("images")[6].astype(float)
    x = (x / np.linalg.norm(x) - w["norm.mean"]) / np.sqrt(w["norm.variance"])
    for layer in (1, 2):
        x = np.maximum(w[f"linear_{layer}.weight"] @ x + w[f"linear_{layer}.bias"], 0)
    (logit,) = w["linear_3.weight"] @ x + w["linear_3.bias"]
    mine = load_head(path).score(published.embeddings("images")[6])["nsfw"]
    assert mine == pytest.approx(1 / (1 + np.exp(-logit)))
    assert mine == pytest.approx(0.0255, abs=5e-4)


# -- every published head beside a float64 reference, for many pictures at once ----------------


def reference(path: Path, rows: np.ndarray) -> np.ndarray:
    """What the papers' code computes, written down once more, in float64."""
    from safetensors.numpy import load_file

    w = {name: value.astype(np.float64) for name, value in load_file(path).items()}
    x = rows.astype(np.float64) / np.sqrt((rows.astype(np.float64) ** 2).sum(1, keepdims=True))
    if "prompts" in w:
        p = w["prompts"] / np.sqrt((w["prompts"] ** 2).sum(1, keepdims=True))
        odds = np.exp(100 * (x @ p.T))
        return odds[:, 1] / (odds[:, 0] + odds[:, 1])
    x = (x - w["norm.mean"]) / np.sqrt(w["norm.variance"])
    depth = sum(name.endswith("weight") for name in w)
    for layer in range(1, depth + 1):
        x = np.einsum("oi,ni->no", w[f"linear_{layer}.weight"], x) + w[f"linear_{layer}.bias"]
        x = np.maximum(x, 0) if layer < depth else x
    return 1 / (1 + np.exp(-x[:, 0]))


def test_every_published_head_is_its_reference(published: Published) -> None:
    files = sorted(published.folder.glob("*.safetensors"))
    assert len(files) == 7
    for file in files:
        head = load_head(file)
        rows = np.random.default_rng(2).normal(size=(64, head.width))
        if file.name.endswith("B-32.safetensors"):
            rows = published.embeddings("images")
        (mine,) = head.scores(rows).T
        assert mine == pytest.approx(reference(file, rows), abs=1e-5)
        assert [head.score(row)[head.categories[0]] for row in rows] == pytest.approx(mine)


def test_the_laion_head_is_quiet_on_the_real_embeddings(published: Published) -> None:
    head = load_head(published.folder / "laion-nsfw-head.ViT-B-32.safetensors")
    assert head.scores(published.embeddings("images")).max() == pytest.approx(0.03, abs=0.005)
