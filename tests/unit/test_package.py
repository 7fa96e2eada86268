"""The front page of the library: public names, settings, border types, errors."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import guard
from guard import errors, types
from guard.errors import GuardError, SettingsInvalid
from guard.settings import Settings
from guard.types import Action, Mark, MarkedImage, RawImage, Stage, as_dict, worst


@pytest.mark.parametrize("name", guard.__all__)
def test_public_name_is_there(name: str) -> None:
    assert getattr(guard, name) is getattr(guard, name)


def test_nothing_else_is_promised() -> None:
    assert dir(guard) == sorted(guard.__all__)
    assert not hasattr(guard, "anything_else")


# -- settings ---------------------------------------------------------------------------------


def test_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_POLICY", "strict")
    monkeypatch.setenv("GUARD_GENERATE_SECONDS", "12.5")

    settings = Settings.load(model="m", policy=None)

    assert (settings.policy, settings.generate_seconds, settings.model) == ("strict", 12.5, "m")


def test_database_is_in_the_home_unless_said_otherwise(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).database == f"sqlite:///{tmp_path}/audit.sqlite3"
    assert Settings(home=tmp_path, database_url="x://").database == "x://"


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan"])
def test_impossible_setting_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GUARD_PROMPT_SECONDS", value)

    with pytest.raises(SettingsInvalid, match="GUARD_PROMPT_SECONDS") as raised:
        Settings.load()

    assert raised.value.hint


def test_secrets_do_not_show() -> None:
    shown = repr(Settings(openai_api_key="sk-hush", mark_secret="hush" * 16))

    assert "hush" not in shown


# -- border types -----------------------------------------------------------------------------


def _classes() -> list[type]:
    found = [one for one in vars(types).values() if dataclasses.is_dataclass(one)]
    return [one for one in found if isinstance(one, type)]


@pytest.mark.parametrize("kind", _classes(), ids=lambda kind: kind.__name__)
def test_border_types_are_frozen_and_slotted(kind: Any) -> None:
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)


def test_worst_action() -> None:
    assert worst([]) is Action.ALLOW
    assert worst([Action.FLAG, Action.ALLOW]) is Action.FLAG
    assert worst([Action.FLAG, Action.BLOCK, Action.ALLOW]) is Action.BLOCK


def test_raw_pixels_become_read_only() -> None:
    raw = RawImage(np.zeros((8, 8, 3), np.uint8), 1, "m")

    assert not raw.pixels.flags.writeable


def test_as_dict_is_ready_for_json_and_leaves_bytes_out(tmp_path: Path) -> None:
    asset = types.SignedAsset(b"secret bytes", "image/png", "ab", "label", "cd")
    receipt = types.AuditReceipt("log", 1, "00")
    decision = types.Decision(Action.FLAG, ("r",), "d")
    released = types.Released("r", (asset,), receipt, decision, tmp_path)

    plain = as_dict(released)

    assert json.loads(json.dumps(plain)) == plain
    assert plain["images"] == [
        {"media_type": "image/png", "sha256": "ab", "manifest_label": "label",
         "certificate_fingerprint": "cd", "notices": []}
    ]  # fmt: skip
    assert plain["path"] == str(tmp_path)


def test_as_dict_of_times_mappings_and_enums() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    record = types.AuditRecord("r", types.Event.HELD, at, stage=Stage.SIGN, mark=Mark("m", "00", 4))
    report = types.VerificationReport(types.VerdictName.MARKED, "x", record={"at": at})

    assert as_dict(record)["at"] == "2026-01-02T00:00:00+00:00"
    mark = {"method": "m", "payload": "00", "psnr_db": 4, "survived": []}
    assert as_dict(record)["mark"] == mark
    assert as_dict(report)["record"] == {"at": "2026-01-02T00:00:00+00:00"}


def test_statuses_of_outcomes() -> None:
    receipt, decision = types.AuditReceipt("l", 0, "00"), types.Decision(Action.ALLOW, (), "d")
    outcomes = [
        types.Released("r", (), receipt, decision),
        types.Blocked("r", Stage.PROMPT, (), receipt, decision),
        types.Held("r", Stage.PROMPT, (), receipt, decision),
        types.Failed("r", Stage.PROMPT, (), receipt),
    ]

    assert [one.status.value for one in outcomes] == ["released", "blocked", "held", "failed"]


def test_confidence_is_what_is_left_of_chance() -> None:
    found = types.Detection(detected=True, payload="00", method="m", p_value=0.25)

    assert found.confidence == 0.75
    assert MarkedImage(np.zeros((8, 8, 3), np.uint8), Mark("m", "00", 1.0)).mark.method == "m"


# -- errors -----------------------------------------------------------------------------------

KINDS = [
    one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, GuardError)
]


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in KINDS]

    assert len(set(codes)) == len(codes)


def test_tree_in_the_docstring_is_the_tree() -> None:
    drawn = errors.__doc__ or ""

    for kind in KINDS:
        assert kind.__name__ in drawn


def test_message_with_and_without_hint() -> None:
    assert GuardError("It broke.", hint="Mend it.").diagnostics() == "It broke.\nMend it."
    assert GuardError("It broke.").diagnostics() == "It broke."
