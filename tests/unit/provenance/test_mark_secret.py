from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from guard.errors import KeyInvalid
from guard.provenance.mark_secret import SECRET_BYTES, load_mark_secret
from guard.provenance.private import write_private


def test_made_at_first_use_and_kept(tmp_path: Path) -> None:
    first = load_mark_secret(tmp_path, None)
    path = tmp_path / "keys" / "mark.secret"
    assert len(first) == SECRET_BYTES == 32
    assert load_mark_secret(tmp_path) == first
    assert path.read_text().strip() == first.hex()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_mark_secret(tmp_path / "other") != first


def test_the_setting_wins_and_touches_no_disk(tmp_path: Path) -> None:
    assert load_mark_secret(tmp_path, "ab" * 32) == b"\xab" * 32
    assert load_mark_secret(tmp_path, " " + "AB" * 32 + "\n") == b"\xab" * 32
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, "ab" * 31, "ab" * 33, "é" * 64])
def test_malformed(tmp_path: Path, text: str) -> None:
    with pytest.raises(KeyInvalid, match="GUARD_MARK_SECRET"):
        load_mark_secret(tmp_path, text)
    (tmp_path / "keys").mkdir()
    path = tmp_path / "keys" / "mark.secret"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KeyInvalid) as caught:
        load_mark_secret(tmp_path)
    assert "backup" in caught.value.hint
    assert path.read_text(encoding="utf-8") == text, "never replaced"


def test_the_secret_is_in_no_message(tmp_path: Path) -> None:
    with pytest.raises(KeyInvalid) as caught:
        load_mark_secret(tmp_path, "deadbeef" * 7)
    assert "deadbeef" not in caught.value.diagnostics()


def test_unreadable(tmp_path: Path) -> None:
    (tmp_path / "keys" / "mark.secret").mkdir(parents=True)
    with pytest.raises(KeyInvalid, match="cannot be read"):
        load_mark_secret(tmp_path)


def test_everyone_who_comes_first_gets_the_same(tmp_path: Path) -> None:
    found: list[bytes] = []
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        found.append(load_mark_secret(tmp_path))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["mark.secret"]


def test_writing_new_never_replaces(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert write_private(path, b"one")
    assert not write_private(path, b"two")
    assert path.read_bytes() == b"one"
    assert write_private(path, b"three", replace=True)
    assert path.read_bytes() == b"three"
    assert [one.name for one in tmp_path.iterdir()] == ["x"]
