"""Repeated blocks of one user: counted by pseudonym, over processes, on both databases."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guard.assemble import build_vault
from guard.audit.log import SqlAuditLog
from guard.audit.outbox.messages import SIGNAL
from guard.audit.query import acts
from guard.audit.sequel import Sequel
from guard.audit.verify import verify_log
from guard.policy.model import Signal
from guard.settings import Settings
from guard.types import Act, Action, AuditAct, Event
from tests.support.auditing import new_record_id, started

THRICE = Signal(id="thrice", blocks=3, within="24h")
DAY = timedelta(hours=24)


@pytest.fixture
def vaulted(log: SqlAuditLog, tmp_path: Path) -> SqlAuditLog:
    """The log with a vault: where it is known whose record is whose."""
    return SqlAuditLog(log.store, vault=build_vault(Settings(home=tmp_path / "home"), log.store))


def block(
    log: SqlAuditLog,
    user: str | None = "ann",
    *,
    ago: timedelta = timedelta(0),
    category: str = "sexual",
    signals: tuple[Signal, ...] = (THRICE,),
    tenant: str | None = "shop",
) -> str:
    record_id, at = new_record_id(), datetime.now(UTC) - ago
    log.start(started(record_id, tenant=tenant, at=at), prompt="p", user=user)
    record = started(record_id, event=Event.BLOCKED, action=Action.BLOCK, tenant=tenant, at=at)
    log.finish(record, sequel=Sequel(categories=(category,), signals=signals))
    return record_id


def raised(log: SqlAuditLog) -> list[AuditAct]:
    return [one.act for one in acts(log, act=Act.SIGNALLED)][::-1]


def test_the_last_of_so_many_blocks_is_a_signal(vaulted: SqlAuditLog) -> None:
    block(vaulted)
    block(vaulted)
    assert raised(vaulted) == []
    last = block(vaulted)
    (signal,) = raised(vaulted)
    assert (signal.who, signal.reason, signal.about) == ("policy", "signal:thrice", last)
    assert dict(signal.details) == {
        "blocks": "3", "signal": "thrice", "within": "24h", "tenant": "shop"
    }  # fmt: skip
    assert signal.subject is not None
    with vaulted.store.read() as reader:
        (message,) = reader.outbox.list()
        leaves = b"".join(row.leaf for row in reader.leaves(0, 100))
    assert (message.kind, message.about) == (SIGNAL, signal.act_id)
    assert signal.subject.encode() in message.payload
    assert b"ann" not in message.payload + leaves
    assert verify_log(vaulted).ok


def test_one_signal_a_window(vaulted: SqlAuditLog) -> None:
    for ago in (27, 26.5, 26, 3, 2):
        block(vaulted, ago=timedelta(hours=ago))
    assert len(raised(vaulted)) == 1  # of the first three; the others are only two in a day
    block(vaulted, ago=timedelta(hours=1))
    assert len(raised(vaulted)) == 2
    for _ in range(4):
        block(vaulted)
    assert len(raised(vaulted)) == 2


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([{}, {}], id="one too few"),
        pytest.param([{"ago": DAY + timedelta(minutes=1)}, {}, {}], id="in a longer time"),
        pytest.param([{"user": "ann"}, {"user": "bob"}, {"user": "cid"}], id="of others"),
        pytest.param([{"tenant": "a"}, {"tenant": "b"}, {"tenant": None}], id="other tenants"),
        pytest.param([{"user": None}] * 5, id="of nobody known"),
    ],
)
def test_near_misses(vaulted: SqlAuditLog, blocks: list[dict[str, object]]) -> None:
    for one in blocks:
        block(vaulted, **one)  # type: ignore[arg-type]
    assert raised(vaulted) == []


def test_the_very_window_counts(vaulted: SqlAuditLog) -> None:
    for ago in (DAY - timedelta(minutes=1), timedelta(hours=1), timedelta(0)):
        block(vaulted, ago=ago)
    assert len(raised(vaulted)) == 1


def test_only_blocks_of_its_categories_count(vaulted: SqlAuditLog) -> None:
    minors = Signal(id="minors", blocks=2, within="30d", categories=("minors-sexual", "other"))
    both = (THRICE, minors)
    block(vaulted, signals=both, category="minors")  # a name that only begins like it
    block(vaulted, signals=both, category="minors-sexual", ago=timedelta(days=20))
    assert raised(vaulted) == []
    block(vaulted, signals=both, category="minors-sexual")
    assert [dict(one.details)["signal"] for one in raised(vaulted)] == ["minors"]
    block(vaulted, signals=both)
    assert [dict(one.details)["signal"] for one in raised(vaulted)] == ["minors", "thrice"]


def test_what_is_too_old_to_count_is_forgotten(vaulted: SqlAuditLog) -> None:
    block(vaulted, ago=timedelta(days=91))
    block(vaulted)
    with vaulted.store.read() as reader:
        count = "SELECT count(*) FROM subject_block"
        assert reader._connection.exec_driver_sql(count).scalar() == 1


def test_a_tenant_that_is_no_identifier_stays_out_of_the_act(vaulted: SqlAuditLog) -> None:
    for _ in range(3):
        block(vaulted, tenant="Äpfel & Birnen")
    assert "tenant" not in dict(raised(vaulted)[0].details)


def test_without_a_vault_nobody_is_counted(log: SqlAuditLog) -> None:
    for _ in range(4):
        block(log)
    assert raised(log) == []


TWO_BLOCKS = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[3])
    from guard.assemble import build_vault
    from guard.audit.log import SqlAuditLog
    from guard.settings import Settings
    from guard.store.engine import open_store
    from tests.contract.test_audit_signals import block

    store = open_store(sys.argv[1], create=False)
    log = SqlAuditLog(store, vault=build_vault(Settings(home=Path(sys.argv[2])), store))
    block(log)
    block(log)
"""


def test_processes_count_together(vaulted: SqlAuditLog, log_url: str, tmp_path: Path) -> None:
    block(vaulted)
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", textwrap.dedent(TWO_BLOCKS), log_url, str(tmp_path / "home")]
    subprocess.run([*command, root], check=True, timeout=60)
    (signal,) = raised(vaulted)
    assert dict(signal.details)["blocks"] == "3"
