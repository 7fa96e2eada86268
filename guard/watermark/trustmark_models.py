"""TrustMark's networks, from a folder that the operator names. Nothing is ever downloaded.

Adobe publishes each variant as two ONNX files, ``encoder_Q.onnx`` and ``decoder_Q.onnx`` (also P, B
and C; MIT). Their signature, float32: (1, 3, s, s) RGB in −1…1 and (1, 100) of 0 and 1 → the marked
picture; (1, 3, s, s) → (1, 100), a bit being one above 0. The encoder's s is 256; the decoder's is
256, and 224 for P; where the file fixes another one, that counts.

A picture is scaled to s × s as a whole, or its central square where it is more than twice as long
as wide, and always under P. What the encoder changed is scaled back and added, less its mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from guard.errors import DetectorUnavailable
from guard.onnx import open_session
from guard.types import Pixels
from guard.watermark.trustmark_code import LENGTH

Floats = NDArray[np.float32]

VARIANTS: Final = ("Q", "P", "B", "C")
"""Balance; less visible; the paper's; compact."""

FETCH: Final = "Put Adobe's encoder_Q.onnx and decoder_Q.onnx (MIT) there: nothing is downloaded."
SETTING: Final = "GUARD_TRUSTMARK_MODELS"

_LONGEST_WHOLE: Final = 2.0
_STRENGTHENED: Final = {"P": 1.25}
_DECODED_AT: Final = {"P": 224}
_ENCODED_AT: Final = 256


def available(folder: Path) -> tuple[str, ...]:
    """The variants whose decoder lies in ``folder``. DetectorUnavailable when there is none."""
    found = tuple(one for one in VARIANTS if (folder / f"decoder_{one}.onnx").is_file())
    if not found:
        raise DetectorUnavailable(
            f"There are no TrustMark models in {folder} ({SETTING}).", hint=FETCH
        )
    return found


@dataclass(frozen=True)
class TrustMarkModels:
    """The networks of one ``variant`` in ``folder``, opened when first used, safe to share."""

    folder: Path
    variant: str

    def logits(self, pixels: Pixels) -> Floats:
        """What the decoder says of ``pixels`` (uint8, (h, w, 3)): 100 numbers, above 0 for ones.

        Raises DetectorUnavailable when the file is missing, no ONNX, or of another signature.
        """
        network = self._decoder
        rows, columns = self._part(pixels)
        square = _scaled(pixels[rows, columns], network.side)
        answer = np.asarray(network.run({network.image: square}), np.float32).ravel()
        if answer.size != LENGTH or not np.isfinite(answer).all():
            raise self._broken(
                "decoder", f"it answered {answer.size} values, not all of them finite"
            )
        return answer

    def marked(self, pixels: Pixels, bits: NDArray[np.uint8], strength: float = 1.0) -> Pixels:
        """A copy of ``pixels`` that carries 100 ``bits``. Raises DetectorUnavailable."""
        import cv2

        network = self._encoder
        rows, columns = self._part(pixels)
        part = pixels[rows, columns]
        cover = _scaled(part, network.side)
        inputs = {network.image: cover, network.secret: bits[None].astype(np.float32)}
        answer = np.asarray(network.run(inputs), np.float32)
        if answer.shape != cover.shape or not np.isfinite(answer).all():
            raise self._broken("encoder", f"it answered a picture of shape {answer.shape}")
        change = (np.clip(answer, -1.0, 1.0) - cover)[0].transpose(1, 2, 0)
        change -= change.mean(axis=(0, 1))
        change = np.asarray(cv2.resize(change, part.shape[1::-1], interpolation=cv2.INTER_LINEAR))
        change *= 127.5 * strength * _STRENGTHENED.get(self.variant, 1.0)
        copy = pixels.copy()
        copy[rows, columns] = np.clip(np.rint(part + _feathered(change)), 0, 255).astype(np.uint8)
        return copy

    @property
    def decoder_sha256(self) -> str:
        """The digest of the decoder's file, by which a reading can be repeated."""
        return self._decoder.sha256

    def _part(self, pixels: Pixels) -> tuple[slice, slice]:
        """Rows and columns of what is marked: all, or the central square."""
        height, width = pixels.shape[:2]
        short = min(height, width)
        if max(height, width) <= _LONGEST_WHOLE * short and self.variant != "P":
            return slice(None), slice(None)
        top, left = (height - short) // 2, (width - short) // 2
        return slice(top, top + short), slice(left, left + short)

    @cached_property
    def _decoder(self) -> _Network:
        return self._opened("decoder", _DECODED_AT.get(self.variant, 256))

    @cached_property
    def _encoder(self) -> _Network:
        return self._opened("encoder", _ENCODED_AT)

    def _opened(self, part: str, side: int) -> _Network:
        file = self.folder / f"{part}_{self.variant}.onnx"
        try:
            data = file.read_bytes()
        except OSError as error:
            raise DetectorUnavailable(
                f"TrustMark's {file.name} cannot be read: {error.strerror or error} ({SETTING}).",
                hint=FETCH,
            ) from error
        try:
            session = open_session(data)
        except Exception as error:
            raise self._broken(part, str(error)) from error
        images = [one for one in session.get_inputs() if len(one.shape) == 4]
        secrets = [one.name for one in session.get_inputs() if len(one.shape) == 2]
        if len(images) != 1 or len(secrets) != (part == "encoder"):
            raise self._broken(part, "its inputs are not those of TrustMark")
        fixed = images[0].shape[-1]
        return _Network(
            run=lambda inputs: session.run(None, inputs)[0],
            image=images[0].name,
            secret=secrets[0] if secrets else "",
            side=fixed if isinstance(fixed, int) and fixed > 0 else side,
            sha256=hashlib.sha256(data).hexdigest(),
        )

    def _broken(self, part: str, why: str) -> DetectorUnavailable:
        return DetectorUnavailable(
            f"{part}_{self.variant}.onnx in {self.folder} is no TrustMark {part}: {why}.",
            hint=FETCH,
        )


@dataclass(frozen=True, slots=True)
class _Network:
    run: Callable[[dict[str, Any]], Any]
    image: str
    secret: str
    side: int
    sha256: str


def _scaled(pixels: Pixels, side: int) -> Floats:
    """(1, 3, side, side) in −1…1, by Pillow's bilinear filter: the reference scales with it."""
    from PIL import Image

    solid = Image.fromarray(np.ascontiguousarray(pixels))
    small = np.asarray(solid.resize((side, side), Image.Resampling.BILINEAR), np.float32)
    return np.ascontiguousarray((small / 127.5 - 1.0).transpose(2, 0, 1)[None])


def _feathered(change: Floats) -> Floats:
    """``change`` faded in over a hundredth of the side, at most 50 px, so that no edge shows."""
    height, width = change.shape[:2]
    ramp = min(50, max(1, min(height, width) // 100))
    down, right = (
        np.minimum(1.0, (1 + np.minimum(np.arange(side), np.arange(side)[::-1])) / ramp)
        for side in (height, width)
    )
    return np.asarray(change * np.outer(down, right)[..., None], np.float32)
