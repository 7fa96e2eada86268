"""Stand-ins with the signature of TrustMark's networks, which carry bits as well as they can.

Linear ones: 100 patterns of middle frequencies on a grid of 32 × 32. The encoder sets what the
decoder will hear of each, whatever the picture says there. Real weights are a download.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.tiny_onnx import Graph

GRID, BITS = 32, 100
LOUDNESS = 0.09
"""Of −1…1, in a pattern of unit energy: about 38 dB in all."""


def patterns(seed: int = 0) -> NDArray[np.float32]:
    """Orthonormal rows, shape (100, 1024)."""
    place = (np.arange(GRID) + 0.5) * np.pi / GRID
    waves = np.sqrt(2 / GRID) * np.cos(np.outer(np.arange(12, 22), place))
    basis = np.einsum("ay,bx->abyx", waves, waves).reshape(BITS, GRID * GRID)
    mix = np.linalg.qr(np.random.default_rng(seed).normal(size=(BITS, BITS)))[0]
    return np.asarray(mix @ basis, np.float32)


def heard(graph: Graph, image: str, side: int, rows: NDArray[np.float32]) -> str:
    """What 32 × 32 cells of ``image`` have of each pattern, shape (1, rows)."""
    cell = side // GRID
    pooled = graph.node(
        "AveragePool", [image], "pooled", kernel_shape=[cell, cell], strides=[cell, cell]
    )
    grey = graph.node("ReduceMean", [pooled], "grey", axes=[1], keepdims=0)
    flat = graph.node(
        "Reshape", [grey, graph.constant("flat_shape", np.array([1, GRID * GRID]))], "flat"
    )
    return graph.node("MatMul", [flat, graph.constant("ears", rows.T.copy())], "heard")


def decoder(side: int = 256, *, outputs: int = BITS, scale: float = 10.0) -> bytes:
    """(1, 3, side, side) → (1, 100)."""
    graph = Graph({"image": [1, 3, side, side]}, {"output": [1, outputs]})
    ears = heard(graph, "image", side, patterns()[:outputs])
    factor = graph.constant("factor", np.full((1, 1), scale, np.float32))
    graph.node("Mul", [ears, factor], "output")
    return graph.model()


def encoder(side: int = 256) -> bytes:
    """(1, 3, side, side), (1, 100) → (1, 3, side, side); inputs are named as Adobe's."""
    names = {"onnx::Concat_0": [1, 3, side, side], "onnx::Gemm_1": [1, BITS]}
    graph = Graph(names, {"image": [1, 3, side, side]})
    ears = heard(graph, "onnx::Concat_0", side, patterns())
    twice = graph.constant("twice", np.full((1, 1), 2 * LOUDNESS, np.float32))
    once = graph.constant("once", np.full((1, 1), LOUDNESS, np.float32))
    loud = graph.node("Mul", ["onnx::Gemm_1", twice], "loud")
    wanted = graph.node("Sub", [loud, once], "wanted")
    missing = graph.node("Sub", [wanted, ears], "missing")
    flat = graph.node("MatMul", [missing, graph.constant("voices", patterns())], "added")
    grid = graph.node(
        "Reshape", [flat, graph.constant("grid_shape", np.array([1, 1, GRID, GRID]))], "grid"
    )
    sizes = graph.constant("sizes", np.array([1, 1, side, side]))
    full = graph.node("Resize", [grid, "", "", sizes], "full", mode="nearest")
    graph.node("Add", ["onnx::Concat_0", full], "image")
    return graph.model()


def write_models(folder: Path, variants: str = "QP") -> Path:
    """Both networks of each variant, as ``GUARD_TRUSTMARK_MODELS`` wants them."""
    folder.mkdir(parents=True, exist_ok=True)
    for variant in variants:
        (folder / f"encoder_{variant}.onnx").write_bytes(encoder())
        side = 224 if variant == "P" else 256
        (folder / f"decoder_{variant}.onnx").write_bytes(decoder(side))
    return folder
