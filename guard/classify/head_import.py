"""Taking a published head into the home: as a safetensors file, with its card beside it.

A file that is a head already is copied byte for byte, so that its digest stays the published one.
From a checkpoint that holds a head among other things (Stable Diffusion's safety checker lies
beside 300 million numbers of ViT-L/14), and from a PyTorch file, the head's numbers are taken out.
PyTorch files are opened only as tensors (``weights_only``): no code of theirs runs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guard.classify.cards import NOT_STATED, Card, stated_encoder, write_card
from guard.classify.head_files import (
    BATCH_NORMED,
    MAX_HEAD_BYTES,
    SAFETY_CHECKER,
    AnyHead,
    load_head,
    read_tensors,
)
from guard.errors import DetectorUnavailable, InvalidRequest, OutputUnwritable

PYTORCH = (".pt", ".pth", ".bin")
ENCODERS = {SAFETY_CHECKER: "ViT-L-14/openai"}
"""Layouts that exist for one encoder only."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What whoever imports a head says of it. ``sha256``: refuse a file of another digest."""

    encoder: str = ""
    source: str = NOT_STATED
    licence: str = NOT_STATED
    sha256: str = ""


def import_head(source: Path, folder: Path, facts: Facts) -> tuple[AnyHead, Card, Path]:
    """Check the head in ``source`` and put it, with its card, into ``folder``.

    Answers head, card and the file's place there. Raises DetectorUnavailable for what is no head,
    InvalidRequest for another digest or a head that names no encoder, OutputUnwritable.
    """
    digest = _digest(source)
    if facts.sha256 and digest != facts.sha256.lower():
        raise InvalidRequest(
            f"{source.name} has SHA-256 {digest}, not the one you gave.",
            hint="Check the digest with whoever published it.",
        )
    try:
        with_name, data = _as_head(source)
        return _put(folder / with_name, data, source, digest, facts)
    except OSError as error:
        raise OutputUnwritable(
            f"Cannot write {folder}: {error.strerror}.", hint="Check the home's permissions."
        ) from error


def _put(
    target: Path, data: bytes, source: Path, digest: str, facts: Facts
) -> tuple[AnyHead, Card, Path]:
    made = not target.parent.exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    # The name decides what the head is called, so it is checked under its own, in a place apart.
    trial = target.parent / f".{os.getpid()}" / target.name
    trial.parent.mkdir()
    try:
        trial.write_bytes(data)
        head = load_head(trial)
        _, metadata, own = read_tensors(trial)
        card = _card(head, own, stated_encoder(target, metadata, head), facts)
        if own != digest:
            card = Card(**{**_fields(card), "source_sha256": digest})
        write_card(target, card)
        trial.replace(target)
    finally:
        trial.unlink(missing_ok=True)
        trial.parent.rmdir()
        if made and not any(target.parent.iterdir()):
            target.parent.rmdir()
    return head, card, target


def _fields(card: Card) -> dict[str, Any]:
    return {name: getattr(card, name) for name in Card.__dataclass_fields__}


def _card(head: AnyHead, digest: str, stated: str, facts: Facts) -> Card:
    encoder = facts.encoder or stated
    if not encoder:
        raise InvalidRequest(
            f"Nobody says for which CLIP the head '{head.name}' was made.",
            hint="Say it: --encoder ViT-L-14/openai, for one.",
        )
    if facts.encoder and stated and not facts.encoder.startswith(stated.split("/", maxsplit=1)[0]):
        raise InvalidRequest(
            f"The head '{head.name}' says that it was made for {stated}, not {facts.encoder}.",
            hint="A head answers nonsense on another CLIP than its own.",
        )
    return Card(
        head.name, head.categories, encoder, head.width, digest, facts.source, facts.licence
    )


def _as_head(source: Path) -> tuple[str, bytes]:
    """The file's name in the home, and its bytes."""
    if source.suffix in PYTORCH:
        tensors = _picked(source, _from_pytorch(source))
    else:
        try:
            size = source.stat().st_size
        except OSError as error:
            raise _unreadable(source, error) from error
        if size <= MAX_HEAD_BYTES:
            load_head(source)
            return source.name, source.read_bytes()
        tensors = _picked(source, _LazyTensors(source))
    from safetensors.numpy import save

    layout = ENCODERS.get(frozenset(tensors), "")
    said = {"encoder": layout} if layout else {}
    name = "sd-safety-checker" if layout else source.stem
    said["name"] = name.lower()
    return f"{name}.safetensors", save(tensors, metadata=said)


class _LazyTensors(dict[str, Any]):
    """Names of a large safetensors file; a tensor is read when it is asked for."""

    def __init__(self, source: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            opened: Any = safe_open(str(source), "np")
        except (SafetensorError, OSError) as error:
            raise _unreadable(source, error) from error
        self._file = opened
        super().__init__(dict.fromkeys(opened.keys()))

    def __getitem__(self, name: str) -> NDArray[Any]:
        return np.asarray(self._file.get_tensor(name))


def _from_pytorch(source: Path) -> dict[str, NDArray[Any]]:
    import torch

    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
        return {str(name): value.float().numpy() for name, value in state.items()}
    except Exception as error:
        raise DetectorUnavailable(
            f"The head {source.name} cannot be read as tensors: {type(error).__name__}.",
            hint="Only files that hold nothing but tensors are opened.",
        ) from error


def _picked(source: Path, tensors: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The tensors of a head among others'."""
    for wanted in (SAFETY_CHECKER, BATCH_NORMED):
        for prefix in {name.removesuffix(min(wanted)) for name in tensors if min(wanted) in name}:
            if all(prefix + name in tensors for name in wanted):
                return {
                    name: np.ascontiguousarray(tensors[prefix + name], dtype=np.float32)
                    for name in sorted(wanted)
                }
    raise DetectorUnavailable(
        f"There is no head of a known layout in {source.name}.",
        hint="docs/explanation/classification.md says which layouts there are.",
    )


def _digest(source: Path) -> str:
    try:
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(source, error) from error


def _unreadable(source: Path, error: Exception) -> DetectorUnavailable:
    return DetectorUnavailable(
        f"The head {source.name} cannot be read: {error}.",
        hint="Give a safetensors file, or a PyTorch file of nothing but tensors.",
    )
