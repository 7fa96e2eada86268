"""The demo generator: the embedded model behind the same protocol as any other."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from guard.errors import ModelUnavailable
from guard.generate import demo
from guard.generate.convert import resized
from guard.generate.diffusers import DiffusersGenerator, Progress
from guard.generate.folder import INDEX
from guard.types import GenerationRequest, Pixels

SIZE = (512, 512)
"""What a picture measures when the request does not say."""

MAX_STRETCH = 2.0
"""Further from square than this, the small model loses its composition."""

WORDS_SHOWN = 5


class DemoGenerator(DiffusersGenerator):
    """Draws with the weights in the package: no network, no graphics card.

    The model works at its small native size; pictures are scaled to the size asked for.
    """

    default_steps = demo.DEFAULT_STEPS
    default_guidance = demo.DEFAULT_GUIDANCE

    def __init__(self, *, progress: Progress | None = None) -> None:
        super().__init__(
            str(demo.weights_dir()), device="cpu", allow_network=False, progress=progress
        )

    def notices(self, request: GenerationRequest) -> tuple[str, ...]:
        """One line when the prompt has words that the model does not know."""
        unknown = demo.unknown_words(request.prompt)
        if not unknown:
            return ()
        shown = ", ".join(f"“{word}”" for word in unknown[:WORDS_SHOWN])
        rest = len(unknown) - WORDS_SHOWN
        more = f" and {rest} more" if rest > 0 else ""
        verb = "is" if len(unknown) == 1 else "are"
        known = "The demo model only knows simple shapes and colours"
        return (f"{known}; {shown}{more} {verb} not among its words.",)

    @cached_property
    def _name(self) -> str:
        self._check_there()
        return f"demo@{demo.VERSION}"

    @cached_property
    def _pipeline(self) -> Any:
        self._check_there()
        return super()._pipeline

    def _check_there(self) -> None:
        if not (demo.weights_dir() / INDEX).is_file():
            raise ModelUnavailable(
                "The weights of the demo model are not in this installation.",
                hint="Install the published package, or build them with "
                "`python -m datasets.demo_model` (see its data card).",
            )

    def _arguments(self, pipeline: Any, request: GenerationRequest) -> dict[str, Any]:
        call = super()._arguments(pipeline, request)
        width, height = native_size(request.size or SIZE, *_native(pipeline))
        if "image" in call:
            call["image"] = call["image"].resize((width, height))
        elif width != height:
            call["width"], call["height"] = width, height
        else:
            call.pop("width", None)
            call.pop("height", None)
        return call

    def _draw(self, pipeline: Any, request: GenerationRequest, seed: int, index: int) -> Pixels:
        pixels = super()._draw(pipeline, request, seed, index)
        return resized(pixels, request.size or SIZE)


def native_size(size: tuple[int, int], side: int, grid: int) -> tuple[int, int]:
    """The (width, height) to draw at for a wanted ``size``.

    The short side is the model's own ``side``, the long one the nearest multiple of ``grid`` that
    keeps the shape.
    """
    width, height = size
    stretch = min(max(size) / min(size), MAX_STRETCH)
    long = max(side, round(side * stretch / grid) * grid)
    return (long, side) if width >= height else (side, long)


def _native(pipeline: Any) -> tuple[int, int]:
    """The model's own side in pixels, and what the U-Net's halvings make sides a multiple of."""
    scale, unet = int(pipeline.vae_scale_factor), pipeline.unet.config
    return int(unet.sample_size) * scale, scale * 2 ** (len(unet.block_out_channels) - 1)
