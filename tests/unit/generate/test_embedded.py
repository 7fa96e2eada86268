from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guard.errors import ModelUnavailable
from guard.generate import demo
from guard.generate.embedded import DemoGenerator, native_size
from guard.types import GenerationRequest


@pytest.fixture
def drawer(tiny_pipeline_dir: Path, monkeypatch: pytest.MonkeyPatch) -> DemoGenerator:
    """The demo generator on the tiny pipeline: what is tested here needs no trained weights."""
    monkeypatch.setattr(demo, "weights_dir", lambda: tiny_pipeline_dir)
    return DemoGenerator()


def ask(**fields: Any) -> GenerationRequest:
    return GenerationRequest(**{"prompt": "a red circle", "steps": 2, "seed": 1, **fields})


def test_pictures_are_scaled_to_what_is_asked(drawer: DemoGenerator) -> None:
    assert drawer.generate(ask())[0].pixels.shape == (512, 512, 3)
    assert drawer.generate(ask(size=(640, 320)))[0].pixels.shape == (320, 640, 3)
    assert drawer.model == f"demo@{demo.VERSION}"


def test_an_input_image_is_brought_to_the_native_size(drawer: DemoGenerator) -> None:
    import numpy as np

    from guard.image.encode import encode

    data = encode(np.full((100, 200, 3), 90, np.uint8), "image/png")
    assert drawer.generate(ask(input_image=data, steps=4))[0].pixels.shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("size", "native"),
    [
        ((512, 512), (128, 128)),
        ((768, 512), (192, 128)),
        ((512, 768), (128, 192)),
        ((520, 512), (128, 128)),
        ((8192, 64), (256, 128)),
    ],
)
def test_the_native_size_keeps_the_shape(size: tuple[int, int], native: tuple[int, int]) -> None:
    assert native_size(size, 128, 32) == native


def test_defaults_are_the_model_s(drawer: DemoGenerator) -> None:
    call = drawer._arguments(drawer._pipeline, GenerationRequest("a red circle"))
    assert call["num_inference_steps"] == demo.DEFAULT_STEPS
    assert call["guidance_scale"] == demo.DEFAULT_GUIDANCE
    assert "width" not in call


@pytest.mark.parametrize(
    ("prompt", "line"),
    [
        ("a red circle on a blue background", None),
        ("a red zebra", "“zebra” is not among its words."),
        ("zebra, gnu", "“zebra”, “gnu” are not among its words."),
        ("k l m n o p q", "“k”, “l”, “m”, “n”, “o” and 2 more are not among its words."),
    ],
)
def test_unknown_words_are_named_in_one_line(prompt: str, line: str | None) -> None:
    notices = DemoGenerator().notices(GenerationRequest(prompt))
    if line is None:
        assert notices == ()
    else:
        (notice,) = notices
        assert notice.startswith("The demo model only knows ")
        assert notice.endswith(line)
        assert "\n" not in notice


def test_missing_weights_are_a_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "weights_dir", lambda: tmp_path / "none")
    drawer = DemoGenerator()
    for use in (lambda: drawer.model, drawer.prepare, lambda: drawer.generate(ask())):
        with pytest.raises(ModelUnavailable, match="weights of the demo model") as caught:
            use()
        assert caught.value.hint
