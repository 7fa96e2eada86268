"""A new secret for new marks, and none that is lost."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from guard.errors import KeyInvalid, OutputUnwritable
from guard.provenance import mark_secret
from guard.provenance.mark_secret import (
    load_mark_secret,
    load_retired_mark_secrets,
    rotate_mark_secret,
)


def test_the_old_secret_is_retired_and_the_newest_comes_first(tmp_path: Path) -> None:
    first = load_mark_secret(tmp_path)
    assert load_retired_mark_secrets(tmp_path) == ()
    second = rotate_mark_secret(tmp_path)
    third = rotate_mark_secret(tmp_path)

    assert len({first, second, third}) == 3
    assert load_mark_secret(tmp_path) == third
    assert load_retired_mark_secrets(tmp_path) == (second, first)
    keys = tmp_path / "keys"
    assert {path.name for path in keys.iterdir()} == {"mark.secret", "mark.retired"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in keys.iterdir())


def test_retired_secrets_of_the_setting_are_added(tmp_path: Path) -> None:
    first = load_mark_secret(tmp_path)
    rotate_mark_secret(tmp_path)
    given = f" {'AB' * 32},{'cd' * 32}\n{first.hex()} "

    found = load_retired_mark_secrets(tmp_path, given)

    assert found == (first, b"\xab" * 32, b"\xcd" * 32), "each once"
    assert load_retired_mark_secrets(tmp_path / "none", "") == ()
    assert not (tmp_path / "none").exists(), "looking makes nothing"


def test_without_a_secret_there_is_none_to_retire(tmp_path: Path) -> None:
    with pytest.raises(KeyInvalid, match="no watermark secret") as caught:
        rotate_mark_secret(tmp_path)
    assert caught.value.hint
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("text", ["ab", "zz" * 32, "ab" * 31 + " 2026-11-24T00:00:00Z"])
def test_a_malformed_retired_secret_is_named_and_not_passed_over(tmp_path: Path, text: str) -> None:
    load_mark_secret(tmp_path)
    rotate_mark_secret(tmp_path)
    path = tmp_path / "keys" / "mark.retired"
    path.write_text(f"{path.read_text()}\n{text}\n")
    before = path.read_text(), load_mark_secret(tmp_path)

    with pytest.raises(KeyInvalid, match=r"line 3 of .*mark\.retired") as caught:
        load_retired_mark_secrets(tmp_path)
    with pytest.raises(KeyInvalid):
        rotate_mark_secret(tmp_path)

    assert (path.read_text(), load_mark_secret(tmp_path)) == before
    assert text not in caught.value.diagnostics()
    with pytest.raises(KeyInvalid, match="GUARD_RETIRED_MARK_SECRETS"):
        load_retired_mark_secrets(tmp_path / "other", text)


@pytest.mark.parametrize("fails_at", [1, 2])
def test_an_interrupted_rotation_loses_nothing_and_is_ended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    first = load_mark_secret(tmp_path)
    written = 0
    real = mark_secret.write_private

    def write(path: Path, content: bytes, *, replace: bool = False) -> bool:
        nonlocal written
        written += 1
        if written == fails_at:
            raise OutputUnwritable("The disk is full.")
        return real(path, content, replace=replace)

    monkeypatch.setattr(mark_secret, "write_private", write)
    with pytest.raises(OutputUnwritable):
        rotate_mark_secret(tmp_path)
    assert load_mark_secret(tmp_path) == first

    monkeypatch.undo()
    second = rotate_mark_secret(tmp_path)

    assert load_mark_secret(tmp_path) == second != first
    assert load_retired_mark_secrets(tmp_path) == (first,)


def test_two_at_once_retire_one_after_the_other(tmp_path: Path) -> None:
    first = load_mark_secret(tmp_path)
    made: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: made.append(rotate_mark_secret(tmp_path))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    current, retired = load_mark_secret(tmp_path), load_retired_mark_secrets(tmp_path)
    assert current in made
    assert {current, *retired} == {first, *made}
    assert len(retired) == 6
