"""What a manifest says: the C2PA 2.4 definition of one picture, from the facts about it.

Nothing is claimed that was not told: only ``origin=generated`` is *created* by a trained
algorithm; an edited or unknown picture is *opened* from what was handed in, which stays in the
manifest as its parent. So is a generated picture that came with a manifest of its own: that one
says how it was made, and is kept. There is no prompt in it unless the facts carry one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from guard.errors import StageMisbehaved
from guard.image.fingerprint import to_binding
from guard.provenance.base import ManifestFacts
from guard.types import Origin

RECORD_LABEL = "org.genguard.record"
"""Our own assertion: record id, provider, system, version and time."""

SPEC_VERSION = "2.4.0"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED = SOURCE_TYPES + "trainedAlgorithmicMedia"
COMPOSITE = SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"

CREATED_LABELS = (
    "c2pa.actions",
    "c2pa.ai-disclosure",
    "c2pa.soft-binding",
    "c2pa.ingredient",
    "c2pa.metadata",
    RECORD_LABEL,
)
"""Assertions that we vouch for ourselves; c2pa files the others as merely gathered."""

PARENT = "parent"
"""Label that ties actions to the ingredient they start from."""

_TITLES = {Origin.EDITED: "Edited image", Origin.UNKNOWN: "Image"}
_NOT_ALLOWED = {"use": "notAllowed"}


@cache  # every manifest says it several times, and finding it parses a file
def software_version() -> str:
    """The installed version of genguard."""
    try:
        return version("genguard")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0"


def timestamp(when: datetime) -> str:
    """UTC with seconds, as C2PA's ``when`` wants it (RFC 3339)."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def mark_algorithm(method: str) -> str:
    """The soft-binding algorithm of a watermark method: an own reverse-domain name."""
    plain = re.sub(r"[^a-z0-9.-]+", "-", method.lower().removeprefix("genguard-"))
    return f"org.genguard.{plain}"


def title_of(facts: ManifestFacts) -> str:
    """The title; a picture that we did not generate is never called generated."""
    default = ManifestFacts.__dataclass_fields__["title"].default
    return _TITLES.get(facts.origin, facts.title) if facts.title == default else facts.title


def definition(
    facts: ManifestFacts, media_type: str, texts: Sequence[str] | None = None
) -> dict[str, Any]:
    """The definition that c2pa's Builder takes.

    ``texts`` stand in for the values of the soft bindings, in the order of
    :func:`soft_bindings`; without them the values are written as base64.

    Raises StageMisbehaved when an edited or unknown picture comes without what it came from.
    """
    if facts.origin is not Origin.GENERATED and facts.parent is None:
        raise StageMisbehaved(
            f"An image of origin {facts.origin.value} must be signed with its original.",
            hint="Hand the original file's bytes to the signer as the parent.",
        )
    return {
        "claim_generator_info": [_agent() | {"specVersion": SPEC_VERSION}],
        "title": title_of(facts),
        "format": media_type,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": _actions(facts)},
            *_bindings(facts, texts),
            *_disclosures(facts),
            {"label": RECORD_LABEL, "kind": "Json", "data": _record(facts)},
        ],
    }


def soft_bindings(facts: ManifestFacts) -> tuple[tuple[str, bytes], ...]:
    """Algorithm and value of what leads back from pixels to this manifest: mark, fingerprints."""
    found = []
    if facts.mark is not None:
        found.append((mark_algorithm(facts.mark.method), bytes.fromhex(facts.mark.payload)))
    first = () if facts.fingerprint is None else (facts.fingerprint,)
    found += [(one.algorithm, to_binding(one)) for one in first + facts.other_fingerprints]
    return tuple(found)


def ingredient(facts: ManifestFacts) -> dict[str, Any] | None:
    """What the picture was made from: its parent, or the input of a generation; None for none."""
    if facts.parent is None:
        return None
    return {
        "title": "Original" if facts.opened else "Input image",
        "relationship": "parentOf" if facts.opened else "inputTo",
        "label": PARENT,
    }


def _agent() -> dict[str, str]:
    return {"name": "genguard", "version": software_version()}


def _actions(facts: ManifestFacts) -> dict[str, Any]:
    actions = _inception(facts)
    if facts.screened_by:
        parameters = {"org.genguard.detectors": list(facts.screened_by)}
        actions.append(_action(facts, "org.genguard.screened", parameters=parameters))
    if facts.labelled:
        actions.append(_action(facts, "org.genguard.labelled", softwareAgent=_agent()))
    if facts.mark is not None:
        actions.append(_action(facts, "c2pa.watermarked.bound", softwareAgent=_agent()))
    # Whoever edited the picture may have done more than we are told.
    return {"actions": actions, "allActionsIncluded": facts.origin is not Origin.EDITED}


def _inception(facts: ManifestFacts) -> list[dict[str, Any]]:
    from_parent = {"parameters": {"ingredientIds": [PARENT]}} if facts.parent is not None else {}
    if not facts.opened:
        model = {"softwareAgent": {"name": facts.model}} if facts.model else {}
        created = {"digitalSourceType": TRAINED} | model | from_parent
        return [_action(facts, "c2pa.created", **created)]
    opened = _action(facts, "c2pa.opened", **from_parent)
    if facts.origin is not Origin.EDITED:
        return [opened]
    return [opened, _action(facts, "c2pa.edited", digitalSourceType=COMPOSITE)]


def _action(facts: ManifestFacts, name: str, **more: Any) -> dict[str, Any]:
    return {"action": name, "when": timestamp(facts.when)} | more


def _bindings(facts: ManifestFacts, texts: Sequence[str] | None) -> list[dict[str, Any]]:
    bindings = soft_bindings(facts)
    shown = texts or [base64.b64encode(value).decode("ascii") for _, value in bindings]
    return [
        {
            "label": "c2pa.soft-binding",
            "data": {"alg": algorithm, "blocks": [{"scope": {}, "value": text}]},
        }
        for (algorithm, _), text in zip(bindings, shown, strict=True)
    ]


def _disclosures(facts: ManifestFacts) -> list[dict[str, Any]]:
    if facts.origin is Origin.UNKNOWN:
        return []
    disclosure: dict[str, Any] = {"modelType": "c2pa.types.model"}
    if facts.model:
        disclosure["modelName"] = facts.model
    found = [{"label": "c2pa.ai-disclosure", "data": disclosure}]
    if facts.origin is Origin.GENERATED:
        disclosure["contentProfile"] = {"humanOversightLevel": "prompt_guided"}
        uses = ("data_mining", "ai_training", "ai_generative_training", "ai_inference")
        entries = {f"cawg.{use}": _NOT_ALLOWED for use in uses}
        found.append({"label": "cawg.training-mining", "data": {"entries": entries}})
    return found


def system_of(facts: ManifestFacts) -> tuple[str, str]:
    """Name and version of the system that made the picture; "" for what is not known.

    Models are named ``NAME@VERSION``, the version being of their weights.
    """
    name, _, found = (facts.model or "").rpartition("@")
    return (name, found) if name else (facts.model or "", "")


def _record(facts: ManifestFacts) -> dict[str, Any]:
    """What California's SB 942 wants disclosed (provider, system, version, time, id), and more."""
    system, system_version = system_of(facts)
    told = {
        "record_id": facts.record_id,
        "provider": facts.provider,
        "origin": facts.origin.value,
        "system": system or "genguard",
        "system_version": system_version or ("" if system else software_version()),
        "software": f"genguard/{software_version()}",
        "time": timestamp(facts.when),
        "screened_by": list(facts.screened_by),
    }
    return told | ({"prompt": facts.prompt} if facts.prompt is not None else {})
