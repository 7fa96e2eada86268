"""The chain of manifests: as deep as it is told, but never endless."""

from __future__ import annotations

from typing import Any

from guard.provenance.chain import MAX_ACTIONS, MAX_DEPTH, MAX_LINKS, MAX_TEXT, chain_of


def report(manifests: dict[str, Any], active: object = "a") -> dict[str, Any]:
    return {"active_manifest": active, "manifests": manifests}


def manifest(*below: Any, **more: Any) -> dict[str, Any]:
    return {"ingredients": list(below)} | more


def test_a_chain_of_three() -> None:
    tool = {"claim_generator_info": [{"name": "Tool", "version": "2"}]}
    camera = {"title": "raw.dng", "relationship": "parentOf", "format": "image/dng"}
    below = {
        "title": "part.png",
        "relationship": "componentOf",
        "active_manifest": "b",
        "validation_results": {"activeManifest": {"failure": [{"code": "claim.missing"}]}},
    }
    actions = [
        {"action": "c2pa.opened"},
        {"action": "c2pa.edited", "when": "2026", "digitalSourceType": "x/y"},
    ]
    chain = chain_of(
        report(
            {
                "a": manifest(
                    below,
                    title="top.png",
                    signature_info={"issuer": "Issuer"},
                    assertions=[{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
                    **tool,
                ),
                "b": manifest(camera, claim_generator="old/1", signature_info={"time": "2025"}),
            }
        )
    )
    assert chain is not None
    assert (chain.title, chain.signer, chain.claim_generator) == ("top.png", "Issuer", "Tool 2")
    assert (chain.when, chain.digital_source_type) == ("2026", "x/y")
    assert chain.actions == ("c2pa.opened", "c2pa.edited")
    (part,) = chain.ingredients
    assert (part.title, part.relation, part.claim_generator) == ("part.png", "componentOf", "old/1")
    assert (part.problems, part.when, part.signed) == (("claim.missing",), "2025", True)
    (raw,) = part.ingredients
    assert (raw.title, raw.signed, raw.media_type) == ("raw.dng", False, "image/dng")
    assert [one.title for one in chain.walk()] == ["top.png", "part.png", "raw.dng"]
    assert chain.as_dict["ingredients"][0]["ingredients"][0]["title"] == "raw.dng"


def test_old_claims_list_what_failed_in_another_place() -> None:
    told = {"active_manifest": "b", "validation_status": [{"code": "x"}, {"code": None}, 7]}
    chain = chain_of(report({"a": manifest(told), "b": {}}))
    assert chain is not None
    assert chain.ingredients[0].problems == ("x",)


def test_a_ring_ends_where_it_closes() -> None:
    ring = report(
        {"a": manifest({"active_manifest": "b"}), "b": manifest({"active_manifest": "a"})}
    )
    chain = chain_of(ring)
    assert chain is not None
    assert [one.signed for one in chain.walk()] == [True, True, False]


def test_depth_and_number_are_bounded() -> None:
    deep = {str(n): manifest({"active_manifest": str(n + 1)}) for n in range(1000)}
    chain = chain_of(report(deep, "0"))
    assert chain is not None
    assert len(chain.walk()) == MAX_DEPTH
    wide = {
        "a": manifest(*({"active_manifest": "b"} for _ in range(500))),
        "b": manifest(*[{}] * 500),
    }
    chain = chain_of(report(wide))
    assert chain is not None
    assert len(chain.walk()) == MAX_LINKS


def test_texts_and_actions_are_cut() -> None:
    actions = [{"action": f"x{n}"} for n in range(10_000)]
    stated = {"label": "c2pa.actions", "data": {"actions": actions}}
    chain = chain_of(report({"a": manifest(title="A" * 10**7, assertions=[stated, stated])}))
    assert chain is not None
    assert len(chain.title or "") == MAX_TEXT
    assert len(chain.actions) == MAX_ACTIONS


def test_strange_shapes() -> None:
    assert chain_of({}) is None
    assert chain_of(report({}, 7)) is None
    assert chain_of(report({"a": []})) is None
    chain = chain_of(report({"a": {"ingredients": [7, {"active_manifest": 7}], "title": 7}}))
    assert chain is not None
    assert [one.signed for one in chain.walk()] == [True, False, False]
    assert chain.title is None
