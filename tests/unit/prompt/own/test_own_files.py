"""Files of own lists: how they are read, and that changes are noticed."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from guard.errors import PolicyInvalid
from guard.prompt.own.entries import MAX_TERM, parse_entries
from guard.prompt.own.lists import OwnLists
from guard.prompt.own.sources import SETTLED_NS, FileSource
from tests.support.own import Build, Clock, deny, nowhere, policy

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
