"""The second stage: a small sentence encoder (MiniLM, int8) on one thread."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from guard.errors import ModelUnavailable
from guard.prompt.semantic.hashed import Floats
from guard.prompt.semantic.weights import HINT, encoder_bytes, tokenizer_bytes

TOKENS: Final = 128
"""A window of 60 words is rarely longer; what is beyond costs time and says little."""


class Encoder:
    """Embeds texts, one at a time. Raises ModelUnavailable when it cannot be opened."""

    def __init__(self) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_bytes().decode("utf-8"))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(TOKENS)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.enable_cpu_mem_arena = options.enable_mem_pattern = False
            options.log_severity_level = 3
            # Two spinning threads are slower than one that works, and starve the others.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            self._session: Any = onnxruntime.InferenceSession(
                encoder_bytes(),
                options,
                providers=["CPUExecutionProvider"],
            )
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
