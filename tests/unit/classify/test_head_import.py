"""Published heads, taken into a home with a card, and refused on every other encoder."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from guard.classify import head_import
from guard.classify.cards import SUFFIX, check_fit, read_card
from guard.classify.clip import clip_detectors
from guard.classify.head_files import load_head
from guard.classify.head_import import Facts, import_head
from guard.classify.safety_checker import SafetyCheckerHead
from guard.errors import DetectorUnavailable, InvalidRequest, OutputUnwritable
from guard.policy.model import ClipSettings

from .conftest import Published

RNG = np.random.default_rng(11)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def unsafe_diffusion(prefix: str = "", width: int = 12, hidden: int = 6) -> dict[str, np.ndarray]:
    tensors = {
        "0.weight": normal(hidden, width),
        "0.bias": normal(hidden),
        "3.weight": normal(hidden),
        "3.bias": normal(hidden),
        "3.running_mean": normal(hidden),
        "3.running_var": np.abs(normal(hidden)),
        "4.weight": normal(1, hidden),
        "4.bias": normal(1),
    }
    return {prefix + name: value for name, value in tensors.items()}


def safety_checker(prefix: str = "") -> dict[str, np.ndarray]:
    tensors = {
        "concept_embeds": normal(17, 12),
        "concept_embeds_weights": np.full(17, 0.3, np.float32),
        "special_care_embeds": normal(3, 12),
        "special_care_embeds_weights": np.full(3, 0.3, np.float32),
    }
    return {prefix + name: value for name, value in tensors.items()}


def saved(path: Path, tensors: dict[str, np.ndarray], **said: str) -> Path:
    save_file(tensors, str(path), metadata=said or None)
    return path


# -- unsafe-diffusion -----------------------------------------------------------------------


def reference(state: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Linear, ReLU, BatchNorm (evaluation mode), Linear, sigmoid: one by one, float64."""
    w = {name: value.astype(np.float64) for name, value in state.items()}
    hidden = np.maximum(x @ w["0.weight"].T + w["0.bias"], 0)
    normed = (hidden - w["3.running_mean"]) / np.sqrt(w["3.running_var"] + 1e-5)
    logits = (normed * w["3.weight"] + w["3.bias"]) @ w["4.weight"].T + w["4.bias"]
    return 1 / (1 + np.exp(-logits))


def test_unsafe_diffusion_is_its_layers_one_by_one(tmp_path: Path) -> None:
    state = unsafe_diffusion()
    head = load_head(saved(tmp_path / "sexual.safetensors", state))
    rows = RNG.normal(size=(20, 12)) * 5
    assert head.scores(rows) == pytest.approx(reference(state, rows), abs=1e-12)
    assert head.categories == ("sexual",)
    longer = head.score(rows[0] * 3)["sexual"]
    assert longer == pytest.approx(float(reference(state, rows[:1] * 3)[0, 0]), abs=1e-12)


def test_it_is_what_torch_computes(tmp_path: Path) -> None:
    import torch
    from torch import nn

    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(6),
                        nn.Linear(6, 1))  # fmt: skip
    net(torch.randn(64, 12))
    net.eval()
    torch.save(net.state_dict(), tmp_path / "hateful.pt")
    head, card, path = import_head(tmp_path / "hateful.pt", tmp_path / "m", Facts("ViT-L-14"))
    rows = torch.randn(9, 12)
    with torch.inference_mode():
        theirs = torch.sigmoid(net(rows)).numpy()
    assert load_head(path).scores(rows.numpy()) == pytest.approx(theirs, abs=1e-6)
    assert (head.name, card.categories, card.dims) == ("hateful", ("hateful",), 12)
    assert card.source_sha256
    assert card.source_sha256 != card.sha256


@pytest.mark.parametrize(
    "changes",
    [
        {"3.running_mean": np.zeros(5, np.float32)},
        {"3.running_var": np.full(6, -1, np.float32)},
        {"4.weight": np.zeros((1, 5), np.float32)},
        {"more": np.zeros(2, np.float32)},
        {"0.weight": np.zeros((5, 12), np.float32)},
    ],
)
def test_parts_that_do_not_fit(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = saved(tmp_path / "h.safetensors", unsafe_diffusion() | changes)
    with pytest.raises(DetectorUnavailable, match=r"h\.safetensors"):
        load_head(path)


# -- the safety checker ---------------------------------------------------------------------


def margins(state: dict[str, np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def cosines(name: str) -> np.ndarray:
        rows = state[name].astype(np.float64)
        return np.array([[float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for b in rows]
                         for a in x])  # fmt: skip

    special = cosines("special_care_embeds") - state["special_care_embeds_weights"]
    more = np.where((special > 0).any(axis=1), 0.01, 0.0)[:, None]
    return cosines("concept_embeds") - state["concept_embeds_weights"] + more, special


def test_the_safety_checker_is_its_thresholds(tmp_path: Path) -> None:
    state = safety_checker()
    head = load_head(saved(tmp_path / "sd.safetensors", state))
    assert isinstance(head, SafetyCheckerHead)
    rows = RNG.normal(size=(40, 12))
    concepts, special = margins(state, rows)
    mine = head.margins(rows)
    assert mine[0] == pytest.approx(concepts, abs=1e-7)
    assert mine[1] == pytest.approx(special, abs=1e-7)
    scores = head.scores(rows)
    assert ((scores[:, 0] >= 0.5) == (concepts.max(axis=1) >= 0)).all()
    assert ((scores[:, 1] >= 0.5) == (special.max(axis=1) >= 0)).all()
    assert (special.max(axis=1) > 0).any()
    assert (special.max(axis=1) <= 0).any()


def test_the_order_of_special_concepts_does_not_matter(tmp_path: Path) -> None:
    state = safety_checker()
    x = state["special_care_embeds"][1].astype(np.float64)  # over the second's threshold only
    turned = {
        name: value[::-1].copy() if name.startswith("special") else value
        for name, value in state.items()
    }
    one = load_head(saved(tmp_path / "one.safetensors", state)).margins(x[None])
    two = load_head(saved(tmp_path / "two.safetensors", turned)).margins(x[None])
    assert two[0] == pytest.approx(one[0])
    assert two[1][:, ::-1] == pytest.approx(one[1])


def test_a_picture_is_scored_the_same_in_any_company(tmp_path: Path) -> None:
    head = load_head(saved(tmp_path / "sd.safetensors", safety_checker()))
    rows = RNG.normal(size=(12, 12))
    together = head.scores(rows)
    for index, row in enumerate(rows):
        assert list(head.score(row).values()) == pytest.approx(together[index], abs=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"concept_embeds": normal(17)},
        {"concept_embeds_weights": normal(16)},
        {"special_care_embeds": normal(3, 11)},
        {"special_care_embeds": normal(0, 12), "special_care_embeds_weights": normal(0)},
    ],
)
def test_a_checker_whose_parts_do_not_fit(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = saved(tmp_path / "sd.safetensors", safety_checker() | changes)
    with pytest.raises(DetectorUnavailable, match=r"sd\.safetensors"):
        load_head(path)


def test_the_checker_is_taken_out_of_a_large_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = safety_checker()
    large = saved(tmp_path / "model.safetensors", state | {"vision_model.x": normal(2000)})
    monkeypatch.setattr(head_import, "MAX_HEAD_BYTES", 5000)
    head, card, path = import_head(large, tmp_path / "m", Facts(licence="openrail"))
    assert path.name == "sd-safety-checker.safetensors"
    assert (card.encoder, card.licence) == ("ViT-L-14/openai", "openrail")
    x = RNG.normal(size=(1, 12))
    assert load_head(path).margins(x)[0] == pytest.approx(margins(state, x)[0], abs=1e-7)
    assert head.categories == ("nsfw", "special-care")


# -- cards and encoders ---------------------------------------------------------------------


def test_a_published_head_is_copied_byte_by_byte(published: Published, tmp_path: Path) -> None:
    source = published.folder / "q16.ViT-L-14.safetensors"
    _, card, path = import_head(source, tmp_path / "models", Facts(source="ML-Research/Q16"))
    assert path.read_bytes() == source.read_bytes()
    assert (card.encoder, card.dims, card.source_sha256) == ("ViT-L-14/openai", 768, "")
    assert read_card(path, card.sha256) == card
    assert sorted(one.name for one in path.parent.iterdir()) == [path.name, path.name + SUFFIX]


def test_a_head_on_another_encoder_is_refused(published: Published) -> None:
    chosen = ClipSettings(heads=(str(published.folder / "q16.ViT-L-14.safetensors"),))
    with pytest.raises(DetectorUnavailable, match=r"made for CLIP ViT-L-14/openai.*ViT-B-32"):
        clip_detectors(chosen)
    same_width = ClipSettings(heads=(str(published.folder / "q16.ViT-B-16.safetensors"),))
    with pytest.raises(DetectorUnavailable, match="made for CLIP ViT-B-16/openai"):
        clip_detectors(same_width)


@pytest.mark.parametrize(
    ("encoder", "fields", "fits"),
    [
        ("ViT-B-32/openai", {}, True),
        ("ViT-B/32", {}, True),
        ("ViT-B-32", {"pretrained": "laion2b_s34b_b79k"}, True),
        ("ViT-B-32/openai", {"pretrained": "laion2b_s34b_b79k"}, False),
        ("ViT-B-32/openai", {"pretrained": "local.safetensors"}, False),
        ("ViT-B-32/openai", {"pretrained": "local.safetensors", "tag": "openai"}, True),
        ("ViT-L-14", {}, False),
        ("mine", {"model": "local-dir:models/mine"}, True),
        ("mine/openai", {"model": "local-dir:models/mine"}, False),
        ("ViT-B-32/openai", {"model": "ViT-B-32-quickgelu"}, True),
        ("", {}, False),
    ],
)
def test_which_encoder_fits(tmp_path: Path, encoder: str, fields: Any, fits: bool) -> None:
    head = load_head(saved(tmp_path / "h.safetensors", unsafe_diffusion()))
    if fits:
        check_fit(ClipSettings(**fields), head, encoder)
        return
    with pytest.raises(DetectorUnavailable) as caught:
        check_fit(ClipSettings(**fields), head, encoder)
    assert caught.value.hint


def test_a_head_that_was_replaced_after_its_import(tmp_path: Path) -> None:
    source = saved(tmp_path / "sexual.safetensors", unsafe_diffusion(), encoder="ViT-B-32/openai")
    _, _, path = import_head(source, tmp_path / "models", Facts())
    clip_detectors(ClipSettings(heads=(str(path),)))
    saved(path, unsafe_diffusion())
    with pytest.raises(DetectorUnavailable, match="not the file that its card"):
        clip_detectors(ClipSettings(heads=(str(path),)))


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"name": 3}'])
def test_a_broken_card(tmp_path: Path, text: str) -> None:
    source = saved(tmp_path / "sexual.safetensors", unsafe_diffusion(), encoder="ViT-B-32")
    _, card, path = import_head(source, tmp_path / "models", Facts())
    place = path.with_name(path.name + SUFFIX)
    place.write_text(text)
    with pytest.raises(DetectorUnavailable, match="card of the head"):
        read_card(path, card.sha256)
    place.write_text(json.dumps({**json.loads("{}"), **_plain(card), "name": 3}))
    with pytest.raises(DetectorUnavailable, match="no text"):
        read_card(path, card.sha256)


def _plain(card: Any) -> dict[str, Any]:
    return {name: getattr(card, name) for name in type(card).__dataclass_fields__}


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    silent = saved(tmp_path / "sexual.safetensors", unsafe_diffusion())
    with pytest.raises(InvalidRequest, match="for which CLIP"):
        import_head(silent, folder, Facts())
    with pytest.raises(InvalidRequest, match="not the one you gave"):
        import_head(silent, folder, Facts("ViT-L-14", sha256="0" * 64))
    said = saved(tmp_path / "hate.safetensors", unsafe_diffusion(), encoder="ViT-L-14/openai")
    with pytest.raises(InvalidRequest, match="made for ViT-L-14/openai, not ViT-B-32"):
        import_head(said, folder, Facts("ViT-B-32"))
    with pytest.raises(DetectorUnavailable, match="cannot be read"):
        import_head(tmp_path / "none.safetensors", folder, Facts("ViT-L-14"))
    other = tmp_path / "other.pt"
    import torch

    torch.save({"weight": torch.zeros(3)}, other)
    with pytest.raises(DetectorUnavailable, match="no head of a known layout"):
        import_head(other, folder, Facts("ViT-L-14"))
    assert not folder.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable):
        import_head(silent, tmp_path / "file" / "models", Facts("ViT-L-14"))


class _Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("unpickled"),))


def test_no_code_of_a_pytorch_file_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, data in (("a.pt", pickle.dumps({"0.weight": _Bomb()})), ("b.pt", b"x")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DetectorUnavailable, match="as tensors"):
            import_head(tmp_path / name, tmp_path / "models", Facts("ViT-L-14"))
    assert not (tmp_path / "unpickled").exists()


def test_a_large_file_that_is_no_safetensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_import, "MAX_HEAD_BYTES", 10)
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(DetectorUnavailable, match="cannot be read"):
        import_head(tmp_path / "x.safetensors", tmp_path / "m", Facts("ViT-L-14"))
