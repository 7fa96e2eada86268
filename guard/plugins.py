"""How others add rooms' furniture: pluggy hooks. The built-ins are plug-ins too.

A package registers itself under the entry-point group ``genguard`` and implements any of
:class:`Hooks`. Names must be unique: two plug-ins that claim one name are refused at start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pluggy

from guard.classify.base import Detector
from guard.errors import InvalidConfiguration, PolicyInvalid
from guard.generate.base import Generator
from guard.policy.model import Policy
from guard.settings import Settings
from guard.watermark.base import MarkReader, Watermark

GROUP = "genguard"
"""The entry-point group and pluggy's project name."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a factory may know: the settings, the policy and the watermark's secret.

    ``retired_mark_secrets`` are earlier ones: no longer marked with, still to be read.
    """

    settings: Settings
    policy: Policy
    mark_secret: bytes = field(default=b"", repr=False)
    retired_mark_secrets: tuple[bytes, ...] = field(default=(), repr=False)


GeneratorFactory = Callable[[str, Settings], Generator]
DetectorFactory = Callable[[Wiring], tuple[Detector, ...]]
WatermarkFactory = Callable[[Wiring], Watermark]
MarkReaderFactory = Callable[[Wiring], MarkReader | None]


class Hooks:
    """What a plug-in can add. Each hook answers a mapping of names to factories."""

    @hookspec
    def guard_generators(self) -> Mapping[str, GeneratorFactory]:  # type: ignore[empty-body]
        """Scheme (``openai`` in ``openai:NAME``) → factory of (reference, settings)."""

    @hookspec
    def guard_detectors(self) -> Mapping[str, DetectorFactory]:  # type: ignore[empty-body]
        """Detector family (``opennsfw``, ``clip``) → factory of (wiring)."""

    @hookspec
    def guard_watermarks(self) -> Mapping[str, WatermarkFactory]:  # type: ignore[empty-body]
        """Method → factory of (wiring)."""

    @hookspec
    def guard_mark_readers(self) -> Mapping[str, MarkReaderFactory]:  # type: ignore[empty-body]
        """Maker of a mark → factory of (wiring), which answers None where the reader is off."""


class BuiltIns:
    """What genguard brings itself. Nothing heavy is imported before it is used."""

    @hookimpl
    def guard_generators(self) -> Mapping[str, GeneratorFactory]:
        """``demo``, ``openai:NAME``, and ``diffusers`` for directories and hub ids."""

        def open_it(reference: str, settings: Settings) -> Generator:
            from guard.generate.open import open_generator

            return open_generator(reference, settings)

        return dict.fromkeys(("demo", "openai", "diffusers"), open_it)

    @hookimpl
    def guard_detectors(self) -> Mapping[str, DetectorFactory]:
        """``opennsfw`` (weights in its package), ``clip`` (pulled or local), ``known-bad``."""

        def opennsfw(wiring: Wiring) -> tuple[Detector, ...]:
            from guard.classify.opennsfw import OpenNsfwDetector

            return (OpenNsfwDetector(),)

        def clip(wiring: Wiring) -> tuple[Detector, ...]:
            from guard.classify.clip import clip_detectors

            if wiring.policy.clip is None:
                raise PolicyInvalid(
                    f"The policy {wiring.policy.name!r} names clip, but has no 'clip' section.",
                    hint="Add a 'clip' section with 'model' and 'pretrained'.",
                )
            return clip_detectors(wiring.policy.clip, models=wiring.settings.home / "models")

        def known_bad(wiring: Wiring) -> tuple[Detector, ...]:
            from guard.classify.known_bad import KnownBadDetector, open_bank

            names = dict.fromkeys(rule.bank for rule in wiring.policy.known_bad)
            database, folder = wiring.settings.database, wiring.settings.home / "index"
            seconds = wiring.settings.audit_seconds
            banks = [open_bank(one, database, folder, seconds) for one in names]
            return tuple(KnownBadDetector(bank) for bank in banks)

        return {"opennsfw": opennsfw, "clip": clip, "known-bad": known_bad}

    @hookimpl
    def guard_watermarks(self) -> Mapping[str, WatermarkFactory]:
        """The mark of :mod:`guard.watermark`."""

        def pilot(wiring: Wiring) -> Watermark:
            from guard.watermark.pilot_watermark import PilotWatermark

            return PilotWatermark(
                wiring.mark_secret,
                retired=wiring.retired_mark_secrets,
                strength=wiring.policy.watermark.strength,
                wished=wiring.policy.watermark.survive,
                false_positive_rate=wiring.policy.watermark.false_positive_rate,
            )

        def trustmark(wiring: Wiring) -> Watermark:
            from guard.watermark.trustmark_watermark import TrustMarkWatermark

            return TrustMarkWatermark(
                wiring.settings.trustmark_models,
                wiring.mark_secret,
                retired=wiring.retired_mark_secrets,
                strength=wiring.policy.watermark.strength,
                wished=wiring.policy.watermark.survive,
                false_positive_rate=wiring.policy.watermark.false_positive_rate,
            )

        return {"genguard-pilot-3": pilot, "trustmark": trustmark}

    @hookimpl
    def guard_mark_readers(self) -> Mapping[str, MarkReaderFactory]:
        """Public messages of well-known generators; TrustMark where its weights are named."""

        def invisible_watermark(wiring: Wiring) -> MarkReader:
            from guard.watermark.legacy import PublicMessages

            return PublicMessages()

        def trustmark(wiring: Wiring) -> MarkReader | None:
            from guard.watermark.trustmark import TrustMarkReader

            folder = wiring.settings.trustmark_models
            return None if folder is None else TrustMarkReader(folder)

        return {"invisible-watermark": invisible_watermark, "trustmark": trustmark}


@cache
def manager() -> pluggy.PluginManager:
    """The built-ins and every installed plug-in."""
    plugins = pluggy.PluginManager(GROUP)
    plugins.add_hookspecs(Hooks)
    plugins.register(BuiltIns(), name="genguard")
    plugins.load_setuptools_entrypoints(GROUP)
    return plugins


def registry(hook: str) -> dict[str, Any]:
    """Everything that ``hook`` offers, by name.

    Raises InvalidConfiguration when two plug-ins claim one name: the later one must not quietly
    replace the earlier.
    """
    offered: dict[str, Any] = {}
    for part in getattr(manager().hook, hook)():
        twice = sorted(set(offered) & set(part))
        if twice:
            raise InvalidConfiguration(
                f"Two plug-ins offer {', '.join(twice)} ({hook}).",
                hint="Uninstall one of them: a name must mean one thing.",
            )
        offered.update(part)
    return offered
