"""Which record a mark and a manifest lead to, and when two stories cannot both be true."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest

from guard.audit.base import AuditLog, StoredRecord
from guard.errors import LogTampered
from guard.image.blocks import describe
from guard.provenance.manifest import mark_algorithm
from guard.provenance.read import ManifestReading
from guard.testing import sample_picture
from guard.types import AuditRecord, Detection, Event, Fingerprint, VerdictName
from guard.verify.binding import claimed_record, compare_with, contradicts
from guard.verify.compare import Comparison
from guard.verify.suspect import Evidence, judge

V = VerdictName
ONE, TWO = (f"01934a7e-0000-7000-8000-00000000000{digit}" for digit in "12")
METHOD = "a-mark"
MARK = Detection(
    detected=True, payload="11" * 8, method=METHOD, p_value=1e-20, geometry="same frame"
)
CUT = Detection(
    detected=True,
    payload="11" * 8,
    method=METHOD,
    p_value=1e-20,
    geometry="short side of the whole 400 px",
)
NONE = Detection(detected=False, payload=None, method=METHOD, p_value=0.5)
PICTURE = sample_picture(31, 256, 256)


def stored(record_id: str = ONE, blocks: bytes | None = None, **facts: Any) -> StoredRecord:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return StoredRecord(AuditRecord(record_id, Event.RELEASED, at, **facts), b"manifest", blocks)


def evidence(**found: Any) -> Evidence:
    facts: dict[str, Any] = {
        "reading": None, "detection": MARK, "print": Fingerprint("pdq", "00" * 32),
        "stored": stored(), "found_by": "watermark", "bits_apart": 4, "restored": None,
        "labels": (),
    }  # fmt: skip
    return Evidence(**(facts | found))


def reading(state: Any = "trusted", record_id: str | None = ONE) -> ManifestReading:
    bindings = ((mark_algorithm(METHOD), "22" * 8), ("another", "33" * 8))
    return ManifestReading(state, signer="S", record_id=record_id, soft_bindings=bindings)


class Marks:
    """A log that knows one mark."""

    def find_by_mark(self, payload: str) -> StoredRecord | None:
        return stored(TWO) if payload == "22" * 8 else None


LOG = cast("AuditLog", Marks())
AGREES, PAINTED = Comparison("agrees", 0.99, 1.0), Comparison("altered", 0.9, 1.0, 0.1)
OTHER, UNSAID = Comparison("other_picture", 0.1, 1.0, 1.0), Comparison("not_compared")
RESTORED = ManifestReading("trusted", signer="S", record_id=ONE)

TABLE: dict[str, tuple[VerdictName, Evidence]] = {
    "agrees": (V.RECOVERED, evidence(comparison=AGREES, restored=RESTORED)),
    "painted over": (V.ALTERED, evidence(comparison=PAINTED, restored=RESTORED)),
    "mark copied here": (V.ALTERED, evidence(comparison=OTHER, restored=RESTORED)),
    "mark copied here, without a manifest": (V.ALTERED, evidence(comparison=OTHER)),
    "cannot be compared": (V.RECOVERED, evidence(comparison=UNSAID, restored=RESTORED)),
    "cannot be compared, far by fingerprint": (
        V.ALTERED,
        evidence(comparison=UNSAID, bits_apart=120, restored=RESTORED),
    ),
    "agrees, though far by fingerprint": (
        V.RECOVERED,
        evidence(comparison=AGREES, bits_apart=120, restored=RESTORED),
    ),
    "painted over, found by fingerprint": (
        V.ALTERED,
        evidence(detection=NONE, found_by="fingerprint", comparison=PAINTED, restored=RESTORED),
    ),
    "as it was signed": (V.TRUSTED, evidence(reading=reading(), comparison=PAINTED)),
    "a stranger signed a painted one": (
        V.ALTERED,
        evidence(reading=reading("valid", None), comparison=PAINTED),
    ),
    "a manifest of another record": (
        V.ALTERED,
        evidence(reading=reading(record_id=TWO), comparison=AGREES),
    ),
    "a manifest that claims another's mark": (
        V.ALTERED,
        evidence(reading=reading("valid", None), claimed=stored(TWO), comparison=AGREES),
    ),
    "a manifest of what was derived from the marked one": (
        V.TRUSTED,
        evidence(
            reading=reading(record_id=TWO),
            claimed=stored(TWO, derived_from=ONE),
            comparison=AGREES,
        ),
    ),
    "a manifest that claims what the picture does not show": (
        V.ALTERED,
        evidence(
            reading=reading("valid", None), detection=NONE, stored=stored(TWO),
            claimed=stored(TWO), found_by="manifest", comparison=OTHER,
        ),
    ),
    "an editor's manifest": (
        V.TRUSTED,
        evidence(reading=ManifestReading("trusted", signer="E"), comparison=AGREES),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("verdict", "found"), TABLE.values(), ids=TABLE)
def test_verdict(verdict: VerdictName, found: Evidence) -> None:
    assert judge(found) is verdict
    assert contradicts(found) is (verdict is V.ALTERED)


def test_nothing_on_record_contradicts_nothing() -> None:
    assert not contradicts(evidence(stored=None, found_by=None, reading=reading("valid")))


def test_a_manifest_claims_the_record_of_its_mark() -> None:
    claimed = claimed_record(LOG, reading("valid"), METHOD)
    assert claimed is not None
    assert claimed.record.record_id == TWO


@pytest.mark.parametrize(
    "asked",
    [
        (None, reading(), METHOD),
        (LOG, None, METHOD),
        (LOG, reading("invalid"), METHOD),
        (LOG, reading(), "another"),
    ],
)
def test_what_claims_no_record(asked: tuple[Any, Any, str]) -> None:
    assert claimed_record(*asked) is None


def test_records_are_compared_where_something_is_kept_of_them() -> None:
    kept = stored(blocks=describe(PICTURE))
    assert compare_with(None, PICTURE, MARK) is None
    assert compare_with(stored(), PICTURE, MARK) is None
    for found in (MARK, None):  # a mark that says no place was found in its frame
        comparison = compare_with(kept, PICTURE, found)
        assert comparison is not None
        assert comparison.result == "agrees"
    turned = np.ascontiguousarray(np.rot90(PICTURE))
    comparison = compare_with(kept, turned, None)
    assert comparison is not None
    assert comparison.result == "agrees"


def test_a_cut_picture_of_unknown_place_is_not_judged() -> None:
    kept = stored(blocks=describe(PICTURE))
    assert compare_with(kept, PICTURE, CUT) == UNSAID


def test_blocks_that_cannot_be_read_are_an_error() -> None:
    with pytest.raises(LogTampered):
        compare_with(stored(blocks=b"nonsense"), PICTURE, MARK)
