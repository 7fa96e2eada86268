from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest

from guard.errors import StageMisbehaved
from guard.provenance import manifest as module
from guard.provenance.base import ManifestFacts
from guard.provenance.manifest import (
    COMPOSITE,
    RECORD_LABEL,
    TRAINED,
    definition,
    ingredient,
    mark_algorithm,
    software_version,
    system_of,
    timestamp,
    title_of,
)
from guard.types import Origin

from .kit import PAYLOAD, RECORD_ID, facts


def assertions(stated: ManifestFacts) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in definition(stated, "image/png")["assertions"]:
        found.setdefault(one["label"], []).append(one["data"])
    return found


def actions(stated: ManifestFacts) -> list[str]:
    (data,) = assertions(stated)["c2pa.actions.v2"]
    return [action["action"] for action in data["actions"]]


def test_a_generated_picture_is_created_by_a_trained_algorithm() -> None:
    (data,) = assertions(facts())["c2pa.actions.v2"]
    created, screened, marked = data["actions"]
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"] == TRAINED
    assert created["softwareAgent"] == {"name": "demo@1f2e3d"}
    assert created["when"] == "2026-11-24T12:00:00Z"
    assert screened["parameters"] == {"org.genguard.detectors": ["opennsfw"]}
    assert marked["action"] == "c2pa.watermarked.bound"
    assert data["allActionsIncluded"] is True


def test_an_edited_picture_is_opened_then_edited() -> None:
    stated = facts(Origin.EDITED, parent=b"x")
    (data,) = assertions(stated)["c2pa.actions.v2"]
    opened, edited = data["actions"][:2]
    assert opened["action"] == "c2pa.opened"
    assert "digitalSourceType" not in opened
    assert opened["parameters"] == {"ingredientIds": ["parent"]}
    assert (edited["action"], edited["digitalSourceType"]) == ("c2pa.edited", COMPOSITE)
    assert data["allActionsIncluded"] is False
    assert ingredient(stated) == {
        "title": "Original",
        "relationship": "parentOf",
        "label": "parent",
    }


def test_of_an_unknown_picture_only_what_we_did_is_said() -> None:
    stated = facts(Origin.UNKNOWN, parent=b"x")
    assert actions(stated) == ["c2pa.opened", "org.genguard.screened", "c2pa.watermarked.bound"]
    assert "lgorithmic" not in str(definition(stated, "image/png"))
    assert "c2pa.ai-disclosure" not in assertions(stated)
    assert "cawg.training-mining" not in assertions(stated)


@pytest.mark.parametrize("origin", [Origin.EDITED, Origin.UNKNOWN])
def test_without_its_original_it_cannot_be_signed(origin: Origin) -> None:
    with pytest.raises(StageMisbehaved, match="original"):
        definition(facts(origin), "image/png")


def test_the_input_of_a_generation_is_an_input_and_no_parent() -> None:
    stated = facts(parent=b"x")
    found = ingredient(stated)
    assert found is not None
    assert found["relationship"] == "inputTo"
    (data,) = assertions(stated)["c2pa.actions.v2"]
    assert data["actions"][0]["parameters"] == {"ingredientIds": ["parent"]}
    assert ingredient(facts()) is None


def test_soft_bindings_carry_mark_and_fingerprint() -> None:
    mark, fingerprint = assertions(facts())["c2pa.soft-binding"]
    assert mark["alg"] == "org.genguard.pilot-1"
    assert base64.b64decode(mark["blocks"][0]["value"]).hex() == PAYLOAD
    assert fingerprint["alg"] == "org.genguard.pdq.v0"
    assert len(base64.b64decode(fingerprint["blocks"][0]["value"])) == 32


def test_without_mark_and_fingerprint_none_is_claimed() -> None:
    stated = facts(mark=None, fingerprint=None, screened_by=())
    assert actions(stated) == ["c2pa.created"]
    assert "c2pa.soft-binding" not in assertions(stated)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("genguard-pilot-1", "org.genguard.pilot-1"),
        ("genguard-pilot-3", "org.genguard.pilot-3"),
        ("Their Own!", "org.genguard.their-own-"),
        ("dwtDct", "org.genguard.dwtdct"),
    ],
)
def test_mark_algorithms_are_reverse_domain_names(method: str, name: str) -> None:
    assert mark_algorithm(method) == name


def test_the_record_says_who_and_what() -> None:
    (record,) = assertions(facts())[RECORD_LABEL]
    assert record == {
        "record_id": RECORD_ID,
        "provider": "Example Images",
        "origin": "generated",
        "system": "demo",
        "system_version": "1f2e3d",
        "software": f"genguard/{software_version()}",
        "time": "2026-11-24T12:00:00Z",
        "screened_by": ["opennsfw"],
    }


def test_an_unnamed_model_is_left_unnamed() -> None:
    found = assertions(facts(model=None))
    assert "softwareAgent" not in found["c2pa.actions.v2"][0]["actions"][0]
    assert "modelName" not in found["c2pa.ai-disclosure"][0]
    assert found["c2pa.ai-disclosure"][0]["modelType"]
    record = found[RECORD_LABEL][0]
    assert (record["system"], record["system_version"]) == ("genguard", software_version())


@pytest.mark.parametrize(
    ("model", "system"),
    [
        ("demo@1f2e3d", ("demo", "1f2e3d")),
        ("org/name", ("org/name", "")),
        ("user@host/name@v2", ("user@host/name", "v2")),
        ("@odd", ("@odd", "")),
        (None, ("", "")),
    ],
)
def test_system_and_version(model: str | None, system: tuple[str, str]) -> None:
    assert system_of(facts(model=model)) == system


def test_a_generated_picture_that_brings_a_manifest_is_opened() -> None:
    stated = facts(parent=b"x", parent_is_input=False)
    (data,) = assertions(stated)["c2pa.actions.v2"]
    assert data["actions"][0]["action"] == "c2pa.opened"
    assert "c2pa.edited" not in actions(stated)
    found = ingredient(stated)
    assert found is not None
    assert found["relationship"] == "parentOf"
    assert assertions(stated)[RECORD_LABEL][0]["origin"] == "generated"


def test_a_visible_sign_is_said() -> None:
    assert "org.genguard.labelled" in actions(facts(labelled=True))
    assert "org.genguard.labelled" not in actions(facts())


def test_a_prompt_only_when_it_is_given() -> None:
    assert "prompt" not in assertions(facts())[RECORD_LABEL][0]
    assert assertions(facts(prompt="a boat"))[RECORD_LABEL][0]["prompt"] == "a boat"


def test_training_on_it_is_not_allowed() -> None:
    (data,) = assertions(facts())["cawg.training-mining"]
    assert set(data["entries"]) == {
        "cawg.data_mining",
        "cawg.ai_training",
        "cawg.ai_generative_training",
        "cawg.ai_inference",
    }
    assert all(entry == {"use": "notAllowed"} for entry in data["entries"].values())


def test_titles_do_not_call_everything_generated() -> None:
    assert title_of(facts()) == "Generated image"
    assert title_of(facts(Origin.UNKNOWN)) == "Image"
    assert title_of(facts(Origin.EDITED)) == "Edited image"
    assert title_of(facts(Origin.UNKNOWN, title="Harbour")) == "Harbour"


def test_times_are_utc() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, tzinfo=east)) == "2026-01-01T21:34:05Z"
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)) == "2026-01-02T03:04:05Z"


def test_the_version_of_a_tree_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "version", missing)
    software_version.cache_clear()
    assert software_version() == "0"
    software_version.cache_clear()
