from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from guard.errors import ModelUnavailable
from guard.generate.folder import check_reference, find_folder, folder_digest, quiet


def pipeline_folder(folder: Path, index: object = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = index if isinstance(index, str) else json.dumps(index or {"_class_name": "X"})
    (folder / "model_index.json").write_text(text)
    return folder


@pytest.mark.parametrize(
    "reference",
    [
        "no-such-model",
        "a/b/c",
        "../escape/x",
        "owner/",
        "/no/such/folder",
        "bad name/x",
        "",
        "x\0y",
        "~nobody-of-this-name/x",
        "a" * 5000,
        "openai",
    ],
)
def test_what_is_no_model_says_what_is(reference: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        check_reference(reference if reference else "no")
    assert "openai:NAME" in caught.value.hint


@pytest.mark.parametrize("reference", ["owner/name", "stabilityai/sd-turbo", "a1/b.c_d-e"])
def test_hub_ids_pass_the_first_look(reference: str) -> None:
    check_reference(reference)


def test_a_folder_with_a_pipeline_is_found(tmp_path: Path) -> None:
    assert find_folder(str(pipeline_folder(tmp_path)), allow_network=False) == tmp_path


def test_an_empty_folder_is_no_pipeline(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no model_index\.json"):
        check_reference(str(tmp_path))


@pytest.mark.parametrize("index", ["{", "[]", '{"a": 1}', "\ufeff", '{"_class_name": null}'])
def test_a_broken_index_is_refused(tmp_path: Path, index: str) -> None:
    with pytest.raises(ModelUnavailable):
        check_reference(str(pipeline_folder(tmp_path, index)))


def test_a_pipeline_with_its_own_code_is_refused(tmp_path: Path) -> None:
    folder = pipeline_folder(tmp_path, {"_class_name": ["pipeline", "Mine"]})
    (folder / "pipeline.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelUnavailable, match="own code"):
        check_reference(str(folder))


def test_a_single_file_checkpoint_says_how_to_convert(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelUnavailable) as caught:
        check_reference(str(tmp_path / "model.safetensors"))
    assert "from_single_file" in caught.value.hint


def test_the_digest_tells_models_apart(tmp_path: Path) -> None:
    one = pipeline_folder(tmp_path / "one")
    (one / "unet").mkdir()
    (one / "unet" / "a.safetensors").write_bytes(b"1234")
    same = pipeline_folder(tmp_path / "same")
    (same / "unet").mkdir()
    (same / "unet" / "a.safetensors").write_bytes(b"1234")
    (same / "README.md").write_text("does not count")
    assert folder_digest(one) == folder_digest(same)
    (same / "unet" / "a.safetensors").write_bytes(b"12345")
    assert folder_digest(one) != folder_digest(same)
    (same / "unet" / "a.safetensors").rename(same / "unet" / "b.safetensors")
    assert folder_digest(one) != folder_digest(same)


def _hub_error(kind: str) -> Exception:
    import httpx
    from huggingface_hub import errors

    if kind in {"GatedRepoError", "RepositoryNotFoundError"}:
        response = httpx.Response(404, request=httpx.Request("GET", "https://hub.invalid"))
        error: Exception = getattr(errors, kind)("told https://hub.invalid", response=response)
        return error
    return {"os": OSError("offline"), "transport": httpx.ConnectError("refused")}[kind]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("GatedRepoError", "licence"),
        ("RepositoryNotFoundError", "no model 'owner/name'"),
        ("os", "could it be fetched"),
        ("transport", "could it be fetched"),
    ],
)
def test_the_hub_s_failures_get_a_plain_word(
    monkeypatch: pytest.MonkeyPatch, kind: str, words: str
) -> None:
    from diffusers import DiffusionPipeline

    def fails(*_: Any, **__: Any) -> None:
        raise _hub_error(kind)

    monkeypatch.setattr(DiffusionPipeline, "download", fails)
    with pytest.raises(ModelUnavailable, match=words) as caught:
        find_folder("owner/name", allow_network=True)
    assert caught.value.hint


def test_a_hub_id_is_asked_for_safetensors_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from diffusers import DiffusionPipeline

    asked: dict[str, Any] = {}

    def download(reference: str, **options: Any) -> str:
        asked.update(options, reference=reference)
        return str(pipeline_folder(tmp_path))

    monkeypatch.setattr(DiffusionPipeline, "download", download)
    assert find_folder("owner/name", allow_network=False) == tmp_path
    assert asked == {"reference": "owner/name", "use_safetensors": True, "local_files_only": True}


def test_quiet_puts_everything_back() -> None:
    from diffusers.utils import logging

    before = logging.get_verbosity()
    with quiet():
        warnings.warn("not heard", UserWarning, stacklevel=1)
        assert logging.get_verbosity() != before or before == logging.CRITICAL
    assert logging.get_verbosity() == before
    with pytest.raises(UserWarning), quiet():
        raise UserWarning
    assert logging.get_verbosity() == before
