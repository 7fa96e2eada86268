"""The picture on a report page: small, made anew from its pixels, and outlined where it differs.

Nothing of the file itself goes onto the page, so no metadata and no hostile bytes do. A picture
that the record says was blocked is never shown; one that was held is shown blurred.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guard.image.decode import load
from guard.types import Event, VerificationReport

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 640
"""Pixels of a preview's longer side: enough to see what was changed, about 50 kB."""

QUALITY = 82
"""Of its JPEG."""

MOST_REGIONS, MOST_CORNERS = 100, 64
"""More outlines, or corners of one, are not drawn."""

FILLED = 0.95
"""Share of the suspect from which the recorded picture is said to fill it."""

UNITS = 1000
"""The drawing's width and height, whatever the picture's: outlines are fractions of it."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A small JPEG as a data URI, with its size and the outlines to draw over it.

    ``regions``: polygons as SVG wants them; ``frame``: of the recorded picture, where the suspect
    shows more than that; ``blurred``: look only on purpose.
    """

    uri: str = field(repr=False)
    width: int
    height: int
    regions: tuple[str, ...] = ()
    frame: str = ""
    blurred: bool = False


def preview_of(source: bytes | str | Path | Image, report: VerificationReport) -> Preview | None:
    """The preview of an examined picture; None where the record says that it was blocked.

    Raises InvalidImage when it can no longer be read.
    """
    event = str((report.record or {}).get("event", ""))
    if event == Event.BLOCKED:
        return None
    uri, width, height = _small(load(source).pixels)
    blurred = event == Event.HELD
    return Preview(uri, width, height, outlines(report), frame_of(report), blurred)


def _small(pixels: Any) -> tuple[str, int, int]:
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    out = BytesIO()
    image.save(out, "JPEG", quality=QUALITY)
    data = base64.b64encode(out.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{data}", image.width, image.height


def outlines(report: VerificationReport) -> tuple[str, ...]:
    """Where a picture differs from the one on record, as points of SVG polygons.

    The comparison gives fractions of width and height, (0, 0) top left; what is no polygon of
    numbers is left out.
    """
    comparison = getattr(report, "comparison", None)
    regions = comparison.get("regions") if isinstance(comparison, Mapping) else None
    drawn = (_points(one) for one in list(regions or ())[:MOST_REGIONS])
    return tuple(points for points in drawn if points)


def frame_of(report: VerificationReport) -> str:
    """The recorded picture's frame in a larger suspect, as points; empty where it fills it."""
    comparison = getattr(report, "comparison", None)
    if not isinstance(comparison, Mapping) or comparison.get("result") not in _SEEN:
        return ""
    points = _points(comparison.get("frame"))
    corners = [tuple(map(float, one.split(","))) for one in points.split()]
    around = zip(corners, corners[1:] + corners[:1], strict=True)
    area = abs(sum(x * v - u * y for (x, y), (u, v) in around)) / 2
    return points if 0 < area < FILLED * UNITS**2 else ""


_SEEN = ("agrees", "altered")


def _points(region: Any) -> str:
    try:
        corners = [(float(x), float(y)) for x, y in list(region)[:MOST_CORNERS]]
    except (TypeError, ValueError):
        return ""
    if len(corners) < 3 or not all(map(math.isfinite, (part for one in corners for part in one))):
        return ""
    return " ".join(f"{_unit(x):.1f},{_unit(y):.1f}" for x, y in corners)


def _unit(fraction: float) -> float:
    return min(max(fraction, 0.0), 1.0) * UNITS
