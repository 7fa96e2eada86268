"""The payload on its way to the pixels and back: check sum, convolutional code, soft decoding.

``PAYLOAD_BYTES`` bytes and their CRC-32 are encoded by the rate-¼ convolutional code of constraint
length 9 with generators 463, 535, 733, 745 (octal; Proakis, *Digital Communications*, table of
maximum free distance codes). Its free distance is 24: a soft decision survives code bits that
each carry far less than one bit of evidence. The Viterbi decoder treats all 256 states at once.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from guard.watermark.base import PAYLOAD_BYTES

Soft = NDArray[np.float32]

CONSTRAINT: Final = 9
STATES: Final = 1 << (CONSTRAINT - 1)
GENERATORS: Final = (0o463, 0o535, 0o733, 0o745)
CRC_BYTES: Final = 4
MESSAGE_BITS: Final = 8 * (PAYLOAD_BYTES + CRC_BYTES)
STEPS: Final = MESSAGE_BITS + CONSTRAINT - 1
"""The message, then zeros that bring the encoder back to state 0."""

CODE_BITS: Final = STEPS * len(GENERATORS)
"""416."""


def _outputs() -> Soft:
    """±1 code bits for each register content: shape (512, 4). A register is (bit << 8) | state."""
    registers = np.arange(2 * STATES)
    taps = [[(int(r) & g).bit_count() & 1 for g in GENERATORS] for r in registers]
    return (2.0 * np.array(taps) - 1.0).astype(np.float32)


_OUTPUTS: Final = _outputs()
_NEXT: Final = np.arange(STATES)
# Two registers lead to each state: they differ in the bit that falls out of the register.
_FROM_0: Final = ((_NEXT >> (CONSTRAINT - 2)) << (CONSTRAINT - 1)) | ((_NEXT << 1) & (STATES - 1))
_FROM_1: Final = _FROM_0 | 1


def encode(payload: bytes) -> Soft:
    """``CODE_BITS`` values ±1 for ``PAYLOAD_BYTES`` bytes. Raises ValueError on another length."""
    if len(payload) != PAYLOAD_BYTES:
        raise ValueError(f"the payload must be {PAYLOAD_BYTES} bytes, not {len(payload)}")
    message = payload + zlib.crc32(payload).to_bytes(CRC_BYTES, "big")
    bits = np.unpackbits(np.frombuffer(message, dtype=np.uint8))
    state, coded = 0, []
    for bit in [*bits.tolist(), *[0] * (CONSTRAINT - 1)]:
        register = (bit << (CONSTRAINT - 1)) | state
        coded.append(_OUTPUTS[register])
        state = register >> 1
    return np.concatenate(coded)


def decode(soft: Soft) -> bytes | None:
    """The payload that fits ``soft`` best, or None when its check sum does not hold.

    ``soft`` holds ``CODE_BITS`` values, positive for +1, larger when surer; any scale.
    """
    message = viterbi(soft)[: PAYLOAD_BYTES + CRC_BYTES]
    payload, check = message[:PAYLOAD_BYTES], message[PAYLOAD_BYTES:]
    return payload if zlib.crc32(payload).to_bytes(CRC_BYTES, "big") == check else None


def viterbi(soft: Soft) -> bytes:
    """The message (payload and check sum) of the most likely path, from state 0 to state 0."""
    gains = soft.reshape(STEPS, len(GENERATORS)).astype(np.float32) @ _OUTPUTS.T
    gains_0, gains_1 = gains[:, _FROM_0], gains[:, _FROM_1]
    before_0, before_1 = _FROM_0 & (STATES - 1), _FROM_1 & (STATES - 1)
    score = np.full(STATES, -1e9, dtype=np.float32)
    score[0] = 0.0
    choice = np.empty((STEPS, STATES), dtype=bool)
    for step in range(STEPS):
        even, odd = score[before_0] + gains_0[step], score[before_1] + gains_1[step]
        np.greater(odd, even, out=choice[step])
        score = np.maximum(even, odd)
    return _walk_back(choice)


def _walk_back(choice: NDArray[np.bool_]) -> bytes:
    state, bits = 0, []
    for chosen in choice[::-1]:
        register = _FROM_1[state] if chosen[state] else _FROM_0[state]
        bits.append(register >> (CONSTRAINT - 1))
        state = int(register) & (STATES - 1)
    return np.packbits(np.array(bits[::-1][:MESSAGE_BITS], dtype=np.uint8)).tobytes()
