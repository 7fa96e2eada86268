"""The chain of manifests in a store as a tree: a picture, what it was made from, and so on.

The texts were written by whoever signed. A store may hold thousands of manifests, and they may
name each other in a ring: depth and number are bounded, and a ring ends where it closes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 12
"""Generations that are shown; a picture edited twelve times is a long history."""

MAX_LINKS = 200
"""Manifests and ingredients that are shown in all."""

MAX_TEXT = 400
"""Characters of one text; a title may have ten million."""

MAX_ACTIONS = 20


@dataclass(frozen=True, slots=True)
class Link:
    """One manifest, or an ingredient that brought none (``signed`` false).

    ``relation`` to what stands above it: ``parentOf``, ``componentOf``, ``inputTo``; None for the
    active manifest. ``problems``: the validation codes that failed when it was taken up.
    """

    title: str | None
    signed: bool
    relation: str | None = None
    label: str | None = None
    signer: str | None = None
    when: str | None = None
    claim_generator: str | None = None
    media_type: str | None = None
    actions: tuple[str, ...] = ()
    digital_source_type: str | None = None
    problems: tuple[str, ...] = ()
    ingredients: tuple[Link, ...] = ()

    @property
    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        plain["actions"], plain["problems"] = list(self.actions), list(self.problems)
        plain["ingredients"] = [one.as_dict for one in self.ingredients]
        return plain

    def walk(self) -> list[Link]:
        """The link itself and all below it."""
        return [self, *(below for one in self.ingredients for below in one.walk())]


def chain_of(report: Mapping[str, Any]) -> Link | None:
    """The tree below the active manifest of a c2pa report; None where there is none."""
    manifests = _mapping(report.get("manifests"))
    label = report.get("active_manifest")
    if not isinstance(label, str) or not isinstance(manifests.get(label), Mapping):
        return None
    return _Walk(manifests).link(label, {}, frozenset())


class _Walk:
    """One walk through a store; counts the links that it may still make."""

    def __init__(self, manifests: Mapping[str, Any]) -> None:
        self._manifests = manifests
        self._left = MAX_LINKS

    def link(self, label: str | None, told: Mapping[str, Any], above: frozenset[str]) -> Link:
        """The link of a manifest, or of an ingredient without one; ``told`` by the one above."""
        self._left -= 1
        manifest = _mapping(self._manifests.get(label or "")) if label not in above else {}
        here = above | {label} if label else above
        stated = _actions(manifest)
        return Link(
            title=_text(told.get("title")) or _text(manifest.get("title")),
            signed=bool(manifest),
            relation=_text(told.get("relationship")),
            label=_text(label),
            signer=_signer(manifest),
            when=_when(manifest, stated),
            claim_generator=_generator(manifest),
            media_type=_text(told.get("format")) or _text(manifest.get("format")),
            actions=tuple(filter(None, (_text(one.get("action")) for one in stated))),
            digital_source_type=_first(one.get("digitalSourceType") for one in stated),
            problems=_problems(told),
            ingredients=self._below(manifest, here),
        )

    def _below(self, manifest: Mapping[str, Any], here: frozenset[str]) -> tuple[Link, ...]:
        found: list[Link] = []
        if len(here) >= MAX_DEPTH:
            return ()
        for one in map(_mapping, _list(manifest.get("ingredients"))):
            if self._left <= 0:
                break
            label = one.get("active_manifest")
            found.append(self.link(label if isinstance(label, str) else None, one, here))
        return tuple(found)


def _actions(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    assertions = map(_mapping, _list(manifest.get("assertions")))
    stated = [
        _mapping(action)
        for one in assertions
        if str(one.get("label")).startswith("c2pa.actions")
        for action in _list(_mapping(one.get("data")).get("actions"))[:MAX_ACTIONS]
    ]
    return stated[:MAX_ACTIONS]


def _problems(told: Mapping[str, Any]) -> tuple[str, ...]:
    """What was wrong with an ingredient when it was taken up; old claims list only failures."""
    results = _mapping(_mapping(told.get("validation_results")).get("activeManifest"))
    listed = _list(results.get("failure")) or _list(told.get("validation_status"))
    codes = {_text(_mapping(one).get("code")) for one in listed[:MAX_LINKS]}
    return tuple(sorted(code for code in codes if code))


def _signer(manifest: Mapping[str, Any]) -> str | None:
    signature = _mapping(manifest.get("signature_info"))
    return _text(signature.get("common_name")) or _text(signature.get("issuer"))


def _when(manifest: Mapping[str, Any], stated: list[Mapping[str, Any]]) -> str | None:
    time = _text(_mapping(manifest.get("signature_info")).get("time"))
    return time or _first(one.get("when") for one in stated)


def _generator(manifest: Mapping[str, Any]) -> str | None:
    info = next((_mapping(one) for one in _list(manifest.get("claim_generator_info"))), {})
    parts = [_text(info.get("name")), _text(info.get("version"))]
    return " ".join(part for part in parts if part) or _text(manifest.get("claim_generator"))


def _first(values: Any) -> str | None:
    return next((text for text in map(_text, values) if text), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) and value else None
