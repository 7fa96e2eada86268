"""The embedded demo model: a small latent diffusion pipeline that needs no download.

It draws one flat shape on a coloured background (see ``MODEL_CARD.md`` beside
this file) and opens as a diffusers ``StableDiffusionPipeline``.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from guard.generate.demo.vocabulary import KNOWN_WORDS, unknown_words

__all__ = [
    "DEFAULT_GUIDANCE",
    "DEFAULT_STEPS",
    "KNOWN_WORDS",
    "VERSION",
    "unknown_words",
    "weights_dir",
]

#: Changes whenever the packaged weights change, so that a record names what drew a picture.
VERSION: Final = "1.2.0"
#: The number of steps at which the accuracy was measured (see MODEL_CARD.md).
DEFAULT_STEPS: Final = 20
#: The guidance scale at which the accuracy was measured.
DEFAULT_GUIDANCE: Final = 3.5


def weights_dir() -> Path:
    """The folder that ``StableDiffusionPipeline.from_pretrained`` opens.

    It may be missing in a source checkout whose weights were not built: callers check
    ``(weights_dir() / "model_index.json").is_file()``.
    """
    return Path(str(files(__name__))) / "weights"
