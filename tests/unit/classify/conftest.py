"""A real, tiny CLIP with random weights, and where the published heads lie."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

DIM = 16
SIDE = 32


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in open_clip's ``local-dir:`` layout, weights in safetensors."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip") / "tiny-clip"
    folder.mkdir()
    config = {
        "embed_dim": DIM,
        "vision_cfg": {
            "image_size": SIDE,
            "layers": 1,
            "width": 32,
            "head_width": 16,
            "patch_size": 16,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 16,
            "heads": 2,
            "layers": 1,
        },
    }
    torch.set_num_threads(1)  # for models this small more threads only wait for each other
    torch.manual_seed(0)
    model = open_clip.CLIP(**config)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, str(folder / "open_clip_model.safetensors"))
    return folder


@dataclass(frozen=True)
class Published:
    """The folder of published heads and embeddings, outside the project."""

    folder: Path

    def embeddings(self, name: str) -> np.ndarray:
        with np.load(self.folder / "openai-vit-b-32.embeddings.npz") as stored:
            return np.asarray(stored[name])


@pytest.fixture(scope="session")
def published() -> Published:
    root = Path(__file__).parents[3]
    shared = Path(os.environ.get("GENGUARD_SHARED", root.parent / "shared"))
    folder = shared / "data" / "clip"
    if not folder.is_dir():
        pytest.skip("SKIPPED FOR LACK OF DATA: ../shared/data/clip (published heads) is not here")
    return Published(folder)
