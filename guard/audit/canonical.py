"""Canonical JSON (RFC 8785): one value, one sequence of bytes, so that hashes can be compared.

Only what records need: objects with text keys, arrays, text, whole numbers within ±(2⁵³ − 1),
finite floats, booleans and null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

MAX_INTEGER = 2**53 - 1
"""RFC 8785 numbers are IEEE doubles: larger whole numbers must travel as text."""

_quote = json.JSONEncoder(ensure_ascii=False).encode
"""The standard library escapes exactly what section 3.2.2.2 wants, in lower-case hex."""


def canonical_json(value: Any) -> bytes:
    """The RFC 8785 form of ``value``, UTF-8.

    Raises ValueError for numbers that JSON cannot carry exactly, for text with lone surrogates
    and for any other type.
    """
    try:
        return _write(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("text is not valid Unicode") from error


def _write(value: Any) -> str:
    if value is None or isinstance(value, (bool, str)):
        return _quote(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(_member(key, value[key]) for key in _sorted(value)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_write(item) for item in value) + "]"
    raise ValueError(f"{type(value).__name__} has no canonical form")


def _sorted(value: Mapping[Any, Any]) -> list[str]:
    if not all(isinstance(key, str) for key in value):
        raise ValueError("keys must be text")
    # Section 3.2.3 sorts by UTF-16 code units, not by code points.
    return sorted(value, key=lambda key: key.encode("utf-16-be"))


def _member(key: str, value: Any) -> str:
    return f"{_quote(key)}:{_write(value)}"


def _integer(value: int) -> str:
    if abs(value) > MAX_INTEGER:
        raise ValueError(f"the whole number {value} is beyond ±(2⁵³ − 1)")
    return str(value)


def number(value: float) -> str:
    """A float as ECMAScript writes it (ECMA-262, Number::toString, which RFC 8785 asks for).

    Python's repr gives the same shortest digits; only where the point and the exponent go
    differs.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} has no JSON form")
    if value == 0:
        return "0"
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, part = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + part
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    sign = "-" if value < 0 else ""
    return sign + _place(stripped.rstrip("0"), point)


def _place(digits: str, point: int) -> str:
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{tail}e{point - 1:+d}"
