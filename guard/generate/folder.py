"""From a model's name to the folder that holds its pipeline, and the digest that names it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guard.errors import ModelUnavailable

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
INDEX = "model_index.json"
ACCEPTED = (
    "A model is `demo`, `openai:NAME`, a folder with a diffusers pipeline, or a hub id "
    "such as stabilityai/stable-diffusion-xl-base-1.0."
)


def find_folder(reference: str, *, allow_network: bool) -> Path:
    """The pipeline's folder: ``reference`` itself, or the hub's local snapshot of it.

    Fetches a hub id when ``allow_network`` and it is not complete on this machine; only
    safetensors weights, never code. Raises ModelUnavailable.
    """
    check_reference(reference)
    folder = Path(reference).expanduser()
    return folder if folder.is_dir() else _from_hub(reference, allow_network=allow_network)


def check_reference(reference: str) -> None:
    """Raises ModelUnavailable unless it is a folder with a pipeline or looks like a hub id."""
    try:
        folder = Path(reference).expanduser()
        if folder.is_dir():
            check_folder(folder)
            return
        exists = folder.exists()
    except (OSError, ValueError, RuntimeError) as error:  # too long, NUL, no such home
        raise ModelUnavailable("That is no model's name.", hint=ACCEPTED) from error
    if exists:
        raise ModelUnavailable(
            f"{reference} is a file, not a folder with a diffusers pipeline.",
            hint="Convert it with diffusers' `from_single_file(…).save_pretrained(FOLDER)`.",
        )
    if not HUB_ID.fullmatch(reference):
        raise ModelUnavailable(f"There is no model '{reference}'.", hint=ACCEPTED)


def check_folder(folder: Path) -> None:
    """Raises ModelUnavailable when ``folder`` holds no diffusers pipeline with its own class."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        name = index["_class_name"]
    except FileNotFoundError as error:
        raise ModelUnavailable(
            f"The folder {folder} holds no diffusers pipeline: it has no {INDEX}.",
            hint="Name the folder that `save_pretrained` wrote.",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable(
            f"{folder / INDEX} cannot be read: {error}", hint="Save the pipeline again."
        ) from error
    if not isinstance(name, str):
        raise ModelUnavailable(
            f"The pipeline in {folder} brings its own code, which is never run.",
            hint="Open it yourself and hand it to guard.wrap(…).",
        )


def folder_digest(folder: Path) -> str:
    """SHA-256 (hex) over model_index.json and the relative path and size of every weight file.

    Names the model in records and manifests. It tells two models or versions apart at once;
    it does not prove that the weights' bytes are unchanged, for which they would have to be
    read in full at every start.
    """
    digest = hashlib.sha256((folder / INDEX).read_bytes())
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(f"\n{path.relative_to(folder).as_posix()} {path.stat().st_size}".encode())
    return digest.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep diffusers, transformers and the hub from printing, warning and reporting usage."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    loggers = (diffusers_logging, transformers_logging)
    before = [one.get_verbosity() for one in loggers]
    bars = [one.is_progress_bar_enabled() for one in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in loggers:
            one.set_verbosity(one.CRITICAL)
            one.disable_progress_bar()
        try:
            yield
        finally:
            for one, verbosity, bar in zip(loggers, before, bars, strict=True):
                one.set_verbosity(verbosity)
                if bar:
                    one.enable_progress_bar()


def _from_hub(reference: str, *, allow_network: bool) -> Path:
    from diffusers import DiffusionPipeline
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        with quiet():
            found = DiffusionPipeline.download(
                reference, use_safetensors=True, local_files_only=not allow_network
            )
    except GatedRepoError as error:
        raise ModelUnavailable(
            f"The hub does not give out {reference} without its licence being accepted.",
            hint="Accept it on the model's page and log in with `hf auth login`.",
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelUnavailable(
            f"The hub has no model '{reference}', or it is private.", hint=ACCEPTED
        ) from error
    except Exception as error:  # the hub's client lets through what its transport raises
        raise ModelUnavailable(
            f"The model '{reference}' is neither a folder, nor on this machine, nor could it be "
            "fetched from the hub with safetensors weights.",
            hint=f"Check the name and the connection, or use `--model demo`, which needs none. "
            f"({type(error).__name__})",
        ) from error
    check_folder(Path(found))
    return Path(found)
