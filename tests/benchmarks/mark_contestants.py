"""Marks that are measured beside ours, each behind the same two calls.

invisible-watermark (MIT: dwtDct and dwtDctSvd with 32 bits, as it is used with Stable Diffusion)
and blind-watermark (MIT, 64 bits). Those not installed are left out, with a word on stderr:
``pip install --no-deps invisible-watermark blind-watermark``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from guard.types import Pixels
from guard.watermark.pilot_watermark import PilotWatermark

SECRET = b"the benchmark's secret, 32 bytes"
PAYLOAD = bytes.fromhex("0123456789abcdef")
BITS_32 = [int(bit) for bit in "01101001100101100110100110010110"]


@dataclass(frozen=True, slots=True)
class Contestant:
    """``embed`` marks a picture; ``read`` says whether exactly the payload comes out."""

    name: str
    bits: int
    embed: Callable[[Pixels], Pixels]
    read: Callable[[Pixels], bool]


def genguard(strength: str = "default") -> Contestant:
    """Ours; its reading also knows when there is nothing, which the others never say."""
    mark = PilotWatermark(SECRET, strength=strength)
    return Contestant(
        f"genguard {strength}",
        64,
        lambda pixels: mark.embed(pixels, PAYLOAD).pixels,
        lambda pixels: mark.detect(pixels).payload == PAYLOAD.hex(),
    )


def peers() -> list[Contestant]:
    """The others that are installed."""
    return [*_invisible_watermark(), *_blind_watermark()]


def _invisible_watermark() -> list[Contestant]:
    try:
        from imwatermark import WatermarkDecoder, WatermarkEncoder
    except ImportError as error:
        sys.stderr.write(f"SKIPPED invisible-watermark: {error}\n")
        return []
    encoder, decoder = WatermarkEncoder(), WatermarkDecoder("bits", len(BITS_32))
    encoder.set_watermark("bits", BITS_32)

    def contestant(method: str) -> Contestant:
        def embed(pixels: Pixels) -> Pixels:
            marked = encoder.encode(np.ascontiguousarray(pixels[..., ::-1]), method)
            return np.ascontiguousarray(np.asarray(marked, np.uint8)[..., ::-1])

        def read(pixels: Pixels) -> bool:
            if pixels.shape[0] * pixels.shape[1] < 256 * 256:  # it refuses smaller ones
                return False
            bits = decoder.decode(np.ascontiguousarray(pixels[..., ::-1]), method)
            return [int(bit) for bit in bits] == BITS_32

        return Contestant(method, 32, embed, read)

    return [contestant("dwtDct"), contestant("dwtDctSvd")]


def _blind_watermark() -> list[Contestant]:
    try:
        import blind_watermark
    except ImportError as error:
        sys.stderr.write(f"SKIPPED blind-watermark: {error}\n")
        return []
    bits = [bool(int(one)) for one in f"{int.from_bytes(PAYLOAD, 'big'):064b}"]

    def engine() -> Any:
        return blind_watermark.WaterMark(password_img=1, password_wm=1, processes=1)

    def embed(pixels: Pixels) -> Pixels:
        mark = engine()
        mark.read_img(img=np.ascontiguousarray(pixels[..., ::-1]))
        mark.read_wm(bits, mode="bit")
        marked = np.clip(np.rint(mark.embed()), 0, 255).astype(np.uint8)
        return np.ascontiguousarray(marked[..., ::-1])

    def read(pixels: Pixels) -> bool:
        try:
            found = engine().extract(
                embed_img=np.ascontiguousarray(pixels[..., ::-1]), wm_shape=64, mode="bit"
            )
        except Exception:  # noqa: BLE001  # it raises on pictures that are too small for its blocks
            return False
        return [bool(one > 0.5) for one in np.asarray(found).ravel()] == bits

    if hasattr(blind_watermark, "bw_notes"):
        blind_watermark.bw_notes.close()
    return [Contestant("blind-watermark", 64, embed, read)]
