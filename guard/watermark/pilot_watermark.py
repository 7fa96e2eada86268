"""``genguard-pilot-3``: the home's own mark, behind the ``Watermark`` protocol.

Everything that needs OpenCV or SciPy is imported when the first instance is made, so that this
module stays cheap to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from guard.errors import MarkRejected, SettingsInvalid
from guard.types import MAX_SIDE, Detection, Mark, MarkedImage, Pixels
from guard.watermark.keys import MarkKey

if TYPE_CHECKING:
    from guard.watermark.assurance import Damage
    from guard.watermark.detect import Detector, Found

METHOD: Final = "genguard-pilot-3"

LEAST_SIDE: Final = 128
"""Pixels of the short side below which the mark's higher half has no room."""

REQUIRED: Final = ("jpeg75",)
"""A copy at the quality most sites recompress to must still read before a picture is released."""

WISHED: Final = ("crop90-jpeg75", "webp50")
"""Where such a copy does not read, the picture is marked once more and more strongly."""

BOOST: Final = 1.2
"""1.6 dB: more would show on flat ground, where it is needed most."""

LAST_BOOST: Final = 2.0
"""For small and noisy pictures, of which else no required copy would read."""


class PilotWatermark:
    """Embeds and reads mark ids under one platform secret, and reads under retired ones.

    ``secret``: at least 16 bytes, random. ``retired``: earlier secrets that still read.
    ``strength``: ``default``, ``robust`` or ``high-quality``. ``payload_bits``: a multiple of 8 in
    48–256. ``false_positive_rate``: in 1e-24–1e-3, the p-value below which a mark counts as found.
    ``wished``: names of damage (:mod:`guard.watermark.assurance`) that a mark should survive.
    Instances are immutable and safe to share between threads.

    Raises KeyInvalid for a short secret, SettingsInvalid for what is out of range or unknown.
    """

    def __init__(  # noqa: PLR0913  # all but the secret are named options
        self,
        secret: bytes,
        *,
        retired: Sequence[bytes] = (),
        strength: str = "default",
        payload_bits: int = 64,
        false_positive_rate: float = 1e-9,
        wished: Sequence[str] = WISHED,
    ) -> None:
        if not 1e-24 <= false_positive_rate <= 1e-3:
            raise SettingsInvalid(
                f"false_positive_rate is {false_positive_rate}; it must lie in 1e-24–0.001."
            )
        keys = [MarkKey(one) for one in (secret, *retired)]

        from guard.watermark.assurance import damage
        from guard.watermark.chips import Spreader
        from guard.watermark.code import Code
        from guard.watermark.detect import Detector
        from guard.watermark.embed import STRENGTHS, Embedder
        from guard.watermark.pilot import Pilot

        if strength not in STRENGTHS:
            raise SettingsInvalid(
                f"There is no strength {strength!r}.", hint=f"Choose {', '.join(STRENGTHS)}."
            )
        try:
            self._code = Code(payload_bits)
        except ValueError as error:
            raise SettingsInvalid(f"{error}.") from error
        self._required = [damage(name) for name in REQUIRED]
        self._wished = [damage(name) for name in wished]
        # One budget for all keys: each reads with its share.
        limit = false_positive_rate / len(keys)
        self._detectors: list[tuple[str, Detector]] = []
        for key in keys:
            pilot, spreader = Pilot(key), Spreader(key, self._code.code_bits)
            self._detectors.append((key.key_id, Detector(pilot, spreader, self._code, limit)))
            if key is keys[0]:
                self._embedder = Embedder(pilot, spreader, self._code, STRENGTHS[strength])

    @property
    def method(self) -> str:
        """``genguard-pilot-3``."""
        return METHOD

    @property
    def key_id(self) -> str:
        """16 hex digits that name the key marks are made with, without revealing it."""
        return self._detectors[0][0]

    def embed(self, pixels: Pixels, payload: bytes) -> MarkedImage:
        """A marked copy of the same shape; ``payload`` is ``payload_bits // 8`` bytes.

        The copy has been read back as it is and after the required damage. Where the wished damage
        would take the mark, it is made stronger once; ``mark.survived`` says what it was read
        after. Deterministic. ``pixels`` is left as it was.

        Raises MarkRejected when the picture is too small, too large, or reads back wrongly;
        ValueError when ``pixels`` or ``payload`` has another shape.
        """
        from guard.watermark.embed import psnr

        _check_pixels(pixels)
        if len(payload) != self._code.payload_bytes:
            raise ValueError(
                f"the payload must be {self._code.payload_bytes} bytes, not {len(payload)}"
            )
        _check_size(pixels)
        marked, survived = self._assured(pixels, payload)
        marked.setflags(write=False)
        mark = Mark(METHOD, payload.hex(), round(psnr(pixels, marked), 2), survived)
        return MarkedImage(marked, mark)

    def detect(self, pixels: Pixels) -> Detection:
        """What is found under the keys, with the bound on chance as ``p_value``.

        Raises ValueError when ``pixels`` is not uint8 of shape (h, w, 3).
        """
        _check_pixels(pixels)
        least = 1.0
        # Most pictures were not cut: every key looks there before one of them searches.
        for search in (False, True) if len(self._detectors) > 1 else (True,):
            for key_id, detector in self._detectors:
                found = detector.find(pixels, search=search)
                if found.payload is not None:
                    return self._detection(found, key_id)
                least = min(least, found.p_value * len(self._detectors))
        return Detection(detected=False, payload=None, method=METHOD, p_value=least)

    def _detection(self, found: Found, key_id: str) -> Detection:
        return Detection(
            detected=True,
            payload=found.payload.hex() if found.payload is not None else None,
            method=METHOD,
            p_value=min(1.0, found.p_value * len(self._detectors)),
            key_id=key_id,
            geometry=found.geometry,
            placement=found.placement,
        )

    def _assured(self, pixels: Pixels, payload: bytes) -> tuple[Pixels, tuple[str, ...]]:
        """``pixels`` marked as faintly as will do, and the damage its mark was read after."""
        readable: tuple[Pixels, tuple[str, ...]] | None = None
        for boost in (1.0, BOOST, LAST_BOOST):
            marked = self._embedder.embed(pixels, payload, boost)
            if not self._reads(marked, (0, 0), pixels.shape[:2], payload):
                continue
            required = self._survived(marked, payload, self._required)
            if len(required) < len(self._required):
                continue
            wished = self._survived(marked, payload, self._wished)
            if readable is None or len(required + wished) > len(readable[1]):
                readable = (marked, required + wished)
            if len(wished) == len(self._wished) or boost >= BOOST:
                break
        if readable is None:
            raise MarkRejected(
                "The picture is too flat or too noisy: a mark in it could not be read back.",
                hint="Single-colour pictures and pure noise may not carry one: make another one.",
            )
        return readable

    def _survived(
        self, marked: Pixels, payload: bytes, damages: Sequence[Damage]
    ) -> tuple[str, ...]:
        whole = marked.shape[:2]
        return tuple(one.name for one in damages if self._reads(*one.copy(marked), whole, payload))

    def _reads(
        self, part: Pixels, corner: tuple[int, int], whole: tuple[int, int], payload: bytes
    ) -> bool:
        return self._detectors[0][1].reads(part, corner, whole, payload)


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
