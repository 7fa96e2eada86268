"""Others' marks, as labels and never as evidence.

Several generators hide a fixed, public message with the ``dwtDct`` method of the package
invisible-watermark. Reading one of those messages says that somebody wrote it there: anybody can
write it onto any picture, and it is lost at the first re-encoding. There is no notion of "not
marked" either: bits come out of every picture, and bits of unmarked pictures are no fair coins.
So only the well-known messages are told, word for word or nearly so, and nothing follows.

``dwtDct`` and ``dwtDctSvd`` are read here with NumPy: importing the package costs seconds, for it
imports torch. :func:`decode_bits` is for whoever knows method and length.

A reading that is not exact is told when hardly any unmarked picture agrees as well, counted on
pictures (:mod:`guard.watermark.foreign`) and never computed from coins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from guard.types import Pixels
from guard.watermark import rivagan
from guard.watermark.foreign import PROVES_NOTHING, Bits, shipped_null

METHODS: Final = ("dwtDct", "dwtDctSvd", "rivaGan")

LEAST_PIXELS: Final = 256 * 256
"""invisible-watermark refuses smaller pictures, so none of them carries its mark."""

RATE: Final = 1e-3
"""A message is told only when no larger share of unmarked pictures agrees with it as well."""

LEAST_SHARE: Final = 5 / 6
"""Share of its bits that must be right besides, of a message of at least ``TOLERANT_FROM`` bits. No
unmarked picture comes near: what a null of thousands leaves open is closed by this."""

LEAST_SHARE_OF_SHORT: Final = 7 / 8
"""The same for shorter messages."""

TOLERANT_FROM: Final = 46
STEP: Final = 36.0
"""Quantiser step of dwtDct and dwtDctSvd, in Haar coefficients of U."""

BLOCK: Final = 4
"""Side of the blocks that carry a bit each, in Haar coefficients."""


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A message that a generator's public code writes: ``bits`` as text of 0 and 1."""

    name: str
    source: str
    bits: str


def _text_bits(text: str) -> str:
    return "".join(f"{byte:08b}" for byte in text.encode())


KNOWN_MESSAGES: Final = (
    KnownMessage(
        "Stable Diffusion XL",
        "diffusers, pipelines/stable_diffusion_xl/watermark.py; Stability AI generative-models",
        f"{0xB3EC907BB19E:048b}",
    ),
    # Its 48-bit number begins with two zeros, which the code that writes it loses.
    KnownMessage("FLUX", "Black Forest Labs, flux", f"{0x2AFE879CF52E:b}"),
    KnownMessage(
        "Stable Diffusion 1", "CompVis, scripts/txt2img.py", _text_bits("StableDiffusionV1")
    ),
    KnownMessage("Stable Diffusion 2", "Stability AI, scripts/txt2img.py", _text_bits("SDV2")),
)


class PublicMessages:
    """The reader of :data:`KNOWN_MESSAGES`, as ``verify`` asks it."""

    def read(self, pixels: Pixels) -> tuple[dict[str, Any], ...]:
        """See :func:`read_known_labels`."""
        return read_known_labels(pixels)


def read_known_labels(pixels: Pixels) -> tuple[dict[str, Any], ...]:
    """The well-known messages that ``pixels`` (uint8, (h, w, 3)) carry; mostly none.

    Never raises for a picture; OSError when the installation lacks its null.

    Each: ``kind``, ``method``, ``name``, ``source``, ``message`` (hex, as read), ``exact``,
    ``matching_bits``, ``bits``, ``p_value`` (counted on ``unmarked_pictures`` pictures), ``proves``
    (that it proves nothing).
    """
    try:
        raw = raw_bits(pixels)
    except Exception:  # noqa: BLE001  # a label is a courtesy: a picture it trips over has none
        return ()
    found = (_compare(raw, known) for known in KNOWN_MESSAGES)
    return tuple(label for label in found if label is not None)


def decode_bits(pixels: Pixels, method: str, length: int) -> str:
    """``length`` bits, as text of 0 and 1, as the package invisible-watermark decodes them.

    ``method``: one of ``METHODS``; rivaGan knows only 32 bits and needs the package. Some bits
    come out of every picture. Raises ValueError for an unknown method, a picture under
    ``LEAST_PIXELS`` or one with fewer blocks than bits; DetectorUnavailable without the package.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    check_room(pixels, length if method != "rivaGan" else 1)
    if method != "rivaGan":
        return "".join(map(str, vote(raw_bits(pixels, method), length)))
    if length != rivagan.LENGTH:
        raise ValueError(f"rivaGan carries {rivagan.LENGTH} bits, not {length}")
    return "".join(map(str, rivagan.read_bits(pixels)))


def check_room(pixels: Pixels, length: int) -> None:
    """That ``pixels`` have a block for each of ``length`` bits. Raises ValueError."""
    height, width = pixels.shape[:2]
    blocks = (height // 4 * 2 // BLOCK) * (width // 4 * 2 // BLOCK)
    if height * width < LEAST_PIXELS or not 0 < length <= blocks:
        raise ValueError(f"the picture is too small for {length} bits")


def raw_bits(pixels: Pixels, method: str = "dwtDct") -> Bits:
    """What each 4 × 4 block of the Haar approximation of U says, row by row.

    dwtDct takes the block's largest entry but the first, dwtDctSvd its largest singular value
    (which the cosine transform leaves as it is), and looks in which half of the quantiser step
    the magnitude falls.
    """
    blocks = _blocks(pixels)
    if method == "dwtDct":
        size = np.abs(blocks.reshape(-1, BLOCK * BLOCK)[:, 1:]).max(axis=1)
    else:
        size = np.linalg.svd(blocks, compute_uv=False)[:, 0]
    return np.asarray(size % STEP > STEP / 2, dtype=np.uint8)


def _blocks(pixels: Pixels) -> NDArray[np.float64]:
    """The blocks, shape (n, 4, 4); none of a picture that the package would refuse."""
    import cv2
    import pywt  # type: ignore[import-untyped]  # ships no types

    height, width = pixels.shape[:2]
    if height * width < LEAST_PIXELS or min(height, width) < 2 * BLOCK:
        return np.empty((0, BLOCK, BLOCK), dtype=np.float64)
    chroma = cv2.cvtColor(_bgr(pixels), cv2.COLOR_BGR2YUV)[..., 1].astype(np.float64)
    # PyWavelets' own rounding decides where a coefficient sits on a step: use it, to agree.
    return as_blocks(pywt.dwt2(chroma[: height // 4 * 4, : width // 4 * 4], "haar")[0])


def as_blocks(haar: NDArray[np.float64]) -> NDArray[np.float64]:
    """The whole blocks of a plane of Haar coefficients, row by row, shape (n, 4, 4)."""
    tall, wide = haar.shape[0] // BLOCK, haar.shape[1] // BLOCK
    haar = haar[: tall * BLOCK, : wide * BLOCK].reshape(tall, BLOCK, wide, BLOCK)
    blocks = haar.transpose(0, 2, 1, 3).reshape(-1, BLOCK, BLOCK)
    return np.asarray(blocks, dtype=np.float64)


def vote(raw: Bits, length: int) -> Bits:
    """Block i speaks for bit i mod ``length``: the majority of each."""
    places = np.arange(raw.size) % length
    counts = np.bincount(places, minlength=length)
    shares = np.bincount(places, raw, minlength=length) / np.maximum(counts, 1)
    return (shares * 255 > 127).astype(np.uint8)


def _compare(raw: Bits, known: KnownMessage) -> dict[str, Any] | None:
    length = len(known.bits)
    if raw.size < length:
        return None
    read = vote(raw, length)
    expected = np.array([int(bit) for bit in known.bits], dtype=np.uint8)
    matching = int((read == expected).sum())
    null = shipped_null("dwtDct", length)
    if null is None:
        return None
    p_value = null.p_value(expected, matching)
    if not is_told(p_value, matching, length):
        return None
    return {
        "kind": "watermark",
        "method": "dwtDct",
        "name": known.name,
        "source": known.source,
        "message": _hex(read),
        "exact": matching == length,
        "matching_bits": matching,
        "bits": length,
        "p_value": p_value,
        "unmarked_pictures": null.pictures,
        "proves": PROVES_NOTHING,
    }


def is_told(p_value: float, matching: int, length: int) -> bool:
    """Whether ``matching`` of ``length`` bits, with the empirical ``p_value``, make a label."""
    least = LEAST_SHARE if length >= TOLERANT_FROM else LEAST_SHARE_OF_SHORT
    return p_value <= RATE and matching >= least * length


def _hex(bits: Bits) -> str:
    return f"{int(''.join(map(str, bits)), 2):0{-(-bits.size // 4)}x}"


def _bgr(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[..., ::-1])
