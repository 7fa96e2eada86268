"""Rooms from settings, policy and plug-ins; what is missing is said at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from guard import assemble, plugins
from guard.assemble import (
    GeneratorCabinet,
    build_classifier,
    build_log,
    build_watermark,
    detector_families,
    make_home,
    resolve_policy,
)
from guard.errors import (
    AuditUnavailable,
    DetectorUnavailable,
    InvalidConfiguration,
    KeyInvalid,
    PolicyInvalid,
    SettingsInvalid,
)
from guard.plugins import Wiring, hookimpl, registry
from guard.policy.model import OutputRule, Policy, WatermarkSettings
from guard.settings import Settings
from tests.support.house import FakeGenerator, FixedDetector, picture


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


class Theirs:
    """Somebody's plug-in."""

    @hookimpl
    def guard_generators(self) -> Mapping[str, Any]:
        return {"fake": lambda reference, _: FakeGenerator(model=reference)}

    @hookimpl
    def guard_detectors(self) -> Mapping[str, Any]:
        return {"theirs": lambda _: (FixedDetector("theirs:one"), FixedDetector("theirs:two"))}

    @hookimpl
    def guard_watermarks(self) -> Mapping[str, Any]:
        return {"theirs-1": lambda wiring: wiring}


@pytest.fixture
def theirs() -> Iterator[None]:
    plugins.manager().register(Theirs(), name="theirs")
    yield
    plugins.manager().unregister(name="theirs")


# -- plug-ins ---------------------------------------------------------------------------------


def test_built_ins_are_plugins() -> None:
    assert set(registry("guard_generators")) == {"demo", "openai", "diffusers"}
    assert set(registry("guard_detectors")) == {"opennsfw", "clip", "known-bad"}
    assert set(registry("guard_watermarks")) == {"genguard-pilot-3", "trustmark"}
    assert set(registry("guard_mark_readers")) == {"invisible-watermark", "trustmark"}


@pytest.mark.usefixtures("theirs")
def test_plugin_adds_to_the_built_ins(settings: Settings, default_policy: Policy) -> None:
    assert GeneratorCabinet(settings).open("fake:model-7").model == "fake:model-7"
    rule = OutputRule(id="r", category="nsfw", detectors=("theirs",), block=0.5, message="m")
    policy = default_policy.model_copy(
        update={
            "output_rules": (rule,),
            "required_detectors": ("theirs",),
            "watermark": WatermarkSettings(method="theirs-1"),
        }
    )

    assert [one.id for one in build_classifier(policy, settings).detectors] == [
        "theirs:one",
        "theirs:two",
    ]
    wiring: Any = build_watermark(policy, settings)
    assert isinstance(wiring, Wiring)
    assert len(wiring.mark_secret) == 32


def test_two_plugins_must_not_share_a_name() -> None:
    class Impostor:
        @hookimpl
        def guard_detectors(self) -> Mapping[str, Any]:
            return {"opennsfw": lambda _: ()}

    plugins.manager().register(Impostor(), name="impostor")
    try:
        with pytest.raises(InvalidConfiguration, match="opennsfw") as raised:
            registry("guard_detectors")
        assert raised.value.hint
    finally:
        plugins.manager().unregister(name="impostor")


# -- policy and detectors ---------------------------------------------------------------------


def test_policy_by_value_name_and_file(
    settings: Settings, default_policy: Policy, tmp_path: Path
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "name: own\noutput_rules:\n"
        "  - {id: r, category: nsfw, detectors: [opennsfw], block: 0.5, message: m}\n"
    )

    assert resolve_policy(default_policy, settings) is default_policy
    assert resolve_policy("strict", settings).name == "strict"
    assert resolve_policy(file, settings).name == "own"
    assert resolve_policy(None, settings).name == "default"


def test_families_of_detectors(default_policy: Policy) -> None:
    rule = OutputRule(
        id="r", category="c", detectors=("clip:ViT-B-32/q16", "clip"), block=0.5, message="m"
    )
    policy = default_policy.model_copy(
        update={"output_rules": (rule,), "required_detectors": ("opennsfw", "x")}
    )

    assert detector_families(policy) == ("opennsfw", "x", "clip")


def test_detector_that_nobody_offers(settings: Settings, default_policy: Policy) -> None:
    policy = default_policy.model_copy(update={"required_detectors": ("x-ray",)})

    with pytest.raises(DetectorUnavailable, match="x-ray"):
        build_classifier(policy, settings)


def test_clip_needs_its_section(settings: Settings, default_policy: Policy) -> None:
    rule = OutputRule(id="r", category="c", detectors=("clip",), block=0.5, message="m")
    policy = default_policy.model_copy(update={"output_rules": (rule,)})

    with pytest.raises(PolicyInvalid, match="clip"):
        build_classifier(policy, settings)


# -- watermark, log, home, generators ---------------------------------------------------------


def test_unknown_watermark(settings: Settings, default_policy: Policy) -> None:
    policy = default_policy.model_copy(update={"watermark": WatermarkSettings(method="ink")})

    with pytest.raises(PolicyInvalid, match="ink") as raised:
        build_watermark(policy, settings)

    assert "genguard-pilot-3" in raised.value.hint


def test_the_policy_says_how_strong_and_against_what(
    settings: Settings, default_policy: Policy
) -> None:
    wanted = WatermarkSettings(strength="robust", survive=("crop80-jpeg60",))
    policy = default_policy.model_copy(update={"watermark": wanted})
    quiet = default_policy.model_copy(update={"watermark": WatermarkSettings(survive=())})

    strong, usual = (
        build_watermark(one, settings).embed(picture(3), b"8 bytes!").mark
        for one in (policy, quiet)
    )

    assert strong.psnr_db < usual.psnr_db - 1
    assert strong.survived == ("jpeg75", "crop80-jpeg60")
    assert usual.survived == ("jpeg75",)


@pytest.mark.parametrize("wrong", [{"strength": "loud"}, {"survive": ("flood",)}])
def test_a_policy_that_asks_for_what_there_is_not(
    settings: Settings, default_policy: Policy, wrong: dict[str, Any]
) -> None:
    policy = default_policy.model_copy(update={"watermark": WatermarkSettings(**wrong)})

    with pytest.raises(PolicyInvalid, match=r"loud|flood") as raised:
        build_watermark(policy, settings)

    assert raised.value.hint


def test_malformed_secret(settings: Settings, default_policy: Policy) -> None:
    wrong = settings.model_copy(update={"mark_secret": Settings(mark_secret="short").mark_secret})

    with pytest.raises(KeyInvalid):
        build_watermark(default_policy, wrong)


def test_secret_given_is_used_and_not_stored(settings: Settings, default_policy: Policy) -> None:
    given = Settings(home=settings.home, mark_secret="ab" * 32)

    build_watermark(default_policy, given)

    assert not (settings.home / "keys" / "mark.secret").exists()
    assert "abab" not in repr(given)


def test_log_is_made_or_must_be_there(settings: Settings) -> None:
    with pytest.raises(AuditUnavailable):
        build_log(settings, create=False)
    build_log(settings).store.close()
    build_log(settings, create=False).store.close()

    assert settings.home.stat().st_mode & 0o777 == 0o700


def test_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidConfiguration) as raised:
        make_home(tmp_path / "file" / "home")

    assert "GUARD_HOME" in raised.value.hint


def test_generator_is_opened_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(
        assemble, "open_by_scheme", lambda name, _: opened.append(name) or FakeGenerator()
    )
    cabinet = GeneratorCabinet(settings)

    assert cabinet.open(None) is cabinet.open("demo")
    cabinet.open("other")
    assert opened == ["demo", "other"]


def test_remote_generator_needs_a_key(settings: Settings) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        GeneratorCabinet(settings).open("openai:gpt-image-1")

    assert "GUARD_OPENAI_API_KEY" in raised.value.hint
