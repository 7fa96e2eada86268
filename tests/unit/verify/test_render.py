"""The HTML report: every verdict, hostile texts, and what it must never say or load."""

from __future__ import annotations

import base64
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from guard.image.encode import encode
from guard.provenance.chain import Link
from guard.types import VerdictName, VerificationReport
from guard.verify.preview import MOST_REGIONS, SIDE, frame_of, outlines, preview_of
from guard.verify.render import FACES, LONGEST, MOST_ROWS, page
from guard.verify.tree import MOST_NODES
from tests.support.house import picture

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
    assert FACES[verdict].title in html
    assert FACES[verdict].gist in html
    two = page([(Path("a.png"), report(verdict)), (Path("b.png"), report(verdict))])
    assert f"{FACES[verdict].title} 2</li>" in two
    assert f"Because of {verdict.value}." in html


def test_the_signs_tell_the_verdicts_apart_without_colour() -> None:
    assert len({face.sign for face in FACES.values()}) == len(FACES)


def test_evidence_is_shown_with_its_p_value_and_record() -> None:
    html = page([(Path("a.png"), FULL)])
    for text in (
        "intact, from a trusted signer, in the file",
        "Example Signer",
        "p = 3.2e-41",
        "00112233aabbccdd",
        "4 bits from the record",
        "released, found by its watermark",
        "0199-id",
        "IPTC 2025.1",
        "the name of an AI system, with a prompt",
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
        assert "intact, from a trusted signer, from the record" in html
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
    assert "<img" not in page([(Path("a"), hostile)])
    assert {name for name, _ in seen.attributes} <= {name for name, _ in plain.attributes}
    assert "49" not in "".join(re.findall(r"<bdi>(.*?)</bdi>", page([(Path("a"), hostile)])))


def test_megabytes_in_a_manifest_do_not_make_a_page_of_megabytes() -> None:
    bloated = report(
        VerdictName.LABEL_ONLY,
        provenance={"state": "valid", "signer": "A" * 2_000_000, "problems": ["x"] * 100_000},
        labels=tuple({"kind": "k" * 10_000, "source": str(one)} for one in range(5_000)),
    )
    html = page([(Path("b" * 200), bloated)])
    assert len(html) < 30_000 + MOST_ROWS * 3 * LONGEST
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


# -- the picture -----------------------------------------------------------------------------------


def png(side: int = 32) -> bytes:
    return encode(np.full((side, 2 * side, 3), 90, np.uint8), "image/png")


def compared(regions: object, **more: object) -> VerificationReport:
    @dataclasses.dataclass(frozen=True)
    class Compared(VerificationReport):
        comparison: object = None

    return Compared(
        VerdictName.ALTERED, "x", comparison={"regions": regions, "result": "changed"} | more
    )


def test_a_picture_is_shown_small_and_made_anew() -> None:
    shown = preview_of(png(800), report())
    assert shown is not None
    assert (shown.width, shown.height) == (SIDE, SIDE // 2)
    data = base64.b64decode(shown.uri.removeprefix("data:image/jpeg;base64,"))
    assert len(data) < 60_000
    assert "base64" not in repr(shown)
    html = page([(Path("a.png"), report())], {Path("a.png"): shown})
    assert [value for name, value in outline(html).attributes if name == "src"] == [shown.uri]
    assert "img-src data:" in html
    assert "small copies" in html


def test_nothing_of_the_file_is_on_the_page() -> None:
    data = encode(picture(), "image/png", xmp=b"<x:xmpmeta>secret</x:xmpmeta>")
    shown = preview_of(data, report())
    assert shown is not None
    assert b"secret" not in base64.b64decode(shown.uri.partition(",")[2])


@pytest.mark.parametrize(("event", "blurred"), [("released", False), ("held", True)])
def test_what_is_held_is_blurred(event: str, blurred: bool) -> None:
    found = report(VerdictName.MARKED, record={"event": event})
    shown = preview_of(png(), found)
    assert shown is not None
    assert shown.blurred is blurred
    html = page([(Path("a.png"), found)], {Path("a.png"): shown})
    assert ('class="frame blurred"' in html) is blurred


def test_what_was_blocked_is_not_shown() -> None:
    found = report(VerdictName.MARKED, record={"event": "blocked"})
    assert preview_of(png(), found) is None
    html = page([(Path("a.png"), found)], {Path("a.png"): None})
    assert "record says that this picture was blocked" in html
    assert "<img" not in html


def test_differences_are_outlined_over_the_picture() -> None:
    regions = [[[0.1, 0.2], [0.5, 0.2], [0.5, 0.75]], [[-1, 0], [2, 0], [0.5, 0.5], [0, 1]]]
    found = compared(regions)
    shown = preview_of(png(), found)
    assert shown is not None
    assert shown.regions == (
        "100.0,200.0 500.0,200.0 500.0,750.0", "0.0,0.0 1000.0,0.0 500.0,500.0 0.0,1000.0"
    )  # fmt: skip
    html = page([(Path("a.png"), found)], {Path("a.png"): shown})
    assert html.count("<polygon") == 4
    assert "2 places differ from the picture on record." in html
    assert "differs from the picture on record in 2 places" in html
    assert "One place differs" in page(
        [(Path("a.png"), compared(regions[:1]))],
        {Path("a.png"): preview_of(png(), compared(regions[:1]))},
    )


@pytest.mark.parametrize(
    "regions",
    [None, [], "x", [None], [[]], [[[0, 0], [1, 1]]], [[["<script>", 0], [1, 1], [0, 1]]],
     [[[float("nan"), 0], [1, 1], [0, 1]]], [[[0], [1], [2]]], [7]],
)  # fmt: skip
def test_regions_that_are_none(regions: object) -> None:
    assert outlines(compared(regions)) == ()
    assert outlines(report()) == ()


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("agrees", "looks like the picture on record, with no part replaced"),
        ("altered", "differs from the picture on record"),
        ("other_picture", "another picture than the one on record"),
        ("not_compared", "could not be compared with the picture on record"),
    ],
)
def test_what_the_comparison_said(result: str, said: str) -> None:
    found = compared([], result=result, overlap=0.825, share=0.0, likeness=0.97)
    html = page([(Path("a.png"), found)])
    assert said in html
    assert ("82.5%" in html) is (result != "not_compared")


def test_a_picture_that_was_put_into_another_is_framed() -> None:
    inside = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
    found = compared([], result="agrees", frame=inside)
    shown = preview_of(png(), found)
    assert shown is not None
    assert shown.frame == "250.0,250.0 750.0,250.0 750.0,750.0 250.0,750.0"
    html = page([(Path("a.png"), found)], {Path("a.png"): shown})
    assert 'class="bounds"' in html
    assert "what lies around it is not part of it" in html
    for result, frame in (
        ("agrees", [[0, 0], [1, 0], [1, 1], [0, 1]]),
        ("other_picture", inside),
        ("agrees", None),
        ("agrees", [[0, 0]] * 4),
    ):
        assert frame_of(compared([], result=result, frame=frame)) == ""
    assert frame_of(report()) == ""


def test_far_too_many_regions_are_not_drawn() -> None:
    corners = [[0.1, 0.1]] * 10_000
    drawn = outlines(compared([corners] * 10_000))
    assert len(drawn) == MOST_REGIONS
    assert len(drawn[0]) < 1000


def test_a_comparison_without_differences() -> None:
    html = page([(Path("a.png"), compared([]))])
    assert "Comparison" in html
    assert "changed" in html


# -- the chain -------------------------------------------------------------------------------------


def chained(link: object) -> VerificationReport:
    return report(VerdictName.UNKNOWN_SIGNER, provenance={"state": "valid", "chain": link})


def test_the_chain_is_drawn_as_a_tree() -> None:
    camera = Link("camera.jpg", signed=False, relation="parentOf", media_type="image/jpeg")
    broken = Link(
        "part.png",
        signed=True,
        relation="componentOf",
        signer="Part Signer",
        problems=("claimSignature.mismatch", "signingCredential.untrusted"),
        ingredients=(camera,),
    )
    top = Link(
        "top.png",
        signed=True,
        signer="Top Signer",
        when="2026-11-24T10:00:00Z",
        claim_generator="Tool/1",
        actions=("c2pa.opened", "c2pa.edited", "c2pa.edited"),
        digital_source_type="http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic",
        ingredients=(broken, Link(None, signed=True, relation="inputTo")),
    )
    html = page([(Path("a.png"), chained(top.as_dict))])
    outline(html)
    body = html.partition("<body>")[2]
    for text in (
        "top.png", "Top Signer", "2026-11-24 10:00:00", "opened, edited", "compositeSynthetic",
        "contains", "Part Signer", "its signature does not fit what it claims",
        "the signer is in no trust list", "edited from", "camera.jpg", "brought no manifest",
        "made with the help of", "untitled", "an unnamed signer",
    ):  # fmt: skip
        assert text in body, text
    assert body.index("top.png") < body.index("part.png") < body.index("camera.jpg")
    assert 'class="node broken"' in body
    assert 'class="node unsigned"' in body
    assert "not drawn" not in body


def test_a_long_chain_is_cut_and_says_so() -> None:
    many = tuple(Link(f"p{n}", signed=False) for n in range(200))
    html = page([(Path("a.png"), chained(Link("t", signed=True, ingredients=many).as_dict))])
    assert f"{201 - MOST_NODES} more links are not drawn." in html
    just = tuple(Link("p", signed=False) for _ in range(MOST_NODES))
    html = page([(Path("a.png"), chained(Link("t", signed=True, ingredients=just).as_dict))])
    assert "1 more link is not drawn." in html


def test_a_chain_deeper_than_the_stack() -> None:
    link: dict[str, object] = {"title": "end"}
    for _ in range(5000):
        link = {"title": "x", "signed": True, "ingredients": [link, None, 7]}
    html = page([(Path("a.png"), chained(link))])
    assert "not drawn" in html


@pytest.mark.parametrize("link", [None, [], "x", {}, {"ingredients": 7, "problems": None}])
def test_a_chain_of_strange_shape(link: object) -> None:
    outline(page([(Path("a.png"), chained(link))]))


def test_engines_are_named_and_their_disagreement_is(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = {
        "c2pa": {"state": "trusted", "version": "1"},
        "other": {"state": None, "version": "2"},
    }
    told = {
        True: "c2pa 1: trusted; other 2: no voice – they agree",
        False: "no voice – they disagree, the stricter counts",
        None: "other 2: no voice<",
    }
    for agreement, text in told.items():
        found = {"state": "valid", "engines": engines, "agreement": agreement}
        assert text in page([(Path("a.png"), report(provenance=found))])
    silent = {"b": {"state": None, "version": "2", "note": "It cannot read this."}}
    html = page([(Path("a.png"), report(provenance={"state": "valid", "engines": silent}))])
    assert "b 2: no voice (It cannot read this)<" in html
    for nothing in (None, {}, "x"):
        assert "read by" not in page([(Path("a"), report(provenance={"engines": nothing}))])


def test_light_dark_and_paper_are_provided_for() -> None:
    html = page([])
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
