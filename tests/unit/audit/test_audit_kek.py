"""The key-encryption key: where it comes from, and what it refuses."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.audit.vault import kek
from guard.audit.vault.data_keys import DataKeys
from guard.audit.vault.kek import CallbackKek, Keks, LocalKek
from guard.errors import AuditUnavailable, KeyInvalid, VaultUnavailable
from guard.store.keys import KeyStore, Ring, open_key_store

KEY = bytes(range(32))


# -- wrapping ----------------------------------------------------------------------------------


def test_a_key_wraps_as_rfc_3394_says() -> None:
    """The test vector of section 4.6: 256 bits of key data with a 256-bit key."""
    data = bytes.fromhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
    wrapped = LocalKek(KEY).wrap(data)
    assert wrapped.hex().upper() == (
        "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"
    )
    assert LocalKek(KEY).unwrap(wrapped) == data


@pytest.mark.parametrize("wrapped", [b"", b"x", bytes(40), bytes(41), bytes(1000)])
def test_what_it_did_not_wrap_does_not_open(wrapped: bytes) -> None:
    with pytest.raises(VaultUnavailable):
        LocalKek(KEY).unwrap(wrapped)


def test_keys_are_told_apart_and_never_shown() -> None:
    other = LocalKek(secrets.token_bytes(32))
    assert LocalKek(KEY).id != other.id
    assert KEY.hex() not in repr(LocalKek(KEY)) + LocalKek(KEY).id
    with pytest.raises(VaultUnavailable):
        other.unwrap(LocalKek(KEY).wrap(bytes(32)))


# -- a key service -----------------------------------------------------------------------------


def service(**calls: object) -> CallbackKek:
    local = LocalKek(KEY)
    values = {"wrap_call": local.wrap, "unwrap_call": local.unwrap} | calls
    return CallbackKek("kms/key/1", **values)  # type: ignore[arg-type]


def test_a_key_service_wraps_through_two_calls(tmp_path: Path) -> None:
    remote = service()
    assert remote.unwrap(remote.wrap(KEY)) == KEY
    assert Keks(tmp_path, service=remote).current() is remote
    assert not (tmp_path / "keys").exists()


def refuse(_: bytes) -> bytes:
    raise PermissionError("token abc123 is not allowed")


@pytest.mark.parametrize("answer", [refuse, lambda _: b"", lambda _: None, lambda _: "text"])
def test_a_key_service_that_fails_is_unavailable(answer: object) -> None:
    with pytest.raises(VaultUnavailable) as caught:
        service(wrap_call=answer).wrap(KEY)
    assert "abc123" not in caught.value.diagnostics()
    with pytest.raises(VaultUnavailable):
        service(unwrap_call=answer).unwrap(KEY)


def test_a_key_service_that_answers_too_little_is_not_believed() -> None:
    with pytest.raises(VaultUnavailable, match="16 bytes"):
        service(unwrap_call=lambda _: bytes(16)).unwrap(KEY)


# -- where it comes from -----------------------------------------------------------------------


def test_the_home_makes_one_at_first_use_and_keeps_it(tmp_path: Path) -> None:
    keks = Keks(tmp_path)
    assert keks.load() == ()
    made = keks.current()
    path = tmp_path / "keys" / "vault.kek"
    assert path.stat().st_mode & 0o777 == 0o600
    assert keks.current() == made == Keks(tmp_path).find(made.id)
    assert [one.name for one in path.parent.iterdir()] == ["vault.kek"]


def test_a_setting_comes_before_the_home(tmp_path: Path) -> None:
    Keks(tmp_path).current()
    keks = Keks(tmp_path, KEY.hex(), f"{bytes(32).hex()}, {(b'x' * 32).hex()}")
    assert keks.current() == LocalKek(KEY)
    assert len(keks.load()) == 4
    assert KEY.hex() not in repr(keks)


@pytest.mark.parametrize("text", ["", "xyz", "00" * 31, "00" * 33, "0" * 63])
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(KeyInvalid, match="64 hex digits") as caught:
        Keks(tmp_path, given=text or " ").check()
    assert not text or text not in caught.value.message
    with pytest.raises(KeyInvalid):
        Keks(tmp_path, KEY.hex(), retired=text or "!").check()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "vault.kek").write_text(text)
    with pytest.raises(KeyInvalid):
        Keks(tmp_path).current()


def test_a_key_that_cannot_be_read_or_made(tmp_path: Path) -> None:
    (tmp_path / "keys" / "vault.kek").mkdir(parents=True)
    with pytest.raises(KeyInvalid, match="cannot be read"):
        Keks(tmp_path).current()
    (tmp_path / "file").write_text("")
    with pytest.raises(VaultUnavailable):
        Keks(tmp_path / "file").current()


def test_of_two_that_make_the_first_key_one_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and writing another process makes it: both then use that one."""
    first = Keks(tmp_path).current()
    monkeypatch.setattr("guard.audit.vault.kek.Path.exists", lambda path: path.suffix != ".kek")
    path = tmp_path / "keys" / "vault.kek"
    before = path.read_bytes()
    assert not kek._write_new(path, KEY)
    assert path.read_bytes() == before
    monkeypatch.undo()
    assert Keks(tmp_path).current() == first


# -- another one -------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    opened = open_key_store(f"sqlite:///{tmp_path}/keys.sqlite3")
    yield opened
    opened.close()


def opened(store: KeyStore, keks: Keks) -> DataKeys:
    keys = DataKeys(lambda: store, keks, lambda: "log-1")
    keys.open(may_begin=True)
    return keys


def test_a_rotation_that_stops_anywhere_loses_no_key(
    tmp_path: Path, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keks = Keks(tmp_path)
    keys = opened(store, keks)
    kept = [keys.take() for _ in range(3)]
    old = keys.kek_id

    class Stop(Exception):
        pass

    def die(*_: object) -> None:
        raise Stop

    steps = [
        ("guard.audit.vault.kek._line", die, True),  # the retired one is not written yet
        ("guard.audit.vault.kek.sync_folder", die, True),
        ("guard.store.keys.KeyStore.rewrap", die, True),
        ("guard.store.keys.KeyStore.scrub", die, False),
        ("guard.audit.vault.kek.Keks.end_rotation", die, False),
    ]
    for name, patch, before in steps:
        with monkeypatch.context() as patched:
            patched.setattr(name, patch)
            with pytest.raises(Stop):
                keys.rotate()
        again = opened(store, keks)
        assert (again.kek_id == old) is before
        assert [again.read(key_id) for key_id, _ in kept] == [key for _, key in kept]
    keys.rotate()
    assert [one.id for one in keks.load()] == [keys.kek_id]
    assert keys.kek_id != old
    assert [keys.read(key_id) for key_id, _ in kept] == [key for _, key in kept]


def test_a_key_from_settings_is_rotated_to_the_new_one(tmp_path: Path, store: KeyStore) -> None:
    old, new = KEY.hex(), bytes(32).hex()
    key_id, key = opened(store, Keks(tmp_path, old)).take()
    keys = opened(store, Keks(tmp_path, new, old))
    assert keys.rotate() == 1
    assert keys.rotate() == 0
    assert opened(store, Keks(tmp_path, new)).read(key_id) == key
    with pytest.raises(VaultUnavailable):
        opened(store, Keks(tmp_path, old))


def test_two_that_rotate_at_once_do_not_both_win(
    tmp_path: Path, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = opened(store, Keks(tmp_path))
    monkeypatch.setattr(KeyStore, "rewrap", lambda *_: None)
    with pytest.raises(VaultUnavailable, match="meanwhile"):
        keys.rotate()


def test_keys_made_during_a_rotation_are_wrapped_anew(
    tmp_path: Path, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keks = Keks(tmp_path)
    slow, other = opened(store, keks), opened(store, keks)
    real, calls = KeyStore.add, []

    def add(self: KeyStore, keys: dict[bytes, bytes], kek_id: str) -> bool:
        if not calls:
            calls.append(other.rotate())
        return real(self, keys, kek_id)

    monkeypatch.setattr(KeyStore, "add", add)
    key_id, key = slow.take()
    assert other.read(key_id) == key
    monkeypatch.setattr(KeyStore, "add", lambda *_: False)
    with pytest.raises(VaultUnavailable, match="all the time"):
        opened(store, keks).take()


# -- data keys ---------------------------------------------------------------------------------


def test_memory_is_bounded_and_forgets(
    tmp_path: Path, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = opened(store, Keks(tmp_path))
    monkeypatch.setattr("guard.audit.vault.data_keys.MOST_IN_MEMORY", 2)
    some = [keys.take() for _ in range(3)]
    for key_id, key in some:
        keys.remember(key_id, key)
    assert [keys.in_memory(key_id) for key_id, _ in some] == [False, True, True]
    keys.forget([some[1][0]])
    assert keys.in_memory(some[1][0]) is False
    assert keys.get(some[0][0]) == some[0][1]
    assert keys.get(some[0][0]) == some[0][1]
    monkeypatch.setattr("guard.audit.vault.data_keys.MEMORY_SECONDS", -1.0)
    assert keys.in_memory(some[0][0]) is False
    assert keys.get(some[0][0]) == some[0][1]


def test_a_child_takes_none_of_its_parents_keys(tmp_path: Path, store: KeyStore) -> None:
    keys = opened(store, Keks(tmp_path))
    for _ in range(4):
        keys.take()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:  # the child must not run pytest's own ends
        try:
            os.write(write, b"".join(keys.take()[0] for _ in range(4)))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        theirs = pipe.read()
    os.waitpid(pid, 0)
    assert len(theirs) == 64
    childs = {theirs[at : at + 16] for at in range(0, 64, 16)}
    assert childs.isdisjoint({keys.take()[0] for _ in range(4)})


def test_a_newer_key_database_is_refused(tmp_path: Path, store: KeyStore) -> None:
    store.plant(Ring("log-1", "kek", bytes(40)))
    with store._write() as connection:
        connection.exec_driver_sql("UPDATE key_ring SET version = 2")
    with pytest.raises(AuditUnavailable, match="newer"):
        open_key_store(f"sqlite:///{tmp_path}/keys.sqlite3")


def test_of_two_that_begin_one_counts(store: KeyStore) -> None:
    one, two = Ring("log-1", "kek", bytes(40)), Ring("log-2", "kek", bytes(40))
    assert store.plant(one) == one
    assert store.plant(two) == one


def test_a_reader_that_stays_is_named(tmp_path: Path) -> None:
    import sqlite3

    store = open_key_store(f"sqlite:///{tmp_path}/keys.sqlite3", timeout_seconds=0.2)
    store.plant(Ring("log-1", "kek", bytes(40)))
    reader = sqlite3.connect(tmp_path / "keys.sqlite3", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM key_ring").fetchall()
    store.add({b"k" * 16: bytes(40)}, "kek")
    with pytest.raises(AuditUnavailable):
        store.scrub()
    reader.close()
    store.scrub()
    store.close()
