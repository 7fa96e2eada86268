"""What entries of own lists do, and how they are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.policy.decide import decide_prompt
from guard.policy.model import ListKind
from guard.prompt.own.entries import entry
from guard.prompt.own.match import OwnMatcher
from guard.types import Action
from tests.support.own import Build, deny, policy


@pytest.mark.parametrize(
    ("prompt", "matched"),
    [
        ("an Acme Robot at dawn", "Acme Robot"),
        ("an acme-robot", "acme-robot"),
        ("an ACME, robot", None),  # a phrase does not reach across a comma
        ("acme robots", None),
        ("a zorblax", "zorblax"),
        ("a Z0RBLAX", "Z0RBLAX"),
        ("a zo\u200brblax", "zo\u200brblax"),
        ("a zorrrblax", "zorrrblax"),
        ("a zorblik tale", None),
        ("a 🍆 in a bowl", "🍆"),
        ("とても黒猫です", "黒猫"),
        ("黒い猫", None),
    ],
)
def test_denied_entries_are_found_where_they_stand(
    build: Build, tmp_path: Path, prompt: str, matched: str | None
) -> None:
    (tmp_path / "deny.txt").write_text("# ours\nAcme Robot\nzorblax\n🍆\n黒猫\n", encoding="utf-8")

    found = build(deny()).screen(prompt)

    assert [one.matched for one in found] == ([matched] if matched else [])
    for one in found:
        assert prompt[slice(*one.span)] == matched
        assert (one.rule, one.category, one.tier) == ("house", "house", "own")
        assert one.source.startswith("own:deny/")
        assert len(one.source) == len("own:deny/") + 8
        assert one.term in {"Acme Robot", "zorblax", "🍆", "黒猫"}
        assert 0 < one.score <= 1


def test_a_negative_prompt_asks_for_nothing(build: Build, tmp_path: Path) -> None:
    (tmp_path / "deny.txt").write_text("zorblax\n")
    assert build(deny()).screen("a boat", negative_prompt="zorblax") == ()


def test_a_denied_entry_acts_under_the_rule_of_its_category(build: Build, tmp_path: Path) -> None:
    (tmp_path / "deny.tsv").write_text("term\tcategory\tnote\nzorblax\tbrand\tsee mail\nfoo\n")
    screener = build(deny("deny.tsv"))

    found = screener.screen("zorblax and foo")

    assert [(one.term, one.rule) for one in found] == [("zorblax", "brand"), ("foo", "house")]
    decision = decide_prompt(policy(tmp_path, deny("deny.tsv")), found)
    assert (decision.action, decision.rules) == (Action.BLOCK, ("house", "brand"))


def test_an_allowed_entry_takes_away_what_it_names_and_no_more(
    build: Build, tmp_path: Path
) -> None:
    (tmp_path / "allow.txt").write_text("nude lipstick\n")
    screener = build({"kind": "allow", "source": "allow.txt"})

    assert screener.screen("nude lipstick on a table") == ()
    assert [one.matched for one in screener.screen("nude woman with lipstick")] == ["nude"]
    assert len(screener.screen("a boat", negative_prompt="nude lipstick")) == 1


def test_an_allowed_term_counts_in_the_negative_prompt_too(build: Build, tmp_path: Path) -> None:
    (tmp_path / "allow.txt").write_text("NUDE\n")
    screener = build({"kind": "allow", "source": "allow.txt"})
    assert screener.screen("nude", negative_prompt="nude") == ()


def test_an_allowed_entry_may_be_about_one_category(build: Build, tmp_path: Path) -> None:
    (tmp_path / "allow.csv").write_text('"Jane Painter",people\n')
    found = build({"kind": "allow", "source": "allow.csv"}).screen("by Jane Painter")
    assert [one.rule for one in found] == ["style"]


def test_an_artist_who_opted_in_may_be_asked_for_as_a_style(build: Build, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("jane painter\n")
    found = build({"kind": "opted-in", "source": "in.txt"}).screen("by Jane Painter, nude")
    assert {one.rule for one in found} == {"people", "nudity"}


def test_a_denied_entry_is_never_taken_away(build: Build, tmp_path: Path) -> None:
    (tmp_path / "deny.txt").write_text("zorblax\n")
    (tmp_path / "allow.txt").write_text("zorblax\n")
    lists = (deny(), {"kind": "allow", "source": "allow.txt"})
    assert [one.tier for one in build(*lists).screen("zorblax")] == ["own"]


def test_what_was_added_and_taken_away_can_be_told(build: Build, tmp_path: Path) -> None:
    (tmp_path / "deny.txt").write_text("boat\n")
    (tmp_path / "allow.txt").write_text("nude\n")
    screener = build(deny(), {"kind": "allow", "source": "allow.txt"})
    prompt = "a nude boat"

    applied = screener.lists.apply(prompt, screener.inner.screen(prompt))

    assert [one.term for one in applied.added] == ["boat"]
    ((finding, by, own),) = applied.removed
    assert (finding.rule, by.term, own.declared.kind) == ("nudity", "nude", ListKind.ALLOW)


@given(st.text(max_size=200))
def test_any_text_can_be_matched(text: str) -> None:
    matcher = OwnMatcher([entry("zorblax"), entry("acme robot"), entry("黒猫")], disguises=True)
    for match in matcher.matches(text):
        start, end = match.span
        assert 0 <= start < end <= len(text)


PIECES = [
    "zorblax", "zo", "rblax", "z0rbl4x", "ACME", "robot", "ro\u200bbot", "黒", "黒猫", " ", ",",
    "\n", "\u202e", "xalbroz", "\u0430\u0441me", "🍆", "a", "\x1c", "(acme:1.2)",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_the_short_way_overlooks_nothing(text: str) -> None:
    entries = [entry("zorblax"), entry("acme robot"), entry("黒猫"), entry("🍆")]
    matcher = OwnMatcher(entries, disguises=True)
    quick = matcher.matches(text)
    matcher._is_quiet = lambda _: False  # type: ignore[method-assign]
    assert quick == matcher.matches(text)


def test_memory_of_harmless_chunks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.prompt.own.match.MAX_CHUNKS", 10)
    matcher = OwnMatcher([entry("zorblax")], disguises=True)
    for number in range(50):
        assert matcher.matches(f"word{number} {'y' * 100}") == []
    assert len(matcher._quiet) <= 10


def test_long_lists_are_matched_as_written_only() -> None:
    entries = [entry(f"word{number}x") for number in range(20_001)]
    matcher = OwnMatcher(entries, disguises=True)
    assert [one.entry.term for one in matcher.matches("a word77x")] == ["word77x"]
    assert matcher.matches("a woord77x") == []
