"""Own lists in the database, and what a policy may say of own lists."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from guard.errors import AuditUnavailable, InvalidRequest, PolicyInvalid
from guard.policy.model import ListKind, Policy
from guard.prompt.own.book import ListBook, made_entry
from guard.prompt.own.sources import DatabaseSource
from guard.store.engine import Store, open_store
from tests.support.own import RULES, Build, Clock, deny, policy

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
