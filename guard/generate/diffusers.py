"""Any text-to-image pipeline that diffusers opens: a folder or a hub id.

The pipeline's own safety checker is left out: it answers black frames without a reason, and the
guard's classifiers decide. Code that a repository brings is never run; weights are safetensors.
Every picture is drawn in its own pass from its own seed, so that picture *i* of ``seed`` is
picture 0 of ``seed + i`` to the bit, and memory does not grow with the count.
"""

from __future__ import annotations

import inspect
import secrets
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from guard.errors import (
    GuardError,
    InvalidRequest,
    ModelUnavailable,
    StageMisbehaved,
)
from guard.generate.convert import resized, to_pixels
from guard.generate.folder import INDEX, find_folder, folder_digest, quiet
from guard.types import GenerationRequest, Pixels, RawImage

SEEDS = 2**63
"""Seeds are 63 bits, as in a request; torch would take 64."""

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all) over the whole request."""


class DiffusersGenerator:
    """A pipeline in a folder or on the hub, opened at the first use.

    Safe to share between threads: one picture is drawn at a time.
    """

    default_steps: int | None = None
    default_guidance: float | None = None

    def __init__(
        self,
        reference: str,
        *,
        device: str | None = None,
        allow_network: bool = True,
        progress: Progress | None = None,
    ) -> None:
        """``device`` None takes a graphics card where there is one.

        ``allow_network`` False answers hub ids from the local cache only.
        """
        self._reference = reference
        self._device = device
        self._allow_network = allow_network
        self.progress = progress
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """``NAME@DIGEST``: the hub id or the folder's own name, and 16 digits of ``folder_digest``.

        A folder's full path stays out: it would leave with every manifest.
        Raises ModelUnavailable.
        """
        with self._lock:
            return self._name

    def prepare(self) -> None:
        """Open the pipeline now. Raises ModelUnavailable."""
        with self._lock:
            _ = self._pipeline

    def notices(self, request: GenerationRequest) -> tuple[str, ...]:
        """None."""
        return ()

    def generate(self, request: GenerationRequest) -> Sequence[RawImage]:
        """``request.count`` pictures, uint8 RGB; without a seed, a random one is drawn and told.

        Raises ModelUnavailable when the pipeline cannot be opened or memory runs out,
        InvalidRequest when it cannot do what is asked (a size it does not support, an input
        image for a model without img2img), StageMisbehaved when it fails.
        """
        first = secrets.randbelow(SEEDS) if request.seed is None else request.seed
        with self._lock:
            pipeline = self._image_pipeline if request.input_image else self._pipeline
            name = self._name
            images = []
            for index in range(request.count):
                seed = (first + index) % SEEDS
                pixels = self._draw(pipeline, request, seed, index)
                images.append(RawImage(pixels, seed, name))
        return tuple(images)

    def _draw(self, pipeline: Any, request: GenerationRequest, seed: int, index: int) -> Pixels:
        import torch

        call = self._arguments(pipeline, request)
        call["generator"] = torch.Generator("cpu").manual_seed(seed)
        if self.progress is not None:
            call["callback_on_step_end"] = _reporter(self.progress, index, request.count)
        call = _supported(pipeline, call)
        try:
            with quiet():
                answer = pipeline(**call).images
        except GuardError:
            raise
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise _out_of_memory() from error
        except ValueError as error:
            raise InvalidRequest(
                f"The model cannot do this: {error}", hint="Try another size or leave it out."
            ) from error
        except Exception as error:
            if "memory" in str(error).lower():
                raise _out_of_memory() from error
            raise StageMisbehaved(f"The model failed: {error}") from error
        if answer is None or len(answer) != 1:
            raise StageMisbehaved("The model answered no picture.")
        return to_pixels(answer[0])

    def _arguments(self, pipeline: Any, request: GenerationRequest) -> dict[str, Any]:
        """What the pipeline is called with, but for the seed."""
        call: dict[str, Any] = {"prompt": request.prompt, "output_type": "np"}
        call["num_inference_steps"] = request.steps or self.default_steps
        call["guidance_scale"] = self.default_guidance
        call["negative_prompt"] = request.negative_prompt or None
        if request.input_image:
            call["image"] = _input(request.input_image, request.size)
        elif request.size:
            call["width"], call["height"] = request.size
        return {key: value for key, value in call.items() if value is not None}

    @cached_property
    def _folder(self) -> Path:
        return find_folder(self._reference, allow_network=self._allow_network)

    @cached_property
    def _name(self) -> str:
        local = Path(self._reference).expanduser().is_dir()
        name = self._folder.resolve().name if local else self._reference
        return f"{name}@{folder_digest(self._folder)[:16]}"

    @cached_property
    def _pipeline(self) -> Any:
        folder = self._folder
        try:
            with quiet():
                return _open(folder, self._device)
        except Exception as error:
            if "memory" in str(error).lower():
                raise _out_of_memory() from error
            raise ModelUnavailable(
                f"The pipeline '{self._reference}' cannot be opened: {error}",
                hint="It must be a text-to-image pipeline with safetensors weights.",
            ) from error

    @cached_property
    def _image_pipeline(self) -> Any:
        from diffusers import AutoPipelineForImage2Image

        try:
            with quiet():
                return _silent(AutoPipelineForImage2Image.from_pipe(self._pipeline))
        except ValueError as error:
            raise InvalidRequest(
                f"The model '{self._reference}' cannot start from an input image.",
                hint="Leave the input image out, or use another model.",
            ) from error


def _open(folder: Path, device: str | None) -> Any:
    import json

    import torch
    from diffusers import AutoPipelineForText2Image

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    options: dict[str, Any] = {}
    if "safety_checker" in json.loads((folder / INDEX).read_text(encoding="utf-8")):
        options = {"safety_checker": None, "requires_safety_checker": False}
    pipeline = AutoPipelineForText2Image.from_pretrained(  # type: ignore[no-untyped-call]
        folder,
        use_safetensors=True,
        local_files_only=True,
        torch_dtype=torch.float32 if device == "cpu" else torch.float16,
        **options,
    )
    return _silent(pipeline.to(device))


def _silent(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _supported(pipeline: Any, call: dict[str, Any]) -> dict[str, Any]:
    """Without the optional arguments that this pipeline's call does not know."""
    known = inspect.signature(pipeline.__call__).parameters
    for needed in ("prompt", "image", "width"):
        if needed in call and needed not in known:
            raise InvalidRequest(f"The model does not take '{needed}'.", hint="Leave it out.")
    return {key: value for key, value in call.items() if key in known}


def _reporter(progress: Progress, index: int, count: int) -> Callable[..., dict[str, Any]]:
    def report(pipeline: Any, step: int, _time: Any, kept: dict[str, Any]) -> dict[str, Any]:
        steps = int(pipeline.num_timesteps)
        progress(index * steps + step + 1, count * steps)
        return kept

    return report


def _input(data: bytes, size: tuple[int, int] | None) -> Any:
    """The decoded input as a Pillow image, at ``size`` or the nearest multiple of 8."""
    from PIL import Image

    from guard.image.decode import decode

    pixels = decode(data).pixels
    width, height = size or (max(8, side // 8 * 8) for side in pixels.shape[1::-1])
    return Image.fromarray(np.ascontiguousarray(resized(pixels, (width, height))))


def _out_of_memory() -> ModelUnavailable:
    return ModelUnavailable(
        "The model does not fit into memory.",
        hint="Ask for a smaller size, close what else uses the memory, or take a smaller model.",
    )
