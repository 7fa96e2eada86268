from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from guard.errors import ModelUnavailable, SettingsInvalid
from guard.generate.diffusers import DiffusersGenerator
from guard.generate.embedded import DemoGenerator
from guard.generate.open import open_generator
from guard.generate.remote import OpenAIImagesGenerator
from guard.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, openai_api_key="k", openai_base_url="http://127.0.0.1:1/v1")


def test_each_kind_of_name_opens_its_generator(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "X"}')
    assert isinstance(open_generator("demo", settings), DemoGenerator)
    assert isinstance(open_generator("openai:dall-e-3", settings), OpenAIImagesGenerator)
    assert isinstance(open_generator(str(tmp_path), settings), DiffusersGenerator)
    assert isinstance(open_generator("owner/name", settings), DiffusersGenerator)


@pytest.mark.parametrize("reference", ["nothing", "demo2", "DEMO", "openai", "openai:"])
def test_an_unknown_name_says_what_there_is(settings: Settings, reference: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        open_generator(reference, settings)
    assert "openai:" in caught.value.hint


def test_a_remote_model_needs_a_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        open_generator("openai:dall-e-3", Settings(home=tmp_path, openai_api_key=None))
    assert "GUARD_OPENAI_API_KEY" in caught.value.hint


def test_a_remote_model_loads_no_deep_learning() -> None:
    code = (
        "import sys; from guard.settings import Settings;"
        "from guard.generate.open import open_generator;"
        "open_generator('openai:x', Settings(openai_api_key='k'));"
        "sys.exit(any(m in sys.modules for m in ('torch', 'diffusers', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
