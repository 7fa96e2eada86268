"""The HTML report: every verdict, hostile texts, and what it must never say or load."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from guard.types import VerdictName, VerificationReport
from guard.verify.render import FACES, LONGEST, MOST_ROWS, page

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Outline(HTMLParser):
    """Which tags a page has, and whether they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(html: str) -> Outline:
    seen = Outline()
    seen.feed(html)
    seen.close()
    assert seen.open == []
    return seen


def report(verdict: VerdictName = VerdictName.NOTHING_FOUND, **parts: object) -> VerificationReport:
    return VerificationReport(verdict, f"Because of {verdict.value}.", **parts)  # type: ignore[arg-type]


FULL = report(
    VerdictName.TRUSTED,
    provenance={
        "source": "embedded",
        "state": "trusted",
        "signer": "Example Signer",
        "problems": [],
        "when": "2026-11-24T04:00:00Z",
        "soft_bindings": [{"alg": "genguard-pilot-1", "value": "00ff"}],
        "hard_binding_only": False,
    },
    watermark={"payload": "00112233aabbccdd", "method": "genguard-pilot-1", "p_value": 3.2e-41},
    fingerprint={"algorithm": "pdq", "bits": "ab" * 32, "bits_apart": 4},
    record={"found_by": "watermark", "record_id": "0199-id", "event": "released", "model": None},
    labels=({"kind": "ai_system", "source": "IPTC 2025.1", "has_prompt": True},),
)


@pytest.mark.parametrize("verdict", list(VerdictName))
def test_every_verdict_has_a_face_and_a_card(verdict: VerdictName) -> None:
    html = page([(Path("folder/a.png"), report(verdict))])
    outline(html)
    assert f'data-verdict="{verdict.value}"' in html
    assert html.count(FACES[verdict].title) >= 2  # in the tally and on the card
    assert f"Because of {verdict.value}." in html


def test_the_signs_tell_the_verdicts_apart_without_colour() -> None:
    assert len({face.sign for face in FACES.values()}) == len(FACES)


def test_evidence_is_shown_with_its_p_value_and_record() -> None:
    html = page([(Path("a.png"), FULL)])
    for text in (
        "trusted, in the file",
        "Example Signer",
        "p = 3.2e-41",
        "00112233aabbccdd",
        "4 bits from the record",
        "released, found by its watermark",
        "0199-id",
        "IPTC 2025.1",
        "has_prompt: yes",
        "one, unproven",
        "genguard-pilot-1: 00ff",
    ):
        assert text in html
    assert "None" not in html
    assert "problems" not in html.partition("<body>")[2]


def test_a_manifest_from_the_record_is_not_said_to_be_in_the_file() -> None:
    kept = {"source": "repository", "state": "trusted", "problems": ["assertion.dataHash.mismatch"]}
    for only, shown in ((True, False), (False, True)):
        stored = report(VerdictName.RECOVERED, provenance={**kept, "hard_binding_only": only})
        html = page([(Path("a.png"), stored)])
        assert "trusted, from the record" in html
        assert ("dataHash.mismatch" in html) is shown


def test_what_was_not_found_is_said_part_by_part() -> None:
    html = page([(Path("a.png"), report())])
    assert html.count('class="missing"') == 5
    assert "no mark of a known key" in html


def test_nothing_found_is_never_said_to_mean_not_ai() -> None:
    for reports in ([], [(Path("a.png"), report())], [(Path("a.png"), FULL)]):
        text = page(reports)
        assert "“Nothing found” never means “not AI”" in text
        assert not re.search(r"(?<!means “)not AI", text)


def test_an_empty_report_says_so() -> None:
    html = page([])
    outline(html)
    assert "No picture could be examined." in html
    assert "0 pictures" in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7 * 7 }}{% raw %}",
        "</bdi></table><style>body{display:none}</style>",
        "\u202egnp.exe",
    ],
)
def test_foreign_texts_stay_texts(text: str) -> None:
    hostile = report(
        VerdictName.UNKNOWN_SIGNER,
        provenance={"state": "valid", "signer": text, "problems": [text]},
        watermark={"payload": text, "p_value": 0.5},
        record={"record_id": text, "event": text},
        labels=({"kind": text, "source": text, text: {"deep": [text]}},),
    )
    plain = outline(page([(Path("a.png"), report(VerdictName.UNKNOWN_SIGNER))]))
    seen = outline(page([(Path(f"x/{text.replace('/', '_')}.png"), hostile)]))
    assert set(seen.tags) - {"dl", "dt", "dd"} == set(plain.tags)
    assert {name for name, _ in seen.attributes} <= {name for name, _ in plain.attributes}
    assert "49" not in "".join(re.findall(r"<bdi>(.*?)</bdi>", page([(Path("a"), hostile)])))


def test_megabytes_in_a_manifest_do_not_make_a_page_of_megabytes() -> None:
    bloated = report(
        VerdictName.LABEL_ONLY,
        provenance={"state": "valid", "signer": "A" * 2_000_000, "problems": ["x"] * 100_000},
        labels=tuple({"kind": "k" * 10_000, "source": str(one)} for one in range(5_000)),
    )
    html = page([(Path("b" * 200), bloated)])
    assert len(html) < 20_000 + MOST_ROWS * 3 * LONGEST
    assert "5000 unproven" in html


def test_a_file_name_that_is_not_unicode_can_still_be_written(tmp_path: Path) -> None:
    html = page([(Path("bad\udcff.png"), report())])
    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    assert "bad\\udcff.png" in html


def test_the_page_loads_and_runs_nothing() -> None:
    html = page([(Path("a.png"), FULL)])
    seen = outline(html)
    assert not {"script", "img", "link", "iframe", "form", "a", "object"} & set(seen.tags)
    assert not {"src", "href", "action"} & {name for name, _ in seen.attributes}
    assert "default-src 'none'" in html
    assert "url(" not in html


def test_light_dark_and_paper_are_provided_for() -> None:
    html = page([])
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
