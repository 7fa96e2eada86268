"""As much CBOR (RFC 8949) as COSE signatures in manifest stores need: definite lengths only.

The input may be hostile: nesting is bounded, lengths are checked before anything is built.
"""

from __future__ import annotations

import struct
from typing import Any

MAX_DEPTH = 32
"""COSE headers nest three levels; without a bound a kilobyte of array heads exhausts the stack."""

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLE_VALUES = {20: False, 21: True, 22: None}
_WIDTHS = {24: ">B", 25: ">H", 26: ">I", 27: ">Q"}


def decode(data: bytes) -> Any:
    """The one item in ``data``; tags are dropped. Raises ValueError for anything else."""
    value, end = _item(data, 0, 0)
    if end != len(data):
        raise ValueError("bytes follow the CBOR item")
    return value


def head(major: int, value: int) -> bytes:
    """Major type and argument, in the shortest form."""
    if value < 24:
        return bytes([major << 5 | value])
    for code, width in _WIDTHS.items():
        if value < 1 << (8 * struct.calcsize(width)):
            return bytes([major << 5 | code]) + struct.pack(width, value)
    raise ValueError("too large for CBOR")


def byte_string(value: bytes) -> bytes:
    """``value`` as a byte string."""
    return head(_BYTES, len(value)) + value


def text_string(value: str) -> bytes:
    """``value`` as a text string."""
    data = value.encode("utf-8")
    return head(_TEXT, len(data)) + data


def array(*items: bytes) -> bytes:
    """An array of items that are encoded already."""
    return head(_ARRAY, len(items)) + b"".join(items)


def encode(value: Any) -> bytes:
    """Numbers, texts, bytes, None, lists and maps, in the order given. Raises TypeError."""
    if isinstance(value, bytes):
        return byte_string(value)
    if isinstance(value, str):
        return text_string(value)
    if value is None:
        return head(_SIMPLE, 22)
    if isinstance(value, int) and not isinstance(value, bool):
        return head(_UINT, value) if value >= 0 else head(_NEGATIVE, -1 - value)
    if isinstance(value, (list, tuple)):
        return array(*(encode(one) for one in value))
    if isinstance(value, dict):
        items = (encode(part) for pair in value.items() for part in pair)
        return head(_MAP, len(value)) + b"".join(items)
    raise TypeError(f"no CBOR for {type(value).__name__}")


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise ValueError("CBOR nested too deeply")
    major, value, at = _head(data, at)
    if major == _UINT:
        return value, at
    if major == _NEGATIVE:
        return -1 - value, at
    if major in (_BYTES, _TEXT):
        return _string(data, at, value, text=major == _TEXT)
    if major == _TAG:
        return _item(data, at, depth + 1)
    if major == _SIMPLE:
        if value not in _SIMPLE_VALUES:
            raise ValueError("a CBOR value that no signature has")
        return _SIMPLE_VALUES[value], at
    return _collection(data, at, (major, value), depth)


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    if at >= len(data):
        raise ValueError("CBOR cut short")
    major, short = data[at] >> 5, data[at] & 31
    if short < 24:
        return major, short, at + 1
    width = _WIDTHS.get(short)
    if width is None or major == _SIMPLE or at + 1 + struct.calcsize(width) > len(data):
        raise ValueError("CBOR of indefinite length, a float, or cut short")
    return major, struct.unpack_from(width, data, at + 1)[0], at + 1 + struct.calcsize(width)


def _string(data: bytes, at: int, length: int, *, text: bool) -> tuple[bytes | str, int]:
    if at + length > len(data):
        raise ValueError("CBOR cut short")
    value = data[at : at + length]
    return (value.decode("utf-8") if text else value), at + length


def _collection(data: bytes, at: int, kind: tuple[int, int], depth: int) -> tuple[Any, int]:
    major, count = kind
    if count > len(data) - at:
        raise ValueError("CBOR cut short")
    items: list[Any] = []
    for _ in range(count * (2 if major == _MAP else 1)):
        item, at = _item(data, at, depth + 1)
        items.append(item)
    if major == _ARRAY:
        return items, at
    keys, values = items[::2], items[1::2]
    if not all(isinstance(key, (int, str, bytes)) for key in keys) or len(set(keys)) < count:
        raise ValueError("a CBOR map with keys that are no names, or with one twice")
    return dict(zip(keys, values, strict=True)), at
