"""ONNX models on the processor: the one place where onnxruntime is opened."""

from __future__ import annotations

import os
from typing import Any


def open_session(model: bytes, *, threads: int = 1, arena: bool = True) -> Any:
    """An ``onnxruntime.InferenceSession`` over the bytes of a model, on ``threads`` threads.

    ``arena`` false gives memory back after each run: slower for pictures, smaller for texts.
    Raises what onnxruntime raises for a model that it cannot read, and ImportError.
    """
    # Without this, onnxruntime 1.32 leaves an id of the machine in the user's cache folder.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = arena
    options.log_severity_level = 3
    # Spinning threads burn a core between runs, which others need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        model, sess_options=options, providers=["CPUExecutionProvider"]
    )
