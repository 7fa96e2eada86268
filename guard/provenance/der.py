"""As much DER (X.690) as time-stamps need: written by nesting calls, read element by element.

Only definite lengths and single-byte tags: nothing here uses others, and hostile bytes with
others are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTF8_STRING, GENERALIZED_TIME, SEQUENCE, SET = 0x0C, 0x18, 0x30, 0x31


def context(number: int, *, constructed: bool = True) -> int:
    """The tag ``[number]``."""
    return (0xA0 if constructed else 0x80) | number


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, its content, and all of it as it stood (``raw``)."""

    tag: int
    content: bytes
    raw: bytes


def element(tag: int, *parts: bytes) -> bytes:
    """An element with ``parts`` as its content, one after another."""
    content = b"".join(parts)
    return bytes([tag]) + _length(len(content)) + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE of ``parts``."""
    return element(SEQUENCE, *parts)


def set_of(*parts: bytes, tag: int = SET) -> bytes:
    """SET OF ``parts``, in the order that DER asks for (X.690 section 11.6)."""
    return element(tag, *sorted(parts))


def integer(value: int) -> bytes:
    """INTEGER; two's complement in the fewest bytes."""
    return element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octets(value: bytes) -> bytes:
    """OCTET STRING."""
    return element(OCTET_STRING, value)


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from its dotted form."""
    first, second, *others = (int(part) for part in dotted.split("."))
    return element(OID, *(_base128(arc) for arc in (first * 40 + second, *others)))


def generalized_time(when: datetime) -> bytes:
    """GeneralizedTime in UTC, to the second (RFC 3161 allows fractions and needs none)."""
    return element(GENERALIZED_TIME, when.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode())


def read(data: bytes) -> Element:
    """The one element that ``data`` is. Raises ValueError when it is anything else."""
    first = _at(data, 0)
    if len(first.raw) != len(data):
        raise ValueError("bytes after the end of a DER element")
    return first


def children(data: bytes) -> Iterator[Element]:
    """The elements that stand in ``data`` one after another. Raises ValueError."""
    offset = 0
    while offset < len(data):
        one = _at(data, offset)
        yield one
        offset += len(one.raw)


def _at(data: bytes, offset: int) -> Element:
    header = data[offset : offset + 2]
    if len(header) < 2 or header[0] & 0x1F == 0x1F:
        raise ValueError("not a DER element")
    start, size = offset + 2, header[1]
    if size & 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("a DER element without a usable length")
        start, size = start + count, int.from_bytes(data[start : start + count], "big")
    if start + size > len(data):
        raise ValueError("a DER element that is cut off")
    return Element(header[0], data[start : start + size], data[offset : start + size])


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    count = (size.bit_length() + 7) // 8
    return bytes([0x80 | count]) + size.to_bytes(count, "big")


def _base128(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))
