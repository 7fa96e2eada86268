"""The rules of the C2PA asset rubric (conformance 0.2 for specification 2.4), in our own words.

The official rubric is a YAML file of expressions over ``Reader.crjson()``, whose evaluator is not
on PyPI. Each rule here has the id of its model, takes a whole report and answers what breaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

SPEC = "2.4"

MALFORMED = frozenset(
    [
        "assertion.action.malformed",
        "assertion.bmffHash.malformed",
        "assertion.boxesHash.malformed",
        "assertion.collectionHash.malformed",
        "assertion.dataHash.malformed",
        "assertion.external-reference.malformed",
        "assertion.external-reference.labelMismatch",
        "assertion.external-reference.created",
        "assertion.ingredient.malformed",
        "assertion.alternativeContentRepresentation.malformed",
        "assertion.alternativeContentRepresentation.missing",
        "assertion.multiAssetHash.malformed",
        "assertion.cbor.invalid",
        "assertion.json.invalid",
        "claim.cbor.invalid",
        "claim.hardBindings.missing",
        "claim.malformed",
        "claim.missing",
        "claim.multiple",
        "hashedURI.missing",
        "ingredient.manifest.missing",
        "assertion.boxesHash.unknownBox",
        "assertion.multipleHardBindings",
        "manifest.compressed.invalid",
        "manifest.html.multipleManifests",
        "manifest.inaccessible",
        "manifest.multipleParents",
        "manifest.structuredText.emptyReference",
        "manifest.structuredText.malformedReference",
        "manifest.structuredText.multipleReferences",
        "manifest.structuredText.noManifest",
        "manifest.structuredText.noResolutionPath",
        "manifest.timestamp.invalid",
        "manifest.timestamp.wrongParents",
        "manifest.update.invalid",
        "manifest.update.wrongParents",
    ]
)
MISMATCHED = frozenset(
    [
        "assertion.action.ingredientMismatch",
        "assertion.action.redactionMismatch",
        "assertion.bmffHash.mismatch",
        "assertion.boxesHash.mismatch",
        "assertion.collectionHash.mismatch",
        "assertion.dataHash.mismatch",
        "assertion.external-reference.hashMismatch",
        "assertion.alternativeContentRepresentation.hashMismatch",
        "assertion.multiAssetHash.mismatch",
        "assertion.hashedURI.mismatch",
        "assertion.hardBinding.redacted",
        "hashedURI.mismatch",
        "ingredient.manifest.mismatch",
        "ingredient.claimSignature.missing",
        "ingredient.claimSignature.mismatch",
        "claimSignature.missing",
    ]
)
ASSERTIONS = frozenset(
    [
        "c2pa.hash.data",
        "c2pa.hash.data.part",
        "c2pa.actions.v2",
        "c2pa.ingredient.v3",
        "c2pa.hash.boxes",
        "c2pa.hash.bmff.v3",
        "c2pa.hash.collection.data",
        "c2pa.soft-binding",
        "c2pa.cloud-data",
        "c2pa.embedded-data",
        "c2pa.metadata",
        "c2pa.certificate-status",
        "c2pa.asset-ref",
        "c2pa.asset-type.v2",
        "c2pa.hash.multi-asset",
        "c2pa.thumbnail.claim",
        "c2pa.thumbnail.ingredient",
        "c2pa.depthmap.GDepth",
        "c2pa.icon",
        "c2pa.alternative-content-representation",
        "c2pa.external-reference",
        "c2pa.session-keys",
        "c2pa.environmental-sustainability",
        "c2pa.repository-receipt",
        "c2pa.ai-disclosure",
        "c2pa.assertion.metadata",
        "c2pa.time-stamp",
        "font.info",
    ]
)
OLD_ASSERTIONS = frozenset(
    [
        "c2pa.claim",
        "c2pa.hash.bmff.v2",
        "c2pa.asset-type",
        "c2pa.ingredient",
        "c2pa.ingredient.v2",
        "c2pa.actions",
    ]
)
ACTIONS = frozenset(
    [
        "c2pa.addedText",
        "c2pa.adjustedColor",
        "c2pa.changedSpeed",
        "c2pa.color_adjustments",
        "c2pa.converted",
        "c2pa.created",
        "c2pa.cropped",
        "c2pa.deleted",
        "c2pa.drawing",
        "c2pa.dubbed",
        "c2pa.edited",
        "c2pa.edited.metadata",
        "c2pa.enhanced",
        "c2pa.filtered",
        "c2pa.mastered",
        "c2pa.mixed",
        "c2pa.opened",
        "c2pa.orientation",
        "c2pa.placed",
        "c2pa.published",
        "c2pa.redacted",
        "c2pa.remixed",
        "c2pa.removed",
        "c2pa.repackaged",
        "c2pa.resized",
        "c2pa.resized.proportional",
        "c2pa.transcoded",
        "c2pa.translated",
        "c2pa.trimmed",
        "c2pa.unknown",
        "c2pa.watermarked",
        "c2pa.watermarked.bound",
        "c2pa.watermarked.unbound",
    ]
)
OLD_ACTIONS = frozenset(
    [
        "c2pa.copied",
        "c2pa.formatted",
        "c2pa.version_updated",
        "c2pa.printed",
        "c2pa.managed",
        "c2pa.produced",
        "c2pa.saved",
        "c2pa.color_adjustments",
        "c2pa.watermarked",
    ]
)
INCEPTION = frozenset({"c2pa.created", "c2pa.opened"})
NOT_SEEN = frozenset(
    [
        "c2pa.converted",
        "c2pa.published",
        "c2pa.repackaged",
        "c2pa.transcoded",
        "c2pa.resized.proportional",
        "c2pa.enhanced",
        "c2pa.edited.metadata",
        "c2pa.watermarked",
        "c2pa.watermarked.bound",
        "c2pa.watermarked.unbound",
        "c2pa.redacted",
    ]
)
PLACED = "c2pa.placed"
PARAMETERS = frozenset(
    [
        "redacted",
        "ingredients",
        "ingredient",
        "description",
        "relatedAssertions",
        "sourceLanguage",
        "targetLanguage",
        "multipleInstances",
        "ranges",
        "weight",
        "width",
        "italic",
        "slant",
        "optical-size",
    ]
)
RELATIONSHIPS = frozenset({"parentOf", "inputTo", "componentOf"})
HUMANS = frozenset({"humanEntry.anonymous", "humanEntry.credentialed"})
NOT_ELSEWHERE = frozenset(
    {"c2pa.actions", "c2pa.actions.v2", "c2pa.cloud-data", "c2pa.external-reference"}
)
PRESERVED = "exif.originalPreservationImage"

Found = Iterator[Any]
Rule = Callable[["Active"], Found]


class Active:
    """The active manifest of a report, by its parts."""

    def __init__(self, report: dict[str, Any]) -> None:
        self.manifest: dict[str, Any] = report["manifests"][0]
        self.assertions: dict[str, Any] = self.manifest.get("assertions") or {}
        self.values = [one for one in self.assertions.values() if isinstance(one, dict)]
        self.claim: dict[str, Any] = self.manifest.get("claim.v2") or {}
        self.results = self.manifest.get("validationResults")
        lists = [one["actions"] for one in self.values if one.get("actions") is not None]
        self.actions: list[dict[str, Any]] = [action for part in lists for action in part]
        self.ingredients = [one for one in self.values if one.get("relationship") is not None]

    @property
    def failures(self) -> set[str]:
        return {one["code"] for one in (self.results or {}).get("failure", ())}

    @property
    def spec_version(self) -> Any:
        info = self.claim.get("claim_generator_info")
        info = info[0] if isinstance(info, list) and info else info
        return (info or {}).get("specVersion") if isinstance(info, dict) else None


def _seen_without_source(active: Active) -> Found:
    exempt = INCEPTION | NOT_SEEN | {PLACED}
    for one in active.actions:
        known = one["action"].startswith("c2pa.") and one["action"] not in exempt
        if known and one.get("digitalSourceType") is None:
            yield one["action"]


def _spec_version(active: Active) -> Found:
    stated = active.spec_version
    if not isinstance(stated, str) or stated.split(".")[:2] != SPEC.split("."):
        yield stated


def _all_included(active: Active) -> Found:
    for one in active.values:
        if one.get("actions") is not None and one.get("allActionsIncluded") is None:
            yield one


def _opened_with_source(active: Active) -> Found:
    for one in active.actions:
        if one["action"] == "c2pa.opened" and one.get("digitalSourceType") is not None:
            yield one["digitalSourceType"]


def _results(active: Active) -> Found:
    if active.results is None:
        yield "no validation results"


def _malformed(active: Active) -> Found:
    yield from _results(active)
    yield from active.failures & MALFORMED


def _mismatched(active: Active) -> Found:
    yield from _results(active)
    yield from active.failures & MISMATCHED


def _inception(active: Active) -> Found:
    urls = [one["url"] for one in active.claim.get("created_assertions") or ()]
    first = next((one for one in urls if "c2pa.actions" in one), "")
    if not first.endswith("c2pa.actions.v2"):
        yield first or "no actions among the created assertions"
    created = any(one["action"] == "c2pa.created" for one in active.actions)
    if created and active.actions[0]["action"] not in INCEPTION:
        yield active.actions[0]["action"]


def _old_assertions(active: Active) -> Found:
    for label in active.assertions:
        if label.startswith("stds.") or label in OLD_ASSERTIONS:
            yield label


def _foreign_assertions(active: Active) -> Found:
    for label in active.assertions:
        bare = label.split("__")[0]
        if label.startswith("c2pa.") and bare not in ASSERTIONS | OLD_ASSERTIONS:
            yield label


def _old_actions(active: Active) -> Found:
    yield from (one["action"] for one in active.actions if one["action"] in OLD_ACTIONS)


def _foreign_actions(active: Active) -> Found:
    names = [one["action"] for one in active.actions]
    yield from (name for name in names if name.startswith("c2pa.") and name not in ACTIONS)


def _unnamed_assertions(active: Active) -> Found:
    yield from (label for label in active.assertions if "." not in label)


def _unnamed_actions(active: Active) -> Found:
    yield from (one["action"] for one in active.actions if "." not in one["action"])


def _unnamed_parameters(active: Active) -> Found:
    for one in active.actions:
        names = set(one.get("parameters") or ()) - PARAMETERS
        yield from (name for name in names if "." not in name)


def _old_parameters(active: Active) -> Found:
    for one in active.actions:
        told = one.get("parameters") or {}
        if told.get("description") is not None or told.get("ingredient") is not None:
            yield one["action"]


def _urn(active: Active) -> Found:
    label = active.manifest.get("label") or ""
    if not label.startswith("urn:c2pa:"):
        yield label


def _human_ratings(active: Active) -> Found:
    for one in active.values:
        source = one.get("dataSource") or {}
        if one.get("reviewRatings") is not None and source.get("type") in HUMANS:
            yield source


def _results_of_none(active: Active) -> Found:
    for one in active.ingredients:
        if one.get("activeManifest") is None and one.get("validationResults") is not None:
            yield one


def _no_results(active: Active) -> Found:
    for one in active.ingredients:
        if one.get("activeManifest") is not None and one.get("validationResults") is None:
            yield one


def _relationships(active: Active) -> Found:
    kinds = [one["relationship"] for one in active.ingredients]
    yield from (kind for kind in kinds if kind not in RELATIONSHIPS)


def _created_without_source(active: Active) -> Found:
    for one in active.actions:
        if one["action"] == "c2pa.created" and one.get("digitalSourceType") is None:
            yield one


def _old_claim_fields(active: Active) -> Found:
    if active.claim.get("specVersion") is not None:
        yield "specVersion in claim"


def _both_sources(active: Active) -> Found:
    for one in active.ingredients:
        if one.get("activeManifest") is not None and one.get("digitalSourceType") is not None:
            yield one


def _representations(active: Active) -> Found:
    for one in active.values:
        told = one.get("parameters") or {}
        if PRESERVED not in {one.get("type"), told.get("type")}:
            continue
        part = told.get("multiAssetPartIndex") is None
        if part == (told.get("embeddedOriginalPreservationImage") is None):
            yield one


def _forbidden_references(active: Active) -> Found:
    for one in active.values:
        label = one.get("label")
        if label is None or one.get("url") is None or one.get("relationship") is not None:
            continue
        if label in NOT_ELSEWHERE or label.startswith(("c2pa.hash", "c2pa.ingredient")):
            yield label


def _urls_in_hashes(active: Active) -> Found:
    for label in ("c2pa.hash.data", "c2pa.hash.bmff.v3"):
        if (active.assertions.get(label) or {}).get("url"):
            yield label


def _only_opened(active: Active) -> Found:
    told = active.assertions.get("c2pa.actions.v2") or {}
    alone = len(active.actions) == 1 and active.actions[0]["action"] == "c2pa.opened"
    if alone and told.get("allActionsIncluded") is not True:
        yield "allActionsIncluded"


def _opened_from_one(active: Active) -> Found:
    for one in active.actions:
        named = (one.get("parameters") or {}).get("ingredients") or ()
        if one["action"] == "c2pa.opened" and len(named) != 1:
            yield one


def _boxes_in_tiff(active: Active) -> Found:
    kind = (active.assertions.get("c2pa.asset-type.v2") or {}).get("dc:format")
    if "c2pa.hash.boxes" in active.assertions and kind in {"image/tiff", "image/x-adobe-dng"}:
        yield kind


RULES: dict[str, Rule] = {
    "mandatory_dst_for_perceptible_transformations": _seen_without_source,
    "mandatory_spec_version": _spec_version,
    "mandatory_all_actions_included": _all_included,
    "no_dst_for_opened_action": _opened_with_source,
    "well_formed_data_present": _results,
    "well_formed_success": _malformed,
    "valid_data_present": _results,
    "valid_success": _mismatched,
    "inception_action_position": _inception,
    "no_deprecated_assertions": _old_assertions,
    "no_unsupported_assertions": _foreign_assertions,
    "no_deprecated_actions": _old_actions,
    "no_unsupported_actions": _foreign_actions,
    "no_unrecognized_custom_assertions": _unnamed_assertions,
    "no_unrecognized_custom_actions": _unnamed_actions,
    "no_unrecognized_custom_action_parameters": _unnamed_parameters,
    "discouraged_legacy_action_parameters": _old_parameters,
    "active_manifest_urn": _urn,
    "review_ratings_datasource": _human_ratings,
    "ingredient_v3_no_active_manifest": _results_of_none,
    "ingredient_v3_mandatory_validation_results": _no_results,
    "ingredient_relationship_values": _relationships,
    "mandatory_dst_for_created_action": _created_without_source,
    "no_deprecated_claim_fields": _old_claim_fields,
    "ingredient_v3_choice": _both_sources,
    "alternative_content_representation_choice": _representations,
    "forbidden_labels_in_external_references": _forbidden_references,
    "no_url_in_hashes": _urls_in_hashes,
    "all_actions_included_opened": _only_opened,
    "opened_action_ingredient_reference": _opened_from_one,
    "no_box_hash_for_tiff": _boxes_in_tiff,
}
"""Rule → what looks for breaches. In the official file each has ``validation:`` before its name."""


def breaches(report: dict[str, Any]) -> dict[str, list[Any]]:
    """The rules that a report breaks, each with what breaks it."""
    active = Active(report)
    found = {name: list(rule(active)) for name, rule in RULES.items()}
    return {name: what for name, what in found.items() if what}
