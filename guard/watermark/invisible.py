"""invisible-watermark's three methods behind our protocol: written, and read for known messages.

``dwtDct`` and ``dwtDctSvd`` put one bit into every 4 × 4 block of the Haar approximation of U, by
where a coefficient falls on a quantiser step of 36; ``rivaGan`` is neural. All are public and have
no notion of "not marked". So :class:`InvisibleWatermark` looks for messages that are known
beforehand, and its p-value is counted on unmarked pictures: it cannot fall below 1/(N + 1), which
keeps these marks labels and never evidence at a policy's false-positive rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from guard.errors import MarkRejected, SettingsInvalid
from guard.types import Detection, Mark, MarkedImage, Pixels
from guard.watermark import legacy, rivagan
from guard.watermark.foreign import EmpiricalNull, shipped_null

RATE: Final = 1e-3
"""Share of unmarked pictures that may be called marked: these are labels. With a null of fewer than
a thousand pictures it is one in those."""


class InvisibleWatermark:
    """One of ``dwtDct``, ``dwtDctSvd`` and ``rivaGan``, looking for ``messages``.

    ``messages``: byte strings of one length. ``null``: what the reader says of unmarked pictures;
    by default the shipped one, which is there for 32 bits of each method, 48 of dwtDctSvd, and 46,
    48 and 136 of dwtDct. ``false_positive_rate``: share of unmarked pictures that may be called
    marked, by default :data:`RATE`.

    Raises SettingsInvalid for an unknown method, messages of several lengths, none, or a length
    without a null.
    """

    def __init__(
        self,
        method: str,
        messages: Sequence[bytes],
        *,
        null: EmpiricalNull | None = None,
        false_positive_rate: float | None = None,
    ) -> None:
        if method not in legacy.METHODS:
            raise SettingsInvalid(
                f"There is no method {method!r}.", hint=f"Choose {', '.join(legacy.METHODS)}."
            )
        sizes = {len(message) for message in messages}
        if len(sizes) != 1 or 0 in sizes:
            raise SettingsInvalid(
                "Give the messages to look for, all of one length.",
                hint="These methods read bits from every picture: what is sought must be known.",
            )
        self._method = method
        self._bits = sizes.pop() * 8
        self._null = null or _null_for(method, self._bits)
        self._rate = false_positive_rate or max(RATE, 1 / (1 + self._null.pictures))
        self._messages = tuple(messages)

    @property
    def method(self) -> str:
        """As invisible-watermark names it."""
        return self._method

    def embed(self, pixels: Pixels, payload: bytes) -> MarkedImage:
        """A marked copy of the same shape, read back bit by bit.

        Raises MarkRejected when the picture is too small or the message does not read back, as it
        does not in a third of all pictures under dwtDct; ValueError for a payload of another
        length; DetectorUnavailable when rivaGan's models are missing.
        """
        from guard.watermark.embed import psnr

        bits = np.unpackbits(np.frombuffer(payload, np.uint8))
        if bits.size != self._bits:
            raise ValueError(f"the payload must be {self._bits // 8} bytes, not {len(payload)}")
        try:
            marked = write_bits(pixels, self._method, bits)
            same = np.array_equal(_read(marked, self._method, self._bits), bits)
        except ValueError as error:
            raise MarkRejected(f"The picture cannot carry a {self._method} mark: {error}") from None
        if not same:
            raise MarkRejected(
                f"The {self._method} mark could not be read back.",
                hint="This method fails on many pictures: use genguard-pilot-3 instead.",
            )
        marked.setflags(write=False)
        mark = Mark(self._method, payload.hex(), round(psnr(pixels, marked), 2))
        return MarkedImage(marked, mark)

    def detect(self, pixels: Pixels) -> Detection:
        """The message that agrees best, if few enough unmarked pictures agree as well.

        Raises DetectorUnavailable when rivaGan's models are missing.
        """
        try:
            read = _read(pixels, self._method, self._bits)
        except ValueError:
            return Detection(detected=False, payload=None, method=self._method, p_value=1.0)
        p_values = {message: self._p_value(message, read) for message in self._messages}
        best = min(p_values, key=lambda message: (p_values[message], -_matching(message, read)))
        p_value = min(1.0, p_values[best] * len(p_values))
        found = p_value <= self._rate
        return Detection(
            detected=found,
            payload=best.hex() if found else None,
            method=self._method,
            p_value=p_value,
        )

    def _p_value(self, message: bytes, read: NDArray[np.uint8]) -> float:
        bits = np.unpackbits(np.frombuffer(message, np.uint8))
        return self._null.p_value(bits, _matching(message, read))


def write_bits(pixels: Pixels, method: str, bits: NDArray[np.uint8]) -> Pixels:
    """A copy of ``pixels`` (uint8, (h, w, 3)) with ``bits`` (0 and 1) that the package reads.

    The inverse transform is the right one, which the package's is not: 2.8 dB less is lost.
    ValueError where :func:`guard.watermark.legacy.decode_bits` has one.
    """
    if method == "rivaGan":
        return rivagan.write_bits(pixels, bits)
    import cv2
    import pywt  # type: ignore[import-untyped]  # ships no types

    legacy.check_room(pixels, bits.size)
    yuv = cv2.cvtColor(np.ascontiguousarray(pixels[..., ::-1]), cv2.COLOR_BGR2YUV)
    height, width = (side // 4 * 4 for side in pixels.shape[:2])
    low, detail = pywt.dwt2(yuv[:height, :width, 1].astype(np.float64), "haar")
    tall, wide = (side // legacy.BLOCK for side in low.shape)
    blocks = legacy.as_blocks(low)
    wanted = bits[np.arange(len(blocks)) % bits.size]
    move = _move_singular if method == "dwtDctSvd" else _move_largest
    low[: tall * 4, : wide * 4] = (
        move(blocks, wanted).reshape(tall, wide, 4, 4).transpose(0, 2, 1, 3).reshape(tall * 4, -1)
    )
    yuv[:height, :width, 1] = np.clip(np.rint(pywt.idwt2((low, detail), "haar")), 0, 255)
    return np.ascontiguousarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR)[..., ::-1])


def _on_step(size: NDArray[np.float64], bits: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Sizes moved into the middle of that half of their step which says ``bits``."""
    return np.asarray((size // legacy.STEP + 0.25 + 0.5 * bits) * legacy.STEP, dtype=np.float64)


def _move_largest(blocks: NDArray[np.float64], bits: NDArray[np.uint8]) -> NDArray[np.float64]:
    flat = blocks.reshape(len(blocks), -1).copy()
    rows = np.arange(len(flat))
    places = 1 + np.abs(flat[:, 1:]).argmax(axis=1)
    there = flat[rows, places]
    flat[rows, places] = np.copysign(_on_step(np.abs(there), bits), there)
    return flat.reshape(blocks.shape)


def _move_singular(blocks: NDArray[np.float64], bits: NDArray[np.uint8]) -> NDArray[np.float64]:
    left, sizes, right = np.linalg.svd(blocks)
    sizes[:, 0] = _on_step(sizes[:, 0], bits)
    return np.asarray((left * sizes[:, None, :]) @ right, dtype=np.float64)


def _null_for(method: str, bits: int) -> EmpiricalNull:
    null = shipped_null(method, bits)
    if null is None:
        raise SettingsInvalid(
            f"No null was measured for {bits} bits of {method}.",
            hint="Measure one on your own unmarked pictures: EmpiricalNull(bits).",
        )
    return null


def _read(pixels: Pixels, method: str, length: int) -> NDArray[np.uint8]:
    text = legacy.decode_bits(pixels, method, length)
    return np.frombuffer(text.encode(), np.uint8) - ord("0")


def _matching(message: bytes, read: NDArray[np.uint8]) -> int:
    return int((np.unpackbits(np.frombuffer(message, np.uint8)) == read).sum())
