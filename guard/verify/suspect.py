"""What is this picture? Manifest, mark, fingerprint and record, weighed into one verdict.

The verdicts are tried in the order of :class:`guard.types.VerdictName`; the first that holds is
the answer. ``nothing_found`` says that nothing was found, never that a picture is not AI-made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from guard.audit.base import AuditLog, StoredRecord
from guard.errors import DetectorUnavailable, GuardError
from guard.image.decode import Decoded, load
from guard.image.fingerprint import distance, measured
from guard.provenance.labels import claimed_labels, read_labels
from guard.provenance.read import ManifestReading, examine_manifest, examine_stored
from guard.provenance.recorded import Registered, in_force_when_registered
from guard.provenance.trust import TrustList
from guard.types import (
    Detection,
    Event,
    Fingerprint,
    Pixels,
    VerdictName,
    VerificationReport,
    as_dict,
)
from guard.verify.binding import claimed_record, compare_with, contradicts
from guard.verify.compare import Comparison
from guard.verify.explain import explain, has_trace
from guard.verify.similar import DISTINCT, find_lookalike
from guard.watermark.base import Label, MarkReader, Watermark

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was found out about one picture, before it is judged."""

    reading: ManifestReading | None
    detection: Detection
    print: Fingerprint
    stored: StoredRecord | None
    found_by: str | None
    bits_apart: int | None
    restored: ManifestReading | None
    labels: tuple[dict[str, Any], ...]
    comparison: Comparison | None = None
    claimed: StoredRecord | None = None
    """The record whose mark the embedded manifest says that the picture carries."""
    distinct: bool = True
    """Whether the picture has forms enough for its fingerprint to speak against a record."""


class Verifier:
    """Examines suspect pictures.

    ``log`` None: no record can be consulted, so ``recovered`` is out of reach. Raises nothing
    but GuardError: InvalidImage for what is not a picture, Unavailable when a part is broken.
    ``completed`` adds to a kept manifest store the time-stamp that came after it was kept.
    ``readers`` read others' marks, as labels; None: the public messages of well-known generators.
    """

    def __init__(
        self,
        trust: TrustList,
        watermark: Watermark,
        log: AuditLog | None,
        completed: Callable[[bytes], bytes] = bytes,
        readers: Sequence[MarkReader] | None = None,
    ) -> None:
        self._trust = trust
        self._watermark = watermark
        self._log = log
        self._completed = completed
        self._readers = readers

    def examine(self, source: bytes | str | Path | Image) -> VerificationReport:
        """The report on one picture. Raises InvalidImage."""
        evidence = self._gather(load(source))
        verdict = judge(evidence)
        return VerificationReport(
            verdict=verdict,
            explanation=explain(verdict, evidence),
            provenance=_provenance(evidence),
            watermark=_watermark(evidence),
            fingerprint=_fingerprint(evidence),
            record=_record(evidence),
            labels=evidence.labels,
            comparison=as_dict(evidence.comparison) if evidence.comparison is not None else None,
        )

    def _gather(self, picture: Decoded) -> Evidence:
        reading = examine_manifest(picture.data, picture.media_type, self._trust)
        detection = self._watermark.detect(picture.pixels)
        print_, quality = measured(picture.pixels)
        stored, found_by, apart = self._find(picture.pixels, detection, (print_, quality))
        claimed = claimed_record(self._log, reading, detection.method)
        if stored is None and claimed is not None:
            stored, found_by = claimed, "manifest"
        by_mark = detection if found_by == "watermark" else None
        comparison = compare_with(stored, picture.pixels, by_mark)
        if found_by == "fingerprint" and comparison and comparison.result == "other_picture":
            stored = found_by = apart = comparison = None  # near by chance
        recorded = stored.record.fingerprint if stored is not None else None
        if apart is None and recorded is not None:
            apart = distance(recorded, print_)
        return Evidence(
            reading=reading,
            detection=detection,
            print=print_,
            stored=stored,
            found_by=found_by,
            bits_apart=apart,
            restored=self._restore(stored),
            labels=(
                *read_labels(picture.data, picture.media_type),
                *claimed_labels(reading),
                *(dict(label) for label in self._foreign_marks(picture.pixels)),
            ),
            comparison=comparison,
            claimed=claimed,
            distinct=quality >= DISTINCT,
        )

    def _find(
        self, pixels: Pixels, detection: Detection, known: tuple[Fingerprint, int]
    ) -> tuple[StoredRecord | None, str | None, int | None]:
        """The record that the mark leads to, else the one that the picture looks like.

        With it, what found it, and how many bits of a fingerprint are apart if one did.
        """
        if self._log is None:
            return None, None, None
        if detection.detected and detection.payload is not None:
            stored = self._log.find_by_mark(detection.payload)
            if stored is not None:
                return stored, "watermark", None
        near = find_lookalike(self._log, pixels, known)
        if near is None:
            return None, None, None
        return near.stored, "fingerprint", near.bits_apart

    def _restore(self, stored: StoredRecord | None) -> ManifestReading | None:
        if stored is None or stored.manifest is None:
            return None
        store, record = self._completed(stored.manifest), stored.record
        media_type = record.media_type or "image/png"
        reading = _or_none(lambda: examine_stored(store, media_type, self._trust))
        if reading is None or stored.registered_at is None:
            return reading
        signed_by = record.certificate_fingerprint or ""
        registered = Registered(stored.registered_at, signed_by)
        return in_force_when_registered(reading, store, self._trust, registered)

    def _foreign_marks(self, pixels: Pixels) -> Iterator[Label]:
        from guard.watermark.legacy import PublicMessages

        for reader in (PublicMessages(),) if self._readers is None else self._readers:
            try:
                yield from reader.read(pixels)
            except GuardError:
                raise
            except Exception as error:
                raise DetectorUnavailable(
                    f"{type(reader).__name__}, a reader of others' marks, failed: {error}",
                    hint="Mend or uninstall the plug-in that brings it.",
                ) from error


def judge(evidence: Evidence) -> VerdictName:
    """The first verdict that holds."""
    reading, detection = evidence.reading, evidence.detection
    if (reading is not None and reading.state == "invalid") or contradicts(evidence):
        return VerdictName.ALTERED
    if reading is not None:
        trusted = reading.state == "trusted"
        return VerdictName.TRUSTED if trusted else VerdictName.UNKNOWN_SIGNER
    if recovers(evidence):
        return VerdictName.RECOVERED
    if detection.detected:
        return VerdictName.MARKED
    return VerdictName.LABEL_ONLY if evidence.labels else VerdictName.NOTHING_FOUND


def recovers(evidence: Evidence) -> bool:
    """A record here was delivered, and the manifest kept with it is its own and still verifies."""
    stored, restored = evidence.stored, evidence.restored
    if stored is None or restored is None or stored.record.event is not Event.RELEASED:
        return False
    return restored.state == "trusted" and restored.record_id == stored.record.record_id


def _provenance(evidence: Evidence) -> dict[str, Any] | None:
    if evidence.reading is not None:
        return {"source": "embedded", **evidence.reading.as_dict}
    if evidence.restored is not None:
        return {"source": "repository", **evidence.restored.as_dict}
    return None


def _watermark(evidence: Evidence) -> dict[str, Any] | None:
    """What was read, and where: exactly, once the recorded picture is known."""
    detection, comparison = evidence.detection, evidence.comparison
    if not detection.detected and not has_trace(evidence):
        return None
    found = {**as_dict(detection), "confidence": detection.confidence}
    agrees = comparison is not None and comparison.result in {"agrees", "altered"}
    if agrees and comparison is not None and evidence.found_by == "watermark":
        found["placement"] = {**(found["placement"] or {}), "region": comparison.frame}
    return found


def _fingerprint(evidence: Evidence) -> dict[str, Any]:
    return {**as_dict(evidence.print), "bits_apart": evidence.bits_apart}


def _record(evidence: Evidence) -> dict[str, Any] | None:
    """What may be shown of a record: nothing personal, and no prompt."""
    if evidence.stored is None:
        return None
    record = as_dict(evidence.stored.record)
    shown = ("record_id", "event", "at", "origin", "policy", "policy_digest", "model", "software")
    return {"found_by": evidence.found_by, **{name: record[name] for name in shown}}


def _or_none(work: Callable[[], T]) -> T | None:
    try:
        return work()
    except GuardError:
        return None
