"""The record whose picture a suspect looks like, by its fingerprints.

Two fingerprints are asked, and the one that did not find a record must not speak against it: two
different pictures may come near each other in one of them by chance, hardly in both. A picture
that is found as it stands is not asked about in its seven other positions.

Where the fingerprints do not suffice, because the picture is too flat for them or moved further
than they allow, what was kept of the recorded picture must vouch for it: see
:mod:`guard.verify.vouch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from guard.audit.base import AuditLog, StoredRecord
from guard.audit.record import fingerprints as recorded
from guard.image.blocks import read
from guard.image.fingerprint import distance, iscc_code, measured, turned, variants
from guard.types import Fingerprint, Pixels

SAME_PICTURE = 31
"""Bits of 256: the distance at which PDQ's makers call two pictures the same (ThreatExchange,
"The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019). Copies stay
below it by ISCC, too (half size and JPEG quality 60: 4 bits in the median)."""

AGREES = 72
"""Bits of 256 that the other fingerprint may differ by: a crop of 5 % moves it by about 75, so
beyond this the two do not speak of the same frame; different pictures are 124 apart."""

NEAR = 60
"""Bits of 256 within which a record is looked at that has to vouch. Half size and JPEG quality 60
moved both fingerprints of a picture of a few broad stripes by 46."""

DISTINCT = 50
"""PDQ's quality, 0–100: below it the same authors advise against searching by it alone."""

CANDIDATES = 8
"""Nearest records that are looked at: series of one motif lie close together."""


@dataclass(frozen=True, slots=True)
class Lookalike:
    """A record near a suspect: by which fingerprint of it, how near, and in which position.

    ``position`` 0: as it stands; 1–7: as in :func:`guard.image.fingerprint.variants`. ``prints``:
    all fingerprints of the suspect in that position.
    """

    stored: StoredRecord
    print: Fingerprint
    bits_apart: int
    position: int = 0
    prints: tuple[Fingerprint, ...] = ()

    @property
    def near(self) -> tuple[tuple[Fingerprint, int], ...]:
        """Each fingerprint that alone would lead here, and how many bits it is apart."""
        theirs = {one.algorithm: one for one in recorded(self.stored.record)}
        apart = [
            (one, distance(one, theirs[one.algorithm]))
            for one in self.prints
            if one.algorithm in theirs
        ]
        return tuple((one, bits) for one, bits in apart if bits <= SAME_PICTURE)


def find_lookalike(
    log: AuditLog, pixels: Pixels, known: tuple[Fingerprint, int] | None = None
) -> Lookalike | None:
    """The record whose picture is the same but for encoding, size, quarter turns and mirroring.

    Flat pictures all have nearly the same fingerprint: for them only records count that vouch.
    ``known``: what :func:`guard.image.fingerprint.measured` says of the picture, where that was
    asked already. Raises LogTampered when what is kept of a picture cannot be read.
    """
    found = find_lookalikes(log, pixels, 1, known)
    return found[0] if found else None


def find_lookalikes(
    log: AuditLog, pixels: Pixels, limit: int, known: tuple[Fingerprint, int] | None = None
) -> tuple[Lookalike, ...]:
    """As :func:`find_lookalike`, up to ``limit`` records, nearest first."""
    first, quality = known or measured(pixels)
    suspect = _Suspect(log, pixels, distinct=quality >= DISTINCT)
    upright = [(first,), (iscc_code(pixels),)]
    found = suspect.matching(upright, limit)
    return found or suspect.matching([row[1:] for row in variants(pixels, first)], limit, 1)


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A picture, where records of it are looked for, and whether a fingerprint may suffice."""

    log: AuditLog
    pixels: Pixels
    distinct: bool

    def matching(
        self, prints: Sequence[Sequence[Fingerprint]], limit: int, first: int = 0
    ) -> tuple[Lookalike, ...]:
        """``prints``: for each algorithm those of the same positions, from the ``first`` on."""
        asked = [(one, position) for row in prints for position, one in enumerate(row)]
        questions = [one for one, _ in asked]
        kept: list[Lookalike] = []
        for near in self.log.find_similar(questions, NEAR, max(limit, CANDIDATES)):
            print_, position = asked[near.asked]
            there = tuple(row[position] for row in prints)
            one = Lookalike(near.stored, print_, near.distance, first + position, there)
            suffices = self.distinct and near.distance <= SAME_PICTURE
            if agrees(near.stored, there) and (suffices or self._vouched(one)):
                kept.append(one)
                if len(kept) == limit:
                    break
        return tuple(kept)

    def _vouched(self, near: Lookalike) -> bool:
        from guard.verify.vouch import vouches

        blocks = near.stored.blocks
        return blocks is not None and vouches(turned(self.pixels, near.position), read(blocks))


def agrees(stored: StoredRecord, prints: Sequence[Fingerprint]) -> bool:
    """Whether no fingerprint that a record has is far from that of the suspect."""
    mine = {one.algorithm: one for one in prints}
    return all(
        distance(one, mine[one.algorithm]) <= AGREES
        for one in recorded(stored.record)
        if one.algorithm in mine
    )
