"""Perceptual fingerprints: they find a picture again after re-encoding and scaling.

Two are kept of every picture, because they fail on different pictures:

- PDQ (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019):
  the signs of 16×16 DCT coefficients around their median.
- The ISCC Image-Code of 256 bits (ISO 24138:2024; preparation of the picture: IEP-0004), the
  registered soft-binding algorithm ``io.iscc.v0``.

Two different pictures differ in about 124 of the 256 bits, a re-encoded or halved copy in 0–10.
Crops and free rotations are not survived: those are the watermark's work. Quarter turns and
mirroring are found by asking for all eight of :func:`variants`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from guard.types import Fingerprint, Pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALGORITHM = "org.genguard.pdq.v0"
"""Own reverse-domain name: the C2PA list of soft-binding algorithms has none for PDQ."""

ISCC = "io.iscc.v0"
"""The name in the C2PA list of soft-binding algorithms."""

BITS = 256

ISCC_HEADER = bytes.fromhex("2107")
"""MainType Content, SubType Image, version 0, 256 bits: an ISCC-SEQ of one unit begins so.

A soft binding's value is an ISCC-SEQ of 256-bit units (IEP-0020), so a bare code is no value.
"""

TURNED_SIDE = 512
"""Pixels of the long side at which PDQ is asked about turned copies: 37 ms for seven, not 210."""

_ISCC_SIDE = 32


def fingerprint(pixels: Pixels) -> Fingerprint:
    """The PDQ hash of RGB ``pixels``: 256 bits as 64 lower-case hex digits."""
    return measured(pixels)[0]


def measured(pixels: Pixels) -> tuple[Fingerprint, int]:
    """As :func:`fingerprint`, with PDQ's quality (see :func:`distinctiveness`): one computation."""
    import pdqhash

    bits, quality = pdqhash.compute(np.ascontiguousarray(pixels))
    return _pdq(bits), int(quality)


def iscc_code(pixels: Pixels) -> Fingerprint:
    """The ISCC Image-Code of RGB ``pixels``: the 256 bits of its body, without the header."""
    return _iscc(_iscc_grid(pixels))


def fingerprints(pixels: Pixels) -> tuple[Fingerprint, ...]:
    """All that is kept of a picture: PDQ first, then ISCC."""
    return fingerprint(pixels), iscc_code(pixels)


def variants(
    pixels: Pixels, upright: Fingerprint | None = None
) -> tuple[tuple[Fingerprint, ...], ...]:
    """For each algorithm the fingerprints of a picture in eight positions, as it stands first.

    ``upright``: its :func:`fingerprint`, where that is known already.

    The eight are all quarter turns, with and without mirroring (the dihedral group). What was
    kept of a picture is near one of those of its turned copy. PDQ's own shortcut
    (``compute_dihedral``) is not used: it turns the signs of coefficients and leaves their median,
    which moved up to 102 bits on photographs. Turning the picture, made small first, moved 16.
    """
    grids = _positions(_iscc_grid(pixels))
    return pdq_variants(pixels, upright), tuple(_iscc(one) for one in grids)


def pdq_variants(pixels: Pixels, upright: Fingerprint | None = None) -> tuple[Fingerprint, ...]:
    """Of :func:`variants` those of PDQ alone."""
    small = _reduced(pixels)
    return upright or fingerprint(pixels), *map(fingerprint, _positions(small)[1:])


def turned(pixels: Pixels, position: int) -> Pixels:
    """The picture as its :func:`variants` of one ``position`` (0–7) see it."""
    return _positions(pixels)[position]


def distinctiveness(pixels: Pixels) -> int:
    """PDQ's own quality, 0–100: below about 50 the picture is too flat to be found by its hash."""
    return measured(pixels)[1]


def distance(a: Fingerprint, b: Fingerprint) -> int:
    """Hamming distance in bits, 0–256. Raises ValueError for two different algorithms."""
    if a.algorithm != b.algorithm or len(a.bits) != len(b.bits):
        raise ValueError(f"{a.algorithm} and {b.algorithm} fingerprints cannot be compared")
    return (int(a.bits, 16) ^ int(b.bits, 16)).bit_count()


def to_binding(print_: Fingerprint) -> bytes:
    """The bytes that a soft binding's value holds for a fingerprint."""
    head = ISCC_HEADER if print_.algorithm == ISCC else b""
    return head + bytes.fromhex(print_.bits)


def from_binding(algorithm: str, value: bytes) -> Fingerprint | None:
    """The fingerprint that a soft binding's value holds; None when there is none of ours in it.

    Of an ISCC-SEQ the first Image-Code of 256 bits is read; codes of other kinds are passed over.
    """
    if algorithm == ALGORITHM and len(value) * 8 == BITS:
        return Fingerprint(algorithm, value.hex())
    if algorithm != ISCC:
        return None
    size = len(ISCC_HEADER) + BITS // 8
    units = [value[at : at + size] for at in range(0, len(value), size)]
    images = [unit for unit in units if len(unit) == size and unit.startswith(ISCC_HEADER)]
    if not images or len(value) % size:
        return None
    return Fingerprint(algorithm, images[0][len(ISCC_HEADER) :].hex())


def _positions(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [np.rot90(side, turns) for side in (pixels, pixels[:, ::-1]) for turns in range(4)]


def _reduced(pixels: Pixels) -> Pixels:
    from PIL import Image

    height, width = pixels.shape[:2]
    factor = TURNED_SIDE / max(height, width)
    if factor >= 1:
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(size, Image.Resampling.BOX))


def _pdq(bits: object) -> Fingerprint:
    packed = np.packbits(np.asarray(bits, dtype=np.uint8))
    return Fingerprint(algorithm=ALGORITHM, bits=packed.tobytes().hex())


def _iscc(grid: NDArray[np.uint8]) -> Fingerprint:
    # Takes 0.2 s to import, and reads a settings file of its own: bits are given, so it is unheard.
    from iscc_core.code_content_image import soft_hash_image_v0

    digest: bytes = soft_hash_image_v0(grid.ravel().tolist(), bits=BITS)
    return Fingerprint(algorithm=ISCC, bits=digest.hex())


def _iscc_grid(pixels: Pixels) -> NDArray[np.uint8]:
    """32×32 grey values as IEP-0004 prepares them; turned upright and laid on white already."""
    from PIL import Image

    grey = Image.fromarray(np.ascontiguousarray(_trimmed(pixels))).convert("L")
    small = grey.resize((_ISCC_SIDE, _ISCC_SIDE), Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.uint8)


def _trimmed(pixels: Pixels) -> Pixels:
    """Without a border of exactly the upper left pixel's colour; a plain picture stays whole."""
    corner = pixels[0, 0]
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    if all((edge != corner).any() for edge in edges):  # nearly every picture, and cheap to see
        return pixels
    differs = (pixels != corner).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not rows.size:
        return pixels
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
