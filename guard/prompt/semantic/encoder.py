"""The second stage: a small sentence encoder (MiniLM, int8) on one thread."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from guard.errors import ModelUnavailable
from guard.onnx import open_session
from guard.prompt.semantic.hashed import Floats
from guard.prompt.semantic.weights import HINT, encoder_bytes, tokenizer_bytes

TOKENS: Final = 128
"""A window of 60 words is rarely longer; what is beyond costs time and says little."""


class Encoder:
    """Embeds texts, one at a time. Raises ModelUnavailable when it cannot be opened."""

    def __init__(self) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_bytes().decode("utf-8"))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(TOKENS)
            self._session: Any = open_session(encoder_bytes(), arena=False)
        except ModelUnavailable:
            raise
        except Exception as error:  # whatever the runtime raises: the tier is not there
            raise ModelUnavailable(
                f"The sentence encoder cannot be opened: {error}", hint=HINT
            ) from error

    def embed(self, text: str) -> Floats:
        """The unit embedding (384,) of a text: the mean of its tokens."""
        # A lone surrogate is no text: the tokenizer would raise.
        clean = text.encode("utf-8", "replace").decode("utf-8")
        ids = np.array([self._tokenizer.encode(clean).ids], np.int64)
        hidden = self._session.run(
            None,
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            },
        )[0]
        mean = hidden[0].mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)
