"""Sentences for a person: each names the evidence, none claims more than was found."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from guard.provenance.engines import FIRST, SECOND, Voice
from guard.provenance.read import UNREADABLE, ManifestReading
from guard.types import Detection, Fingerprint, VerdictName
from guard.verify.explain import explain
from guard.verify.parts import _watermark as page_part
from guard.verify.suspect import _watermark as watermark_part
from guard.verify.words import LONGEST, because, meaning, since, who

V = VerdictName
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
NO_MARK = Detection(detected=False, payload=None, method="m", p_value=0.4)


def told(verdict: VerdictName, reading: ManifestReading | None = None, **found: object) -> str:
    facts: dict[str, object] = {
        "reading": reading, "detection": NO_MARK, "print": Fingerprint("pdq", "00" * 32),
        "stored": None, "found_by": None, "bits_apart": None, "restored": None, "labels": (),
    }  # fmt: skip
    return explain(verdict, SimpleNamespace(**(facts | found)))  # type: ignore[arg-type]


def valid(*problems: str, **changed: object) -> ManifestReading:
    return ManifestReading("valid", signer="Signer", problems=problems, **changed)  # type: ignore[arg-type]


def test_a_trusted_picture_says_who_when_and_how() -> None:
    reading = ManifestReading(
        "trusted",
        signer="Signer",
        trust_list="the list",
        when="2026-11-24T10:00:00Z",
        digital_source_type=TRAINED,
    )
    text = told(V.TRUSTED, reading)
    assert "signed by Signer on 2026-11-24, whom the list vouches for." in text
    assert "says that the picture was made by a trained algorithm (AI)" in text
    assert "says that" not in told(
        V.TRUSTED, ManifestReading("trusted", signer="S", trust_list="L")
    )


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (valid("signingCredential.untrusted"), "in no trust list here"),
        (valid("signingCredential.expired", "signingCredential.untrusted"), "outside its time"),
        (valid("signingCredential.invalid"), "not one that may sign pictures"),
        (
            valid("signingCredential.ocsp.revoked", revoked="2026-11-01T00:00:00+00:00"),
            "was revoked on 2026-11-01",
        ),
    ],
)
def test_why_a_signer_is_not_trusted(reading: ManifestReading, said: str) -> None:
    text = told(V.UNKNOWN_SIGNER, reading)
    assert said in text
    assert "nothing was changed since Signer signed it" in text


def test_what_is_wrong_with_a_manifest_is_said_in_words_and_codes() -> None:
    reading = ManifestReading(
        "invalid", problems=("claimSignature.mismatch", "odd.code", "signingCredential.untrusted")
    )
    text = told(V.ALTERED, reading)
    assert "its signature does not fit what it claims, and odd.code" in text
    assert "(claimSignature.mismatch)" in text
    assert "trust list" not in text, "that says nothing about the picture"
    assert "cannot be read" in told(V.ALTERED, ManifestReading("invalid", problems=(UNREADABLE,)))
    assert because(ManifestReading("invalid")) == "invalid"


def test_a_changed_picture_leaves_open_what_happened() -> None:
    text = told(V.ALTERED, ManifestReading("invalid", signer="S", hard_binding_only=True))
    assert "changed after it was signed, or the manifest is another picture's" in text


def test_disagreement_of_the_engines_is_shown() -> None:
    voices = (Voice(FIRST, "trusted"), Voice(SECOND, "valid"))
    text = told(V.UNKNOWN_SIGNER, valid("x", engines=voices, agreement=False))
    assert "c2pa says trusted, encypher-c2pa says valid" in text
    assert "the stricter answer counts" in text
    alone = (Voice(FIRST, "valid"), Voice(SECOND, None, note="broke"))
    text = told(V.UNKNOWN_SIGNER, valid("x", engines=alone))
    assert text.endswith("has no voice here (encypher-c2pa).")
    both = (Voice(FIRST, "valid"), Voice(SECOND, "valid"))
    assert "engine" not in told(V.UNKNOWN_SIGNER, valid("x", engines=both, agreement=True))


def test_labels_are_named_in_words() -> None:
    labels = (
        {"kind": "generator_text", "source": "ComfyUI"},
        {"kind": "generator_text", "source": "ComfyUI"},
        {"kind": "odd"},
    )
    text = told(V.LABEL_ONLY, labels=labels)
    assert "(odd; the notes of a generator, ComfyUI)" in text
    assert "anyone can add or copy them" in text


def test_names_in_sentences_are_cut_and_kept_on_one_line() -> None:
    assert who(ManifestReading("valid")) == "an unnamed signer"
    assert who(ManifestReading("valid", signer="a\n\n b")) == "a b"
    assert len(who(ManifestReading("valid", signer="A" * 10**6))) == LONGEST + 1


@pytest.mark.parametrize("when", [None, "", "yesterday", "24/11/2026"])
def test_a_time_that_is_none_is_left_out(when: str | None) -> None:
    assert since(ManifestReading("valid", when=when)) == ""


def test_codes_without_words_stay_codes() -> None:
    assert meaning("x.y") == "x.y"


# -- beside the picture on record ------------------------------------------------------------------


def beside(result: str, **more: object) -> dict[str, object]:
    """Evidence of a comparison with record 7, which the mark led to."""
    record = SimpleNamespace(record_id="7")
    seen = {"result": result, "regions": (), "share": 0.0}
    return {
        "stored": SimpleNamespace(record=record),
        "found_by": "watermark",
        "comparison": SimpleNamespace(**(seen | more)),
    }


@pytest.mark.parametrize(
    ("regions", "share", "said"),
    [
        (1, 0.034, "one part of it was changed (3% of what can be compared)"),
        (2, 0.004, "2 parts of it were changed (less than 1% of what can be compared)"),
    ],
)
def test_a_changed_part_is_said_to_be_one(regions: int, share: float, said: str) -> None:
    found = beside("altered", regions=((),) * regions, share=share)
    text = told(V.ALTERED, **found)
    assert text.startswith("Its invisible mark leads to record 7, whose picture this is, but")
    assert said in text
    changed = ManifestReading("invalid", signer="S", hard_binding_only=True)
    text = told(V.ALTERED, changed, **found)
    assert "does not match its manifest" in text
    assert said in text
    assert "cannot say" not in text
    assert said in told(V.ALTERED, ManifestReading("invalid", problems=("x",)), **found)


def test_a_mark_that_was_copied() -> None:
    text = told(V.ALTERED, **beside("other_picture"))
    assert "leads to record 7, which is of another picture: the invisible mark was copied" in text
    assert "was copied here, or the picture was painted over" in told(V.ALTERED)
    assert "was copied" in told(V.ALTERED, **beside("not_compared"))


def test_a_manifest_and_a_mark_that_name_two_records() -> None:
    found = beside("not_compared")
    signed = ManifestReading("trusted", record_id="8")
    text = told(V.ALTERED, signed, **found)
    assert "names record 8 and its invisible mark record 7" in text
    claimed = SimpleNamespace(record=SimpleNamespace(record_id="9"))
    assert "names record 9" in told(V.ALTERED, signed, **(found | {"claimed": claimed}))


def test_a_recovered_picture_that_was_compared() -> None:
    assert "no part replaced" in told(V.RECOVERED, **beside("agrees"))
    assert "no part replaced" not in told(V.RECOVERED, **beside("not_compared"))
    invalid = ManifestReading("invalid", signer="S", hard_binding_only=True)
    assert "no part was replaced" in told(V.ALTERED, invalid, **beside("agrees"))


def heard(p_value: float) -> Detection:
    return Detection(detected=False, payload=None, method="m", p_value=p_value)


@pytest.mark.parametrize("verdict", [V.NOTHING_FOUND, V.LABEL_ONLY])
def test_a_pilot_without_its_payload_is_spoken_of_and_is_no_verdict(verdict: VerdictName) -> None:
    text = told(verdict, detection=heard(1e-15))
    assert "traces of a mark of a key of ours (chance of error 1.0e-15)" in text
    assert "nothing shows whether it was made for this picture" in text
    assert "traces" not in told(verdict, detection=heard(2e-9))
    reading = ManifestReading("trusted", signer="S", trust_list="L")
    assert "traces" not in told(V.TRUSTED, reading, detection=heard(1e-15))


@pytest.mark.parametrize(("p_value", "told_of"), [(1e-15, True), (1e-3, False)])
def test_a_trace_stands_in_the_row_and_on_the_page(p_value: float, told_of: bool) -> None:
    evidence = SimpleNamespace(detection=heard(p_value), comparison=None, found_by=None)
    row = watermark_part(evidence)  # type: ignore[arg-type]
    assert (row is not None) is told_of
    if row is not None:
        assert (row["detected"], row["payload"], row["p_value"]) == (False, None, p_value)
    said = page_part(row).summary
    assert said.startswith("traces, its number" if told_of else "no mark of a known key")
