"""The leaf: frozen bytes, round trips, and what may never get in."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.audit.frame import MAX_LEAF_BYTES, from_us, to_us
from guard.audit.record import Leaf, columns, parse, to_leaf
from guard.errors import AuditUnavailable, LogTampered
from guard.types import Action, AuditRecord, Event, Fingerprint, Mark, Origin, Score, Stage
from tests.support.auditing import pictured, started

LOG = "genguard-0123456789abcdef"
RECORD = "0199b2c4-0000-7000-8000-000000000001"

FULL = AuditRecord(
    record_id=RECORD,
    event=Event.HELD,
    at=datetime(2026, 11, 24, 3, 47, 54, 120, tzinfo=UTC),
    origin=Origin.EDITED,
    tenant="müller & co",
    policy="default",
    policy_digest="ab" * 32,
    action=Action.FLAG,
    stage=Stage.CLASSIFY,
    rules=("nudity-in-art", "politicians"),
    reasons=("nudity",),
    scores=(Score("nudity", 1.0, 0.5, "opennsfw", "cd" * 32), Score("gore", 1e-7, 0.6, "clip", "")),
    model="demo-1",
    seed=2**63 - 1,
    mark=Mark("genguard-pilot-1", "0011223344556677", 42.0),
    fingerprint=Fingerprint("pdq", "0f" * 32),
    asset_sha256="12" * 32,
    media_type="image/png",
    manifest_label="urn:c2pa:1",
    certificate_fingerprint="34" * 32,
    prompt_commitment="56" * 32,
    user_commitment="78" * 32,
    idempotency_key="order-1",
    reviewer="dana",
    software="genguard/0.1.0",
)

# Frozen: a change of a single byte makes every log that exists unverifiable. Make a version 2.
GOLDEN_FULL = (
    '{"action":"flag","asset_sha256":"' + "12" * 32 + '","at":"2026-11-24T03:47:54.000120Z",'
    '"certificate_fingerprint":"' + "34" * 32 + '","event":"held",'
    '"fingerprint":{"algorithm":"pdq","bits":"' + "0f" * 32 + '"},"idempotency_key":"order-1",'
    '"log":"genguard-0123456789abcdef","manifest_label":"urn:c2pa:1",'
    '"manifest_sha256":"' + "9a" * 32 + '",'
    '"mark":{"method":"genguard-pilot-1","payload":"0011223344556677","psnr_db":42},'
    '"media_type":"image/png","model":"demo-1","origin":"edited","policy":"default",'
    '"policy_digest":"' + "ab" * 32 + '","prompt_commitment":"' + "56" * 32 + '",'
    '"reasons":["nudity"],"record_id":"0199b2c4-0000-7000-8000-000000000001","reviewer":"dana",'
    '"rules":["nudity-in-art","politicians"],"scores":[{"category":"nudity","detector":"opennsfw",'
    '"model_digest":"' + "cd" * 32 + '","threshold":0.5,"value":1},{"category":"gore",'
    '"detector":"clip","model_digest":"","threshold":0.6,"value":1e-7}],'
    '"seed":"9223372036854775807","software":"genguard/0.1.0","stage":"classify",'
    '"tenant":"müller & co","user_commitment":"' + "78" * 32 + '","v":1}'
).encode()
GOLDEN_LEAST = (
    b'{"at":"2026-11-24T03:47:54.000000Z","event":"started","log":"genguard-0123456789abcdef",'
    b'"origin":"generated","record_id":"0199b2c4-0000-7000-8000-000000000001","v":1}'
)
LEAST = AuditRecord(RECORD, Event.STARTED, datetime(2026, 11, 24, 3, 47, 54, tzinfo=UTC))


def test_golden_bytes() -> None:
    assert to_leaf(Leaf(FULL, LOG, "9a" * 32)) == GOLDEN_FULL
    assert to_leaf(Leaf(LEAST, LOG)) == GOLDEN_LEAST


def test_golden_bytes_are_read_again() -> None:
    assert parse(GOLDEN_FULL) == Leaf(FULL, LOG, "9a" * 32)
    assert parse(GOLDEN_LEAST) == Leaf(LEAST, LOG)


TRIED = dataclasses.replace(
    LEAST,
    mark=Mark("genguard-pilot-2", "0011223344556677", 44.5, ("jpeg75", "crop90-jpeg75")),
)
GOLDEN_TRIED = GOLDEN_LEAST.replace(
    b'"origin"',
    b'"mark":{"method":"genguard-pilot-2","payload":"0011223344556677","psnr_db":44.5,'
    b'"survived":["jpeg75","crop90-jpeg75"]},"origin"',
)


def test_what_a_mark_survived_is_written_where_it_was_tried() -> None:
    assert to_leaf(Leaf(TRIED, LOG)) == GOLDEN_TRIED
    assert parse(GOLDEN_TRIED) == Leaf(TRIED, LOG)
    assert columns(Leaf(TRIED, LOG)).mark == "0011223344556677"


BOUND = dataclasses.replace(LEAST, blocks_sha256="fe" * 32, derived_from="mark:0011223344556677")
GOLDEN_BOUND = GOLDEN_LEAST.replace(
    b'"event"',
    b'"blocks_sha256":"' + b"fe" * 32 + b'","derived_from":"mark:0011223344556677","event"',
)


def test_what_binds_a_picture_is_written_where_it_is_known() -> None:
    assert to_leaf(Leaf(BOUND, LOG)) == GOLDEN_BOUND
    assert parse(GOLDEN_BOUND) == Leaf(BOUND, LOG)


PRINTED = dataclasses.replace(
    LEAST, other_fingerprints=(Fingerprint("io.iscc.v0", "a5" * 32), Fingerprint("b", "00"))
)
GOLDEN_PRINTED = GOLDEN_LEAST.replace(
    b',"record_id"',
    b',"other_fingerprints":[{"algorithm":"io.iscc.v0","bits":"' + b"a5" * 32 + b'"},'
    b'{"algorithm":"b","bits":"00"}],"record_id"',
    1,
)


def test_golden_bytes_of_several_fingerprints() -> None:
    assert b"other_fingerprints" in GOLDEN_PRINTED
    assert to_leaf(Leaf(PRINTED, LOG)) == GOLDEN_PRINTED
    assert parse(GOLDEN_PRINTED) == Leaf(PRINTED, LOG)


def test_two_fingerprints_of_one_algorithm_are_refused() -> None:
    twice = dataclasses.replace(PRINTED, fingerprint=Fingerprint("b", "11"))
    with pytest.raises(AuditUnavailable, match="one algorithm"):
        to_leaf(Leaf(twice, LOG))


def test_every_field_of_a_record_is_in_a_golden_one() -> None:
    defaults = {f.name: f.default for f in dataclasses.fields(AuditRecord)}
    same = [
        name
        for name, default in defaults.items()
        if getattr(FULL, name) == getattr(BOUND, name) == getattr(PRINTED, name) == default
    ]
    assert same == []
    written = set(json.loads(GOLDEN_FULL)) | set(json.loads(GOLDEN_BOUND))
    written |= set(json.loads(GOLDEN_PRINTED))
    assert written == {f.name for f in dataclasses.fields(AuditRecord)} | {
        "v",
        "log",
        "manifest_sha256",
    }


def test_times_are_kept_in_utc() -> None:
    there = datetime(2026, 11, 24, 5, 0, tzinfo=timezone(timedelta(hours=2)))
    read = parse(to_leaf(Leaf(started(at=there), LOG))).record.at
    assert read == there
    assert read.utcoffset() == timedelta(0)
    assert from_us(to_us(there)) == there


def test_a_seed_of_nothing_and_a_seed_of_zero_differ() -> None:
    assert parse(to_leaf(Leaf(started(seed=0), LOG))).record.seed == 0
    assert parse(to_leaf(Leaf(started(seed=None), LOG))).record.seed is None


@pytest.mark.parametrize(
    "facts",
    [
        {"record_id": "1"},
        {"record_id": RECORD.upper()},
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 - the point of the row
        {"rules": ("a whole sentence",)},
        {"rules": ("a\nb",)},
        {"rules": ("",)},
        {"reasons": ("You asked for a lighthouse.",)},
        {"prompt_commitment": "a lighthouse in a storm"},
        {"user_commitment": "user-1"},
        {"asset_sha256": "AB" * 32},
        {"tenant": "x" * 501},
        {"tenant": "a\nb"},
        {"model": "a\x00b"},
        {"reviewer": "\ud800"},
        {"idempotency_key": 7},
        {"scores": (Score("nudity", float("nan"), 0.5, "opennsfw", ""),)},
        {"scores": (Score("nudity", 0.1, float("inf"), "opennsfw", ""),)},
        {"scores": (Score("what it shows", 0.1, 0.5, "opennsfw", ""),)},
        {"scores": (Score("nudity", None, 0.5, "opennsfw", ""),)},
        {"mark": Mark("m", "xyz", 1.0)},
        {"mark": Mark("m", "ABCD", 1.0)},
        {"mark": Mark("m", "", 1.0)},
        {"mark": Mark("m", "00", 1.0, ("what it went through",))},
        {"mark": Mark("m", "00", 1.0, ("jpeg75", ""))},
        {"fingerprint": Fingerprint("pdq", "abc")},
        {"event": "started"},
        {"seed": "seven"},
    ],
)
def test_what_is_no_fact_is_refused(facts: dict[str, object]) -> None:
    with pytest.raises(AuditUnavailable, match="cannot be written") as caught:
        to_leaf(Leaf(dataclasses.replace(LEAST, **facts), LOG))  # type: ignore[arg-type]
    assert "lighthouse" not in caught.value.diagnostics()
    assert "user-1" not in caught.value.diagnostics()


def test_a_leaf_has_a_limit() -> None:
    score = Score("nudity", 0.5, 0.5, "opennsfw", "x" * 64)
    fits = dataclasses.replace(LEAST, scores=(score,) * 300)
    assert len(to_leaf(Leaf(fits, LOG))) < MAX_LEAF_BYTES
    with pytest.raises(AuditUnavailable, match="limit is 65,536"):
        to_leaf(Leaf(dataclasses.replace(LEAST, scores=(score,) * 600), LOG))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"7",
        b"null",
        b"\xff",
        b"{",
        b"[" * 100_000,
        GOLDEN_LEAST + b" ",
        GOLDEN_LEAST.replace(b'"v":1', b'"v":2'),
        GOLDEN_LEAST.replace(b',"v":1', b""),
        GOLDEN_LEAST.replace(b'"v":1', b'"v":1.0'),
        GOLDEN_LEAST.replace(b'"v":1', b'"v":1,"x":2'),
        GOLDEN_LEAST.replace(b'"v":1', b'"v":1,"v":1'),
        GOLDEN_LEAST.replace(b":", b": "),
        GOLDEN_LEAST.replace(b'"log":"genguard-0123456789abcdef",', b""),
        GOLDEN_LEAST.replace(b"started", b"begun"),
        GOLDEN_LEAST.replace(b"started", b"st\\u0061rted"),
        GOLDEN_LEAST.replace(b"000000Z", b"000000+00:00"),
        GOLDEN_LEAST.replace(b'"origin":"generated",', b""),
        GOLDEN_LEAST.replace(b'"v":1', b'"tenant":null,"v":1'),
        GOLDEN_FULL.replace(b'"psnr_db":42', b'"psnr_db":42.0'),
        GOLDEN_FULL.replace(b'"psnr_db":42', b'"psnr_db":"x"'),
        GOLDEN_FULL.replace(b'"psnr_db":42', b'"psnr_db":42,"survived":[]'),
        GOLDEN_TRIED.replace(b'["jpeg75","crop90-jpeg75"]', b'"jpeg75"'),
        GOLDEN_TRIED.replace(b'["jpeg75","crop90-jpeg75"]', b'{"jpeg75":1}'),
        GOLDEN_TRIED.replace(b'["jpeg75","crop90-jpeg75"]', b"7"),
        GOLDEN_TRIED.replace(b'["jpeg75","crop90-jpeg75"]', b"[7]"),
        GOLDEN_FULL.replace(b'"seed":"9223372036854775807"', b'"seed":7'),
        GOLDEN_FULL.replace(b'"seed":"9223372036854775807"', b'"seed":"07"'),
    ],
)
def test_what_is_not_exactly_a_leaf_is_tampering(data: bytes) -> None:
    with pytest.raises(LogTampered):
        parse(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_leaf_or_tampering(data: bytes) -> None:
    with pytest.raises(LogTampered):
        parse(data)


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/+@-]{0,20}", fullmatch=True)
lines = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
scores = st.builds(Score, names, st.floats(0, 1), st.floats(0, 1), lines, lines)


@given(
    facts=st.fixed_dictionaries(
        {
            "event": st.sampled_from(Event),
            "at": st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001
                lambda at: at.replace(tzinfo=UTC)
            ),
            "tenant": st.none() | lines,
            "action": st.none() | st.sampled_from(Action),
            "stage": st.none() | st.sampled_from(Stage),
            "rules": st.lists(names, max_size=3).map(tuple),
            "scores": st.lists(scores, max_size=3).map(tuple),
            "seed": st.none() | st.integers(0, 2**63 - 1),
            "model": st.none() | lines,
        }
    )
)
def test_records_round_trip(facts: dict[str, object]) -> None:
    leaf = Leaf(dataclasses.replace(FULL, **facts), LOG)  # type: ignore[arg-type]
    assert parse(to_leaf(leaf)) == leaf


def test_columns_say_what_the_leaf_says() -> None:
    found = columns(Leaf(FULL, LOG, "9a" * 32))
    assert found.rules == "\nnudity-in-art\npoliticians\n"
    assert found.categories == "\nnudity\n"  # gore was scored below its threshold
    assert found.at_us == 1_795_492_074_000_120
    assert found.mark == "0011223344556677"
    assert columns(Leaf(LEAST, LOG)).rules == ""
    assert columns(Leaf(LEAST, LOG)).mark is None


def test_numpy_numbers_are_welcome() -> None:
    import numpy as np

    record = pictured(RECORD, scores=(Score("nudity", np.float32(0.5), 0.5, "opennsfw", ""),))
    read = parse(to_leaf(Leaf(record, LOG))).record
    assert read.scores[0].value == 0.5
