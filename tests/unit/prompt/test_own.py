"""A platform's own lists: what entries do, how files are read, and that changes are noticed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.errors import AuditUnavailable, InvalidRequest, PolicyInvalid
from guard.policy.decide import decide_prompt
from guard.policy.model import ListKind, Policy
from guard.prompt.own.book import ListBook, made_entry
from guard.prompt.own.entries import MAX_TERM, entry, parse_entries
from guard.prompt.own.lists import CHECK_SECONDS, OwnLists, ScreenerWithOwnLists
from guard.prompt.own.match import OwnMatcher
from guard.prompt.own.sources import SETTLED_NS, DatabaseSource, FileSource
from guard.store.engine import Store, open_store
from guard.types import Action, Finding

RULES = [
    {"id": "house", "category": "house", "action": "block", "message": "Not here."},
    {"id": "brand", "category": "brand", "lists": ["deception"], "action": "flag", "message": "."},
    {"id": "nudity", "category": "nudity", "lists": ["nudity"], "action": "flag", "message": "."},
    {
        "id": "style", "category": "artist-style", "lists": ["artists"], "action": "block",
        "requires_style": True, "message": "No styles.",
    },
    {"id": "people", "category": "people", "lists": ["people"], "action": "flag", "message": "."},
]  # fmt: skip


class Inner:
    """Finds fixed words, as a screener would."""

    WORDS = (("nude", "nudity"), ("Jane Painter", "style"), ("Jane Painter", "people"))

    def screen(self, prompt: str, *, negative_prompt: str = "") -> tuple[Finding, ...]:
        found = []
        for text, where in ((prompt, ""), (negative_prompt, "; in the negative prompt")):
            for word, rule in self.WORDS:
                at = text.find(word)
                if at >= 0:
                    span = (at, at + len(word))
                    found.append(
                        Finding(rule, rule, span, word, 0.9, "test", f"x{where}", word.lower())
                    )
        return tuple(found)


class Clock:
    """Time as the test wants it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float = CHECK_SECONDS) -> None:
        self.now += seconds


def policy(folder: Path, *lists: dict[str, Any]) -> Policy:
    rules = [dict(rule) for rule in RULES]
    if not any(one["kind"] == "deny" for one in lists):
        rules[0]["lists"] = ["hate"]
    document = {"name": "own", "prompt_rules": rules, "own_lists": lists}
    return Policy.model_validate(document).at(folder)


def nowhere() -> Store:
    raise AssertionError("no list is in the database")


def deny(source: str = "deny.txt") -> dict[str, Any]:
    return {"kind": "deny", "source": source, "rule": "house"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def build(tmp_path: Path, clock: Clock) -> Callable[..., ScreenerWithOwnLists]:
    def make(*lists: dict[str, Any], store: Callable[[], Store] = nowhere) -> ScreenerWithOwnLists:
        own = OwnLists(policy(tmp_path, *lists), store, clock=clock)
        return ScreenerWithOwnLists(Inner(), own)

    return make


Build = Callable[..., ScreenerWithOwnLists]


# -- what entries do -------------------------------------------------------------------------------


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


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "\ufeff# c\n\n  Acme Robot \nfoo\thouse\tbecause\n"),
        ("a.tsv", "note\tterm\tcategory\n\tAcme Robot\nbecause\tfoo\thouse\n"),
        ("a.csv", 'term,category,note\n"Acme Robot"\n# c\nfoo,house,because\n'),
        (
            "a.jsonl",
            '{"term": "Acme Robot"}\n#\n{"term":"foo","category":"house","note":"because"}',
        ),
    ],
)
def test_forms_of_files(name: str, text: str) -> None:
    first, second = parse_entries(text.encode(), Path(name))
    assert (first.term, first.text, first.category) == ("Acme Robot", "acme robot", "")
    assert (second.term, second.category, second.note) == ("foo", "house", "because")
    assert second.place > first.place


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("a.txt", b"good\n\xff\xfe\n", 2),
        ("a.txt", b"good\n\n...\n\t\n", 0),
        ("a.txt", b"x" * (MAX_TERM + 1), 1),
        ("a.txt", b"a\tb\tc\td\n", 1),
        ("a.txt", "a\u200b\n".encode(), 1),
        ("a.tsv", b"term\twhy\nfoo\tbar\n", 1),
        ("a.csv", b'good\n"open\n', 2),
        ("a.csv", b",house\n", 1),
        ("a.jsonl", b'{"term": "good"}\nfoo\n', 2),
        ("a.jsonl", b'{"name": "foo"}\n', 1),
        ("a.jsonl", b'{"term": "foo", "x": 1}\n', 1),
        ("a.jsonl", b'{"term": "foo", "note": 1}\n', 1),
    ],
)
def test_a_broken_file_names_its_line(name: str, data: bytes, line: int) -> None:
    if not line:  # dots are an entry; a blank line is none
        assert [one.text for one in parse_entries(data, Path(name))] == ["good", "..."]
        return
    with pytest.raises(PolicyInvalid, match=rf"{name}:{line}:") as raised:
        parse_entries(data, Path(name))
    assert raised.value.hint


def test_an_unknown_category_is_an_error_that_names_the_line(build: Build, tmp_path: Path) -> None:
    (tmp_path / "deny.tsv").write_text("foo\nbar\tnosuch\n")
    with pytest.raises(PolicyInvalid, match=r"deny\.tsv:2: .*nosuch"):
        build(deny("deny.tsv"))


def test_missing_huge_and_odd_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PolicyInvalid, match="cannot be read") as raised:
        FileSource(tmp_path / "gone.txt").version()
    assert "own_lists" in raised.value.hint
    with pytest.raises(PolicyInvalid, match="cannot be read"):
        FileSource(tmp_path / "gone.txt").read()
    with pytest.raises(PolicyInvalid, match="no plain file"):
        FileSource(tmp_path).version()
    monkeypatch.setattr("guard.prompt.own.sources.MAX_BYTES", 3)
    (tmp_path / "a.txt").write_text("1234")
    with pytest.raises(PolicyInvalid, match="larger"):
        FileSource(tmp_path / "a.txt").read()


# -- changes ---------------------------------------------------------------------------------------


def test_an_edit_is_in_force_at_the_next_look(build: Build, tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "deny.txt"
    file.write_text("foo\n")
    screener = build(deny())
    before = screener.screen("foo")[0].source

    file.write_text("bar\n")
    assert screener.screen("bar") == ()  # not yet looked
    clock.tick()

    (found,) = screener.screen("bar foo")
    assert (found.term, found.source != before) == ("bar", True)


def test_an_edit_within_one_tick_of_the_files_clock_is_noticed(
    build: Build, tmp_path: Path, clock: Clock
) -> None:
    file = tmp_path / "deny.txt"
    file.write_text("foo\n")
    about = file.stat()
    screener = build(deny())
    with file.open("r+") as same:
        same.write("bar")
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    clock.tick()
    assert [one.term for one in screener.screen("foo bar")] == ["bar"]


def test_a_settled_file_is_not_read_again(
    build: Build, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "deny.txt"
    file.write_text("foo\n")
    old = time.time_ns() - 2 * SETTLED_NS
    os.utime(file, ns=(old, old))
    screener = build(deny())
    monkeypatch.setattr(FileSource, "read", lambda *_: pytest.fail("read again"))
    clock.tick()
    assert len(screener.screen("foo")) == 1


@pytest.mark.parametrize("harm", ["remove", "break", "folder"])
def test_a_list_that_goes_bad_stops_the_screening_until_it_is_mended(
    build: Build, tmp_path: Path, clock: Clock, harm: str
) -> None:
    file = tmp_path / "deny.txt"
    file.write_text("foo\n")
    screener = build(deny())
    file.unlink()
    if harm == "break":
        file.write_bytes(b"foo\n\xff\n")
    elif harm == "folder":
        file.mkdir()
    clock.tick()

    for _ in range(2):
        with pytest.raises(PolicyInvalid, match=r"deny\.txt") as raised:
            screener.screen("a lighthouse")
        assert raised.value.hint

    if harm == "folder":
        file.rmdir()
    file.write_text("")
    clock.tick()
    assert screener.screen("foo") == ()


def test_threads_go_on_while_one_takes_over_a_change(
    build: Build, tmp_path: Path, clock: Clock
) -> None:
    file = tmp_path / "deny.txt"
    file.write_text("foo\n")
    screener = build(deny())
    file.write_text("bar\n")
    clock.tick()
    with screener.lists._lock:  # somebody is at it
        assert [one.term for one in screener.screen("foo bar")] == ["foo"]
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                clock.tick()
                screener.screen("foo bar")
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [one.term for one in screener.screen("foo bar")] == ["bar"]


def test_a_real_clock_takes_less_than_a_second(tmp_path: Path) -> None:
    file = tmp_path / "deny.txt"
    file.write_text("foo\n")
    lists = OwnLists(policy(tmp_path, deny()), nowhere)
    file.write_text("bar\n")
    began = time.monotonic()
    while not lists.apply("bar", ()).added:
        assert time.monotonic() - began < 1
        time.sleep(0.01)


# -- the database ----------------------------------------------------------------------------------


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'lists.sqlite3'}"


@pytest.fixture
def store(url: str) -> Any:
    opened = open_store(url)
    yield opened
    opened.close()


def test_a_row_that_another_added_is_in_force_at_the_next_look(
    build: Build, store: Store, url: str, clock: Clock
) -> None:
    book = ListBook(store, "dana")
    book.add(ListKind.DENY, "main", [made_entry("foo")])
    other = open_store(url, create=False)
    screener = build(deny("database:main"), store=lambda: other)
    assert [one.term for one in screener.screen("foo bar")] == ["foo"]

    book.add(ListKind.DENY, "main", [made_entry("bar")])
    book.remove(ListKind.DENY, "main", ["FOO"])
    clock.tick()
    assert [one.term for one in screener.screen("foo bar")] == ["bar"]

    book.remove(ListKind.DENY, "main", ["bar"])
    clock.tick()
    assert screener.screen("foo bar") == ()  # an empty list is a list
    other.close()


def test_a_list_that_never_was_and_a_database_that_is_not_there(
    build: Build, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(PolicyInvalid, match="no deny list 'main'") as raised:
        build(deny("database:main"), store=lambda: store)
    assert "guard lists add" in raised.value.hint
    gone = f"sqlite:///{tmp_path / 'gone.sqlite3'}"
    with pytest.raises(AuditUnavailable, match="database:main") as failed:
        build(deny("database:main"), store=lambda: open_store(gone, create=False))
    assert "guard lists add" in failed.value.hint


def test_a_database_that_goes_away_stops_the_screening(
    build: Build, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ListBook(store, "dana").add(ListKind.DENY, "main", [made_entry("foo")])
    screener = build(deny("database:main"), store=lambda: store)

    def down(_: object) -> int:
        raise AuditUnavailable("down", hint="start it")

    with monkeypatch.context() as patch:
        patch.setattr(DatabaseSource, "version", down)
        clock.tick()
        with pytest.raises(AuditUnavailable, match="down"):
            screener.screen("a boat")
    clock.tick()
    assert len(screener.screen("foo")) == 1


def test_the_book_keeps_history(store: Store) -> None:
    book = ListBook(store, "dana")
    added = book.add(ListKind.DENY, "main", [made_entry("Foo"), made_entry("foo"), made_entry("b")])
    assert added.changed == ("foo", "b")  # one entry said twice: the last counts
    again = book.add(ListKind.DENY, "main", [made_entry("foo"), made_entry("b", note="why")])
    assert (again.changed, again.same) == (("b",), ("foo",))
    gone = book.remove(ListKind.DENY, "main", ["FOO", "x"], "mistake")
    assert (gone.changed, gone.same) == (("foo",), ("x",))

    assert [(one.term, one.note) for one in book.entries(ListKind.DENY, "main")] == [("b", "why")]
    history = book.history(ListKind.DENY, "main")
    assert [one.change for one in history] == ["add", "add", "add", "remove"]
    assert history[-1].note == "mistake"
    assert all(one.who == "dana" and one.at_us > 0 for one in history)
    assert [one.number for one in history] == [1, 2, 3, 4]
    assert book.names() == [(ListKind.DENY, "main")]
    with pytest.raises(InvalidRequest, match="no allow list"):
        book.entries(ListKind.ALLOW, "main")


def test_changes_need_a_name_and_something_to_look_for(store: Store) -> None:
    with pytest.raises(InvalidRequest, match="who"):
        ListBook(store, " ").add(ListKind.DENY, "main", [made_entry("foo")])
    with pytest.raises(InvalidRequest, match="no entry"):
        made_entry(" ")


def test_two_writers_never_share_a_number(url: str, store: Store) -> None:
    def work(number: int) -> None:
        mine = open_store(url, create=False)
        for turn in range(5):
            ListBook(mine, "x").add(ListKind.DENY, "main", [made_entry(f"word{number}a{turn}")])
        mine.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [one.number for one in ListBook(store).history(ListKind.DENY, "main")]
    assert numbers == list(range(1, 21))


# -- the policy ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ({"kind": "deny", "source": "a"}, "rule"),
        ({"kind": "allow", "source": "a", "rule": "house"}, "rule"),
        ({"kind": "deny", "source": "a", "rule": "nosuch"}, "nosuch"),
        ({"kind": "ban", "source": "a"}, "kind"),
        ({"kind": "allow", "source": ""}, "source"),
        ({"kind": "allow", "source": "database:No Name"}, "small letters"),
    ],
)
def test_a_policy_refuses_lists_that_cannot_act(
    tmp_path: Path, own: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        policy(tmp_path, own)


def test_a_rule_without_lists_needs_an_own_list() -> None:
    with pytest.raises(ValueError, match=r"neither 'lists' nor"):
        Policy.model_validate({"name": "own", "prompt_rules": RULES})


def test_the_policys_digest_does_not_follow_the_content(tmp_path: Path) -> None:
    one, two = policy(tmp_path, deny()), policy(tmp_path / "elsewhere", deny())
    assert one.digest == two.digest
    assert one.digest != policy(tmp_path, deny("other.txt")).digest
    changed = one.model_copy(update={"name": "another"})
    assert changed.digest != one.digest
