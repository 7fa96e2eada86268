"""Signed files under the official asset rubric's rules (conformance 0.2 for C2PA 2.4)."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from guard.image.encode import EXTENSIONS, encode
from guard.provenance.sign import C2paSigner
from guard.provenance.trust import TrustList, context_for
from guard.types import Origin
from tests.support import rubric

from .kit import picture, sign

SHARED = Path(os.environ.get("GENGUARD_SHARED", Path(__file__).parents[4] / "shared"))
OFFICIAL = SHARED / "data/c2pa/rubrics/asset-rubric-conformance0.2-spec2.4.yml"


CASES = [
    (Origin.GENERATED, None),  # only what was generated comes from nothing
    *((origin, parent) for origin in Origin for parent in ("bare", "signed")),
]


def report_on(data: bytes, kind: str, trust: TrustList) -> dict[str, Any]:
    from c2pa import Reader

    with Reader(kind, BytesIO(data), context=context_for(trust)) as reader:
        report: dict[str, Any] = json.loads(reader.crjson())
    return report


@pytest.fixture(scope="module")
def parents(signer: C2paSigner) -> dict[str, bytes]:
    """An unsigned original, and one with a manifest of its own."""
    return {"bare": encode(picture(), "image/jpeg"), "signed": sign(signer, "image/webp")}


@pytest.mark.parametrize("kind", list(EXTENSIONS))
@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_rule_is_broken(
    signer: C2paSigner,
    trust: TrustList,
    parents: dict[str, bytes],
    kind: str,
    case: tuple[Origin, str | None],
) -> None:
    origin, parent = case
    data = sign(signer, kind, origin=origin, parent=parents[parent] if parent else None)
    report = report_on(data, kind, trust)
    assert rubric.breaches(report) == {}
    manifest = report["manifests"][0]
    assert manifest["validationResults"]["failure"] == []
    ingredients = [
        one for one in manifest["assertions"].values() if one.get("relationship") is not None
    ]
    assert len(ingredients) == (parent is not None)
    assert len(report["manifests"]) == (2 if parent == "signed" else 1), "kept, never dropped"
    for one in ingredients:
        assert one["relationship"] == ("inputTo" if origin is Origin.GENERATED else "parentOf")
        assert ("activeManifest" in one) == (parent == "signed")


def test_a_generated_picture_opened_from_its_own_manifest(
    signer: C2paSigner, trust: TrustList, parents: dict[str, bytes]
) -> None:
    data = sign(signer, parent=parents["signed"], parent_is_input=False, labelled=True)
    assert rubric.breaches(report_on(data, "image/png", trust)) == {}


def test_no_list_of_ours_is_named_to_others(
    signer: C2paSigner, trust: TrustList, parents: dict[str, bytes]
) -> None:
    data = sign(signer, origin=Origin.UNKNOWN, parent=parents["signed"])
    told = report_on(data, "image/png", trust)["manifests"][0]["assertions"]["c2pa.ingredient.v3"]
    assert "[urn:genguard:trust:lists]" in str(told)
    assert "urn:genguard:trust:signer" not in str(told)


def action(name: str, **more: Any) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        actions = manifest["assertions"]["c2pa.actions.v2"]["actions"]
        actions.append({"action": name, "digitalSourceType": "x"} | more)

    return change


def assertion(label: str, value: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: manifest["assertions"].update({label: value})


def drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        for name in path[:-1]:
            manifest = manifest[name]
        manifest.pop(path[-1])

    return change


def failure(code: str) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: manifest["validationResults"]["failure"].append({"code": code})


INGREDIENT = {"relationship": "parentOf"}
EXTERNAL = {"url": "https://example.org"}
BREAKS: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    (
        "mandatory_dst_for_perceptible_transformations",
        action("c2pa.cropped", digitalSourceType=None),
    ),
    ("mandatory_spec_version", drop("claim.v2", "claim_generator_info", "specVersion")),
    ("mandatory_all_actions_included", drop("assertions", "c2pa.actions.v2", "allActionsIncluded")),
    ("no_dst_for_opened_action", action("c2pa.opened", parameters={"ingredients": [1]})),
    ("well_formed_data_present", drop("validationResults")),
    ("well_formed_success", failure("claim.malformed")),
    ("valid_data_present", drop("validationResults")),
    ("valid_success", failure("assertion.dataHash.mismatch")),
    ("inception_action_position", lambda m: m["claim.v2"].update(created_assertions=[])),
    (
        "inception_action_position",
        lambda m: m["assertions"]["c2pa.actions.v2"]["actions"].reverse(),
    ),
    ("no_deprecated_assertions", assertion("stds.exif", {})),
    ("no_unsupported_assertions", assertion("c2pa.new", {})),
    ("no_deprecated_actions", action("c2pa.watermarked")),
    ("no_unsupported_actions", action("c2pa.painted")),
    ("no_unrecognized_custom_assertions", assertion("plain", {})),
    ("no_unrecognized_custom_actions", action("painted")),
    (
        "no_unrecognized_custom_action_parameters",
        action("c2pa.edited", parameters={"brush": 1, "our.brush": 2, "ranges": 3}),
    ),
    (
        "discouraged_legacy_action_parameters",
        action("c2pa.edited", parameters={"description": "x"}),
    ),
    ("active_manifest_urn", lambda m: m.update(label="urn:uuid:1")),
    (
        "review_ratings_datasource",
        assertion("a.b", {"reviewRatings": [], "dataSource": {"type": "humanEntry.anonymous"}}),
    ),
    ("ingredient_v3_no_active_manifest", assertion("a.b", INGREDIENT | {"validationResults": {}})),
    (
        "ingredient_v3_mandatory_validation_results",
        assertion("a.b", INGREDIENT | {"activeManifest": {}}),
    ),
    ("ingredient_relationship_values", assertion("a.b", {"relationship": "childOf"})),
    ("mandatory_dst_for_created_action", action("c2pa.created", digitalSourceType=None)),
    ("no_deprecated_claim_fields", lambda m: m["claim.v2"].update(specVersion="2.4.0")),
    (
        "ingredient_v3_choice",
        assertion("a.b", INGREDIENT | {"activeManifest": {}, "digitalSourceType": "x"}),
    ),
    ("alternative_content_representation_choice", assertion("a.b", {"type": rubric.PRESERVED})),
    (
        "forbidden_labels_in_external_references",
        assertion("a.b", EXTERNAL | {"label": "c2pa.hash.data"}),
    ),
    ("no_url_in_hashes", lambda m: m["assertions"]["c2pa.hash.data"].update(url="x")),
    (
        "all_actions_included_opened",
        lambda m: m["assertions"]["c2pa.actions.v2"].update(
            actions=[{"action": "c2pa.opened"}], allActionsIncluded=False
        ),
    ),
    ("opened_action_ingredient_reference", action("c2pa.opened", digitalSourceType=None)),
    (
        "no_box_hash_for_tiff",
        lambda m: m["assertions"].update(
            {"c2pa.hash.boxes": {}, "c2pa.asset-type.v2": {"dc:format": "image/tiff"}}
        ),
    ),
]


@pytest.fixture(scope="module")
def clean(signer: C2paSigner, trust: TrustList) -> dict[str, Any]:
    return report_on(sign(signer), "image/png", trust)


@pytest.mark.parametrize(("rule", "change"), BREAKS, ids=[name for name, _ in BREAKS])
def test_every_rule_can_be_broken(
    clean: dict[str, Any], rule: str, change: Callable[[dict[str, Any]], None]
) -> None:
    broken = copy.deepcopy(clean)
    change(broken["manifests"][0])
    assert rule in rubric.breaches(broken)


def test_no_rule_is_left_untried() -> None:
    assert {name for name, _ in BREAKS} == set(rubric.RULES)


@pytest.mark.skipif(not OFFICIAL.exists(), reason=f"the official rubric is not at {OFFICIAL}")
def test_our_rules_are_those_of_the_official_rubric() -> None:
    about, rules = yaml.safe_load_all(OFFICIAL.read_text())
    assert {one["id"].removeprefix("validation:") for one in rules} == set(rubric.RULES)
    lists = about["variables"]
    missing = {"MISSING_VALIDATION_RESULTS"}
    for name, ours in {
        "$inception_actions": rubric.INCEPTION,
        "$non_editorial_actions": rubric.NOT_SEEN,
        "$dst_exempt_perceptible_actions": {rubric.PLACED},
        "$well_formed_error_codes": rubric.MALFORMED | missing,
        "$valid_error_codes": rubric.MISMATCHED | missing,
        "$valid_relationship_values": rubric.RELATIONSHIPS,
        "$human_entry_source_types": rubric.HUMANS,
        "$allowed_assertions": rubric.ASSERTIONS,
        "$allowed_actions": rubric.ACTIONS,
        "$deprecated_assertion_labels": rubric.OLD_ASSERTIONS,
        "$deprecated_action_labels": rubric.OLD_ACTIONS,
        "$standard_parameters": rubric.PARAMETERS,
    }.items():
        assert set(lists[name]) == set(ours), name
