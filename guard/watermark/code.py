"""The payload on its way to the pixels and back: check sum, convolutional code, soft decoding.

A payload and its CRC-32 are encoded by the rate-¼ convolutional code of constraint length 12 with
generators 4767, 5723, 6265, 7455 (octal; Larsen, *IEEE Trans. Inf. Theory* 19, 1973). Its free
distance is 32: a soft decision survives code bits that each carry far less than one bit of
evidence. The Viterbi decoder treats all 2,048 states at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Soft = NDArray[np.float32]

CONSTRAINT: Final = 12
STATES: Final = 1 << (CONSTRAINT - 1)
GENERATORS: Final = (0o4767, 0o5723, 0o6265, 0o7455)
RATE: Final = len(GENERATORS)
CRC_BITS: Final = 32
LISTED: Final = 8
"""Likeliest messages whose check sum is tried: the right one is often among them."""

PLANES: Final = 3
"""The check sum also says on which of so many canonical planes the mark lies."""

LEAST_BITS, MOST_BITS = 48, 256


def _outputs() -> Soft:
    """±1 code bits for each register content: shape (2 · STATES, 4). A register is bit, state."""
    registers = np.arange(2 * STATES)
    taps = [[(int(r) & g).bit_count() & 1 for g in GENERATORS] for r in registers]
    return (2.0 * np.array(taps) - 1.0).astype(np.float32)


_OUTPUTS: Final = _outputs()
_NEXT: Final = np.arange(STATES)
# Two registers lead to each state. They differ in the bit that falls out of the register, and, all
# generators being odd, in the sign of all their outputs.
_FROM_EVEN: Final = ((_NEXT >> (CONSTRAINT - 2)) << (CONSTRAINT - 1)) | ((_NEXT << 1) % STATES)
_GAINS: Final = np.ascontiguousarray(_OUTPUTS[_FROM_EVEN].T)


class Decoded(NamedTuple):
    """A payload whose check sum held, and the canonical plane that it names."""

    payload: bytes
    plane: int


@dataclass(frozen=True, slots=True)
class Code:
    """The code of one payload length: ``payload_bits`` is a multiple of 8 in 48–256."""

    payload_bits: int = 64

    def __post_init__(self) -> None:
        if self.payload_bits % 8 or not LEAST_BITS <= self.payload_bits <= MOST_BITS:
            raise ValueError(
                f"payload_bits must be a multiple of 8 in {LEAST_BITS}–{MOST_BITS}, "
                f"not {self.payload_bits}"
            )

    @property
    def payload_bytes(self) -> int:
        """Length of a payload."""
        return self.payload_bits // 8

    @property
    def steps(self) -> int:
        """Message and check sum, then zeros that bring the encoder back to state 0."""
        return self.payload_bits + CRC_BITS + CONSTRAINT - 1

    @property
    def code_bits(self) -> int:
        """428 for 64 payload bits."""
        return self.steps * RATE

    def encode(self, payload: bytes, plane: int = 0) -> Soft:
        """``code_bits`` values ±1. Raises ValueError for a payload of another length."""
        if len(payload) != self.payload_bytes:
            raise ValueError(f"the payload must be {self.payload_bytes} bytes, not {len(payload)}")
        message = payload + _check(payload, plane)
        bits = np.unpackbits(np.frombuffer(message, dtype=np.uint8))
        state, coded = 0, []
        for bit in [*bits.tolist(), *[0] * (CONSTRAINT - 1)]:
            register = (bit << (CONSTRAINT - 1)) | state
            coded.append(_OUTPUTS[register])
            state = register >> 1
        return np.concatenate(coded)

    def decode(self, soft: Soft) -> Decoded | None:
        """The payload that fits ``soft`` best, or None when no check sum holds.

        ``soft`` holds ``code_bits`` values, positive for +1, larger when surer; any scale.
        """
        for message in self.likeliest(soft):
            payload, check = message[: self.payload_bytes], message[self.payload_bytes :]
            for plane in range(PLANES):
                if _check(payload, plane) == check:
                    return Decoded(payload, plane)
        return None

    def likeliest(self, soft: Soft) -> Iterator[bytes]:
        """Messages (payload and check sum) of likely paths from state 0 to state 0, best first.

        After the best come those that leave it once, where that costs least (list Viterbi:
        Seshadri and Sundberg, *IEEE Trans. Commun.* 42, 1994, without second departures).
        """
        gains = soft.reshape(self.steps, RATE).astype(np.float32) @ _GAINS
        gains = gains.reshape(self.steps, 2, STATES // 2)
        score = np.full(STATES, -1e9, dtype=np.float32)
        score[0] = 0.0
        lead = np.empty((self.steps, 2, STATES // 2), dtype=np.float32)
        for step in range(self.steps):
            # States that share their lower bits have the same two predecessors.
            even, odd = score[0::2] + gains[step], score[1::2] - gains[step]
            np.subtract(odd, even, out=lead[step])
            score = np.maximum(even, odd).ravel()
        leads = lead.reshape(self.steps, STATES)
        best = np.zeros(self.steps + 1, dtype=np.int64)
        _walk_back(leads, best, self.steps)
        yield self._message(best)
        costs = np.abs(leads[np.arange(self.steps), best[1:]])
        for step in np.argsort(costs)[: LISTED - 1]:
            other = best.copy()
            state = best[step + 1]
            other[step] = (state << 1) % STATES | int(leads[step, state] <= 0)
            _walk_back(leads, other, int(step))
            yield self._message(other)

    def _message(self, states: NDArray[np.int64]) -> bytes:
        bits = states[1 : self.payload_bits + CRC_BITS + 1] >> (CONSTRAINT - 2)
        return np.packbits(bits.astype(np.uint8)).tobytes()


def _check(payload: bytes, plane: int) -> bytes:
    return zlib.crc32(payload + bytes([plane])).to_bytes(CRC_BITS // 8, "big")


def _walk_back(leads: Soft, states: NDArray[np.int64], step: int) -> None:
    """Fills ``states`` before ``step`` with the survivor that leads to its state there."""
    state = int(states[step])
    for before in range(step - 1, -1, -1):
        state = (state << 1) % STATES | int(leads[before, state] > 0)
        states[before] = state
