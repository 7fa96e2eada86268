import json
import warnings

import numpy as np
import pytest

from datasets.demo_model import checker, world
from guard.generate import demo

FOLDER = demo.weights_dir()
needs_weights = pytest.mark.skipif(
    not (FOLDER / "model_index.json").is_file(),
    reason="the demo weights are not built: see guard/generate/demo/MODEL_CARD.md",
)


@needs_weights
def test_the_index_names_a_pipeline_without_a_black_box_filter() -> None:
    index = json.loads((FOLDER / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert index["safety_checker"] == [None, None]
    assert index["requires_safety_checker"] is False


@needs_weights
def test_the_weights_fit_the_wheel() -> None:
    sizes = [path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(sizes) <= 25_000_000


@needs_weights
def test_the_packaged_vocabulary_is_the_one_the_code_names() -> None:
    tokens = json.loads((FOLDER / "tokenizer" / "vocab.json").read_text())
    assert {f"{word}</w>" for word in demo.KNOWN_WORDS} <= set(tokens)


@pytest.mark.slow
@needs_weights
def test_the_model_draws_what_the_tour_asks_for() -> None:
    import torch
    from diffusers import StableDiffusionPipeline

    with warnings.catch_warnings():
        # Deprecations inside the libraries are not this test's matter.
        warnings.simplefilter("ignore")
        pipeline = StableDiffusionPipeline.from_pretrained(FOLDER)
        pipeline.set_progress_bar_config(disable=True)
        image = pipeline(
            "a red heart on a yellow background",
            num_inference_steps=demo.DEFAULT_STEPS,
            guidance_scale=demo.DEFAULT_GUIDANCE,
            generator=torch.Generator().manual_seed(0),
        ).images[0]
    assert image.size == (512, 512)
    scene = world.Scene((world.Thing("heart", "red"),), "yellow")
    told = checker.verdict(checker.look(np.asarray(image)), scene)
    assert all(told.values()), told
