"""Writes small ONNX models without the package onnx: the few protobuf fields that are needed.

Field numbers are those of onnx.proto3 (ONNX, Apache-2.0). For tests that need a network which
really carries bits, where the real one cannot be had.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 13
Shape = Sequence[int | str]


@dataclass
class Graph:
    """Nodes in order, with the constants they use, ``inputs`` and ``outputs`` by name."""

    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    parts: list[bytes] = field(default_factory=list)

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """A float32 or int64 tensor."""
        kind = 1 if values.dtype == np.float32 else 7
        dims = b"".join(_number(1, size) for size in values.shape)
        tensor = dims + _number(2, kind) + _text(8, name) + _bytes(9, values.tobytes())
        self.parts.append(_bytes(5, tensor))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """An operator; ``attributes`` are whole numbers, lists of them, or text."""
        body = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind)
        body += b"".join(_bytes(5, _attribute(*one)) for one in attributes.items())
        self.parts.append(_bytes(1, body))
        return output

    def model(self) -> bytes:
        """The file."""
        graph = b"".join(self.parts) + _text(2, "tiny")
        graph += b"".join(_bytes(11, _value(*one)) for one in self.inputs.items())
        graph += b"".join(_bytes(12, _value(*one)) for one in self.outputs.items())
        return _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, OPSET))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(place: int, value: int) -> bytes:
    return _varint(place << 3) + _varint(value)


def _bytes(place: int, value: bytes) -> bytes:
    return _varint(place << 3 | 2) + _varint(len(value)) + value


def _text(place: int, value: str) -> bytes:
    return _bytes(place, value.encode())


def _attribute(name: str, value: Any) -> bytes:
    head = _text(1, name)
    if isinstance(value, str):
        return head + _text(4, value) + _number(20, 3)
    if isinstance(value, int):
        return head + _number(3, value) + _number(20, 2)
    if isinstance(value, float):
        return head + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, 1)
    return head + b"".join(_number(8, one) for one in value) + _number(20, 7)


def _value(name: str, shape: Shape) -> bytes:
    dims = b"".join(
        _bytes(1, _number(1, size) if isinstance(size, int) else _text(2, size)) for size in shape
    )
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, dims)))
