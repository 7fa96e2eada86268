"""TrustMark's 100 bits: data, BCH checks, version (Bui et al., arXiv:2311.18297, and its code).

Of four bits at the end the last two name the *schema*, the first two are zeros. Before them stand
data and checks, 96 bits together: BCH_SUPER 40 + 56 (mends 8 errors), BCH_5 61 + 35, BCH_4 68 + 28,
BCH_3 75 + 21. For the checks the data is filled up to whole bytes with zeros that are not sent.

*How little it says.* A word is decoded whenever it lies near enough to a code word. Fair coins do
so in 7 % of BCH_3 and .2 % of BCH_5. So :attr:`TrustMarkWord.chance` counts: the share of 2⁹⁸ words
that decode under this schema with no more wrong bits. It is not a p-value, for a network's bits on
unmarked pictures are no fair coins; but a reading with a large one says nothing at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from guard.watermark.bch import code

Bits = NDArray[np.uint8]

LENGTH: Final = 100
_VERSION_BITS: Final = 4
_CODED: Final = LENGTH - _VERSION_BITS


@dataclass(frozen=True, slots=True)
class Schema:
    """How many of the 96 bits are data, and how many wrong ones the rest mends."""

    name: str
    version: int
    data_bits: int
    errors: int

    @property
    def padding(self) -> int:
        """Zeros that fill the data up to bytes."""
        return -self.data_bits % 8


SCHEMAS: Final = (
    Schema("BCH_SUPER", 0, 40, 8),
    Schema("BCH_5", 1, 61, 5),
    Schema("BCH_4", 2, 68, 4),
    Schema("BCH_3", 3, 75, 3),
)


@dataclass(frozen=True, slots=True)
class TrustMarkWord:
    """What was read: ``data`` bits under a ``schema``, of 98 ``wrong`` ones mended."""

    schema: Schema
    data: Bits
    wrong: int

    @property
    def chance(self) -> float:
        """Share of all words that read as something under this schema with no more wrong bits."""
        near = sum(math.comb(LENGTH - 2, wrong) for wrong in range(self.wrong + 1))
        redundancy = LENGTH - 2 - self.schema.data_bits
        return min(1.0, near / 2.0**redundancy)

    @property
    def text(self) -> str | None:
        """The data as 7-bit ASCII, as TrustMark's text mode has it; None where it is none."""
        size = self.data.size // 7
        codes = [int("".join(map(str, self.data[7 * i : 7 * i + 7])), 2) for i in range(size)]
        text = "".join(map(chr, codes)).rstrip("\0")
        return text if text and text.isprintable() and not self.data[7 * size :].any() else None

    @property
    def soft_binding(self) -> str:
        """The value of a C2PA soft binding ``com.adobe.trustmark.…``: version, ``*``, bits."""
        return f"{self.schema.version}*{''.join(map(str, self.data))}"


def schema_named(name: str) -> Schema:
    """The schema ``name``. Raises KeyError."""
    return {schema.name: schema for schema in SCHEMAS}[name]


def encode(data: Bits, schema: Schema) -> Bits:
    """The 100 bits that carry ``data`` (0 and 1, ``schema.data_bits`` of them). ValueError."""
    if data.shape != (schema.data_bits,):
        raise ValueError(f"{schema.name} carries {schema.data_bits} bits, not {data.size}")
    whole = np.concatenate([data, np.zeros(schema.padding, np.uint8)])
    version = [int(bit) for bit in f"{schema.version:0{_VERSION_BITS}b}"]
    return np.concatenate([data, code(schema.errors).checks(whole), version]).astype(np.uint8)


def decode(bits: Bits) -> TrustMarkWord | None:
    """What 100 bits say; None when they are too far from every word of their schema."""
    if bits.shape != (LENGTH,):
        raise ValueError(f"a TrustMark word has {LENGTH} bits, not {bits.size}")
    schema = SCHEMAS[2 * int(bits[-2]) + int(bits[-1])]
    coded, size = bits[:_CODED], schema.data_bits
    filled = np.insert(coded, [size] * schema.padding, 0).astype(np.uint8)
    mended = code(schema.errors).corrected(filled)
    if mended is None or mended[size : size + schema.padding].any():
        return None
    wrong = int((mended != filled).sum()) + int(bits[_CODED : _CODED + 2].sum())
    return TrustMarkWord(schema, mended[:size], wrong)
