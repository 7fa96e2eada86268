"""The weights that ship: found, checked against their pinned SHA-256, opened.

Fails closed: a missing, damaged or exchanged file is ModelUnavailable, never a model that finds
nothing.
"""

from __future__ import annotations

import hashlib
import io
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np

from guard.errors import ModelUnavailable
from guard.prompt.semantic.hashed import Floats, Hashed
from guard.prompt.semantic.pins import ENCODER_SHA256, SHA256, TOKENIZER_SHA256

HINT: Final = (
    "Reinstall genguard (`pip install --force-reinstall genguard`), or choose `semantic: hashed` "
    "or `off` in the policy."
)


class Weights(NamedTuple):
    """Everything learnt. Logistic parameters are per head.

    ``alone`` (heads, 2): slope and offset of the hashed logit by itself. ``heads`` (width, heads)
    and ``offsets`` (heads,) read the unit embedding; ``both`` (heads, 3): slopes of hashed and
    embedding logit, and offset. ``gate`` (heads,): hashed probability from which the embedding is
    asked.
    """

    hashed: Hashed
    alone: Floats
    heads: Floats
    offsets: Floats
    both: Floats
    gate: Floats


def open_weights() -> Weights:
    """The shipped weights. Raises ModelUnavailable when they are missing or damaged."""
    content = read_checked(_shipped("model.npz"), SHA256)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return _weights({name: file[name] for name in file.files})
    except (ValueError, KeyError, OSError) as error:
        _unavailable(f"The semantic model cannot be read: {error}.", error)


def tokenizer_bytes() -> bytes:
    """The tokenizer's JSON. Raises ModelUnavailable."""
    return read_checked(_shipped("tokenizer.json"), TOKENIZER_SHA256)


def encoder_bytes() -> bytes:
    """The sentence encoder's ONNX file. Raises ModelUnavailable."""
    return read_checked(_shipped("minilm.onnx"), ENCODER_SHA256)


def read_checked(path: Path, sha256: str) -> bytes:
    """A file whose digest is as pinned. Raises ModelUnavailable."""
    try:
        content = path.read_bytes()
    except OSError as error:
        _unavailable(f"The semantic tier's file '{path.name}' cannot be read.", error)
    if hashlib.sha256(content).hexdigest() != sha256:
        _unavailable(f"The semantic tier's file '{path.name}' is not the one that was released.")
    return content


def _shipped(name: str) -> Path:
    return Path(str(resources.files("guard.prompt.semantic") / "weights" / name))


def _weights(arrays: dict[str, Any]) -> Weights:
    def single(name: str) -> Floats:
        return np.asarray(arrays[name], np.float32)

    return Weights(
        Hashed(
            np.asarray(arrays["table"], np.int8),
            np.asarray(arrays["rarity"], np.uint8),
            single("scale"),
            single("bias"),
        ),
        *(single(name) for name in ("alone", "heads", "offsets", "both", "gate")),
    )


def _unavailable(message: str, cause: Exception | None = None) -> NoReturn:
    raise ModelUnavailable(message, hint=HINT) from cause
