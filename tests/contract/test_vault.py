"""The vault on every database: kept, found, revealed, held, erased, expired."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guard.audit import query
from guard.audit.acts import new_act
from guard.audit.append import Start, Tree
from guard.audit.log import SqlAuditLog
from guard.audit.review.held import HeldPictures
from guard.audit.vault import erasure, holds
from guard.audit.vault.erasure import Person
from guard.audit.vault.kek import Keks
from guard.audit.vault.reveal import reveal
from guard.audit.vault.vault import Keeps, Vault
from guard.audit.verify import verify_log
from guard.errors import (
    AuditUnavailable,
    DuplicateRequest,
    InvalidRequest,
    LegalHold,
    LogTampered,
    RecordNotFound,
    VaultUnavailable,
)
from guard.policy.load import load_policy
from guard.store.engine import open_store
from guard.store.keys import KeyStore, open_key_store
from guard.types import Act, Event, SignedAsset
from tests.support.auditing import fresh_postgres, new_record_id, pictured, started

DAY = timedelta(days=1)
WHY = {"who": "dana", "reason": "case-1"}


@pytest.fixture
def keys_url(log_url: str, tmp_path: Path) -> Iterator[str]:
    if log_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path}/keys.sqlite3"
        return
    with fresh_postgres() as url:
        yield url


class House:
    """A log with its vault; opened anew as another process would."""

    def __init__(self, log_url: str, keys_url: str, home: Path) -> None:
        self.log_url, self.keys_url, self.home = log_url, keys_url, home
        self.opened: list[SqlAuditLog | KeyStore] = []

    def open(self, keeps: Keeps | None = None, keks: Keks | None = None) -> SqlAuditLog:
        store = open_store(self.log_url)

        def open_keys() -> KeyStore:
            keys = open_key_store(self.keys_url)
            self.opened.append(keys)
            return keys

        vault = Vault(store, open_keys, keks or Keks(self.home), keeps)
        log = SqlAuditLog(store, None, vault)
        self.opened.append(log)
        return log

    def close(self) -> None:
        for one in self.opened:
            (one.store if isinstance(one, SqlAuditLog) else one).close()


@pytest.fixture
def house(log_url: str, keys_url: str, tmp_path: Path) -> Iterator[House]:
    made = House(log_url, keys_url, tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def log(house: House) -> SqlAuditLog:
    return house.open()


def vault(log: SqlAuditLog) -> Vault:
    assert log.vault is not None
    return log.vault


def begin(
    log: SqlAuditLog, user: str | None = "ann", prompt: str = "a red kite", **facts: object
) -> str:
    record = started(**facts)
    log.start(record, prompt=prompt, user=user, negative_prompt="blur")
    return record.record_id


def kept(log: SqlAuditLog) -> int:
    with log.store.read() as reader:
        return reader.vault.count()


# -- kept and revealed -------------------------------------------------------------------------


def test_what_is_kept_is_revealed_and_that_is_recorded(log: SqlAuditLog) -> None:
    record_id = begin(log, prompt="ein Häuschen 🏠", tenant="shop")
    shown = reveal(log, record_id, **WHY)
    assert (shown.prompt, shown.negative_prompt, shown.user) == ("ein Häuschen 🏠", "blur", "ann")
    assert "Häuschen" not in repr(shown)
    (entry,) = query.acts(log, act=Act.DECRYPTED)
    assert entry.receipt == shown.receipt
    assert entry.act.about == record_id
    assert entry.act.subject == vault(log).subject_of("ann", "shop")
    assert dict(entry.act.details) == {"prompt": "yes", "user": "yes"}


def test_only_what_was_asked_for_is_revealed(log: SqlAuditLog) -> None:
    record_id = begin(log)
    shown = reveal(log, record_id, what=("user",), **WHY)
    assert (shown.prompt, shown.negative_prompt, shown.user) == (None, None, "ann")


@pytest.mark.parametrize("reason", ["", "no words", "x" * 2000, "a\nb"])
def test_nothing_is_revealed_without_a_reason_that_can_be_recorded(
    log: SqlAuditLog, reason: str
) -> None:
    record_id = begin(log)
    with pytest.raises(AuditUnavailable):
        reveal(log, record_id, who="dana", reason=reason)
    assert query.acts(log) == []


def test_nothing_is_decrypted_when_the_act_cannot_be_written(
    log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_id = begin(log)

    def full(*_: object) -> None:
        raise AuditUnavailable("disk full")

    monkeypatch.setattr(log, "act", full)
    monkeypatch.setattr(vault(log), "unsealed", lambda *_: pytest.fail("decrypted"))
    with pytest.raises(AuditUnavailable, match="disk full"):
        reveal(log, record_id, **WHY)


def test_what_is_not_there_is_not_found(log: SqlAuditLog) -> None:
    with pytest.raises(RecordNotFound):
        reveal(log, new_record_id(), **WHY)
    side_door = begin(log, user=None, prompt="")
    with pytest.raises(RecordNotFound):
        reveal(log, side_door, what=("user",), **WHY)
    assert query.acts(log) == []


def test_the_policy_says_what_is_kept(house: House) -> None:
    log = house.open(Keeps(prompt=False, user=True))
    record_id = begin(log)
    shown = reveal(log, record_id, **WHY)
    assert (shown.prompt, shown.negative_prompt, shown.user) == (None, None, "ann")
    assert log.confirm(record_id, prompt="a red kite", user="ann")


def test_ciphertext_is_bound_to_its_place(log: SqlAuditLog) -> None:
    one, two = begin(log), begin(log, prompt="another")
    with log.store.write() as writer:
        connection = writer._connection
        connection.exec_driver_sql(
            "UPDATE vault_entry SET prompt = (SELECT prompt FROM vault_entry "  # noqa: S608
            f"WHERE record_id = '{one}') WHERE record_id = '{two}'"
        )
    with pytest.raises(LogTampered):
        reveal(log, two, **WHY)
    assert reveal(log, one, **WHY).prompt == "a red kite"


def test_what_is_revealed_was_compared_with_the_commitment(
    log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds all keys can encrypt another prompt; that it is another shows."""
    record_id = begin(log)
    real = vault(log).unsealed
    monkeypatch.setattr(vault(log), "unsealed", lambda *a: {**real(*a), "prompt": b"a bomb"})
    with pytest.raises(LogTampered, match="not what it was begun with"):
        reveal(log, record_id, **WHY)


# -- whose keys --------------------------------------------------------------------------------


def test_people_periods_and_the_unknown_have_keys_of_their_own(log: SqlAuditLog) -> None:
    before = vault(log)
    for month in (3, 3, 4):
        begin(log, at=datetime(2026, month, 5, tzinfo=UTC))
    begin(log, "bob", at=datetime(2026, 3, 5, tzinfo=UTC))
    begin(log, "ann", at=datetime(2026, 3, 5, tzinfo=UTC), tenant="shop")
    begin(log, None)
    begin(log, None)
    with log.store.read() as reader:
        entries = [reader.vault.entry(row[0]) for row in reader.vault.older(2**60, (-1, ""), 99)]
    keys = [entry.key_id for entry in entries if entry is not None]
    assert len(keys) == 7
    assert len(set(keys)) == 6
    assert len(before.records_of("ann")) == 3
    assert len(before.records_of("ann", "shop")) == 1
    assert before.records_of("nobody") == []


def test_names_do_not_run_into_one_another(log: SqlAuditLog) -> None:
    begin(log, "b", tenant="a:")
    assert vault(log).records_of(":b", "a") == []
    assert vault(log).subject_of("b", "a:") != vault(log).subject_of(":b", "a")


def test_two_processes_share_a_persons_key(house: House) -> None:
    one, two = house.open(), house.open()
    first, second = begin(one), begin(two)
    with one.store.read() as reader:
        entries = [reader.vault.entry(each) for each in (first, second)]
    assert len({entry.key_id for entry in entries if entry}) == 1
    assert reveal(one, second, **WHY).prompt == reveal(two, first, **WHY).prompt


# -- erased ------------------------------------------------------------------------------------


def test_who_is_erased_is_gone_and_the_log_stands(log: SqlAuditLog) -> None:
    old = [begin(log, at=datetime(2026, month, 5, tzinfo=UTC)) for month in (1, 2, 2)]
    other = begin(log, "bob")
    pseudonym = vault(log).subject_of("ann")
    found = erasure.plan(log, Person("ann"))
    assert (found.records, len(found.keys)) == (tuple(old), 2)

    done = erasure.erase(log, Person("ann"), who="dana", reason="request-7")

    assert (done.records, done.keys, done.pictures) == (3, 2, 0)
    assert vault(log).records_of("ann") == []
    assert vault(log).subject_of("ann") is None
    for record_id in old:
        with pytest.raises(RecordNotFound):
            reveal(log, record_id, **WHY)
        with pytest.raises(RecordNotFound):
            log.confirm(record_id, user="ann")
        assert query.show(log, record_id)
    assert reveal(log, other, **WHY).user == "bob"
    (entry,) = query.acts(log, act=Act.ERASED)
    assert (entry.act.who, entry.act.reason) == ("dana", "request-7")
    assert entry.receipt == done.receipt
    assert entry.act.subject is None
    assert entry.act.about is None
    assert dict(entry.act.details) == {"keys": "2", "pictures": "0", "records": "3"}
    assert verify_log(log).ok
    assert pseudonym is not None
    begin(log)
    assert vault(log).subject_of("ann") not in {None, pseudonym}


def test_nobody_is_erased_twice(log: SqlAuditLog) -> None:
    begin(log)
    erasure.erase(log, Person("ann"), **WHY)
    with pytest.raises(RecordNotFound):
        erasure.erase(log, Person("ann"), **WHY)
    with pytest.raises(RecordNotFound):
        erasure.erase(log, new_record_id(), **WHY)


@pytest.mark.parametrize(("who", "reason"), [("", "case-1"), ("dana", "a b"), ("a\nb", "case-1")])
def test_what_cannot_be_recorded_is_not_done(log: SqlAuditLog, who: str, reason: str) -> None:
    begin(log)
    with pytest.raises(InvalidRequest):
        erasure.erase(log, Person("ann"), who=who, reason=reason)
    assert kept(log) == 1


def test_another_process_never_writes_under_a_destroyed_key(house: House) -> None:
    """Both have the key in memory; after the erasure the other one takes a new key."""
    one, two = house.open(), house.open()
    begin(one)
    begin(two)
    erasure.erase(one, Person("ann"), **WHY)
    again = begin(two, prompt="back again")
    assert reveal(one, again, **WHY).prompt == "back again"
    assert vault(one).records_of("ann") == [again]


def test_one_record_of_several_can_be_erased(log: SqlAuditLog) -> None:
    one, two, alone = begin(log), begin(log), begin(log, None)
    assert erasure.erase(log, one, **WHY).keys == 0
    assert reveal(log, two, **WHY).prompt == "a red kite"
    assert erasure.erase(log, alone, **WHY).keys == 1
    assert kept(log) == 1


def test_pictures_in_quarantine_go_too(log: SqlAuditLog, tmp_path: Path) -> None:
    held = HeldPictures(tmp_path / "home")
    mine, other = begin(log), begin(log, "bob")
    for record_id in (mine, other):
        held.keep(record_id, SignedAsset(b"pixels", "image/png", "00" * 32, "urn:x", "ef" * 32))
    assert erasure.erase(log, Person("ann"), held=held, **WHY).pictures == 1
    assert [one.record_id for one in held.list()] == [other]


def test_records_from_before_there_was_a_vault(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "OLD_AT_ONCE", 1)
    log = house.open()
    with_vault, log.vault = log.vault, None
    old, other = begin(log, tenant="shop"), begin(log, "bob", tenant="shop")
    elsewhere, nobody = begin(log), begin(log, None, tenant="shop")
    log.vault = with_vault
    for record_id, user in ((old, "ann"), (other, "bob"), (elsewhere, "ann")):
        assert log.confirm(record_id, prompt="a red kite", user=user)
    assert erasure.plan(log, Person("ann", "shop")).records == (old,)
    assert erasure.erase(log, Person("ann", "shop"), **WHY).records == 1
    with pytest.raises(RecordNotFound):
        log.confirm(old, user="ann")
    assert log.confirm(other, user="bob")
    assert log.confirm(elsewhere, user="ann")
    assert erasure.erase(log, nobody, **WHY).records == 1


# -- interrupted -------------------------------------------------------------------------------


class Stop(Exception):
    """The process dies here."""


@pytest.mark.parametrize("at", ["destroy", "scrub", "log scrub", "conclude"])
def test_an_interrupted_erasure_is_ended_by_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    log = house.open()
    mine = begin(log)
    other = begin(log, "bob")
    with monkeypatch.context() as patch:

        def die(*_: object) -> None:
            raise Stop

        where: object = KeyStore if at in {"destroy", "scrub"} else type(log.store)
        name = at.rsplit(maxsplit=1)[-1]
        if at == "conclude":
            where, name = SqlAuditLog, "run"
        patch.setattr(where, name, die)
        with pytest.raises(Stop):
            erasure.erase(log, Person("ann"), who="dana", reason="request-7")
    assert query.acts(log) == []
    with pytest.raises(RecordNotFound):
        reveal(log, mine, **WHY)
    again = begin(log, prompt="meanwhile")  # under a key that is not doomed

    next_day = house.open()
    (done,) = erasure.expire(next_day, load_policy("default"))

    assert (done.records, done.keys) == (1, 1)
    (entry,) = query.acts(log, act=Act.ERASED)
    assert (entry.act.who, entry.act.reason) == ("dana", "request-7")
    assert reveal(next_day, again, **WHY).prompt == "meanwhile"
    assert reveal(next_day, other, **WHY).user == "bob"
    assert erasure.resume(log) == ()


def test_two_that_end_one_erasure_answer_the_same(
    log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(log)
    real, inner = log.run, []

    def run(job: object) -> object:
        if isinstance(job, erasure.Conclude):
            inner.append(real(job))
        return real(job)  # type: ignore[arg-type]

    monkeypatch.setattr(log, "run", run)
    done = erasure.erase(log, Person("ann"), **WHY)
    assert (done.records, done.receipt) == (inner[0].records, inner[0].receipt)
    assert len(query.acts(log)) == 1


def test_pictures_wait_for_who_knows_the_quarantine(
    log: SqlAuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldPictures(tmp_path / "home")
    mine = begin(log)
    held.keep(mine, SignedAsset(b"pixels", "image/png", "00" * 32, "urn:x", "ef" * 32))

    def die(*_: object) -> None:
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(KeyStore, "destroy", die)
        with pytest.raises(Stop):
            erasure.erase(log, Person("ann"), held=held, **WHY)
    assert erasure.resume(log) == ()
    assert held.list()
    assert len(erasure.resume(log, held)) == 1
    assert held.list() == ()


# -- held --------------------------------------------------------------------------------------


def test_who_is_held_is_not_erased(log: SqlAuditLog) -> None:
    record_id = begin(log)
    holds.place(log, Person("ann"), who="dana", reason="case-9")
    with pytest.raises(LegalHold, match="case-9"):
        erasure.erase(log, Person("ann"), **WHY)
    with pytest.raises(LegalHold, match="case-9"):
        erasure.erase(log, record_id, **WHY)
    assert erasure.plan(log, Person("ann")).holds[0].reason == "case-9"
    (hold,) = holds.list_holds(log)
    assert (hold.reason, hold.who, hold.record) == ("case-9", "dana", None)
    assert hold.subject == vault(log).subject_of("ann")
    holds.lift(log, Person("ann"), who="eve", reason="case-9")
    assert holds.list_holds(log) == []
    assert erasure.erase(log, Person("ann"), **WHY).records == 1


def test_a_held_record_holds_its_person(log: SqlAuditLog) -> None:
    begin(log)
    record_id = begin(log)
    begin(log, "bob")
    holds.place(log, record_id, who="dana", reason="case-9")
    holds.place(log, record_id, who="dana", reason="case-10")
    holds.lift(log, record_id, who="dana", reason="case-10")
    with pytest.raises(LegalHold, match="case-9"):
        erasure.erase(log, Person("ann"), **WHY)
    assert erasure.erase(log, Person("bob"), **WHY).records == 1


def test_holds_that_are_not_there_cannot_be_lifted(log: SqlAuditLog) -> None:
    record_id = begin(log)
    holds.place(log, record_id, who="dana", reason="case-9")
    for on, reason in ((record_id, "case-8"), (Person("ann"), "case-9"), (Person("x"), "case-9")):
        with pytest.raises(RecordNotFound):
            holds.lift(log, on, who="dana", reason=reason)
    with pytest.raises(RecordNotFound):
        holds.place(log, new_record_id(), who="dana", reason="case-9")
    assert len(holds.list_holds(log)) == 1


def test_a_hold_is_on_something(log: SqlAuditLog) -> None:
    with pytest.raises(InvalidRequest):
        log.run(holds.ChangeHold(new_act(Act.HOLD_PLACED, "dana", "case-9")))


def test_a_person_may_be_held_before_anything_is_kept(log: SqlAuditLog) -> None:
    holds.place(log, Person("zoe"), who="dana", reason="case-9")
    begin(log, "zoe")
    with pytest.raises(LegalHold):
        erasure.erase(log, Person("zoe"), **WHY)


# -- expired -----------------------------------------------------------------------------------


def test_what_is_older_than_the_retention_goes_unless_held(
    log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "AT_ONCE", 2)
    now = datetime.now(UTC)
    ancient = now - 200 * DAY
    gone = [begin(log, at=ancient + step * timedelta(hours=1)) for step in range(3)]
    gone.append(begin(log, None, at=ancient))
    kept_record = begin(log, "bob", at=ancient)
    kept_person = begin(log, "eve", at=ancient)
    young = begin(log, at=now - 100 * DAY)
    saved, log.vault = log.vault, None
    gone.append(begin(log, "old", at=ancient))
    log.vault = saved
    holds.place(log, kept_record, who="dana", reason="case-9")
    holds.place(log, Person("eve"), who="dana", reason="case-9")

    (done,) = erasure.expire(log, load_policy("default"), now=now)

    assert (done.records, done.keys) == (5, 2)
    for record_id in gone:
        with pytest.raises(RecordNotFound):
            log.confirm(record_id, user="ann")
    for record_id in (kept_record, kept_person, young):
        assert reveal(log, record_id, **WHY).prompt == "a red kite"
    (entry,) = query.acts(log, act=Act.EXPIRED)
    assert (entry.act.who, entry.act.reason) == ("genguard", "retention")
    assert erasure.expire(log, load_policy("default"), now=now) == ()
    assert verify_log(log).ok


def test_a_key_goes_with_the_last_that_is_under_it(log: SqlAuditLog) -> None:
    now = datetime(2026, 7, 30, tzinfo=UTC)
    begin(log, at=datetime(2026, 1, 20, tzinfo=UTC))
    later = begin(log, at=datetime(2026, 1, 31, 12, tzinfo=UTC))
    policy = load_policy("default")
    first = erasure.expire(log, policy, now=datetime(2026, 7, 25, tzinfo=UTC))
    assert [(one.records, one.keys) for one in first] == [(1, 0)]
    assert reveal(log, later, **WHY).prompt == "a red kite"
    second = erasure.expire(log, policy, now=now + DAY)
    assert [(one.records, one.keys) for one in second] == [(1, 1)]
    assert vault(log).subject_of("ann") is None


def test_an_expiry_that_somebody_ended_goes_on_as_another(
    log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "AT_ONCE", 1)
    ancient = datetime.now(UTC) - 300 * DAY
    for step in range(2):
        begin(log, f"user-{step}", at=ancient + step * DAY)
    real = erasure._expire

    def ended(writer, rows, begun, who):  # type: ignore[no-untyped-def]
        for one in begun if rows else ():
            writer.vault.end_erasure(one.erasure_id)
            erasure.Acted(
                erasure.AuditAct(
                    one.erasure_id, Act.EXPIRED, ancient, "other", "retention",
                    details=(("keys", "1"), ("pictures", "0"), ("records", "1")),
                )
            ).apply(erasure_tree(writer))  # fmt: skip
        return real(writer, rows, begun, who)

    from guard.audit.append import Tree as erasure_tree  # noqa: N813

    monkeypatch.setattr(erasure, "_expire", ended)
    done = erasure.expire(log, load_policy("default"))
    assert [(one.records) for one in done] == [1, 1]
    assert {entry.act.who for entry in query.acts(log)} == {"other", "genguard"}


# -- keys that are missing ---------------------------------------------------------------------


def test_without_the_key_encryption_key_nothing_is_read_or_written(
    house: House, tmp_path: Path
) -> None:
    log = house.open()
    record_id = begin(log)
    lost = house.open(keks=Keks(tmp_path / "elsewhere"))
    with pytest.raises(VaultUnavailable, match="is not there"):
        reveal(lost, record_id, **WHY)
    with pytest.raises(VaultUnavailable):
        begin(lost)
    assert verify_log(lost).ok
    assert query.acts(log) == []
    assert not (tmp_path / "elsewhere" / "keys" / "vault.kek").exists()


def test_another_key_database_is_not_mistaken_for_the_logs(
    house: House, log_url: str, tmp_path: Path
) -> None:
    log = house.open()
    begin(log)
    empty = House(log_url, f"sqlite:///{tmp_path}/other.sqlite3", house.home)
    other = empty.open()
    with pytest.raises(VaultUnavailable, match="is empty"):
        begin(other)
    strange = House(f"sqlite:///{tmp_path}/strange.sqlite3", house.keys_url, house.home)
    with pytest.raises(VaultUnavailable, match="belongs to another log"):
        begin(strange.open())
    empty.close()
    strange.close()


def test_a_key_that_is_gone_is_said_to_be(log: SqlAuditLog) -> None:
    record_id = begin(log)
    with log.store.read() as reader:
        entry = reader.vault.entry(record_id)
    assert entry is not None
    vault(log).keys.store.destroy([entry.key_id])
    vault(log).forget([entry.key_id])
    with pytest.raises(VaultUnavailable, match="not in the key database"):
        reveal(log, record_id, **WHY)
    with pytest.raises(VaultUnavailable):
        begin(log)


def test_a_log_without_a_vault_says_so(log: SqlAuditLog) -> None:
    log.vault = None
    with pytest.raises(VaultUnavailable):
        erasure.erase(log, Person("ann"), **WHY)


# -- rotated -----------------------------------------------------------------------------------


def test_rotation_rewraps_every_key_under_running_processes(house: House) -> None:
    one, two = house.open(), house.open()
    records = [begin(one, f"user-{n}") for n in range(3)] + [begin(two, None)]
    before = (house.home / "keys" / "vault.kek").read_text()
    count = vault(one).keys.rotate()
    assert count >= 4
    assert (house.home / "keys" / "vault.kek").read_text() != before
    assert not (house.home / "keys" / "vault.kek.retired").exists()
    records.append(begin(two, "user-9"))  # two still has the old key in memory
    records += [begin(two, None) for _ in range(40)]
    for log in (one, two, house.open()):
        for record_id in records[:6]:
            assert reveal(log, record_id, **WHY).prompt == "a red kite"
    assert vault(house.open()).check() == len(records)


def test_a_released_record_keeps_what_it_began_with(log: SqlAuditLog) -> None:
    record_id = begin(log)
    log.finish(pictured(record_id, Event.RELEASED))
    assert reveal(log, record_id, **WHY).user == "ann"


@pytest.mark.postgres
def test_statistics_sample_no_keys(house: House) -> None:
    """ANALYZE would keep some in pg_statistic, where no erasure looks; SQLite keeps counts only."""
    log = house.open()
    for _ in range(30):
        begin(log, None)
    on_sqlite = house.keys_url.startswith("sqlite")
    asked = (
        "SELECT name FROM sqlite_master WHERE name = 'sqlite_stat4'"
        if on_sqlite
        else "SELECT attname FROM pg_stats WHERE tablename = 'data_key'"
    )
    with vault(log).keys.store._write() as connection:
        connection.exec_driver_sql("ANALYZE data_key")
        sampled = connection.exec_driver_sql(asked).fetchall()
    assert {row[0] for row in sampled} == (set() if on_sqlite else {"key_id", "made_us"})


# -- many at once ------------------------------------------------------------------------------


def test_whatever_is_kept_can_be_read_while_people_are_erased(house: House) -> None:
    """Two that write, two that erase the same people: no row is under a key that is gone."""
    logs = [house.open() for _ in range(3)]
    begin(logs[0])  # the first key-encryption key is there
    stop, failed = threading.Event(), []

    def write(log: SqlAuditLog) -> None:
        number = 0
        while not stop.is_set() and not failed:
            number += 1
            try:
                begin(log, f"user-{number % 3}", prompt=f"prompt {number}")
            except Exception as error:  # noqa: BLE001  # of whatever kind
                failed.append(error)

    writers = [threading.Thread(target=write, args=[log]) for log in logs[:2]]
    for thread in writers:
        thread.start()
    erased = 0
    try:
        for number in range(12):
            with suppress(RecordNotFound):
                done = erasure.erase(logs[2 - number % 2], Person(f"user-{number % 3}"), **WHY)
                erased += done.records
    finally:
        stop.set()
        for thread in writers:
            thread.join()
    assert failed == []
    assert erased
    reader = house.open()
    for user in ("user-0", "user-1", "user-2"):
        for record_id in vault(reader).records_of(user):
            assert reveal(reader, record_id, **WHY).user == user
    assert verify_log(reader).ok


def test_a_refused_job_takes_its_pseudonym_with_it(log: SqlAuditLog) -> None:
    """Two jobs of one transaction: what the refused one gathered is gone, the other finds none."""
    opened = started(idempotency_key="once")
    log.start(opened, prompt="a", user="ann")
    jobs = [
        Start(started(idempotency_key="once"), "b", "bob", "", log.vault),
        Start(started(), "c", "bob", "", log.vault),
        Start(started(), "d", "bob", "", log.vault),
    ]
    with log.store.write() as writer:
        tree = Tree(writer)
        with pytest.raises(DuplicateRequest), tree.savepoint():
            jobs[0].apply(tree)
        for job in jobs[1:]:
            with tree.savepoint():
                job.apply(tree)
    assert len(vault(log).records_of("bob")) == 2
    for job in jobs[1:]:
        assert reveal(log, job.record.record_id, **WHY).user == "bob"


def test_a_refused_job_after_a_first_of_the_same_person(log: SqlAuditLog) -> None:
    """Refused after it had gathered a pseudonym: the next one does not believe in it."""

    class Broken(Exception):
        pass

    with log.store.write() as writer:
        tree = Tree(writer)
        with suppress(Broken), tree.savepoint():
            Start(started(), "b", "bob", "", log.vault).apply(tree)
            raise Broken
        Start(started(), "c", "bob", "", log.vault).apply(tree)
    assert len(vault(log).records_of("bob")) == 1
