"""Pictures on their way: made, marked, signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # numpy is half of what a screener would otherwise need to start
    import numpy as np
    from numpy.typing import NDArray

Pixels: TypeAlias = "NDArray[np.uint8]"
"""RGB, shape (height, width, 3), 0–255, read-only."""


class Origin(StrEnum):
    """Where the pixels came from; only ``generated`` is signed as made by a trained algorithm."""

    GENERATED = "generated"
    EDITED = "edited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RawImage:
    """What a generator answers. Pixels are made read-only."""

    pixels: Pixels
    seed: int | None
    model: str

    def __post_init__(self) -> None:
        if hasattr(self.pixels, "setflags"):  # whatever else it is, its stage is told so
            self.pixels.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark as embedded: ``payload`` is the mark id as lower-case hex, ``psnr_db`` its price.

    ``survived`` names the damage that it was read back after before release.
    """

    method: str
    payload: str
    psnr_db: float
    survived: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MarkedImage:
    """Pixels that carry a mark."""

    pixels: Pixels
    mark: Mark


Point: TypeAlias = tuple[float, float]
"""(x, y), x right, y down."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a marked picture lies in a suspect one.

    Point p of the suspect (pixels, from its centre) shows point ``matrix`` · p + ``shift`` of the
    marked picture, in canonical units (1/256 of its short side) from its top left corner.
    The shift is known modulo ``period`` in x and y. ``region``: corners of the part of the suspect
    in which the mark was seen, as fractions of its width and height; about, where it was cut.
    """

    matrix: tuple[Point, Point]
    shift: Point
    region: tuple[Point, ...] = ()
    period: float = 256.0


@dataclass(frozen=True, slots=True)
class Detection:
    """What a watermark detector found.

    ``detected`` only when ``p_value`` (the probability that an unmarked picture, or one marked
    under another key, scores as high) is below the allowed false-positive rate and the payload's
    check code holds; ``payload`` is hex or None; ``key_id`` names the key that read it;
    ``geometry`` says in words, and ``placement`` in numbers, where the mark lies.
    """

    detected: bool
    payload: str | None
    method: str
    p_value: float
    key_id: str = ""
    geometry: str = ""
    placement: Placement | None = None

    @property
    def confidence(self) -> float:
        """1 − p."""
        return 1.0 - self.p_value


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A perceptual hash of a picture: algorithm name and ``bits`` as hex."""

    algorithm: str
    bits: str


@dataclass(frozen=True, slots=True)
class SignedAsset:
    """An encoded, marked and signed picture: what may leave.

    ``notices``: one-line remarks for the caller on what it lacks by leave of the policy.
    """

    bytes: bytes = field(repr=False)
    media_type: str
    sha256: str
    manifest_label: str
    certificate_fingerprint: str
    notices: tuple[str, ...] = ()
