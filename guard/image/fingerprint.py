"""Perceptual fingerprints: they find a picture again after re-encoding and scaling.

PDQ (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019):
the signs of 16×16 DCT coefficients around their median. Two different pictures differ in about
124 of the 256 bits, a re-encoded or halved copy in 0–10. Crops and rotations are not survived:
those are the watermark's work.
"""

from __future__ import annotations

import numpy as np

from guard.types import Fingerprint, Pixels

ALGORITHM = "org.genguard.pdq.v0"
"""Own reverse-domain name: the C2PA list of soft-binding algorithms has none for PDQ."""

BITS = 256


def fingerprint(pixels: Pixels) -> Fingerprint:
    """The PDQ hash of RGB ``pixels``: 256 bits as 64 lower-case hex digits."""
    import pdqhash

    bits, _ = pdqhash.compute(np.ascontiguousarray(pixels))
    packed = np.packbits(np.asarray(bits, dtype=np.uint8))
    return Fingerprint(algorithm=ALGORITHM, bits=packed.tobytes().hex())


def distinctiveness(pixels: Pixels) -> int:
    """PDQ's own quality, 0–100: below about 50 the picture is too flat to be found by its hash."""
    import pdqhash

    _, quality = pdqhash.compute(np.ascontiguousarray(pixels))
    return int(quality)


def distance(a: Fingerprint, b: Fingerprint) -> int:
    """Hamming distance in bits, 0–256. Raises ValueError for two different algorithms."""
    if a.algorithm != b.algorithm or len(a.bits) != len(b.bits):
        raise ValueError(f"{a.algorithm} and {b.algorithm} fingerprints cannot be compared")
    return (int(a.bits, 16) ^ int(b.bits, 16)).bit_count()
