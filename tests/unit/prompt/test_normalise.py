"""Folding undoes disguises, leaves other scripts alone, and keeps an exact map."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.prompt.normalise import compose, identity, normalise, skeleton
from guard.types import MAX_PROMPT_CHARS


@pytest.mark.parametrize(
    "text",
    [
        "NUDE",
        "nüdé",
        "ＮＵＤＥ",
        "𝐧𝐮𝐝𝐞",
        "ⓝⓤⓓⓔ",
        "🅽🆄🅳🅴",
        "🅝🅤🅓🅔",
        "🇳🇺🇩🇪",
        "ɴᴜᴅᴇ",
        "nu\u200bde",
        "n\u00adu\u2060d\ufe0fe",
        "n\U000e0075ude",
        "n\u0336u\u0336d\u0336e\u0336",
        "n" + "\u0301" * 30 + "ude",
        "nudе",
        "пudе",
        "\u202eedun\u202c",
        "nu\x00de",
        "🇳\u200b🇺\u200b🇩\u200b🇪",
    ],
)
def test_disguises_of_one_word(text: str) -> None:
    assert normalise(text).text == "nude"


@pytest.mark.parametrize(
    "text",
    ["москва река", "ελλάδα", "हिन्दी", "ไทยที่", "日本語 カップ", "한국어", "עברית", "й", "🇫🇷 🇩🇪"],
)
def test_other_scripts_are_left_alone(text: str) -> None:
    assert normalise(text).text == text


def test_composed_and_decomposed_letters_agree() -> None:
    assert normalise("и\u0306").text == normalise("й").text == "й"
    assert normalise("e\u0301").text == normalise("é").text == "e"


def test_the_map_names_code_points_of_the_original() -> None:
    text = "a Nu\u200bDé ﬁg"
    view = normalise(text)
    start = view.text.index("nude")
    assert view.origin(start, start + 4) == (2, 7)
    fig = view.text.index("fig")
    assert text[slice(*view.origin(fig, fig + 3))] == "ﬁg"


def test_words_wholly_of_look_alikes_are_only_folded_in_the_skeleton() -> None:
    view = normalise("рог")
    assert view.text == "рог"
    assert skeleton(normalise("сос")).text == "coc"  # type: ignore[union-attr]
    assert skeleton(normalise("плющ")) is None
    assert skeleton(normalise("plain")) is None


def test_views_compose() -> None:
    inner = normalise("ÉA")
    assert compose(identity("xx"), inner) is inner
    outer = normalise("a\u0301\u0301b")
    both = compose(outer, normalise(outer.text))
    assert (both.text, both.origin(0, 1), both.origin(1, 2)) == ("ab", (0, 3), (3, 4))


@given(st.text())
def test_idempotent_total_and_mapped(text: str) -> None:
    view = normalise(text)
    assert normalise(view.text).text == view.text
    assert len(view.starts) == len(view.ends) == len(view.text)
    assert all(0 <= a < b <= len(text) for a, b in zip(view.starts, view.ends, strict=True))


@given(st.text(alphabet="aé\u0301\u202e\u202c\u200b🇳🇺рпn\u0336ﬁİ \U000e0061"))
def test_idempotent_on_nasty_text(text: str) -> None:
    once = normalise(text).text
    assert normalise(once).text == once


@pytest.mark.parametrize("unit", ["plain text ", "schön — 美しい ", "n\u0336u\u0336", "\u202ea"])
def test_linear_in_the_length(unit: str) -> None:
    text = (unit * MAX_PROMPT_CHARS)[:MAX_PROMPT_CHARS]
    normalise(text)
    spent = []
    for _ in range(3):
        start = time.process_time()
        normalise(text)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.2  # 0.01–0.04 s alone; CI machines are shared
