"""How unlikely chance is: bounds over keys, with no model of pictures.

Both bounds hold for *any* picture that was made without the key, because what they rest on is
drawn from the key alone: the phases of the pilot, and the signs of the chips. The two are drawn
independently, so a geometry that was chosen by the pilot says nothing about the chips.

*Pilot.* Each phase φ is uniform, so E[exp(λ·w·cos(θ − φ))] = I₀(λw) ≤ exp(λ²w²/4), and by
Chernoff's bound P(Σ w·cos(θ − φ) > t) ≤ exp(−t²/Σw²). Every placement and sign whose phases were
looked at multiplies it; placements that were ruled out by magnitudes alone do not. That holds for
placements that were fixed beforehand: what is gained by following the phases uphill is not counted.

*Code.* The soft value of a code bit is a sum over its own keyed ±1 chips: given its size, its sign
is a fair coin. For one code word c, Hoeffding gives P(Σ c·l > t) ≤ exp(−t²/(2Σl²)). There are
2^payload_bits words whose check sum holds, so P(any fits so well) ≤ 2^payload_bits · that. Besides,
turning the chips' signs by a code word turns what is decoded by it, for the code is linear: what is
decoded by chance is uniform, and its 32-bit check sum holds with probability 2⁻³². Each
reading that was decoded has its share of the budget: the n-th 1/(n·(n + 1)), which sum to 1 however
many there are. A payload that can be decoded at all lies far below 10⁻⁹.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from guard.watermark.code import CRC_BITS, LISTED, PLANES, Soft

WAYS: Final = 4
"""Pilot in the picture's own frame, anywhere in the whole, anywhere in its middle, and code: each
has a quarter of the budget."""


_ROUNDS: Final = 3


def pilot_p_value(score: float, weight: float, hypotheses: float) -> float:
    """Bound for S = ``score`` with Σw² = ``weight`` after ``hypotheses`` placements, in [0, 1]."""
    if weight <= 0.0:
        return 1.0
    return _bound(math.log(WAYS * hypotheses) - score**2 / weight)


def code_p_value(soft: Soft, coded: Soft, payload_bits: int, reading: int) -> float:
    """Bound for a code word that fits ``soft`` as ``coded`` does: the ``reading``-th, from 1."""
    agreement = float(np.dot(soft, coded))
    if agreement <= 0.0:
        return 1.0
    words = payload_bits * math.log(2.0) + math.log(PLANES)
    return _bound(math.log(WAYS * reading * (reading + 1)) + words - _rate(soft, agreement))


def check_p_value(reading: int) -> float:
    """Chance that the check sum of the ``reading``-th decoding, from 1, holds for nothing."""
    checks = WAYS * LISTED * PLANES * reading * (reading + 1)
    return _bound(math.log(checks) - CRC_BITS * math.log(2.0))


def _rate(soft: Soft, agreement: float) -> float:
    """Exponent of Chernoff's bound on P(Σ ±l ≥ ``agreement``): the largest λt − Σ ln cosh(λl)."""
    size = np.abs(soft.astype(np.float64))
    pull = agreement / float(size @ size)
    best = 0.0
    for _ in range(_ROUNDS):
        turned = np.tanh(pull * size)
        best = max(
            best,
            pull * agreement
            - float(np.sum(np.logaddexp(pull * size, -pull * size)))
            + len(size) * math.log(2.0),
        )
        slope = float(size @ turned) - agreement
        curve = float((size * size) @ (1.0 - turned * turned))
        pull = min(max(pull - slope / max(curve, 1e-12), pull / 2), 2 * pull)
    return best


def _bound(exponent: float) -> float:
    return math.exp(min(0.0, max(-700.0, exponent)))
