"""What a platform secret becomes: a public key id and independent secret byte streams.

HKDF-SHA256 (RFC 5869) separates the purposes, SHAKE-256 (FIPS 202) stretches each to any length.
Neither depends on a random-number library, so a mark made today can be read in twenty years.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from guard.errors import KeyInvalid

LEAST_SECRET_BYTES: Final = 16
"""128 bits: below that a secret could be guessed by trying."""

KEY_ID_BYTES: Final = 8
_SALT: Final = b"genguard watermark"
_SCHEME: Final = b"genguard-pilot-3/"


@dataclass(frozen=True, slots=True)
class MarkKey:
    """A platform secret, seen only through what is derived from it."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.secret, bytes) or len(self.secret) < LEAST_SECRET_BYTES:
            raise KeyInvalid(
                f"The watermark secret must be at least {LEAST_SECRET_BYTES} bytes.",
                hint="Set GUARD_MARK_SECRET to 32 random bytes, or unset it to have one made.",
            )

    @property
    def key_id(self) -> str:
        """16 hex digits that name the key: the hash of a derived label, never the secret."""
        label = self._derive(b"public label")
        return hashlib.sha256(label).digest()[:KEY_ID_BYTES].hex()

    def stream(self, purpose: str, count: int) -> NDArray[np.uint64]:
        """``count`` uniform 64-bit numbers that depend on the secret and ``purpose`` alone."""
        seed = self._derive(b"stream/" + purpose.encode())
        return np.frombuffer(hashlib.shake_256(seed).digest(8 * count), dtype="<u8")

    def uniform(self, purpose: str, count: int) -> NDArray[np.float64]:
        """``count`` numbers, uniform in [0, 1)."""
        return np.asarray((self.stream(purpose, count) >> np.uint64(11)) * 2.0**-53, np.float64)

    def _derive(self, info: bytes) -> bytes:
        kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=_SALT, info=_SCHEME + info)
        return kdf.derive(self.secret)
