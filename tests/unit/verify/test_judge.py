"""Which verdict follows from which evidence: a table, first that holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from guard.audit.base import StoredRecord
from guard.provenance.read import ManifestReading
from guard.types import AuditRecord, Detection, Event, Fingerprint, VerdictName
from guard.verify.binding import OTHER_PICTURE
from guard.verify.explain import explain
from guard.verify.suspect import Evidence, judge

V = VerdictName
RECORD = "01934a7e-0000-7000-8000-000000000001"
PRINT = Fingerprint("pdq", "00" * 32)
MARK = Detection(
    detected=True, payload="0123456789abcdef", method="m", p_value=1e-20, geometry="same frame"
)
CROPPED = Detection(
    detected=True, payload="0123456789abcdef", method="m", p_value=1e-20, geometry="cropped"
)
NO_MARK = Detection(detected=False, payload=None, method="m", p_value=0.4)
LABEL = {"kind": "ai_generated", "source": "IPTC"}
TRUSTED = ManifestReading("trusted", signer="S", trust_list="L", record_id=RECORD)
VALID = ManifestReading("valid", signer="S", record_id=RECORD)
INVALID = ManifestReading("invalid", problems=("assertion.dataHash.mismatch",))


def stored(event: Event = Event.RELEASED) -> StoredRecord:
    record = AuditRecord(RECORD, event, datetime(2026, 1, 1, tzinfo=UTC), fingerprint=PRINT)
    return StoredRecord(record, b"manifest")


def evidence(**found: Any) -> Evidence:
    nothing: dict[str, Any] = {
        "reading": None, "detection": NO_MARK, "print": PRINT, "stored": None,
        "found_by": None, "bits_apart": None, "restored": None, "labels": (),
    }  # fmt: skip
    return Evidence(**(nothing | found))


def by_mark(bits_apart: int | None = 4, **found: Any) -> Evidence:
    facts: dict[str, Any] = {
        "detection": MARK, "stored": stored(), "found_by": "watermark", "bits_apart": bits_apart,
    }  # fmt: skip
    return evidence(**(facts | found))


def by_print(**found: Any) -> Evidence:
    facts: dict[str, Any] = {"stored": stored(), "found_by": "fingerprint", "bits_apart": 30}
    return evidence(**(facts | found))


FAR = OTHER_PICTURE + 1

TABLE: dict[str, tuple[VerdictName, Evidence]] = {
    "nothing": (V.NOTHING_FOUND, evidence()),
    "a label": (V.LABEL_ONLY, evidence(labels=(LABEL,))),
    "a mark without a record": (V.MARKED, evidence(detection=MARK)),
    "a mark and a label": (V.MARKED, evidence(detection=MARK, labels=(LABEL,))),
    "a mark whose manifest is gone": (V.MARKED, by_mark()),
    "a mark whose manifest is untrusted": (V.MARKED, by_mark(restored=VALID)),
    "a mark whose manifest is broken": (V.MARKED, by_mark(restored=INVALID)),
    "a mark with its manifest": (V.RECOVERED, by_mark(restored=TRUSTED)),
    "a mark in a picture too flat for its fingerprint to speak": (
        V.RECOVERED,
        by_mark(FAR, restored=TRUSTED, distinct=False),
    ),
    "a mark of a held picture": (
        V.MARKED,
        by_mark(restored=TRUSTED, stored=stored(Event.HELD)),
    ),
    "a mark of a blocked picture": (
        V.MARKED,
        by_mark(restored=TRUSTED, stored=stored(Event.BLOCKED)),
    ),
    "a mark with another record's manifest": (
        V.MARKED,
        by_mark(restored=ManifestReading("trusted", record_id="another")),
    ),
    "a fingerprint with its manifest": (V.RECOVERED, by_print(restored=TRUSTED)),
    "a fingerprint of a held picture": (
        V.NOTHING_FOUND,
        by_print(restored=TRUSTED, stored=stored(Event.HELD)),
    ),
    "a fingerprint without a manifest": (V.NOTHING_FOUND, by_print()),
    "a fingerprint and a label": (V.LABEL_ONLY, by_print(labels=(LABEL,))),
    "a trusted manifest": (V.TRUSTED, evidence(reading=TRUSTED)),
    "a trusted manifest and everything else": (
        V.TRUSTED,
        by_mark(reading=TRUSTED, restored=TRUSTED, labels=(LABEL,)),
    ),
    "a trusted manifest and a mark without a record": (
        V.TRUSTED,
        evidence(reading=TRUSTED, detection=MARK),
    ),
    "a manifest that is broken elsewhere": (
        V.ALTERED,
        evidence(reading=ManifestReading("invalid", problems=("claimSignature.mismatch",))),
    ),
    "a manifest of which only the picture changed": (
        V.ALTERED,
        evidence(reading=ManifestReading("invalid", hard_binding_only=True)),
    ),
    "a stranger's manifest": (V.UNKNOWN_SIGNER, evidence(reading=VALID)),
    "a stranger's manifest over our mark": (
        V.UNKNOWN_SIGNER,
        by_mark(reading=VALID, restored=TRUSTED),
    ),
    "a broken manifest": (V.ALTERED, evidence(reading=INVALID)),
    "a broken manifest over our mark": (V.ALTERED, by_mark(reading=INVALID, restored=TRUSTED)),
    "a mark on another picture": (V.ALTERED, by_mark(FAR, restored=TRUSTED)),
    "a mark on another picture, signed": (V.ALTERED, by_mark(FAR, reading=TRUSTED)),
    "a mark just not on another picture": (
        V.RECOVERED,
        by_mark(OTHER_PICTURE, restored=TRUSTED),
    ),
    "a mark in a crop": (V.RECOVERED, by_mark(FAR, detection=CROPPED, restored=TRUSTED)),
    "a mark of a record without fingerprint": (V.RECOVERED, by_mark(None, restored=TRUSTED)),
}


@pytest.mark.parametrize(("verdict", "found"), TABLE.values(), ids=TABLE)
def test_verdict(verdict: VerdictName, found: Evidence) -> None:
    assert judge(found) is verdict


@pytest.mark.parametrize(("verdict", "found"), TABLE.values(), ids=TABLE)
def test_every_verdict_is_explained_in_sentences(verdict: VerdictName, found: Evidence) -> None:
    text = explain(verdict, found)

    assert text.endswith(".")
    assert "None" not in text
    if found.stored is not None and found.stored.record.event is Event.HELD:
        assert verdict is not V.MARKED or "never released" in text


def test_table_has_every_verdict() -> None:
    assert {verdict for verdict, _ in TABLE.values()} == set(VerdictName)


def test_nothing_found_does_not_claim_that_a_person_made_it() -> None:
    assert "does not mean that the picture is not AI-made" in explain(V.NOTHING_FOUND, evidence())
