"""Other makers' marks: how unlikely it is that an unmarked picture says the same.

That cannot be computed for public readers. They answer bits for every picture, and those bits are
no fair coins: a white picture says all zeros, neighbouring blocks say the same. A binomial tail is
wrong by orders of magnitude. :class:`EmpiricalNull` counts instead: what the same reader said of
pictures that carry no mark. With N of them no p-value is below 1/(N + 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]

NULLS: Final = "foreign_null.npz"
"""Beside this module; written by ``tests/benchmarks/bench_foreign_marks.py --write``."""

PROVES_NOTHING: Final = (
    "A public message that anybody can write onto any picture: it proves nothing about origin."
)


@dataclass(frozen=True, slots=True)
class EmpiricalNull:
    """What one reader said of unmarked pictures: ``bits`` of 0 and 1, shape (pictures, length)."""

    bits: Bits

    @property
    def pictures(self) -> int:
        """N: the pictures that were read."""
        return len(self.bits)

    def p_value(self, message: Bits, matching: int) -> float:
        """Share of unmarked pictures that agree with ``message`` in ``matching`` bits or more.

        The picture in question counts as one of them, so the answer lies in [1/(N + 1), 1] and is
        a p-value whatever the pictures are, as long as the one in question is like them (Davison
        and Hinkley, Bootstrap Methods, 4.2). ValueError for another length than the null's.
        """
        if message.shape != (self.bits.shape[1],):
            raise ValueError(f"the null knows {self.bits.shape[1]} bits, not {message.size}")
        hits = np.count_nonzero((self.bits == message).sum(axis=1) >= matching)
        return float(1 + hits) / (1 + self.pictures)


def pack(bits: Bits) -> Bits:
    """Bits of 0 and 1 as they lie in :data:`NULLS`: eight to a byte, row by row."""
    return np.packbits(bits, axis=1)


@cache
def shipped_null(method: str, length: int) -> EmpiricalNull | None:
    """The null that was measured for ``length`` bits of ``method``; None where none was."""
    data = BytesIO((files("guard.watermark") / NULLS).read_bytes())
    with np.load(data, allow_pickle=False) as nulls:
        name = f"{method}-{length}"
        if name not in nulls:
            return None
        return EmpiricalNull(np.unpackbits(nulls[name], axis=1, count=length))
