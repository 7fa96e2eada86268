"""A mark made while generating: Gaussian Shading (Yang et al., CVPR 2024, arXiv:2404.04956).

The payload and its CRC-32 sit in the signs of a diffusion model's initial noise. Each bit is
repeated over the latent, the whole is encrypted by ChaCha20 (RFC 8439), and every value is drawn
from that half of the normal distribution which its bit names: z = Φ⁻¹((bit + u)/2) with u uniform,
which is the size of a normal value under the bit's sign. The bits of a stream cipher are uniform
and independent, so z is exactly standard normal, value by value and together, whatever the payload:
a single picture is distributed as without the mark.

*Nonces.* Two latents under one nonce and payload share all signs. So each takes one of ``slots``
nonces by chance, and the reader tries all of them. Whoever generates many more pictures than there
are slots repeats them; without the key nobody can tell which ones.

*Reading* needs the initial noise back: an inversion that the caller supplies (DDIM inversion with
the same model and its autoencoder, mostly 20 to 50 steps). What is read holds only as long as that
works: crops and rotations end it.

*p-value.* Here coins are right. A latent made without the key, be it anything at all, has signs
that do not depend on the stream; turned back by it they are independent and fair, because the
stream is. With k of r repeats saying 1, a bit agrees with its majority in max(k, r − k), and the
sum over all bits, over every payload at once, has a distribution that is computed exactly: by
folding one bit's and convolving. It is multiplied by the slots that were tried. So noise, inverted
latents of any picture and latents under another key are covered alike; a picture that was made from
a marked one is not. A payload counts only when its check sum holds besides: far from the noise that
was drawn, the mark is still there where single bits of it are not.
"""

from __future__ import annotations

import math
import secrets
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from guard.errors import SettingsInvalid
from guard.types import Detection, Pixels
from guard.watermark.base import PAYLOAD_BYTES
from guard.watermark.keys import MarkKey

METHOD: Final = "gaussian-shading-1"
LEAST_REPEATS: Final = 8
"""Values of the latent for each bit: inversion leaves up to a third of the signs wrong."""

_CHECK_BYTES: Final = 4

MOST_SLOTS: Final = 65_536
_NONCE_BYTES: Final = 16  # of which cryptography takes 4 as the block counter

Latents = NDArray[np.float32]
Bits = NDArray[np.uint8]
Inversion = Callable[[Pixels], Latents]
"""From a picture, uint8 (h, w, 3), to about the initial noise it was made of."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The likeliest ``payload`` of a latent: ``matching`` of ``values`` signs agree with its word.

    ``p_value`` bounds the chance that a latent made without the key agrees so well with anything;
    ``holds``: the check sum is that of the payload, or an expected one agrees well enough.
    """

    payload: bytes
    holds: bool
    matching: int
    values: int
    slot: int
    p_value: float


class GaussianShading:
    """Draws initial noise that carries a payload, and reads it from noise recovered later.

    ``secret``: at least 16 bytes. ``shape``: of one latent without the batch, (4, 64, 64) for
    pictures of 512 px under Stable Diffusion. ``payload_bytes``: each bit needs 8 values at least.
    ``slots``: nonces, 1–65,536; reading takes as many tries. Instances are safe to share.

    Raises KeyInvalid for a short secret, SettingsInvalid for what is out of range.
    """

    def __init__(
        self,
        secret: bytes,
        shape: Sequence[int] = (4, 64, 64),
        *,
        payload_bytes: int = PAYLOAD_BYTES,
        slots: int = 256,
        false_positive_rate: float = 1e-9,
    ) -> None:
        if not 1 <= slots <= MOST_SLOTS:
            raise SettingsInvalid(f"slots is {slots}; it must lie in 1–{MOST_SLOTS}.")
        self._shape, self._bits = tuple(shape), 8 * (payload_bytes + _CHECK_BYTES)
        self._size = math.prod(self._shape)
        if payload_bytes < 1 or self._size < LEAST_REPEATS * self._bits:
            raise SettingsInvalid(
                f"A latent of shape {self._shape} is too small for {self._bits} bits.",
                hint=f"Every bit needs {LEAST_REPEATS} values: take a larger latent or less bits.",
            )
        key = MarkKey(secret)
        self.key_id = key.key_id
        self._cipher_key = key.stream("gaussian-shading/chacha20", 4).tobytes()
        self._payload_bytes = payload_bytes
        self._slots, self._rate = slots, false_positive_rate
        self._places = np.arange(self._size) % self._bits

    @property
    def method(self) -> str:
        """``gaussian-shading-1``."""
        return METHOD

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one latent."""
        return self._shape

    def sample(
        self, payload: bytes, *, slot: int | None = None, seed: int | None = None
    ) -> Latents:
        """Initial noise for one picture: float32 of ``shape``, standard normal.

        ``slot`` and ``seed`` None: by chance from the operating system; with both given, the same
        latent each time. ValueError for another length of ``payload`` or a slot out of range.
        """
        word = self._word(payload)
        chosen = secrets.randbelow(self._slots) if slot is None else slot
        if not 0 <= chosen < self._slots:
            raise ValueError(f"slot {chosen} is not one of {self._slots}")
        ones = (word ^ self._stream(chosen)).astype(bool)
        size = np.abs(np.random.default_rng(seed).standard_normal(self._size))
        return np.where(ones, size, -size).astype(np.float32).reshape(self._shape)

    def read(self, latents: Latents, *, expected: bytes | None = None) -> Reading:
        """The likeliest payload in ``latents`` (of ``shape``, or with a batch of one before it).

        ``expected``: how well this payload agrees, by the plain binomial: it is heard in more noise
        than an unknown one. ValueError for another shape and for values that are not finite.
        """
        signs = self._signs(latents)
        word = None if expected is None else self._word(expected)
        turned = ((signs ^ self._stream(slot), slot) for slot in range(self._slots))
        if expected is None or word is None:
            return max((self._voted(*one) for one in turned), key=lambda one: one.matching)
        agreeing, slot = max((int((one == word).sum()), slot) for one, slot in turned)
        p_value = min(1.0, self._slots * _binomial_tail(self._size, agreeing))
        holds = p_value <= self._rate
        return Reading(expected, holds, agreeing, self._size, slot, p_value)

    def detect(self, pixels: Pixels, invert: Inversion) -> Detection:
        """What the noise says that ``invert`` recovers from a picture; its errors pass through."""
        reading = self.read(invert(pixels))
        found = reading.holds and reading.p_value <= self._rate
        return Detection(
            detected=found,
            payload=reading.payload.hex() if found else None,
            method=METHOD,
            p_value=reading.p_value,
            key_id=self.key_id if found else "",
            geometry="whole picture" if found else "",
        )

    def _signs(self, latents: Latents) -> Bits:
        values = np.asarray(latents)
        if values.shape not in {self._shape, (1, *self._shape)}:
            raise ValueError(f"latents must have the shape {self._shape}, not {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError("latents must be finite")
        return np.asarray(values.ravel() > 0, np.uint8)

    def _voted(self, turned: Bits, slot: int) -> Reading:
        ones = np.bincount(self._places, turned, minlength=self._bits)
        repeats = np.bincount(self._places, minlength=self._bits)
        word = np.packbits(2 * ones > repeats).tobytes()
        payload, check = word[: self._payload_bytes], word[self._payload_bytes :]
        matching = int(np.maximum(ones, repeats - ones).sum())
        p_value = min(1.0, self._slots * _tail(self._size, self._bits, matching))
        return Reading(payload, check == _check(payload), matching, self._size, slot, p_value)

    def _word(self, payload: bytes) -> Bits:
        """``payload`` and its check sum, a bit for every value of the latent."""
        if len(payload) != self._payload_bytes:
            raise ValueError(f"the payload must be {self._payload_bytes} bytes, not {len(payload)}")
        return np.unpackbits(np.frombuffer(payload + _check(payload), np.uint8))[self._places]

    def _stream(self, slot: int) -> Bits:
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

        nonce = bytes(4) + slot.to_bytes(_NONCE_BYTES - 4, "little")
        cipher = Cipher(ChaCha20(self._cipher_key, nonce), mode=None).encryptor()
        stream = cipher.update(bytes(-(-self._size // 8)))
        return np.unpackbits(np.frombuffer(stream, np.uint8))[: self._size]


def _check(payload: bytes) -> bytes:
    return zlib.crc32(payload).to_bytes(_CHECK_BYTES, "big")


def sign_error_rate(noise: float) -> float:
    """Share of signs that change when normal noise of this deviation is added to a latent."""
    return math.atan(noise) / math.pi


def _tail(size: int, bits: int, matching: int) -> float:
    """P(Σ max(k, r − k) ≥ matching) for fair coins, ``size`` of them over ``bits`` bits."""
    return float(_tails(size, bits)[matching])


@cache
def _tails(size: int, bits: int) -> NDArray[np.float64]:
    """The survival function of that sum, at 0 … ``size``; the smallest number where it is less."""
    few, more = size // bits, size % bits
    total = np.ones(1)
    for repeats, count in ((few, bits - more), (few + 1, more)):
        total = np.convolve(total, _power(_folded(repeats), count))
    tails = np.cumsum(total[::-1])[::-1]
    return np.asarray(np.maximum(np.minimum(tails, 1.0), np.finfo(np.float64).tiny))


def _folded(repeats: int) -> NDArray[np.float64]:
    """The distribution of max(k, r − k), k of ``repeats`` fair coins, from 0 on."""
    from scipy.stats import binom

    masses = binom.pmf(np.arange(repeats + 1), repeats, 0.5)
    folded = np.zeros(repeats + 1)
    np.add.at(folded, np.maximum(np.arange(repeats + 1), np.arange(repeats + 1)[::-1]), masses)
    return folded


def _power(masses: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """``masses`` convolved with itself ``count`` times: all terms are positive, none cancels."""
    result = np.ones(1)
    while count:
        if count & 1:
            result = np.convolve(result, masses)
        count >>= 1
        if count:
            masses = np.convolve(masses, masses)
    return result


def _binomial_tail(size: int, matching: int) -> float:
    from scipy.stats import binom

    return float(max(binom.sf(matching - 1, size, 0.5), np.finfo(np.float64).tiny))
