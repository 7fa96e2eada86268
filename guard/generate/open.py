"""From a model's name to its generator."""

from __future__ import annotations

from guard.errors import ModelUnavailable, SettingsInvalid
from guard.generate.base import Generator
from guard.settings import Settings

REMOTE = "openai:"


def open_generator(reference: str, settings: Settings) -> Generator:
    """``demo``, ``openai:NAME``, a folder with a diffusers pipeline, or a hub id.

    The name is checked at once; weights are opened at the first picture. Only what is needed is
    imported: ``openai:`` loads neither torch nor diffusers.

    Raises ModelUnavailable for anything else, SettingsInvalid when ``openai:`` has no key.
    """
    if reference.startswith(REMOTE):
        return _remote(reference.removeprefix(REMOTE), settings)
    if reference == "demo":
        from guard.generate.embedded import DemoGenerator

        return DemoGenerator()
    from guard.generate.diffusers import DiffusersGenerator
    from guard.generate.folder import check_reference

    check_reference(reference)
    return DiffusersGenerator(reference)


def _remote(name: str, settings: Settings) -> Generator:
    from guard.generate.remote import OpenAIImagesGenerator

    if not name:
        raise ModelUnavailable(
            "`openai:` needs a model's name.", hint="For example openai:dall-e-3."
        )
    if settings.openai_api_key is None:
        raise SettingsInvalid(
            f"openai:{name} needs an API key.",
            hint="Set GUARD_OPENAI_API_KEY (any text where the server wants none).",
        )
    return OpenAIImagesGenerator(
        name, settings.openai_base_url, settings.openai_api_key.get_secret_value()
    )
