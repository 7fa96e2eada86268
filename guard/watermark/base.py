"""What a watermark is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from guard.types import Detection, MarkedImage, Pixels

PAYLOAD_BYTES = 8
"""The mark id: 64 random bits, unique in the store."""


class Watermark(Protocol):
    """Hides a payload in pixels and finds it again, or says with a p-value that it is not there."""

    @property
    def method(self) -> str:
        """Name and version of the method, e.g. ``genguard-pilot-3``."""
        ...

    def embed(self, pixels: Pixels, payload: bytes) -> MarkedImage:
        """A marked copy of the same shape. Raises MarkRejected when it would not read back."""
        ...

    def detect(self, pixels: Pixels) -> Detection:
        """What is found; never raises on a valid picture, however small."""
        ...


Label = Mapping[str, Any]
"""What an unproven mark says: anybody can write such a mark onto any picture."""


class MarkReader(Protocol):
    """Reads the marks of another maker."""

    def read(self, pixels: Pixels) -> tuple[Label, ...]:
        """The marks found in ``pixels``, mostly none.

        Each has ``kind`` ("watermark"), ``method``, ``name``, ``source``, ``message`` (hex) and
        ``proves``. Raises DetectorUnavailable when the reader itself is broken.
        """
        ...
