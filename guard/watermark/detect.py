"""Finding the mark, or saying with a p-value that it is not there.

Stages, cheapest and likeliest first:

1. *same frame*: the whole picture, at any size, any codec, on each of the canonical planes;
2. *placed*: where the pilot answers elsewhere (:mod:`guard.watermark.search`), the picture is
   brought back to the canonical plane and the payload is read, once more after bends are undone.

Every look at phases and every decoding is paid for in the p-value, whatever stage answers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from guard.types import Pixels, Placement
from guard.watermark import (
    bands,
    bend,
    canonical,
    evidence,
    register,
    search,
    shaping,
    spectrum,
    whereabouts,
)
from guard.watermark.bands import Band
from guard.watermark.canonical import PERIOD, Plane
from guard.watermark.chips import Spreader
from guard.watermark.code import Code, Decoded
from guard.watermark.observation import Observation
from guard.watermark.pilot import SETS, SIGNS, Pilot, Reading
from guard.watermark.placement import ANGLE, ASPECT, LOG_SCALE, MIRROR, Floats, matrices
from guard.watermark.search import Placed

LONGEST_LOOK: Final = 8
"""Of a ribbon, so many short sides are looked at: that is evidence enough, at bounded cost."""

PROMISING: Final = 14.0
"""Evidence of the pilot from which a placement is worth a decoding."""

FOUND_BY_SEARCH: Final = 20.0
"""Evidence of the pilot at the true placement from which a search is likely to meet it."""

BEFORE_SEARCH: Final = 14
"""Decodings that the own frame is taken to have cost: two sets in seven bands of the planes."""

DECODED: Final = 3
"""Placements that are decoded at most, in each look."""

MIDDLE: Final = 0.6
"""Share of each side, around the centre, that is searched after the whole: seen at an angle, the
whole is out of step with itself where its middle is not, and the middle leads to the whole. Less on
the finest plane, which is out of step sooner."""

WRONG_PAYLOAD: Final = 1e-6
"""Bound on chance below which a payload is believed where the pilot alone proves a mark. Its check
sum has held as well: 2⁻³² a decoding."""

PROMISING_SAME_FRAME: Final = 2.5
BENDS: Final = 3
"""Rounds of undoing bends."""

IN_STEP: Final = 45.0
"""Evidence of all windows together from which a bend is worth a decoding: where there is no mark,
one placement in fifty reaches it."""

FAINT, CLEAR = 17.0, 60.0
"""Evidence of the pilot between which small turns of a placement may be noise: they are left out
as well. Below it, hardly a placement is right."""


@dataclass(frozen=True, slots=True)
class Found:
    """The least p-value met, and the payload where one could be read significantly."""

    p_value: float
    payload: bytes | None = None
    geometry: str = ""
    placement: Placement | None = None


@dataclass(slots=True)
class _Tally:
    """How much was decoded so far, and the least p-value met."""

    decodings: int = 0
    best: float = 1.0

    def note(self, reading: Reading, looks: int) -> None:
        """Take in the best ``reading`` of so many ``looks``."""
        found = evidence.pilot_p_value(reading.score, reading.weight, looks)
        self.best = min(self.best, found)


class Detector:
    """Reads with the pilot and chips of one key."""

    def __init__(
        self, pilot: Pilot, spreader: Spreader, code: Code, false_positive_rate: float
    ) -> None:
        self._pilot = pilot
        self._spreader = spreader
        self._code = code
        self._limit = false_positive_rate

    def find(self, pixels: Pixels, *, search: bool = True) -> Found:
        """The mark in ``pixels``; ``search`` False looks in the same frame only."""
        side = min(pixels.shape[:2])
        if side < canonical.LEAST_SIDE:
            return Found(1.0)
        look = LONGEST_LOOK * side
        plane = canonical.luma(pixels[:look, :look])
        tally = _Tally()
        found = self._same_frame(plane, tally)
        if found is None and search:
            answers = (self._placed(plane, share, tally) for share in _looks(plane))
            found = next((one for one in answers if one is not None), None)
        if found is None or found.placement is None:
            return Found(tally.best)
        where = whereabouts.of_part(found.placement, plane.shape, pixels.shape[:2])
        return dataclasses.replace(found, placement=where)

    def reads(
        self, part: Pixels, corner: tuple[int, int], whole: tuple[int, int], payload: bytes
    ) -> bool:
        """Whether ``payload`` reads from a part of a marked picture, without a search for it.

        The first pixel of ``part`` lay at ``corner`` (left, top) of a picture of shape ``whole``
        (height, width). Where that is a crop, the pilot must be as clear as a search needs it.
        """
        look = LONGEST_LOOK * min(part.shape[:2])
        plane = canonical.luma(part[:look, :look])
        if part.shape[:2] == whole:
            found = self._same_frame(plane, _Tally())
            return found is not None and found.payload == payload
        return any(
            self._reads_cut(plane, corner, canonical.scale_of(*whole, fineness), payload)
            for fineness in _finenesses(plane)
        )

    def _reads_cut(
        self, plane: Plane, corner: tuple[int, int], scale: float, payload: bytes
    ) -> bool:
        seen, power = _spectrum(shaping.flatten(canonical.to_canonical(plane, scale)))
        displaced = self._pilot.displacements[self._pilot.set_of(payload)]
        right, down = displaced + np.array(corner) / scale
        moved = spectrum.moved(seen, down, right)
        terms = self._pilot.terms_of(moved, power)
        energy = float((np.abs(terms) ** 2).sum())
        reading = Reading(float(terms.real.sum()), energy, float(right), float(down))
        if reading.evidence < FOUND_BY_SEARCH:
            return False
        # A search comes after the decodings in the same frame, and pays for them.
        found = self._decode(moved, power, reading, bands.BANDS, _Tally(decodings=BEFORE_SEARCH))
        return found is not None and found[1].payload == payload

    def _same_frame(self, plane: Plane, tally: _Tally) -> Found | None:
        height, width = plane.shape
        for fineness in _finenesses(plane):
            own = canonical.to_canonical(plane, canonical.scale_of(height, width, fineness))
            found = self._in_place(*_spectrum(shaping.flatten(own)), fineness, tally)
            # A corner of a larger picture may lie where another plane of this one would.
            if found is not None and bands.FINENESSES[found[1].plane] == fineness:
                p_value, decoded = found
                where = whereabouts.whole(height, width)
                return Found(p_value, decoded.payload, "same frame", where)
        return None

    def _in_place(
        self, seen: spectrum.Spectrum, power: Plane, fineness: float, tally: _Tally
    ) -> tuple[float, Decoded] | None:
        """p-value and payload of a picture that stands in its own frame."""
        possible = bands.bands_of(fineness)
        for reading in self._pilot.read_sets(self._pilot.terms_of(seen, power)):
            tally.note(reading, SETS * SIGNS)
            if reading.evidence >= PROMISING_SAME_FRAME:
                moved = spectrum.moved(seen, reading.dy, reading.dx)
                found = self._decode(moved, power, reading, possible, tally)
                if found is not None:
                    return found
        return None

    def _placed(self, plane: Plane, share: float, tally: _Tally) -> Found | None:
        """The mark in ``plane``, placed by what the middle ``share`` of its sides shows."""
        seen = Observation(_middle(plane, share), _stretched(plane))
        placed, best, looks = search.search(seen, self._pilot)
        tally.note(best, looks)
        for one in self._promising(seen, placed):
            found = self._bring_back(plane, seen, one, share, tally)
            if found is not None:
                p_value, decoded = found
                where = whereabouts.placement(plane, seen, one, self._pilot, decoded)
                geometry = _geometry(one.row, seen, bands.FINENESSES[decoded.plane])
                return Found(p_value, decoded.payload, geometry, where)
        return None

    def _promising(self, seen: Observation, placed: list[Placed]) -> Iterator[Placed]:
        """What is worth a decoding: the likeliest placements, faint ones also straightened."""
        for one in placed[:DECODED]:
            if one.reading.evidence < PROMISING:
                return
            yield one
            if FAINT < one.reading.evidence < CLEAR:
                yield from search.straightened(seen, self._pilot, one)

    def _bring_back(
        self, plane: Plane, seen: Observation, placed: Placed, share: float, tally: _Tally
    ) -> tuple[float, Decoded] | None:
        row, reading = placed.row, placed.reading
        matrix = seen.ratio[:, None] * matrices(row[None])[0]
        on = register.canvas(plane, matrix, (reading.dx, reading.dy))
        sign = math.copysign(1.0, reading.score)
        bent: Floats | None = None
        for more in reversed(range(1 + BENDS)):
            flat = on.flat(bent)
            found = self._decode(*_spectrum(flat), reading, bands.BANDS, tally)
            if found is not None or not more:
                return found
            heard = bend.listen(flat, self._pilot, sign)
            bent, in_step = bend.bend(heard, on, bent, share)
            if in_step < IN_STEP:
                return None
        return None

    def _decode(
        self,
        seen: spectrum.Spectrum,
        power: Plane,
        reading: Reading,
        possible: tuple[Band, ...],
        tally: _Tally,
    ) -> tuple[float, Decoded] | None:
        """p-value and payload, when one is read below the limit in a ``possible`` band."""
        sign = np.float32(math.copysign(1.0, reading.score))
        for band in possible:
            tally.decodings += 1
            soft = sign * self._spreader.read(seen, power, band)
            decoded = self._code.decode(soft)
            if decoded is None:
                continue
            coded = self._code.encode(*decoded)
            p_value = min(
                evidence.code_p_value(soft, coded, self._code.payload_bits, tally.decodings),
                evidence.check_p_value(tally.decodings),
            )
            tally.best = min(tally.best, p_value)
            # A pilot that is there says nothing about the payload: its bits must be sure as well.
            if tally.best < self._limit and p_value < WRONG_PAYLOAD:
                return tally.best, decoded
        return None


def _finenesses(plane: Plane) -> tuple[float, ...]:
    """All canonical planes, the likeliest for a picture like this one first."""
    return bands.finenesses(shaping.typical_activity(plane), min(plane.shape))


def _stretched(plane: Plane) -> tuple[float, ...]:
    """Planes whose own frame is also searched for stretches; turns are searched on the first."""
    return bands.stretched_finenesses(shaping.typical_activity(plane), min(plane.shape))


def _looks(plane: Plane) -> tuple[float, float]:
    """Shares of each side that are searched."""
    return 1.0, MIDDLE * min(1.0, bands.FINENESSES[1] / _finenesses(plane)[0])


def _middle(plane: Plane, share: float) -> Plane:
    """``share`` of each side of ``plane`` with the same centre."""
    top, left = (int(side * (1 - share) / 2) for side in plane.shape)
    return np.ascontiguousarray(plane[top : plane.shape[0] - top, left : plane.shape[1] - left])


def _spectrum(flat: Plane) -> tuple[spectrum.Spectrum, Plane]:
    found = spectrum.transform(spectrum.fold(flat))
    return found, spectrum.local_power(found)


def _geometry(row: Floats, seen: Observation, fineness: float) -> str:
    """What was done to the picture, in words."""
    size = math.exp(row[LOG_SCALE]) / seen.reduction * PERIOD * fineness
    parts = ["mirrored"] if row[MIRROR] else []
    angle = round(math.degrees(row[ANGLE]) + 180, 1) % 360 - 180
    if angle == -180:
        parts.append("turned upside down")
    elif angle:
        way = "clockwise" if angle > 0 else "counter-clockwise"
        parts.append(f"turned {abs(angle):.1f}° {way}")
    if abs(row[ASPECT]) > 0.01:
        parts.append(f"stretched {math.exp(row[ASPECT]):.3f}:1")
    parts.append(f"short side of the whole {size:.0f} px")
    return ", ".join(parts)
