from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guard.classify.weights import find_weights, offline, pull_weights
from guard.errors import DetectorUnavailable


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def cached(cache: Path, repository: str, *names: str) -> Path:
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for name in names:
        (snapshot / name).write_bytes(b"x")
    return snapshot


def test_a_tag_is_found_in_the_hub_s_cache_safetensors_first(cache: Path) -> None:
    names = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    snapshot = cached(cache, "timm/vit_base_patch32_clip_224.openai", *names)
    found = find_weights("ViT-B-32", "openai")
    assert found.checkpoint == snapshot / names[0]
    assert found.architecture == "ViT-B-32"
    (snapshot / names[0]).unlink()
    assert find_weights("ViT-B-32", "openai").checkpoint == snapshot / names[1]


@pytest.mark.parametrize(
    ("model", "pretrained", "words"),
    [
        ("ViT-B-32", "openai", "not on this machine"),
        ("hf-hub:owner/name", "", "not on this machine"),
        ("ViT-B-33", "openai", "no model named"),
        ("ViT-B-32", "opnai", "neither a known tag"),
        ("ViT-B-32", "none.safetensors", "does not exist"),
        ("local-dir:/nowhere", "", "holds no CLIP model"),
    ],
)
def test_what_is_missing_is_named(cache: Path, model: str, pretrained: str, words: str) -> None:
    with pytest.raises(DetectorUnavailable, match=words) as caught:
        find_weights(model, pretrained)
    assert caught.value.hint


def test_an_hf_hub_model_is_found_as_a_folder(cache: Path) -> None:
    names = ("open_clip_config.json", "open_clip_model.safetensors")
    snapshot = cached(cache, "owner/name", *names)
    found = find_weights("hf-hub:owner/name", "")
    assert found.architecture == f"local-dir:{snapshot}"
    assert found.checkpoint == snapshot / names[1]


def test_pulling_asks_the_hub_for_what_finding_looks_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[str, Any]] = []

    def download(repository: str, filename: str | None = None) -> str:
        asked.append((repository, filename))
        return str(tmp_path / "w")

    monkeypatch.setattr("open_clip.pretrained.download_pretrained_from_hf", download)
    assert pull_weights("ViT-B-32", "openai") == tmp_path / "w"
    pull_weights("hf-hub:owner/name", "")
    assert asked == [
        ("timm/vit_base_patch32_clip_224.openai", None),
        ("owner/name", "open_clip_config.json"),
        ("owner/name", None),
    ]


def test_pulling_without_a_hub_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr("open_clip.pretrained.download_pretrained_from_hf", fails)
    with pytest.raises(DetectorUnavailable, match="could not be fetched") as caught:
        pull_weights("ViT-B-32", "openai")
    assert "local checkpoint" in caught.value.hint


def test_a_tag_without_a_hub_address_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("open_clip.get_pretrained_cfg", lambda *_: {"url": "x"})
    with pytest.raises(DetectorUnavailable, match="no hub address"):
        pull_weights("ViT-B-32", "openai")
    with pytest.raises(DetectorUnavailable, match="not on this machine"):
        find_weights("ViT-B-32", "openai")


def test_offline_is_undone_also_after_an_error() -> None:
    from huggingface_hub import constants

    def fails() -> None:
        with offline():
            assert constants.HF_HUB_OFFLINE
            raise KeyError

    before = constants.HF_HUB_OFFLINE
    with pytest.raises(KeyError):
        fails()
    assert before == constants.HF_HUB_OFFLINE
