from __future__ import annotations

import json
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from guard.errors import InvalidImage, InvalidRequest, ModelUnavailable, StageMisbehaved
from guard.generate.diffusers import DiffusersGenerator
from guard.types import GenerationRequest


@pytest.fixture(scope="module")
def tiny(tiny_pipeline_dir: Path) -> DiffusersGenerator:
    return DiffusersGenerator(str(tiny_pipeline_dir), device="cpu")


def ask(**fields: Any) -> GenerationRequest:
    return GenerationRequest(**{"prompt": "a b", "steps": 2, "seed": 3, **fields})


def png(width: int, height: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def test_pictures_are_pixels_with_their_own_seeds(
    tiny: DiffusersGenerator, tiny_pipeline_dir: Path
) -> None:
    images = tiny.generate(ask(count=2))
    assert [one.seed for one in images] == [3, 4]
    for one in images:
        assert type(one.pixels) is np.ndarray
        assert one.pixels.dtype == np.uint8
        assert one.pixels.shape == (64, 64, 3)
        assert not one.pixels.flags.writeable
        assert one.model == tiny.model
    assert not np.array_equal(images[0].pixels, images[1].pixels)
    assert str(tiny_pipeline_dir.parent) not in tiny.model
    assert tiny.model.startswith("tiny-sd@")


def test_the_second_picture_is_the_first_of_the_next_seed(tiny: DiffusersGenerator) -> None:
    second = tiny.generate(ask(count=2))[1]
    alone = tiny.generate(ask(seed=4))[0]
    assert np.array_equal(second.pixels, alone.pixels)


def test_a_seed_is_minted_and_told(tiny: DiffusersGenerator) -> None:
    first = tiny.generate(ask(seed=None))[0]
    again = tiny.generate(ask(seed=first.seed))[0]
    other = tiny.generate(ask(seed=None))[0]
    assert np.array_equal(first.pixels, again.pixels)
    assert other.seed != first.seed


def test_the_largest_seed_wraps(tiny: DiffusersGenerator) -> None:
    assert [one.seed for one in tiny.generate(ask(seed=2**63 - 1, count=2))] == [2**63 - 1, 0]


@pytest.mark.parametrize(
    "fields",
    [{"steps": 3}, {"prompt": "z z z"}, {"negative_prompt": "q"}],
    ids=["steps", "prompt", "negative prompt"],
)
def test_what_is_asked_reaches_the_pipeline(
    tiny: DiffusersGenerator, fields: dict[str, Any]
) -> None:
    plain = tiny.generate(ask())[0].pixels
    assert not np.array_equal(plain, tiny.generate(ask(**fields))[0].pixels)


def test_the_size_is_honoured(tiny: DiffusersGenerator) -> None:
    assert tiny.generate(ask(size=(96, 64)))[0].pixels.shape == (64, 96, 3)


def test_an_input_image_is_the_start(tiny: DiffusersGenerator) -> None:
    image = tiny.generate(ask(input_image=png(101, 67), steps=4))[0]
    assert image.pixels.shape == (64, 96, 3)
    sized = tiny.generate(ask(input_image=png(101, 67), steps=4, size=(64, 64)))[0]
    assert sized.pixels.shape == (64, 64, 3)


def test_a_broken_input_image_is_refused(tiny: DiffusersGenerator) -> None:
    with pytest.raises(InvalidImage):
        tiny.generate(ask(input_image=png(64, 64)[:40]))


def test_progress_counts_over_the_whole_request(tiny_pipeline_dir: Path) -> None:
    seen: list[tuple[int, int]] = []
    generator = DiffusersGenerator(
        str(tiny_pipeline_dir), progress=lambda done, total: seen.append((done, total))
    )
    generator.generate(ask(count=2))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_nothing_is_printed(tiny_pipeline_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    generator = DiffusersGenerator(str(tiny_pipeline_dir))
    generator.prepare()
    generator.generate(ask(prompt="long " * 100))
    assert capfd.readouterr() == ("", "")
    assert generator.notices(ask()) == ()


def test_the_pipeline_s_own_checker_stays_out(tiny_pipeline_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checked"
    shutil.copytree(tiny_pipeline_dir, folder)
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = [None, None]
    index["requires_safety_checker"] = True
    (folder / "model_index.json").write_text(json.dumps(index))
    generator = DiffusersGenerator(str(folder))
    assert generator.generate(ask())[0].pixels.any()
    assert generator._pipeline.safety_checker is None


def test_pickled_weights_are_never_opened(tiny_pipeline_dir: Path, tmp_path: Path) -> None:
    import torch

    folder = tmp_path / "pickled"
    shutil.copytree(tiny_pipeline_dir, folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    torch.save({}, weights.with_suffix(".bin"))
    with pytest.raises(ModelUnavailable, match="cannot be opened"):
        DiffusersGenerator(str(folder)).prepare()


def test_damaged_weights_are_a_clear_error(tiny_pipeline_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_pipeline_dir, folder)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(ModelUnavailable, match="cannot be opened") as caught:
        DiffusersGenerator(str(folder)).generate(ask())
    assert caught.value.hint


class _Stub:
    """Stands where the pipeline stands, and answers what it is told to."""

    num_timesteps = 1

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __call__(self, prompt: str, output_type: str = "pil") -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return type("Output", (), {"images": self.answer})()


def stubbed(answer: Any, folder: Path) -> DiffusersGenerator:
    generator = DiffusersGenerator(str(folder))
    generator.__dict__["_pipeline"] = _Stub(answer)
    return generator


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, StageMisbehaved),
        ([], StageMisbehaved),
        (np.zeros((2, 8, 8, 3)), StageMisbehaved),
        (np.full((1, 8, 8, 3), np.nan), StageMisbehaved),
        (np.zeros((1, 8, 8, 7)), StageMisbehaved),
        (MemoryError(), ModelUnavailable),
        (RuntimeError("CUDA out of memory"), ModelUnavailable),
        (RuntimeError("boom"), StageMisbehaved),
        (ValueError("`height` must be divisible by 16"), InvalidRequest),
        (InvalidRequest("said so"), InvalidRequest),
    ],
    ids=str,
)
def test_a_broken_pipeline_is_a_typed_error(
    tiny_pipeline_dir: Path, answer: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        stubbed(answer, tiny_pipeline_dir).generate(ask())


def test_a_size_the_pipeline_cannot_take_is_refused_not_ignored(tiny_pipeline_dir: Path) -> None:
    generator = stubbed(np.zeros((1, 8, 8, 3)), tiny_pipeline_dir)
    with pytest.raises(InvalidRequest, match="width"):
        generator.generate(ask(size=(64, 64)))


def test_a_model_without_img2img_says_so(
    tiny_pipeline_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import AutoPipelineForImage2Image

    def cannot(*_: Any) -> None:
        raise ValueError("no such class")

    monkeypatch.setattr(AutoPipelineForImage2Image, "from_pipe", cannot)
    with pytest.raises(InvalidRequest, match="input image"):
        DiffusersGenerator(str(tiny_pipeline_dir)).generate(ask(input_image=png(64, 64)))


def test_memory_that_runs_out_while_opening_says_so(
    tiny_pipeline_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise RuntimeError("not enough memory: you tried to allocate 9 bytes")

    monkeypatch.setattr("guard.generate.diffusers._open", full)
    with pytest.raises(ModelUnavailable, match="memory"):
        DiffusersGenerator(str(tiny_pipeline_dir)).prepare()
