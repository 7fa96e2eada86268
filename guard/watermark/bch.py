"""Binary BCH codes of length 127, shortened: TrustMark's, and what carries our own payload there.

The field is GF(2⁷) over x⁷ + x³ + 1 (137), α = x. The generator is the least polynomial with the
roots α, α³ … α^(2t − 1), of degree 7·t for t ≤ 8. Words are written the highest power first:
message, then remainder. Decoding: Berlekamp and Massey find the locator of the errors, a search
through all places its roots (Lin and Costello, Error Control Coding, chapter 6). Errors in places
that were shortened away make a word undecodable.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]

ORDER: Final = 127
_POLYNOMIAL: Final = 137
_DEGREE: Final = 7
MOST_ERRORS: Final = 8
"""Above that two of the roots fall together."""


def _powers() -> tuple[list[int], list[int]]:
    exponents, logarithms, element = [], [0] * (ORDER + 1), 1
    for power in range(ORDER):
        exponents.append(element)
        logarithms[element] = power
        element <<= 1
        if element > ORDER:
            element ^= _POLYNOMIAL
    return exponents, logarithms


_EXP, _LOG = _powers()


def _times(left: int, right: int) -> int:
    return _EXP[(_LOG[left] + _LOG[right]) % ORDER] if left and right else 0


@cache
def code(errors: int) -> Bch:
    """The code that mends ``errors`` (1–8) wrong bits. Raises ValueError."""
    return Bch(errors)


class Bch:
    """A code of one strength, for words up to 127 bits."""

    def __init__(self, errors: int) -> None:
        if not 1 <= errors <= MOST_ERRORS:
            raise ValueError(f"these codes mend 1 to {MOST_ERRORS} errors, not {errors}")
        self.errors = errors
        self.check_bits = _DEGREE * errors
        self._generator = self._least_polynomial()

    def checks(self, message: Bits) -> Bits:
        """The check bits of ``message``: what remains of it, shifted, by the generator."""
        self._fits(message.size + self.check_bits)
        remainder = 0
        top = 1 << self.check_bits
        for bit in [*message.tolist(), *[0] * self.check_bits]:
            remainder = remainder << 1 | bit
            if remainder & top:
                remainder ^= self._generator
        text = f"{remainder:0{self.check_bits}b}"
        return np.frombuffer(text.encode(), np.uint8) - ord("0")

    def corrected(self, word: Bits) -> Bits | None:
        """The code word within ``errors`` bits of ``word`` (message, checks); None if none is."""
        self._fits(word.size)
        places = word.size - 1 - np.flatnonzero(word)
        syndromes = [self._syndrome(places, power) for power in range(1, 2 * self.errors + 1)]
        if not any(syndromes):
            return word.copy()
        locator = _locator(syndromes)
        wrong = [place for place in range(word.size) if _vanishes(locator, place)]
        if len(locator) - 1 > self.errors or len(wrong) != len(locator) - 1:
            return None
        mended = word.copy()
        mended[[word.size - 1 - place for place in wrong]] ^= 1
        return mended

    def _fits(self, length: int) -> None:
        if not self.check_bits < length <= ORDER:
            raise ValueError(f"a word of {length} bits does not fit this code")

    @staticmethod
    def _syndrome(places: NDArray[np.intp], power: int) -> int:
        total = 0
        for place in places.tolist():
            total ^= _EXP[place * power % ORDER]
        return total

    def _least_polynomial(self) -> int:
        roots = {
            (2 * i + 1) * 2**j % ORDER for i in range(self.errors) for j in range(_DEGREE)
        }  # conjugates: a root's squares are roots
        product = [1]
        for root in roots:
            shifted = [*product, 0]
            for place, factor in enumerate(product):
                shifted[place + 1] ^= _times(factor, _EXP[root])
            product = shifted
        return int("".join(map(str, product)), 2)


def _locator(syndromes: list[int]) -> list[int]:
    """The shortest recursion that the syndromes follow, the constant first."""
    now, before, length, gap, last = [1], [1], 0, 1, 1
    for number, syndrome in enumerate(syndromes):
        off = syndrome
        for place in range(1, min(length, len(now) - 1) + 1):
            off ^= _times(now[place], syndromes[number - place])
        if not off:
            gap += 1
            continue
        factor = _times(off, _EXP[-_LOG[last] % ORDER])
        shifted = [0] * gap + [_times(factor, one) for one in before]
        longest = max(len(now), len(shifted))
        mixed = [
            (now[place] if place < len(now) else 0)
            ^ (shifted[place] if place < len(shifted) else 0)
            for place in range(longest)
        ]
        if 2 * length <= number:
            before, last, length, gap = now, off, number + 1 - length, 1
        else:
            gap += 1
        now = mixed
    while len(now) > 1 and not now[-1]:
        now.pop()
    return now


def _vanishes(locator: list[int], place: int) -> bool:
    """Whether α^−``place`` is a root: then the bit at that power is wrong."""
    total = 0
    for power, factor in enumerate(locator):
        if factor:
            total ^= _EXP[(_LOG[factor] - place * power) % ORDER]
    return total == 0
