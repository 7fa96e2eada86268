"""Messages about what was recorded: on both databases, over real HTTP, whoever dies meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from guard.audit.log import SqlAuditLog
from guard.audit.outbox import deliver as deliver_module
from guard.audit.outbox.deliver import PATIENCE, Deliverer
from guard.audit.outbox.endpoints import Endpoint, Subscription
from guard.audit.outbox.manage import drop, messages, retry
from guard.audit.outbox.messages import REPORT
from guard.audit.outbox.messenger import Messenger
from guard.audit.outbox.sender import Answer
from guard.audit.outbox.signatures import parse_secrets, verify
from guard.audit.sequel import Sequel
from guard.errors import DuplicateRequest, InvalidRequest, RecordNotFound
from guard.store.engine import open_store
from guard.store.outbox import Message
from guard.types import Action, Event
from tests.support.auditing import new_record_id, started
from tests.support.hooks import SECRET, hook

SECRETS = parse_secrets(SECRET, "X")


def endpoint(
    url: str, name: str = "hook", kinds: tuple[str, ...] = ("record.blocked",)
) -> Endpoint:
    return Endpoint(Subscription(name=name, url=url, kinds=kinds), SECRETS)


def listening(log: SqlAuditLog, *endpoints: Endpoint) -> SqlAuditLog:
    """The same log, which tells these."""
    return SqlAuditLog(log.store, messenger=Messenger([one.subscription for one in endpoints]))


def block(log: SqlAuditLog, sequel: Sequel | None = None, **facts: object) -> str:
    record_id = new_record_id()
    log.start(started(record_id, **facts), prompt="p", user="u")
    record = started(record_id, event=Event.BLOCKED, action=Action.BLOCK, **facts)
    log.finish(record, sequel=sequel)
    return record_id


def all_messages(log: SqlAuditLog) -> list[Message]:
    return list(messages(log))


def make_due(log: SqlAuditLog, **columns: object) -> None:
    """As if time had passed."""
    from sqlalchemy import update

    from guard.store.tables import table

    with log.store.write() as writer:
        values = {"next_us": 0, "lease_until_us": None, "lease_owner": None} | columns
        writer._connection.execute(update(table("outbox_message")).values(**values))


def test_nobody_is_told_what_nobody_asked_for(log: SqlAuditLog) -> None:
    there = endpoint("https://h.example", kinds=("record.held",))
    block(listening(log, there))
    assert all_messages(log) == []


def test_a_message_is_written_with_its_row(log: SqlAuditLog) -> None:
    record_id = block(listening(log, endpoint("https://h.example")), reasons=("nsfw",))
    (message,) = all_messages(log)
    assert (message.endpoint, message.kind, message.about) == ("hook", "record.blocked", record_id)
    assert (message.state, message.attempts, message.last_error) == ("pending", 0, None)
    said = json.loads(message.payload)
    assert said["specversion"] == "1.0"
    assert said["source"] == f"urn:genguard:log:{log.log_id}"
    assert said["type"] == "genguard.record.blocked"
    assert said["data"]["reasons"] == ["nsfw"]
    assert b"commitment" not in message.payload
    assert b"idempotency" not in message.payload


def test_a_row_that_is_refused_tells_nobody(log: SqlAuditLog) -> None:
    """Also one of several in a transaction: each is behind a savepoint of its own."""
    told = listening(log, endpoint("https://h.example", kinds=("record.*",)))
    told.start(started(idempotency_key="k"), prompt="p", user=None)
    with pytest.raises(DuplicateRequest):
        told.start(started(idempotency_key="k"), prompt="p", user=None)
    with ThreadPoolExecutor(8) as pool:
        keys = ["k", "a", "k", "b", "k", "c", "k", "d"]

        def start(key: str) -> bool:
            try:
                told.start(started(idempotency_key=key), prompt="p", user=None)
            except DuplicateRequest:
                return False
            return True

        assert sum(pool.map(start, keys)) == 4
    assert len(all_messages(log)) == 5


def test_what_is_sent_is_signed_and_sent_once(log: SqlAuditLog) -> None:
    with hook() as seen:
        there = endpoint(seen.url)
        ids = {block(listening(log, there)) for _ in range(3)}
        assert Deliverer(log.store, [there]).deliver() == Counter(delivered=3)
        assert Deliverer(log.store, [there]).deliver() == Counter()
    assert {json.loads(body)["subject"] for _, body in seen.got} == ids
    for headers, body in seen.got:
        assert headers["content-type"].startswith("application/cloudevents+json")
        verify(headers, body, SECRETS, now=time.time())
        with pytest.raises(InvalidRequest):
            verify(headers, body + b" ", SECRETS, now=time.time())
    assert {one.state for one in all_messages(log)} == {"delivered"}


@pytest.mark.parametrize("answer", [500, 404, 301, "close", "move:http://127.0.0.1:9/elsewhere"])
def test_what_is_not_taken_is_tried_again_and_dies(log: SqlAuditLog, answer: int | str) -> None:
    with hook() as seen:
        seen.answers = [answer]
        there = endpoint(seen.url)
        block(listening(log, there))
        sender = Deliverer(log.store, [there], attempts=2)
        assert sender.deliver() == Counter(pending=1)
        assert sender.deliver() == Counter()  # not due yet
        (waiting,) = all_messages(log)
        assert waiting.attempts == 1
        assert waiting.last_error
        assert 3 < (waiting.next_us - waiting.created_us) / 1e6 < 60
        make_due(log)
        assert sender.deliver() == Counter(dead=1)
        assert sender.deliver() == Counter()
        retry(log, waiting.message_id)
        seen.answers = [204]
        assert sender.deliver() == Counter(delivered=1)
    assert len(set(seen.ids())) == 1
    assert len(seen.got) == 3


@pytest.mark.parametrize("answer", ["hang", "drip"])
def test_an_endpoint_that_hangs_is_left(log: SqlAuditLog, answer: str) -> None:
    with hook() as seen:
        seen.answers = [answer]
        there = endpoint(seen.url)
        block(listening(log, there))
        began = time.monotonic()
        assert Deliverer(log.store, [there], seconds=0.3).deliver() == Counter(pending=1)
        assert time.monotonic() - began < 5


def test_an_endpoint_that_is_down_is_left_alone_for_a_while(log: SqlAuditLog) -> None:
    with hook() as seen:
        seen.answers = [503]
        seen.headers = {"retry-after": "7200"}
        there = endpoint(seen.url)
        for _ in range(PATIENCE + 2):
            block(listening(log, there))
        assert Deliverer(log.store, [there]).deliver() == Counter(pending=PATIENCE)
    assert len(seen.got) == PATIENCE
    tried = [one for one in all_messages(log) if one.attempts]
    assert all((one.next_us - one.created_us) / 1e6 > 7000 for one in tried)


def test_an_endpoint_that_wants_no_more_gets_no_more_of_that(log: SqlAuditLog) -> None:
    with hook() as seen:
        seen.answers = [410]
        there = endpoint(seen.url)
        block(listening(log, there))
        assert Deliverer(log.store, [there]).deliver() == Counter(dead=1)


def test_one_endpoint_does_not_hold_up_another(log: SqlAuditLog) -> None:
    with hook() as slow, hook() as quick:
        slow.answers = ["hang"]
        both = [endpoint(slow.url, "slow"), endpoint(quick.url, "quick")]
        block(listening(log, *both))
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(Deliverer(log.store, both, seconds=3).deliver)
            for _ in range(200):
                if quick.got:
                    break
                time.sleep(0.01)
            assert quick.got
            assert not done.done()
            slow.go.set()
            assert done.result() == Counter(delivered=1, pending=1)


def test_no_message_is_sent_by_two_at_once(log: SqlAuditLog, log_url: str) -> None:
    """Four senders, each with connections of its own; each message arrives exactly once."""
    with hook() as seen:
        seen.pause = 0.02
        there = endpoint(seen.url)
        told = listening(log, there)
        ids = {block(told) for _ in range(16)}
        stores = [open_store(log_url) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            done = pool.map(lambda store: Deliverer(store, [there]).deliver(), stores)
            assert sum(done, Counter()) == Counter(delivered=16)
        for store in stores:
            store.close()
    assert seen.most_at_once > 1
    assert len(seen.ids()) == len(set(seen.ids())) == 16
    assert {json.loads(body)["subject"] for _, body in seen.got} == ids


KILLED = """
    import os, signal, sys
    from guard.audit.outbox.deliver import Deliverer
    from guard.audit.outbox.endpoints import Endpoint, Subscription
    from guard.audit.outbox.sender import post
    from guard.audit.outbox.signatures import parse_secrets
    from guard.store.engine import open_store

    def send(*args):
        post(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    url, hook, secret = sys.argv[1:]
    there = Endpoint(Subscription(name="hook", url=hook, kinds=("*",)), parse_secrets(secret, "X"))
    Deliverer(open_store(url, create=False), [there], send=send).deliver()
"""


def test_who_dies_between_sending_and_marking_sends_again(log: SqlAuditLog, log_url: str) -> None:
    """At least once: the lease ends, and the same ``webhook-id`` comes a second time."""
    with hook() as seen:
        there = endpoint(seen.url)
        block(listening(log, there))
        command = [sys.executable, "-c", textwrap.dedent(KILLED), log_url, seen.url, SECRET]
        killed = subprocess.run(command, check=False, timeout=60)
        assert killed.returncode == -9
        assert len(seen.got) == 1
        sender = Deliverer(log.store, [there])
        assert sender.deliver() == Counter()  # the dead one's lease holds
        (leased,) = all_messages(log)
        assert leased.lease_owner is not None
        assert leased.attempts == 1
        make_due(log, lease_owner=leased.lease_owner, lease_until_us=1)
        assert sender.deliver() == Counter(delivered=1)
        assert len(seen.got) == 2
        assert len(set(seen.ids())) == 1


def test_a_lease_that_ended_settles_nothing(log: SqlAuditLog) -> None:
    there = endpoint("https://h.example")
    block(listening(log, there))
    with log.store.write() as writer:
        first = writer.outbox.lease("hook", "one", 60)
    assert first is not None
    make_due(log, lease_owner="one", lease_until_us=1)
    with log.store.write() as writer:
        second = writer.outbox.lease("hook", "two", 60)
        assert second is not None
        assert not writer.outbox.settle(first, "delivered")
        assert writer.outbox.settle(second, "delivered")
    assert second.attempts == 2
    assert all_messages(log)[0].state == "delivered"


def test_a_message_that_is_being_sent_is_neither_dropped_nor_hurried(log: SqlAuditLog) -> None:
    block(listening(log, endpoint("https://h.example")))
    with log.store.write() as writer:
        leased = writer.outbox.lease("hook", "one", 60)
    assert leased is not None
    for change in (retry, drop):
        with pytest.raises(InvalidRequest, match="being sent"):
            change(log, leased.message_id)
        with pytest.raises(RecordNotFound):
            change(log, "nothing")
    with log.store.write() as writer:
        writer.outbox.settle(leased, "delivered")
    with pytest.raises(InvalidRequest, match="was delivered"):
        retry(log, leased.message_id)
    with log.store.write() as writer:
        assert writer.outbox.remove_delivered(2**62) == 1
    assert all_messages(log) == []


def test_a_report_waits_for_somebody_who_wants_it(log: SqlAuditLog) -> None:
    """No endpoint yet; then two come that do, and one that does not."""
    block(log, Sequel(report=True), tenant="shop", reasons=("minors-sexual",))
    block(log, Sequel(report=True), tenant="other")
    assert [one.endpoint for one in all_messages(log)] == ["", ""]
    with hook() as seen:

        def wanting(name: str, *kinds: str, **filters: tuple[str, ...]) -> Endpoint:
            chosen = Subscription(name=name, url=seen.url, kinds=kinds, **filters)
            return Endpoint(chosen, SECRETS)

        uninterested = wanting("c", "record.held")
        assert Deliverer(log.store, [uninterested]).deliver() == Counter()
        both = [
            wanting("a", REPORT, tenants=("shop",), categories=("minors-sexual", "x")),
            wanting("b", "report.*", categories=("minors-sexual",)),
            uninterested,
        ]
        assert Deliverer(log.store, both).deliver() == Counter(delivered=2)
    assert len(set(seen.ids())) == 2
    assert len({json.loads(body)["id"] for _, body in seen.got}) == 1
    assert sorted(one.endpoint for one in all_messages(log)) == ["", "a", "b"]


def test_a_report_is_not_dropped_before_it_was_made(log: SqlAuditLog) -> None:
    from guard.audit.review.access import record_report

    record_id = block(log, Sequel(report=True))
    (message,) = all_messages(log)
    with pytest.raises(InvalidRequest, match="must be reported"):
        drop(log, message.message_id)
    record_report(log, record_id, "dana", "ncmec:123")
    assert drop(log, message.message_id).kind == REPORT
    assert all_messages(log) == []


def test_what_was_said_cannot_be_changed(log: SqlAuditLog) -> None:
    from sqlalchemy.exc import DBAPIError

    from guard.errors import AuditUnavailable

    block(listening(log, endpoint("https://h.example")))
    for change in ("payload = kind", "kind = 'x'", "about = 'x'", "created_us = 1"):
        sql = f"UPDATE outbox_message SET {change}"  # noqa: S608
        if log.store.dialect == "postgresql":
            sql = sql.replace("= kind", "= convert_to(kind, 'UTF8')")
        refused = pytest.raises((AuditUnavailable, DBAPIError), match="append-only")
        with refused, log.store.write() as writer:
            writer._connection.exec_driver_sql(sql)


def test_a_watch_goes_on_when_the_database_comes_back(
    log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from guard.errors import AuditUnavailable

    with hook() as seen:
        there = endpoint(seen.url)
        block(listening(log, there))
        sender, stop = Deliverer(log.store, [there]), threading.Event()
        real, calls = sender.deliver, []

        def flaky(halt: threading.Event) -> Counter[str]:
            calls.append(1)
            if len(calls) == 1:
                raise AuditUnavailable("gone")
            return real(halt)

        monkeypatch.setattr(sender, "deliver", flaky)
        heard: list[Counter[str]] = []

        def told(done: Counter[str]) -> None:
            heard.append(done)
            if done["delivered"]:
                stop.set()

        sender.watch(stop, told, every=0.01)
    assert heard == [Counter(audit_unavailable=1), Counter(delivered=1)]


def test_the_back_off_grows_and_spreads() -> None:
    waits = [deliver_module.back_off(n, 0.5) for n in range(1, 12)]
    assert waits[:4] == [5, 20, 80, 320]
    assert waits == sorted(waits)
    assert waits[-1] == deliver_module.back_off(99, 0.5) == 24 * 3600
    assert deliver_module.back_off(1, 0.0) < 5 < deliver_module.back_off(1, 1.0)


def test_a_stop_ends_a_pass(log: SqlAuditLog) -> None:
    import threading

    stop = threading.Event()
    stop.set()
    there = endpoint("http://127.0.0.1:9/")
    block(listening(log, there))
    assert Deliverer(log.store, [there]).deliver(stop) == Counter()


def test_who_lost_its_lease_counts_nothing(log: SqlAuditLog) -> None:
    """Its POST took longer than its lease, and another has the message by then."""
    there = endpoint("https://h.example")
    block(listening(log, there))

    def slow(*_: object) -> Answer:
        make_due(log, lease_owner="another", lease_until_us=2**62)
        return Answer(200)

    assert Deliverer(log.store, [there], send=slow).deliver() == Counter()
    assert all_messages(log)[0].state == "pending"


def test_two_that_adopt_at_once_add_one_copy_each(log: SqlAuditLog) -> None:
    block(log, Sequel(report=True))
    messenger = Messenger([endpoint("https://h", name, (REPORT,)).subscription for name in "ab"])
    (seen_before,) = all_messages(log)
    with log.store.write() as writer:
        messenger.adopt(writer.outbox)
    with log.store.write() as writer:  # a second one that had looked before the first was done
        assert not writer.outbox.address(seen_before.message_id, "a")
        messenger.adopt(writer.outbox)
    assert sorted(one.endpoint for one in all_messages(log)) == ["a", "b"]


def test_long_lists_come_in_pages(log: SqlAuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    from guard.audit.outbox import manage as outbox

    monkeypatch.setattr(outbox, "PAGE", 2)
    told = listening(log, endpoint("https://h.example"))
    ids = [block(told) for _ in range(5)]
    assert [one.about for one in messages(log)] == ids
    assert list(messages(log, "dead")) == []
