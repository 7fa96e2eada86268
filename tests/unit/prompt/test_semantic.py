"""The semantic tier: windows, features, weights that fail closed, findings that point somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import ModelUnavailable
from guard.policy.load import load_policy
from guard.policy.model import CombinationRule, Policy, SemanticRule
from guard.prompt.semantic import HEADS, SemanticReader, encoder, open_semantic, pins, weights
from guard.prompt.semantic.features import BUCKETS, WORD_CHARACTERS, buckets, words_of
from guard.prompt.semantic.reader import EMBEDDED_WINDOWS
from guard.prompt.semantic.windows import CHARACTERS, WHOLE, Window, clauses, windows

FOLDER = Path(weights.__file__).parent / "weights"
BENIGN = "a lighthouse on a cliff in a storm, oil painting, highly detailed, trending on artstation"
IMPLIED = (
    "a woman undressing for her lover in the bedroom, her bare skin in candle light, seductive"
)
NASTY = ["", " ", "\x00", "\ud800", "a\udfffb", "\u0301" * 10_000, "(" * 5_000, "é" * 500, ",,,,;;"]


def rule(**changes: object) -> SemanticRule:
    given = {
        "id": "meant", "category": "meant", "heads": ("sexual",), "review": 0.5, "message": "No.",
    }  # fmt: skip
    return SemanticRule.model_validate(given | changes)


def policy(*rules: SemanticRule, combinations: tuple[CombinationRule, ...] = ()) -> Policy:
    return Policy(name="p", semantic_rules=rules, combinations=combinations)


@pytest.fixture(scope="module")
def reader() -> SemanticReader:
    return open_semantic("hashed")


@pytest.fixture(scope="module")
def both() -> SemanticReader:
    return open_semantic("embedding")


# -- features --------------------------------------------------------------------------------------


def test_words_are_lower_case_without_accents_and_digits_are_all_alike() -> None:
    assert words_of("Élan (VITAL:1.3), 18 y.o. 日本") == ["elan", "vital", "0", "0", "00", "y", "o"]
    assert words_of("x" * 99) == ["x" * WORD_CHARACTERS]


def test_features_are_the_same_everywhere() -> None:
    assert buckets(["a"]).tolist() == [112342, 256372]
    assert buckets([]).tolist() == [0]


@given(st.text(max_size=300))
def test_every_text_has_features_in_range(text: str) -> None:
    found = buckets(words_of(text))
    assert len(found) >= 1
    assert found.min() >= 0
    assert found.max() < BUCKETS


# -- windows ---------------------------------------------------------------------------------------


def test_an_ordinary_prompt_is_one_window() -> None:
    assert windows(BENIGN) == [Window(0, len(BENIGN), BENIGN)]
    text = "word " * WHOLE
    assert windows(text) == [Window(0, len(text), text)]


@given(st.text(alphabet="ab \n", max_size=3000))
def test_windows_are_slices_that_leave_no_word_out(text: str) -> None:
    covered: set[int] = set()
    for window in windows(text):
        assert window.text == text[window.start : window.end]
        covered |= set(range(window.start, window.end))
    assert all(i in covered for i, one in enumerate(text) if not one.isspace())


def test_of_a_huge_text_both_ends_are_read() -> None:
    text = "first " + "word " * 100_000 + "last"
    found = windows(text)
    assert found[0].text.startswith("first")
    assert found[-1].text.endswith("last")
    assert sum(len(one.text) for one in found) < 6 * CHARACTERS


def test_a_text_without_spaces_is_cut_up() -> None:
    assert len(windows("x" * 50_000)) > 3


def test_clauses_point_into_the_text() -> None:
    text = "a cat,  a dog ; \n a bird"
    parts = clauses(Window(10, 10 + len(text), text))
    assert [part.text for part in parts] == ["a cat", "a dog", "a bird"]
    assert all(text[part.start - 10 : part.end - 10] == part.text for part in parts)
    assert clauses(Window(0, 2, ",,")) == [Window(0, 2, ",,")]


# -- weights ---------------------------------------------------------------------------------------


def test_the_weights_are_those_of_their_card() -> None:
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert pins.SHA256 in card
    assert pins.TOKENIZER_SHA256 in card
    assert pins.ENCODER_SHA256 in card
    assert f"semantic/{pins.VERSION}" in card
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 30e6


def test_weights_have_a_row_a_bucket_and_a_column_a_head() -> None:
    opened = weights.open_weights()
    heads = len(HEADS)
    assert opened.hashed.table.shape == (BUCKETS, heads)
    assert opened.hashed.rarity.shape == (BUCKETS,)
    assert opened.heads.shape[1] == heads
    assert opened.alone.shape == (heads, 2)
    assert opened.both.shape == (heads, 3)
    assert np.all(opened.gate > 0)
    assert np.all(opened.alone[:, 0] > 0), "a surer model must never mean less"


@pytest.mark.parametrize("content", [None, b"", b"PK rubbish"])
def test_missing_or_exchanged_weights_fail_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    monkeypatch.setattr(weights, "_shipped", lambda name: tmp_path / name)
    if content is not None:
        (tmp_path / "model.npz").write_bytes(content)
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ModelUnavailable) as caught:
        SemanticReader("hashed")
    assert "semantic: hashed" in caught.value.hint
    with pytest.raises(ModelUnavailable):
        weights.tokenizer_bytes()


def test_weights_that_match_but_cannot_be_read_fail_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "read_checked", lambda *_: b"PK rubbish")
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        weights.open_weights()


def test_a_broken_encoder_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "encoder_bytes", lambda: b"rubbish")
    with pytest.raises(ModelUnavailable, match="cannot be opened"):
        encoder.Encoder()


def test_an_exchanged_encoder_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_shipped", lambda _: FOLDER / "MODEL_CARD.md")
    with pytest.raises(ModelUnavailable, match="not the one"):
        weights.encoder_bytes()


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, guard.prompt.semantic;"
        "assert not {'onnxruntime', 'tokenizers', 'scipy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


# -- reading ---------------------------------------------------------------------------------------


def test_a_reader_is_opened_once() -> None:
    assert open_semantic("hashed") is open_semantic("hashed")


@pytest.mark.parametrize("kind", ["hashed", "embedding"])
def test_meaning_is_seen_without_a_bad_word(kind: str) -> None:
    opened = open_semantic(kind)  # type: ignore[arg-type]
    harmless, implied = opened.probabilities(BENIGN), opened.probabilities(IMPLIED)
    assert set(harmless) == set(HEADS)
    assert max(harmless.values()) < 0.1
    assert implied["sexual"] > 0.5
    assert max(implied, key=lambda head: implied[head]) == "sexual"


def test_padding_does_not_hide_a_meaning(reader: SemanticReader) -> None:
    alone = reader.probabilities(IMPLIED)["sexual"]
    padded = reader.probabilities(f"{BENIGN}. " * 300 + IMPLIED + f". {BENIGN}" * 300)["sexual"]
    assert alone > 0.5
    assert padded > 0.2


def test_a_finding_points_at_the_clause(reader: SemanticReader) -> None:
    prompt = f"a kitchen at night, {IMPLIED}"
    (finding,) = reader.findings(prompt, policy(rule(review=0.1)))
    start, end = finding.span
    assert prompt[start:end] == finding.matched
    assert "night" not in finding.matched
    assert (finding.rule, finding.category, finding.tier) == ("meant", "meant", "semantic")
    assert finding.source == f"semantic/{pins.VERSION}"
    assert re.search(
        r"reads like sexual content \(\d+% sure\); most telling: \w", finding.explanation
    )
    assert 0.1 <= finding.score <= 1.0


def test_nothing_is_found_below_every_threshold(reader: SemanticReader) -> None:
    assert reader.findings(BENIGN, policy(rule())) == ()
    assert reader.findings("  ", policy(rule(review=0.0))) == ()
    assert reader.findings(IMPLIED, policy()) == ()


def test_findings_come_along_for_a_combination(reader: SemanticReader) -> None:
    joint = CombinationRule.model_validate(
        {
            "id": "both",
            "category": "both",
            "all_of": ("meant", "other"),
            "action": "block",
            "message": "No.",
            "threshold": 0.1,
        }
    )
    rules = (rule(review=None, block=1.0), rule(id="other", category="other", review=1.0))
    assert reader.findings(IMPLIED, policy(*rules)) == ()
    found = reader.findings(IMPLIED, policy(*rules, combinations=(joint,)))
    assert [one.rule for one in found] == ["meant", "other"]


def test_a_window_of_many_clauses_stands_for_itself(reader: SemanticReader) -> None:
    text = "warm,soft," * 40 + "light"
    (finding,) = reader.findings(text, policy(rule(review=0.0)))
    assert finding.matched == text


def test_the_highest_head_of_a_rule_counts(reader: SemanticReader) -> None:
    (finding,) = reader.findings(IMPLIED, policy(rule(heads=("hate", "sexual"))))
    assert "sexual content" in finding.explanation


def test_the_encoder_is_asked_only_where_it_may_matter(
    both: SemanticReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    embed = encoder.Encoder.embed

    def counted(self: encoder.Encoder, text: str) -> object:
        asked.append(text)
        return embed(self, text)

    monkeypatch.setattr(encoder.Encoder, "embed", counted)
    both.probabilities(BENIGN)
    assert asked == []
    both.probabilities(f"{IMPLIED}. " * 60)
    assert len(asked) == EMBEDDED_WINDOWS


def test_the_embedding_has_length_one(both: SemanticReader) -> None:
    opened = encoder.Encoder()
    for text in (BENIGN, "", "\ud800", "x" * 5000):
        assert np.linalg.norm(opened.embed(text)) == pytest.approx(1.0, abs=1e-3)
    assert both.kind == "embedding"


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("kind", ["hashed", "embedding"])
def test_hostile_texts_are_read(text: str, kind: str) -> None:
    opened = open_semantic(kind)  # type: ignore[arg-type]
    assert all(0.0 <= value <= 1.0 for value in opened.probabilities(text).values())
    for finding in opened.findings(text, policy(rule(review=0.0))):
        assert text[slice(*finding.span)] == finding.matched


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet=st.characters(), max_size=400))
def test_any_text_is_read(text: str) -> None:
    opened = open_semantic("hashed")
    for finding in opened.findings(text, policy(rule(review=0.0))):
        assert text[slice(*finding.span)] == finding.matched
        assert 0.0 <= finding.score <= 1.0


def test_a_megabyte_is_read_in_bounded_time(reader: SemanticReader) -> None:
    for text in ("word " * 200_000, "x" * 1_000_000, "a," * 500_000, "é" * 1_000_000):
        began = time.process_time()
        reader.findings(text, policy(rule(review=0.0)))
        assert time.process_time() - began < 2.0


# -- policies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["default", "strict", "permissive"])
def test_shipped_policies_name_heads_that_exist(name: str) -> None:
    rules = load_policy(name).semantic_rules
    assert rules
    assert all(set(one.heads) <= set(HEADS) for one in rules)
