"""``genguard-pilot-1``: the home's own mark, behind the ``Watermark`` protocol.

Everything that needs OpenCV or SciPy is imported when the first instance is made, so that this
module stays cheap to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from guard.errors import MarkRejected, SettingsInvalid
from guard.types import MAX_SIDE, Detection, Mark, MarkedImage, Pixels
from guard.watermark.base import PAYLOAD_BYTES
from guard.watermark.keys import MarkKey

if TYPE_CHECKING:
    from guard.watermark.detect import Found

METHOD: Final = "genguard-pilot-1"

LEAST_SIDE: Final = 128
"""Pixels of the short side below which the mark's higher half has no room."""

CHECK_JPEG_QUALITY: Final = 75
"""A copy at the quality most sites recompress to must still read before a picture is released."""

WISHED_WEBP_QUALITY: Final = 75
"""A picture whose mark this codec would take gets the stronger one. Its quantiser is coarse on flat
ground; large pictures, whose mark lies at lower frequencies, do not need the check."""

WISHED_UP_TO_PIXELS: Final = 600_000
BOOSTS: Final = (1.0, 1.4, 2.0)
"""Amplitudes tried in turn, 3 dB apart. The last is for small pictures, which have little room."""


class PilotWatermark:
    """Embeds and reads 64-bit mark ids under one platform secret.

    ``secret``: at least 16 bytes, random. ``target_psnr_db``: 30–60, the strength on busy
    ground; flat ground gets less. ``false_positive_rate``: in (0, 1e-3], the p-value below which
    a mark counts as found. Instances are immutable and safe to share between threads.

    Raises KeyInvalid for a short secret, SettingsInvalid for numbers out of range.
    """

    def __init__(
        self,
        secret: bytes,
        *,
        target_psnr_db: float = 42.0,
        false_positive_rate: float = 1e-9,
    ) -> None:
        _check_range("target_psnr_db", target_psnr_db, 30.0, 60.0)
        _check_range("false_positive_rate", false_positive_rate, 1e-24, 1e-3)
        key = MarkKey(secret)

        from guard.watermark.chips import Spreader
        from guard.watermark.detect import Detector
        from guard.watermark.embed import Embedder
        from guard.watermark.pilot import Pilot

        pilot, spreader = Pilot(key), Spreader(key)
        self._key_id = key.key_id
        self._embedder = Embedder(pilot, spreader, target_psnr_db)
        self._detector = Detector(pilot, spreader, false_positive_rate)

    @property
    def method(self) -> str:
        """``genguard-pilot-1``."""
        return METHOD

    @property
    def key_id(self) -> str:
        """16 hex digits that name the key without revealing it."""
        return self._key_id

    def embed(self, pixels: Pixels, payload: bytes) -> MarkedImage:
        """A marked copy of the same shape; ``payload`` is ``PAYLOAD_BYTES`` bytes.

        The copy has been read back as it is and after JPEG 75. Where that failed, or where a
        WebP 75 copy does not read, the picture is marked more strongly (``BOOSTS``).
        Deterministic. ``pixels`` is left as it was.

        Raises MarkRejected when the picture is too small, too large, or reads back wrongly;
        ValueError when ``pixels`` or ``payload`` has another shape.
        """
        from guard.watermark.embed import psnr

        _check_pixels(pixels)
        if len(payload) != PAYLOAD_BYTES:
            raise ValueError(f"the payload must be {PAYLOAD_BYTES} bytes, not {len(payload)}")
        _check_size(pixels)
        marked = self._assured(pixels, payload)
        marked.setflags(write=False)
        return MarkedImage(marked, Mark(METHOD, payload.hex(), round(psnr(pixels, marked), 2)))

    def detect(self, pixels: Pixels) -> Detection:
        """What is found under this key, with the bound on chance as ``p_value``.

        Reads through re-encoding, uncropped scaling, flips and quarter turns, and crops that
        kept the scale. Raises ValueError when ``pixels`` is not uint8 of shape (h, w, 3).
        """
        _check_pixels(pixels)
        found = self._detector.find(pixels)
        return self._detection(found)

    def _detection(self, found: Found) -> Detection:
        read = found.payload is not None
        return Detection(
            detected=read,
            payload=found.payload.hex() if found.payload is not None else None,
            method=METHOD,
            p_value=found.p_value,
            key_id=self._key_id if read else "",
            geometry=found.geometry,
        )

    def _assured(self, pixels: Pixels, payload: bytes) -> Pixels:
        """``pixels`` marked as faintly as will do, read back before it is answered."""
        readable: Pixels | None = None
        for boost in BOOSTS:
            marked = self._embedder.embed(pixels, payload, boost)
            if self._reads_back(marked, payload):
                if boost > 1.0 or self._reads_wished(marked, payload):
                    return marked
                readable = marked
            elif readable is not None:
                return readable
        raise MarkRejected(
            "The picture is too flat or too noisy: a mark in it could not be read back.",
            hint="Single-colour pictures and pure noise may not carry one: make another picture.",
        )

    def _reads_back(self, marked: Pixels, payload: bytes) -> bool:
        if not self._reads(marked, payload):
            return False
        return self._reads(recoded(marked, "jpeg", CHECK_JPEG_QUALITY), payload)

    def _reads_wished(self, marked: Pixels, payload: bytes) -> bool:
        if marked.shape[0] * marked.shape[1] > WISHED_UP_TO_PIXELS:
            return True
        return self._reads(recoded(marked, "webp", WISHED_WEBP_QUALITY), payload)

    def _reads(self, pixels: Pixels, payload: bytes) -> bool:
        return self._detector.find(pixels, search=False).payload == payload


def recoded(pixels: Pixels, codec: Literal["jpeg", "webp"], quality: int) -> Pixels:
    """``pixels`` as they come back from ``codec`` at ``quality`` (1–100)."""
    import cv2

    flag = cv2.IMWRITE_JPEG_QUALITY if codec == "jpeg" else cv2.IMWRITE_WEBP_QUALITY
    solid = np.ascontiguousarray(pixels[..., ::-1])
    done, data = cv2.imencode(f".{codec}", solid, [flag, quality])
    copy = cv2.imdecode(data, cv2.IMREAD_COLOR) if done else None
    if copy is None:
        raise MarkRejected(f"The picture could not be encoded as {codec} to check its mark.")
    return np.ascontiguousarray(copy[..., ::-1], dtype=np.uint8)


def _check_pixels(pixels: Pixels) -> None:
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        raise ValueError("pixels must be a uint8 array")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels must have the shape (height, width, 3), not {pixels.shape}")


def _check_size(pixels: Pixels) -> None:
    height, width = pixels.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise MarkRejected(
            f"The picture is too small for a mark: {width}×{height} pixels.",
            hint=f"Its short side must measure at least {LEAST_SIDE} pixels.",
        )
    if max(height, width) > MAX_SIDE:
        raise MarkRejected(
            f"The picture is too large for a mark: {width}×{height} pixels.",
            hint=f"Its long side must measure at most {MAX_SIDE} pixels.",
        )


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise SettingsInvalid(f"{name} is {value}; it must lie in {least:g}–{most:g}.")
