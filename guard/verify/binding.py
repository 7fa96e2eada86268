"""Whether mark, manifest, record and picture belong together: what was copied here shows.

A mark can be copied onto another picture, and a manifest be signed for another picture by whoever
owns a certificate. Neither makes the picture look like the recorded one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.audit.base import AuditLog, StoredRecord
from guard.image.blocks import read
from guard.provenance.manifest import mark_algorithm
from guard.provenance.read import ManifestReading
from guard.types import Detection, Pixels
from guard.verify.compare import Comparison, compare

if TYPE_CHECKING:
    from guard.verify.suspect import Evidence

OTHER_PICTURE = 100
"""Bits of 256: beyond this, a picture in the same frame is not the one that was recorded. Asked
only of records from before pictures were described."""

INTACT = frozenset({"trusted", "valid"})


def compare_with(
    stored: StoredRecord | None, pixels: Pixels, detection: Detection | None
) -> Comparison | None:
    """``pixels`` beside a record's picture; None where nothing is kept of that one.

    ``detection``: of the mark that led to the record; None where something else did, and the
    picture was not cut. Raises LogTampered when what is kept cannot be read.
    """
    if stored is None or stored.blocks is None:
        return None
    if detection is not None and detection.placement is None and not in_frame(detection):
        return Comparison("not_compared")
    return compare(pixels, detection.placement if detection else None, read(stored.blocks))


def in_frame(detection: Detection) -> bool:
    """Whether a mark was found without looking for it."""
    return detection.geometry in {"", "same frame"}


def claimed_record(
    log: AuditLog | None, reading: ManifestReading | None, method: str
) -> StoredRecord | None:
    """The record here whose mark an intact manifest says that its picture carries."""
    if log is None or reading is None or reading.state not in INTACT:
        return None
    algorithm = mark_algorithm(method)
    said = [value for name, value in reading.soft_bindings if name == algorithm]
    found = (log.find_by_mark(value) for value in said)
    return next((one for one in found if one is not None), None)


def contradicts(evidence: Evidence) -> bool:
    """What was found leads to a record of another picture, or to two that have no part in another.

    That is: the mark or the manifest was copied here, or the picture was painted over.
    """
    return _tells_of_another(evidence) or _differs(evidence)


def _tells_of_another(evidence: Evidence) -> bool:
    """An intact manifest names another record than the mark in the picture does.

    A picture that was marked twice carries an earlier mark too, and its record says so.
    """
    reading, stored, claimed = evidence.reading, evidence.stored, evidence.claimed
    if reading is None or reading.state not in INTACT or evidence.found_by != "watermark":
        return False
    named = claimed.record.record_id if claimed is not None else reading.record_id
    if stored is None or named is None or named == stored.record.record_id:
        return False
    derived = claimed is not None and claimed.record.derived_from == stored.record.record_id
    return not derived


def _differs(evidence: Evidence) -> bool:
    """The picture is not the recorded one, by comparison or else by a fingerprint in its frame."""
    reading, stored, comparison = evidence.reading, evidence.stored, evidence.comparison
    if stored is None:
        return False
    if comparison is not None and comparison.result != "not_compared":
        # Where a trusted manifest of this very record holds, each byte is as it left.
        trusted = reading is not None and reading.state == "trusted"
        intact = trusted and reading is not None and reading.record_id == stored.record.record_id
        return comparison.differs and not intact
    if evidence.found_by != "watermark" or evidence.bits_apart is None or not evidence.distinct:
        return False  # of a flat picture chance decides the bits: harmless copies are 104 apart
    return in_frame(evidence.detection) and evidence.bits_apart > OTHER_PICTURE
