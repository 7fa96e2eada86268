"""Where the weights of a CLIP model lie. Finding never downloads; only ``pull_weights`` does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guard.errors import DetectorUnavailable

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
"""Checkpoints: safetensors, or PyTorch files, which are read with weights_only=True."""

_SAFE_NAME = "open_clip_model.safetensors"


@dataclass(frozen=True)
class Weights:
    """A checkpoint on this machine, and the options with which its tag was trained.

    ``architecture`` is what open_clip builds: a model name, or ``local-dir:`` and a folder, which
    brings its own configuration.
    """

    architecture: str
    checkpoint: Path
    quick_gelu: bool = False
    preprocess: dict[str, Any] = field(default_factory=dict)


def find_weights(model: str, pretrained: str, models: Path | None = None) -> Weights:
    """The checkpoint that a policy's clip section names, without touching the network.

    ``model`` is an open_clip name, ``local-dir:FOLDER`` or ``hf-hub:OWNER/NAME``; ``pretrained``
    a hub tag or the path of a checkpoint, which may be relative to ``models``. Tags are looked up
    in the caches that ``pull_weights`` fills.

    Raises DetectorUnavailable when nothing is there, with how to get it.
    """
    if model.startswith("local-dir:"):
        return _folder(Path(model.removeprefix("local-dir:")))
    if model.startswith("hf-hub:"):
        return _hub_folder(model)
    _known_architecture(model)
    if pretrained.endswith(SUFFIXES):
        return Weights(model, _existing(pretrained, models))
    config = _tag(model, pretrained)
    found = _cached(config.get("hf_hub", ""))
    if found is None:
        raise _missing(model, pretrained)
    taken = {"mean", "std", "interpolation", "resize_mode"}
    preprocess = {key: config[key] for key in taken if config.get(key) is not None}
    return Weights(model, found, bool(config.get("quick_gelu", False)), preprocess)


def pull_weights(model: str, pretrained: str) -> Path:
    """Download what ``find_weights`` looks for into the hub's cache; the checkpoint's path.

    Only ever called because somebody asked for it. Raises DetectorUnavailable when the name or
    tag is unknown or the hub cannot be reached.
    """
    from open_clip.pretrained import download_pretrained_from_hf

    repository, filename = _repository(model, pretrained)
    try:
        if model.startswith("hf-hub:"):
            download_pretrained_from_hf(repository, filename="open_clip_config.json")
        return Path(download_pretrained_from_hf(repository, filename=filename or None))
    except Exception as error:
        raise DetectorUnavailable(
            f"The weights of CLIP {model} ({pretrained}) could not be fetched: {error}",
            hint="Check the connection, or name a local checkpoint in the policy's clip section.",
        ) from error


@contextmanager
def offline() -> Iterator[None]:
    """Within this, Hugging Face libraries answer from their caches or fail; they fetch nothing."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _repository(model: str, pretrained: str) -> tuple[str, str]:
    if model.startswith("hf-hub:"):
        return model.removeprefix("hf-hub:"), ""
    _known_architecture(model)
    hub = _tag(model, pretrained).get("hf_hub", "")
    if not hub:
        raise DetectorUnavailable(
            f"open_clip knows no hub address for {model} ({pretrained}).",
            hint="Name a local checkpoint in the policy's clip section.",
        )
    repository, _, filename = hub.rpartition("/")
    return repository, filename


def _known_architecture(model: str) -> None:
    import open_clip

    if open_clip.get_model_config(model.replace("/", "-")) is None:
        raise DetectorUnavailable(
            f"open_clip has no model named '{model}'.",
            hint="Correct 'model' in the policy's clip section, for example ViT-B-32 or ViT-L-14.",
        )


def _tag(model: str, pretrained: str) -> dict[str, Any]:
    import open_clip

    config: dict[str, Any] = open_clip.get_pretrained_cfg(model.replace("/", "-"), pretrained)
    if not config:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model.replace("/", "-"))[:8])
        raise DetectorUnavailable(
            f"'{pretrained}' is neither a known tag of {model} nor a checkpoint.",
            hint=f"Known tags: {tags or 'none'}. A checkpoint ends in {', '.join(SUFFIXES)}.",
        )
    return config


def _existing(pretrained: str, models: Path | None) -> Path:
    for path in (Path(pretrained), *([models / pretrained] if models else [])):
        if path.is_file():
            return path
    raise DetectorUnavailable(
        f"The CLIP checkpoint {pretrained} does not exist.",
        hint="Put it there, or correct 'pretrained' in the policy's clip section.",
    )


def _folder(folder: Path) -> Weights:
    for name in (_SAFE_NAME, "open_clip_pytorch_model.bin"):
        if (folder / name).is_file() and (folder / "open_clip_config.json").is_file():
            return Weights(f"local-dir:{folder}", folder / name)
    raise DetectorUnavailable(
        f"The folder {folder} holds no CLIP model.",
        hint=f"It must hold open_clip_config.json and {_SAFE_NAME}.",
    )


def _hub_folder(model: str) -> Weights:
    config = _cache_lookup(model.removeprefix("hf-hub:"), "open_clip_config.json")
    if config is None:
        raise _missing(model, "hf-hub")
    return _folder(config.parent)


def _cached(hub: str) -> Path | None:
    """``OWNER/NAME/`` or ``OWNER/NAME/FILE`` in the hub's cache, safetensors first."""
    repository, _, filename = hub.rpartition("/")
    if not repository:
        return None
    filename = filename or "open_clip_pytorch_model.bin"
    safe = _SAFE_NAME if filename == "open_clip_pytorch_model.bin" else ""
    safe = safe or str(Path(filename).with_suffix(".safetensors"))
    return _cache_lookup(repository, safe) or _cache_lookup(repository, filename)


def _cache_lookup(repository: str, filename: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, filename)
    return Path(found) if isinstance(found, str) else None


def _missing(model: str, pretrained: str) -> DetectorUnavailable:
    return DetectorUnavailable(
        f"The weights of CLIP {model} ({pretrained}) are not on this machine.",
        hint="Run `guard models pull clip`, or name a local checkpoint as 'pretrained' in the "
        "policy's clip section. Nothing is downloaded on its own.",
    )
