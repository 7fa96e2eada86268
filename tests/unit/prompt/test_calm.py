"""The first glance: it may ask for a closer look in vain, but never miss what that would find."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import InvalidRequest
from guard.prompt.contexts import shipped_contexts
from guard.prompt.normalise import normalise
from guard.prompt.reader import Engine, Reader, engine
from guard.prompt.screen import PolicyScreener
from guard.prompt.tokens import scan
from guard.types import MAX_PROMPT_CHARS

PIECES = (
    "a", "nude", "n", "u", "d", "e", "nu", "de", "woman", "by", "Greg", "Rutkowski", "rutkowsky",
    "12", "year", "old", "girl", "aged", "nine", "15yo", "7yr-old", "y/o", "6-year-old", "y.o.",
    "9", "ans", "jährige", "let", "letní", "14year", "eight", "years", "of", "age", "age:", "17y.",
    "8k", "c4d", "p0rn", "(porn:1.3)", "n*de", ",",
    "-", "--", ".-", "-.", "..", "6e", "75", "64", "65", "6e75", "6465", "14", "21", "4", "5",
    "cG9ybg==", "f/1.8", "it's", "woman's",
    "naïve", "“quoted”", "—", "…", "🍆", "💦", "порно", "裸体", "end.", "end?", "(a", "b)", "[x|y]",
    "High-detail", "AND", "<lora:nude:1>", "eunuch", "dub", "ble", "\u202e", "edun", "&#110;ude",
    "rot13", "ahqr", "n,u,d,e", "#porn", "$ex", "|ewd", "1920s", "term:", "1.2)", "e.g.", "U.S.",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join)


@pytest.fixture(scope="module")
def read(screener: PolicyScreener) -> Engine:
    lists = ("sexual", "nudity", "minors", "youth", "violence", "self-harm", "hate")
    return engine((*lists, "deception", "people", "artists"))


@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
def test_the_glance_never_misses_what_a_close_look_finds(text: str, read: Engine) -> None:
    reader = Reader(read, shipped_contexts(), frozenset())
    glanced = {hit.entry.text for hit in reader.hits(text)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read.calm, "glance", lambda _: None)
        closely = {hit.entry.text for hit in reader.hits(text)}
    assert closely == glanced


@settings(max_examples=400, deadline=None)
@given(text=st.lists(st.sampled_from((*PIECES, " ", "\n")), max_size=8).map(" ".join))
def test_chunks_have_the_words_of_the_whole(text: str, read: Engine) -> None:
    glance = read.calm.glance(text)
    if glance is not None:
        words = scan(normalise(text))
        said = map(read.calm._chunks.said.__getitem__, text.split())
        assert " ".join(said).split() == words.texts
    if glance is not None and glance.texts:
        spans = [(at, at + 1) for at in range(len(words.texts))]
        assert [glance.origin(*one) for one in spans] == [words.origin(*one) for one in spans]


@pytest.mark.parametrize(
    ("text", "found", "apart"),
    [
        ("a lighthouse in a storm", False, False),
        ("a picture by Greg Rutkowski", True, False),
        ("a picture of Vincemt van Gogh", True, False),
        ("a 12 year old at school", False, True),
        ("a nu de thing", False, True),
    ],
)
def test_a_glance_is_enough(text: str, found: bool, apart: bool, read: Engine) -> None:
    for _ in range(2):  # and again, from memory
        glance = read.calm.glance(text)
        assert glance is not None
        assert (bool(glance.found), bool(glance.apart)) == (found, apart)


@pytest.mark.parametrize("text", ["a n u d e thing", "a p0rn thing", "a 6e75 6465 thing"])
def test_a_glance_is_not_enough(text: str, read: Engine) -> None:
    assert read.calm.glance(text) is None
    assert read.calm.glance(text) is None


def test_memory_is_bounded(read: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.prompt.chunks.MAX_CHUNKS", 50)
    for number in range(300):
        read.calm.glance(f"word{number:x}q")
    assert len(read.calm._chunks) <= 50
    assert len(read.calm._chunks.said) <= 50


def test_a_memory_begun_anew_by_another_thread_asks_for_a_close_look(read: Engine) -> None:
    text = "a picture by Greg Rutkowski"
    assert read.calm.glance(text) is not None
    read.calm._chunks.said.clear()
    assert read.calm.glance(text) is None
    read.calm._chunks.clear()
    assert read.calm.glance(text) is not None


def test_a_text_of_any_length_is_refused_at_once(screener: PolicyScreener) -> None:
    with pytest.raises(InvalidRequest, match="the limit is 20,000"):
        screener.screen("a" * (MAX_PROMPT_CHARS + 1))
    with pytest.raises(InvalidRequest, match="negative prompt has"):
        screener.screen("a", negative_prompt="a" * 1_000_000)
