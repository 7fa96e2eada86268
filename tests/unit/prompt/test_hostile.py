"""Text made to break or stall the screener: spans hold, time stays linear, nothing else happens.

Text longer than a prompt may be is refused, so the longest that may be is what counts.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import InvalidRequest
from guard.prompt.normalise import normalise
from guard.prompt.screen import PolicyScreener
from guard.types import MAX_PROMPT_CHARS

MEGABYTE = 1_000_000
SECONDS = 1.0
"""What the project promises for any text, on a machine that is not busy."""

SLACK = 2.0
"""Other tests may run beside this one."""

GROWTH = 3.0
"""Eight times the text may take at most this many times eight times as long."""

UNITS = {
    "one letter": "a",
    "one unusual letter": "z",
    "spaces": " ",
    "new lines": "\n",
    "tabs and carriage returns": "\t\r",
    "NULs": "\0",
    "control characters": "\x01\x1b\x7f",
    "letters with dots": "a.b.c.",
    "letters with blanks": "a ",
    "letters with stars": "a*",
    "letters with hyphens": "n-u-d-",
    "letters with underscores": "_p_o_r",
    "letters with slashes": "s/e/x/",
    "digits": "0123456789",
    "ages": "12 year old ",
    "almost ages": "12 12 12 ",
    "signs": "@$!|+",
    "leetspeak": "p0rn5tar ",
    "leetspeak without an end": "4n41",
    "opening brackets": "((((",
    "brackets nested": "[({<",
    "brackets round letters": "(a)",
    "weights": "(nude:1.3) ",
    "weights without an end": "(nude:1.",
    "negative weights without an end": "(a:-",
    "alternation": "[a|b]",
    "LoRA tags": "<lora:a:0.8>",
    "tags without an end": "<b",
    "comments without an end": "<!--",
    "combining marks": "\u0301",
    "letters with many marks": "a\u0301\u0302\u0303\u0304",
    "lone surrogates": "\ud800",
    "wrong surrogate pairs": "\udfff\ud83d",
    "alternating scripts": "aбγدहあ漢ไ한",
    "look-alikes": "аеорсху ",
    "mixed look-alikes": "nuдe ",
    "Han": "裸体",
    "Thai": "เปลือย",
    "Hangul jamo": "누드",
    "regional indicators": "🇳🇺🇩🇪",
    "emoji with modifiers": "👩‍👩‍👧‍👦👍🏽",
    "zero-width characters": "n\u200bu\u200c",
    "tag characters": "\U000e006e",
    "right-to-left overrides": "\u202ea",
    "overrides and their ends": "\u202eedun\u202c",
    "variation selectors": "\ufe0f",
    "mathematical letters": "𝓃𝓊𝒹ℯ",
    "upside-down letters": "ǝpnu ",
    "entities": "&#110;",
    "entities without an end": "&#",
    "percent escapes": "%6E",
    "escapes": "\\u006e",
    "braced escapes": "\\u{6e}",
    "hex": "6e756465",
    "hex with spaces": "6e 75 64 65 ",
    "base64 of a term": "bnVkZQ==",
    "base64 blob": base64.b64encode(bytes(range(256))).decode(),
    "glued words": "photoofnudewoman",
    "glued words almost": "photoofpictureof",
    "reversed": "dekan ",
    "pig Latin": "udenay ",
    "one slip": "nakrd ",
    "vowels left out": "prn nkd ",
    "terms": "porn nude gore ",
    "names": "Taylor Swift by Greg Rutkowski, ",
    "half names": "greg taylor vincent van ",
    "styles": "in the style of by ",
    "apostrophes": "a's 'b' ",
    "commas": ",",
    "children": "girl boy kid school ",
    "hyphened words": "well-",
    "markdown": "**n**ude ",
    "LaTeX": "\\textbf{n}",
}


def filled(unit: str, length: int) -> str:
    """``unit`` over and over, ``length`` characters."""
    return (unit * (length // len(unit) + 1))[:length]


def seconds(screener: PolicyScreener, text: str) -> float:
    """Processor seconds of one screening."""
    start = time.process_time()
    screener.screen(text)
    return time.process_time() - start


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS.keys())
def test_a_megabyte_is_refused_at_once(unit: str, screener: PolicyScreener) -> None:
    text = filled(unit, MEGABYTE)
    start = time.process_time()
    with pytest.raises(InvalidRequest, match=f"{MAX_PROMPT_CHARS:,}"):
        screener.screen(text)
    assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS.keys())
def test_the_longest_prompt_takes_a_second(unit: str, screener: PolicyScreener) -> None:
    assert seconds(screener, filled(unit, MAX_PROMPT_CHARS)) < SECONDS * SLACK


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS.keys())
def test_time_grows_no_faster_than_the_text(unit: str, screener: PolicyScreener) -> None:
    small = min(seconds(screener, filled(unit, MAX_PROMPT_CHARS // 8)) for _ in range(2))
    large = min(seconds(screener, filled(unit, MAX_PROMPT_CHARS)) for _ in range(2))
    assert large < GROWTH * 8 * max(small, 0.004)


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS.keys())
def test_normalising_grows_no_faster_than_the_text(unit: str) -> None:
    times = []
    for length in (50_000, 400_000):
        text = filled(unit, length)
        start = time.process_time()
        normalise(text)
        times.append(time.process_time() - start)
    assert times[1] < GROWTH * 8 * max(times[0], 0.002)
    assert times[1] * MEGABYTE / 400_000 < 4 * SECONDS * SLACK


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS.keys())
def test_spans_stay_inside_the_text(unit: str, screener: PolicyScreener) -> None:
    text = filled(unit, 1_500) + " nude porn"
    for finding in screener.screen(text, negative_prompt=text):
        start, end = finding.span
        assert 0 <= start < end <= len(text)
        assert finding.matched == text[start:end]


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS.keys())
def test_a_term_behind_it_is_still_found(unit: str, screener: PolicyScreener) -> None:
    if unit.startswith(("<!--", "\u202e")):  # what follows is meant to read otherwise
        return
    text = filled(unit, 3_000) + " \n , porn"
    assert any(finding.category == "sexual" for finding in screener.screen(text))


@pytest.mark.parametrize("count", [1, 100, 6_000])
def test_stacked_marks(count: int, find: Callable[..., tuple[object, ...]]) -> None:
    marks = "\u0336" * count
    assert find(f"a {marks.join('porn')} poster", "sexual")


@pytest.mark.parametrize("depth", [1, 50, 3_000])
def test_nested_brackets(depth: int, find: Callable[..., tuple[object, ...]]) -> None:
    assert find("(" * depth + "porn" + ":1.1)" * depth, "sexual")


ODD = st.text(
    alphabet=st.one_of(
        st.sampled_from("nudeporn "),
        st.sampled_from("*.-_/\\()[]{}<>|:;,!@$&#%+=~'\"0123456789\n\0"),
        st.sampled_from("\u200b\u200d\u00ad\u202e\u202c\u0336\u0301\ufe0f\u034f\u3164\u2800"),
        st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF, categories=["Cs"]),
        st.characters(),
    ),
    max_size=200,
)


@settings(max_examples=150, deadline=None)
@given(ODD)
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once.text).text == once.text


@settings(max_examples=150, deadline=None)
@given(ODD)
def test_the_map_back_is_in_order_and_in_bounds(text: str) -> None:
    view = normalise(text)
    for position in range(len(view.text)):
        start, end = view.origin(position, position + 1)
        assert 0 <= start < end <= len(text)


@settings(max_examples=150, deadline=None)
@given(ODD, ODD)
def test_nothing_raises(text: str, negative: str) -> None:
    screener = _shared()
    for finding in screener.screen(text, negative_prompt=negative):
        typed = negative if finding.explanation.endswith("negative prompt") else text
        assert finding.matched == typed[slice(*finding.span)] != ""
        assert 0.0 <= finding.score <= 1.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(list(UNITS.values())), max_size=12), ODD)
def test_mixtures_do_not_raise(units: list[str], tail: str) -> None:
    _shared().screen("".join(unit * 5 for unit in units) + tail)


_SCREENER: list[PolicyScreener] = []


def _shared() -> PolicyScreener:
    """One screener: hypothesis wants no fixtures that live for one test."""
    if not _SCREENER:
        from guard.policy.load import load_policy

        _SCREENER.append(PolicyScreener(load_policy("default"), year=2026))
    return _SCREENER[0]
