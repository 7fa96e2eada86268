"""What the SQL log does beyond its contract: commitments, reaping, batches of fingerprints."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guard.audit import log as log_module
from guard.audit import reap as reap_module
from guard.audit.commitments import commit, confirms
from guard.audit.log import SqlAuditLog
from guard.audit.query import show
from guard.audit.verify import verify_log
from guard.errors import AuditUnavailable, InvalidRequest, LogTampered, RecordNotFound
from guard.store import fingerprint_index
from guard.store.engine import open_store
from guard.store.reader import Reader
from guard.types import AuditRecord, Event, Fingerprint
from tests.support.auditing import new_record_id, pictured, started, write_released

PROMPT = "a xylophone-playing zeppelin over Quxville"
USER = "zaphod.beeblebrox@example.org"


def test_an_empty_log_is_good(log: SqlAuditLog) -> None:
    check = verify_log(log.store)
    assert check.ok
    assert check.records == 0
    assert check.root == hashlib.sha256(b"").hexdigest()


def test_no_prompt_and_no_user_id_is_anywhere_in_the_files(
    log: SqlAuditLog, database: Path
) -> None:
    record_id = new_record_id()
    log.start(started(record_id), prompt=PROMPT, user=USER)
    log.finish(pictured(record_id), manifest=b"manifest")
    during = b"".join(file.read_bytes() for file in database.parent.iterdir())
    log.store.close()
    after = database.read_bytes()
    for text in (PROMPT, USER):
        for encoded in (text.encode(), text.encode("utf-16-le"), text.encode().hex().encode()):
            assert encoded not in during
            assert encoded not in after
    assert record_id.encode() in after  # the search itself works
    plain = hashlib.sha256(PROMPT.encode()).hexdigest().encode()
    assert plain not in after  # an unsalted hash of a prompt could be guessed


def test_commitments_are_salted_hmacs(log: SqlAuditLog, database: Path) -> None:
    one, two = new_record_id(), new_record_id()
    for record_id in (one, two):
        log.start(started(record_id), prompt=PROMPT, user=USER)
    first, second = show(log, one)[0].record, show(log, two)[0].record
    assert first.prompt_commitment != second.prompt_commitment
    assert first.user_commitment != second.user_commitment
    salts = sqlite3.connect(database).execute(
        "SELECT prompt_salt, user_salt FROM commitment_salt WHERE record_id = ?", [one]
    )
    prompt_salt, user_salt = salts.fetchone()
    assert len(prompt_salt) == len(user_salt) == 32
    assert first.prompt_commitment == hmac.digest(prompt_salt, PROMPT.encode(), "sha256").hex()
    assert first.user_commitment == hmac.digest(user_salt, USER.encode(), "sha256").hex()


def test_commitments_can_be_confirmed(log: SqlAuditLog) -> None:
    with_user, without = new_record_id(), new_record_id()
    log.start(started(with_user), prompt=PROMPT, user=USER)
    log.start(started(without), prompt=PROMPT, user=None)
    assert log.confirm(with_user, prompt=PROMPT, user=USER)
    assert log.confirm(with_user, prompt=PROMPT)
    assert not log.confirm(with_user, prompt=PROMPT + " ")
    assert not log.confirm(with_user, prompt=PROMPT, user="else")
    assert not log.confirm(without, user=USER)
    with pytest.raises(RecordNotFound):
        log.confirm(new_record_id(), prompt=PROMPT)


def test_without_salts_nothing_can_be_confirmed(
    log: SqlAuditLog, vandal: Callable[..., object]
) -> None:
    record_id = new_record_id()
    log.start(started(record_id), prompt=PROMPT, user=None)
    vandal("DELETE FROM commitment_salt")
    with pytest.raises(RecordNotFound):
        log.confirm(record_id, prompt=PROMPT)
    assert verify_log(log).ok  # erasing salts is not tampering


def test_odd_text_can_be_committed_to() -> None:
    salt = b"s" * 32
    assert confirms(salt, "\ud800", commit(salt, "\ud800"))
    assert not confirms(salt, "", commit(salt, "\ud800"))


def test_what_the_caller_says_of_commitments_is_replaced(log: SqlAuditLog) -> None:
    record_id = new_record_id()
    forged = started(record_id, prompt_commitment="00" * 32, user_commitment="00" * 32)
    log.start(forged, prompt=PROMPT, user=None)
    record = show(log, record_id)[0].record
    assert record.prompt_commitment not in {None, "00" * 32}
    assert record.user_commitment is None


def test_reaping_closes_what_never_ended(log: SqlAuditLog) -> None:
    old = datetime.now(UTC) - timedelta(hours=2)
    crashed, young, done = new_record_id(), new_record_id(), new_record_id()
    log.start(started(crashed, at=old, tenant="t"), prompt=PROMPT, user=None)
    log.start(started(young), prompt=PROMPT, user=None)
    log.start(started(done, at=old), prompt=PROMPT, user=None)
    log.finish(started(done, at=old, event=Event.BLOCKED))
    receipts = log.reap(timedelta(hours=1))
    assert [one.index for one in receipts] == [4]
    ended = show(log, crashed)[-1].record
    assert ended.event is Event.ABANDONED
    assert ended.tenant == "t"
    assert ended.at > old + timedelta(hours=1)
    assert log.reap(timedelta(hours=1)) == ()
    assert [entry.record.event for entry in show(log, young)] == [Event.STARTED]
    assert verify_log(log).ok


def test_a_held_record_is_never_reaped(log: SqlAuditLog) -> None:
    old = datetime.now(UTC) - timedelta(days=9)
    record_id = new_record_id()
    log.start(started(record_id, at=old), prompt=PROMPT, user=None)
    log.finish(pictured(record_id, Event.HELD, at=old))
    assert log.reap(timedelta(hours=1)) == ()


def test_reaping_goes_by_portions(log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reap_module, "AT_ONCE", 2)
    old = datetime.now(UTC) - timedelta(days=1)
    for _ in range(5):
        log.start(started(at=old), prompt=PROMPT, user=None)
    assert [one.index for one in log.reap(timedelta(hours=1))] == [5, 6, 7, 8, 9]


def test_who_was_reaped_cannot_be_released(log: SqlAuditLog) -> None:
    record_id = new_record_id()
    log.start(started(record_id), prompt=PROMPT, user=None)
    log.reap(timedelta(0))
    with pytest.raises(AuditUnavailable, match="abandoned"):
        log.finish(pictured(record_id))


def test_a_broken_leaf_is_not_silently_read(
    log: SqlAuditLog, vandal: Callable[..., object]
) -> None:
    record, _ = write_released(log)
    vandal("UPDATE audit_leaf SET leaf = x'7b7d' WHERE leaf_index = 1")
    assert record.mark is not None
    with pytest.raises(LogTampered):
        log.find_by_mark(record.mark.payload)
    with pytest.raises(LogTampered):
        show(log, record.record_id)


def test_new_mark_ids_avoid_those_in_use(log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    record, _ = write_released(log)
    assert record.mark is not None
    taken, free = bytes.fromhex(record.mark.payload), secrets.token_bytes(8)
    draws = iter([taken, taken, free])
    monkeypatch.setattr(log_module.secrets, "token_bytes", lambda _: next(draws))
    assert log.new_mark_id() == free


def test_start_takes_no_ending_and_finish_no_start(log: SqlAuditLog) -> None:
    with pytest.raises(AuditUnavailable, match="not an event for start"):
        log.start(started(event=Event.RELEASED), prompt=PROMPT, user=None)
    with pytest.raises(AuditUnavailable, match="not an event for finish"):
        log.finish(started())


def _store_fingerprints(log: SqlAuditLog, count: int) -> list[AuditRecord]:
    return [write_released(log)[0] for _ in range(count)]


def test_fingerprints_are_fetched_in_portions_and_only_once(
    log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint_index, "FETCH", 2)
    fetched: list[int] = []
    real = Reader.fingerprints

    def counted(self: Reader, algorithm: str, after: int, limit: int) -> object:
        rows = real(self, algorithm, after, limit)
        fetched.append(len(rows))
        return rows

    monkeypatch.setattr(Reader, "fingerprints", counted)
    records = _store_fingerprints(log, 3)
    for record in records:
        assert record.fingerprint is not None
        found = log.find_by_fingerprint(record.fingerprint, 0)
        assert found is not None
        assert found[0].record == record
    assert fetched == [2, 1, 0, 0, 0]
    newer = write_released(log)[0]
    assert newer.fingerprint is not None
    assert log.find_by_fingerprint(newer.fingerprint, 0) is not None


def test_fingerprints_of_other_lengths_never_match(log: SqlAuditLog) -> None:
    write_released(log, fingerprint=Fingerprint("pdq", "00" * 32))
    write_released(log, fingerprint=Fingerprint("pdq", "00" * 16))
    assert log.find_by_fingerprint(Fingerprint("pdq", "00" * 16), 256) is None
    assert log.find_by_fingerprint(Fingerprint("pdq", "00" * 32), 256) is not None
    assert log.find_by_fingerprint(Fingerprint("other", "00" * 32), 256) is None


@pytest.mark.parametrize("bits", ["xyz", "0"])
def test_what_is_no_fingerprint_is_refused(log: SqlAuditLog, bits: str) -> None:
    write_released(log)
    assert log.find_by_fingerprint(Fingerprint("pdq", ""), 256) is None
    with pytest.raises(InvalidRequest, match="not hex"):
        log.find_by_fingerprint(Fingerprint("pdq", bits), 256)


def test_the_log_goes_on_after_reopening(database: Path, log: SqlAuditLog) -> None:
    record, receipt = write_released(log)
    log.store.close()
    again = SqlAuditLog(open_store(f"sqlite:///{database}", create=False))
    assert again.log_id == receipt.log_id
    assert again.start(started(), prompt=PROMPT, user=None).index == 2
    assert show(again, record.record_id)[-1].receipt == receipt
    assert verify_log(again).ok
    again.store.close()


def test_a_failed_addition_leaves_nothing_behind(
    log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guard.store.writer import Writer

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "add_salts", broken)
    with pytest.raises(AuditUnavailable, match="No space left") as caught:
        log.start(started(), prompt=PROMPT, user=None)
    assert "space" in caught.value.hint
    monkeypatch.undo()
    assert verify_log(log).records == 0
    assert log.start(started(), prompt=PROMPT, user=None).index == 0


def test_a_manifest_cannot_be_exchanged(log: SqlAuditLog) -> None:
    record_id = new_record_id()
    log.start(started(record_id), prompt=PROMPT, user=None)
    held = pictured(record_id, Event.HELD)
    log.finish(held, manifest=b"one")
    released = dataclasses.replace(held, event=Event.RELEASED)
    with pytest.raises(AuditUnavailable, match="another manifest"):
        log.finish(released, manifest=b"two")
    log.finish(released, manifest=b"one")
    entries = show(log, record_id)
    assert entries[1].manifest_sha256 == entries[2].manifest_sha256
    assert entries[2].manifest_sha256 == hashlib.sha256(b"one").hexdigest()
    assert verify_log(log).ok
