"""What the hallway keeps and what it does not: keys, prompts, records; and who may share it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard import Guard
from guard.errors import DuplicateRequest, KeyInvalid
from guard.policy.model import ManifestSettings
from guard.settings import Settings
from guard.stage import StageLimits
from guard.types import (
    Action,
    Event,
    GenerationRequest,
    Released,
    Stage,
)
from tests.support.house import FLAGGED, FORBIDDEN, PROMPT, House, picture

SECRET_PROMPT = "a zeppelin over Kilimanjaro, quincunx-7781"
"""Harmless, and made of words that stand nowhere else."""


# -- idempotency ------------------------------------------------------------------------------


def test_used_idempotency_key_is_refused(house: House) -> None:
    house.generate(idempotency_key="k")

    with pytest.raises(DuplicateRequest) as raised:
        house.generate(idempotency_key="k")

    assert raised.value.hint
    assert len(house.generator.requests) == 1
    assert house.events() == [Event.STARTED, Event.RELEASED]


def test_key_of_another_tenant_is_another_key(house: House) -> None:
    for tenant in ("a", "b", None):
        assert isinstance(house.generate(idempotency_key="k", tenant=tenant), Released)


def test_key_of_a_blocked_request_is_used_too(house: House) -> None:
    house.generate(FORBIDDEN, idempotency_key="k")

    with pytest.raises(DuplicateRequest):
        house.generate(PROMPT, idempotency_key="k")


# -- nothing personal is kept -----------------------------------------------------------------


def _texts(data: bytes) -> Iterator[str]:
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        yield data.decode(encoding, "ignore")


def _everything(house: House) -> Iterator[bytes]:
    with sqlite3.connect(house.home / "audit.sqlite3") as database:
        yield "\n".join(database.iterdump()).encode("utf-8", "surrogateescape")
    for folder in (house.home, house.out):
        yield from (path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("words", ["", f" {FORBIDDEN}", f", {FLAGGED}"], ids=["ok", "bad", "held"])
def test_prompt_and_user_stand_nowhere(house: House, words: str) -> None:
    house.generate(SECRET_PROMPT + words, user="mallory@example.org", negative_prompt="quincunx-9")

    for data in _everything(house):
        for text in _texts(data):
            assert "quincunx" not in text
            assert "mallory" not in text


def test_policy_may_put_the_prompt_into_the_manifest(house: House) -> None:
    told = ManifestSettings(include_prompt=True)

    outcome = house.generate(SECRET_PROMPT, guard=house.guard(policy={"manifest": told}))

    assert isinstance(outcome, Released)
    assert b"quincunx-7781" in outcome.images[0].bytes


# -- questions without a record ---------------------------------------------------------------


def test_screen_and_classify_leave_no_record(house: House) -> None:
    guard = house.guard()

    findings, decision = guard.screen(FORBIDDEN)
    scores, verdict = guard.classify(picture())

    assert decision.action is Action.BLOCK
    assert findings
    assert verdict.action is Action.ALLOW
    assert [score.detector for score in scores] == ["opennsfw"]
    assert house.records() == []


# -- threads ----------------------------------------------------------------------------------


def test_threads_may_share_a_guard(house: House) -> None:
    guard, outcomes, barrier = house.guard(), [], threading.Barrier(8)

    def work(seed: int) -> None:
        barrier.wait()
        request = GenerationRequest(prompt=FORBIDDEN if seed % 4 == 3 else PROMPT, seed=seed)
        outcomes.append((seed, guard.generate(request, delivery=house.delivery)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {seed: one.status.value for seed, one in outcomes} == {
        seed: "blocked" if seed % 4 == 3 else "released" for seed in range(8)
    }
    by_id = {record.record_id: record for record in house.records()}
    released = [(seed, one) for seed, one in outcomes if isinstance(one, Released)]
    assert all(by_id[one.record_id].seed == seed for seed, one in released)
    assert len(house.files()) == 6
    assert sorted(entry.value for entry in house.events()) == sorted(
        ["started"] * 8 + ["released"] * 6 + ["blocked"] * 2
    )


# -- from settings ----------------------------------------------------------------------------


def test_guard_from_settings_needs_a_signing_key(tmp_path: Path) -> None:
    with pytest.raises(KeyInvalid) as raised:
        Guard.from_settings("default", Settings(home=tmp_path / "empty"))

    assert "guard keys dev" in raised.value.hint


def test_guard_from_settings_reads_the_environment(furnished: Path, house: House) -> None:
    guard = Guard.from_settings()

    outcome = guard.generate(GenerationRequest(prompt=PROMPT), generator=house.generator)

    assert isinstance(outcome, Released)
    assert house.records()[-1].record_id == outcome.record_id
    guard.rooms.log.store.close()


def test_limits_come_from_settings(tmp_path: Path) -> None:
    limits = StageLimits.from_settings(Settings(home=tmp_path, sign_seconds=7))

    assert limits.seconds[Stage.SIGN] == 7
    assert set(limits.seconds) == set(Stage)
