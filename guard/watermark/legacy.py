"""Others' marks, as labels and never as evidence.

Several generators hide a fixed, public message with the ``dwtDct`` method of the package
invisible-watermark. Reading one of those messages says that somebody wrote it there: anybody can
write it onto any picture, and it is lost at the first re-encoding. There is no notion of "not
marked" either: bits come out of every picture, and bits of unmarked pictures are no fair coins.
So only the well-known messages are told, word for word or nearly so, and nothing follows.

``dwtDct`` and ``dwtDctSvd`` are read here with NumPy: importing the package costs seconds, for it
imports torch. :func:`decode_bits` is for whoever knows method and length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from guard.errors import DetectorUnavailable
from guard.types import Pixels

Bits = NDArray[np.uint8]

METHODS: Final = ("dwtDct", "dwtDctSvd", "rivaGan")

PROVES_NOTHING: Final = (
    "A public message that anybody can write onto any picture: it proves nothing about origin."
)

LEAST_PIXELS: Final = 256 * 256
"""invisible-watermark refuses smaller pictures, so none of them carries its mark."""

WRONG_BITS_ALLOWED: Final = 1 / 16
"""Share of bits that may differ from a message of at least ``TOLERANT_FROM`` bits."""

TOLERANT_FROM: Final = 46
_SCALE: Final = 36.0  # quantiser step of dwtDct, in Haar coefficients of U
_BLOCK: Final = 4


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


def read_known_labels(pixels: Pixels) -> tuple[dict[str, Any], ...]:
    """The well-known messages that ``pixels`` (uint8, (h, w, 3)) carry; mostly none. Never raises.

    Each: ``kind``, ``method``, ``name``, ``source``, ``message`` (hex, as read), ``exact``,
    ``matching_bits``, ``bits``, ``proves`` (that it proves nothing).
    """
    try:
        raw = _raw_bits(pixels)
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
    if method == "rivaGan":
        return _rivagan_bits(pixels, length)
    raw = _raw_bits(pixels, method)
    if not 0 < length <= raw.size:
        raise ValueError(f"the picture is too small for {length} bits")
    return "".join(map(str, _vote(raw, length)))


def _rivagan_bits(pixels: Pixels, length: int) -> str:
    try:
        from imwatermark import WatermarkDecoder
    except ImportError as error:
        raise DetectorUnavailable(
            "rivaGan marks are read by the package invisible-watermark, which is not installed.",
            hint="Install it beside: pip install --no-deps invisible-watermark",
        ) from error
    WatermarkDecoder.loadModel()
    try:
        found = WatermarkDecoder("bits", length).decode(_bgr(pixels), "rivaGan")
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return "".join(str(int(bit)) for bit in found)


def _raw_bits(pixels: Pixels, method: str = "dwtDct") -> Bits:
    """What each 4 × 4 block of the Haar approximation of U says, row by row.

    dwtDct takes the block's largest entry but the first, dwtDctSvd its largest singular value
    (which the cosine transform leaves as it is), and looks in which half of the quantiser step
    the magnitude falls.
    """
    blocks = _blocks(pixels)
    if method == "dwtDct":
        size = np.abs(blocks.reshape(-1, _BLOCK * _BLOCK)[:, 1:]).max(axis=1)
    else:
        size = np.linalg.svd(blocks, compute_uv=False)[:, 0]
    return np.asarray(size % _SCALE > _SCALE / 2, dtype=np.uint8)


def _blocks(pixels: Pixels) -> NDArray[np.float64]:
    """The blocks, shape (n, 4, 4); none of a picture that the package would refuse."""
    import cv2
    import pywt  # type: ignore[import-untyped]  # ships no types

    height, width = pixels.shape[:2]
    if height * width < LEAST_PIXELS or min(height, width) < 2 * _BLOCK:
        return np.empty((0, _BLOCK, _BLOCK), dtype=np.float64)
    chroma = cv2.cvtColor(_bgr(pixels), cv2.COLOR_BGR2YUV)[..., 1].astype(np.float64)
    # PyWavelets' own rounding decides where a coefficient sits on a step: use it, to agree.
    haar = pywt.dwt2(chroma[: height // 4 * 4, : width // 4 * 4], "haar")[0]
    tall, wide = haar.shape[0] // _BLOCK, haar.shape[1] // _BLOCK
    haar = haar[: tall * _BLOCK, : wide * _BLOCK].reshape(tall, _BLOCK, wide, _BLOCK)
    blocks = haar.transpose(0, 2, 1, 3).reshape(-1, _BLOCK, _BLOCK)
    return np.asarray(blocks, dtype=np.float64)


def _vote(raw: Bits, length: int) -> Bits:
    """Block i speaks for bit i mod ``length``: the majority of each."""
    places = np.arange(raw.size) % length
    counts = np.bincount(places, minlength=length)
    shares = np.bincount(places, raw, minlength=length) / np.maximum(counts, 1)
    return (shares * 255 > 127).astype(np.uint8)


def _compare(raw: Bits, known: KnownMessage) -> dict[str, Any] | None:
    length = len(known.bits)
    if raw.size < length:
        return None
    read = _vote(raw, length)
    expected = np.array([int(bit) for bit in known.bits], dtype=np.uint8)
    matching = int((read == expected).sum())
    allowed = int(length * WRONG_BITS_ALLOWED) if length >= TOLERANT_FROM else 0
    if length - matching > allowed:
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
        "proves": PROVES_NOTHING,
    }


def _hex(bits: Bits) -> str:
    return f"{int(''.join(map(str, bits)), 2):0{-(-bits.size // 4)}x}"


def _bgr(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[..., ::-1])
