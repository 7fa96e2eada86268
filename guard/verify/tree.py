"""The chain of manifests as the page draws it: a picture, and below it what it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guard.verify.parts import cut
from guard.verify.words import meaning

MOST_NODES = 60
"""Of a chain so many links are drawn; the JSON report has more."""

DEEPEST = 12

_RELATIONS = {
    "parentOf": "edited from",
    "componentOf": "contains",
    "inputTo": "made with the help of",
}
_ABOUT_SIGNER = "signingCredential."


@dataclass(frozen=True, slots=True)
class Node:
    """One manifest or ingredient; ``facts`` for those who want to know more."""

    title: str
    relation: str
    signed: bool
    signer: str
    when: str
    facts: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    doubts: tuple[str, ...]
    below: tuple[Node, ...] = ()


def tree_of(provenance: Mapping[str, Any] | None) -> tuple[Node | None, int]:
    """The tree of a manifest's chain, and how many links of it are not drawn."""
    chain = (provenance or {}).get("chain")
    if not isinstance(chain, Mapping):
        return None, 0
    counted = _count(chain)
    drawing = _Drawing(MOST_NODES)
    node = drawing.node(chain, 0)
    return node, counted - (MOST_NODES - drawing.left)


def _count(link: Mapping[str, Any], depth: int = 0) -> int:
    if depth > DEEPEST:
        return 1
    return 1 + sum(_count(one, depth + 1) for one in _links(link))


def _links(link: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    below = link.get("ingredients")
    return [one for one in below if isinstance(one, Mapping)] if isinstance(below, list) else []


class _Drawing:
    """Draws the first ``left`` links of a chain."""

    def __init__(self, left: int) -> None:
        self.left = left

    def node(self, link: Mapping[str, Any], depth: int) -> Node:
        self.left -= 1
        problems = [str(one) for one in link.get("problems") or ()]
        below = []
        for one in _links(link) if depth < DEEPEST else ():
            if self.left <= 0:
                break
            below.append(self.node(one, depth + 1))
        return Node(
            title=_shown(link, "title") or ("This picture" if not depth else "untitled"),
            relation=_RELATIONS.get(str(link.get("relation")), "") if depth else "",
            signed=bool(link.get("signed")),
            signer=_shown(link, "signer"),
            when=_shown(link, "when")[:19].replace("T", " "),
            facts=tuple(_facts(link)),
            problems=tuple(meaning(one) for one in problems if not one.startswith(_ABOUT_SIGNER)),
            doubts=tuple(meaning(one) for one in problems if one.startswith(_ABOUT_SIGNER)),
            below=tuple(below),
        )


def _facts(link: Mapping[str, Any]) -> list[tuple[str, str]]:
    actions = [str(one).removeprefix("c2pa.") for one in link.get("actions") or ()]
    source = _shown(link, "digital_source_type").rpartition("/")[2]
    found = [
        ("made with", _shown(link, "claim_generator")),
        ("source type", source),
        ("done", cut(", ".join(dict.fromkeys(actions)))),
        ("format", _shown(link, "media_type")),
    ]
    return [(name, text) for name, text in found if text]


def _shown(link: Mapping[str, Any], key: str) -> str:
    value = link.get(key)
    return cut(value) if isinstance(value, str) else ""
