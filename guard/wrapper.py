"""For people who already have a diffusers pipeline: the same call, guarded.

::

    pipe = wrap(StableDiffusionPipeline.from_pretrained(...), policy="default")
    output = pipe("a lighthouse in a storm")
    output.images      # marked pictures; None where one was blocked, never a black frame
    output.reasons     # beside each picture: () or why there is none
    output.assets      # the signed files' bytes, or None
    output.receipts    # proof that the decision is in the log

A plain ``image.save()`` keeps the mark and loses the manifest; write ``assets`` to keep both.

What cannot be screened is refused: prompts as embeddings, pictures other than ``image``, latents
or tensors as output or in callbacks. The pipeline's own safety checker is left out of each call.
The pipeline runs in a thread of the guard's: an ``autocast`` around the call does not reach it.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from guard.errors import InvalidRequest, StageMisbehaved
from guard.generate.convert import to_pixels
from guard.image.decode import decode
from guard.image.encode import encode
from guard.types import (
    AuditReceipt,
    Blocked,
    Failed,
    GenerationRequest,
    Held,
    Outcome,
    RawImage,
    Reason,
    Released,
)

if TYPE_CHECKING:
    from guard.pipeline import Guard
    from guard.policy.model import Policy

OUTPUT_TYPES = ("pil", "np")

_PICTURES_ALLOWED = {"image", "mask_image", "num_images_per_prompt"}
"""Arguments with "image" in their name that are screened, or show nothing."""

_PER_PROMPT = re.compile(r"(negative_)?prompt(_\d)?$|generator$|latents$|image$|mask_image$")
"""Arguments that may hold an entry for each prompt, or for each picture."""

_OWN = frozenset({"_pipeline", "_guard", "_lock"})


def wrap(
    pipeline: Any, policy: str | Path | Policy = "default", guard: Guard | None = None
) -> GuardedPipeline:
    """``pipeline`` with every picture screened, marked, signed and recorded.

    ``guard`` takes the place of one built from ``GUARD_…`` settings and ``policy``.
    Raises InvalidRequest when ``pipeline`` is not a diffusers pipeline, and what
    ``Guard.from_settings`` raises.
    """
    if not _takes_a_prompt(pipeline):
        raise InvalidRequest(
            f"{type(pipeline).__name__} is not a pipeline that takes a prompt.",
            hint="Hand in what DiffusionPipeline.from_pretrained(…) gave you.",
        )
    if guard is None:
        from guard.pipeline import Guard as RealGuard

        guard = RealGuard.from_settings(policy=policy)
    return GuardedPipeline(pipeline, guard)


def _takes_a_prompt(pipeline: Any) -> bool:
    try:
        return "prompt" in inspect.signature(pipeline.__call__).parameters
    except (AttributeError, TypeError, ValueError):
        return False


class GuardedPipeline:
    """A diffusers pipeline behind a guard; everything but the call is the pipeline's own."""

    def __init__(self, pipeline: Any, guard: Guard) -> None:
        self._pipeline = pipeline
        self._guard = guard
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_pipeline"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self._pipeline, name, value)

    def __repr__(self) -> str:
        return f"GuardedPipeline({self._pipeline!r})"

    def to(self, *args: Any, **kwargs: Any) -> GuardedPipeline:
        """The pipeline's own ``to``; answers the guarded pipeline."""
        self._pipeline = self._pipeline.to(*args, **kwargs)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The pipeline's own call and output class; see the module for what is beside ``images``.

        ``images`` is a list with None where a picture was blocked, held or failed; with
        ``output_type="np"`` and nothing blocked it is one float array (n, h, w, 3) in 0–1.

        Raises InvalidRequest for what cannot be screened or guarded, AuditUnavailable when
        nothing can be recorded, StageMisbehaved when every picture failed.
        """
        call = self._bind(args, kwargs)
        output_type = call.pop("output_type", "pil")
        return_dict = call.pop("return_dict", True)
        _check(call, output_type)
        # All requests are looked at before the first is drawn.
        parts = [(_request(part), part) for part in _parts(call)]
        outcomes = [outcome for request, part in parts for outcome in self._one(request, part)]
        _raise_if_all_failed(outcomes)
        return self._output(outcomes, output_type, return_dict=return_dict)

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        signature = inspect.signature(self._pipeline.__call__)
        bound = signature.bind(*args, **kwargs)
        call = dict(bound.arguments)
        for name, parameter in signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                call |= call.pop(name, {})
        return call

    def _one(self, request: GenerationRequest, call: dict[str, Any]) -> list[Outcome]:
        """The outcomes for one prompt: as many as pictures."""
        drawer = _CallGenerator(self._pipeline, call, self._lock)
        outcomes = list(self._guard.generate_each(request, generator=drawer))
        # A blocked prompt is one record, however many pictures were asked for.
        return outcomes * request.count if len(outcomes) == 1 else outcomes

    def _output(self, outcomes: list[Outcome], output_type: str, *, return_dict: bool) -> Any:
        images = _images(outcomes, output_type)
        refused = [not isinstance(one, Released) for one in outcomes]
        kind = _output_class(self._pipeline)
        rest = {f.name: None for f in dataclasses.fields(kind) if f.name != "images"}
        if not return_dict:
            return (images, *(refused if name.startswith("nsfw") else None for name in rest))
        output = kind(images=images, **rest)
        if "nsfw_content_detected" in rest:
            output.nsfw_content_detected = refused
        output.reasons = [_reasons(one) for one in outcomes]
        output.assets = [
            one.images[0].bytes if isinstance(one, Released) else None for one in outcomes
        ]
        output.receipts = [_receipt(one) for one in outcomes]
        output.outcomes = outcomes
        return output


class _CallGenerator:
    """One bound call as a generator: whatever the request says, the call's own arguments count."""

    def __init__(self, pipeline: Any, call: dict[str, Any], lock: threading.Lock) -> None:
        self._pipeline = pipeline
        self._call = call
        self._lock = lock

    @property
    def model(self) -> str:
        """The pipeline's class and the last part of where it came from."""
        origin = str(getattr(self._pipeline.config, "_name_or_path", "") or "")
        place = Path(origin).name if Path(origin).is_dir() else origin
        return f"{type(self._pipeline).__name__}:{place}".rstrip(":")

    def notices(self, request: GenerationRequest) -> tuple[str, ...]:
        """None."""
        return ()

    def generate(self, request: GenerationRequest) -> Sequence[RawImage]:
        """The call's pictures. The seed is None: only the caller's generator knows."""
        with self._lock, _without_checker(self._pipeline):
            answer = self._pipeline(**self._call, output_type="np", return_dict=True)
        images = getattr(answer, "images", None)
        if images is None:
            raise StageMisbehaved(f"{type(self._pipeline).__name__} answered no pictures.")
        return tuple(RawImage(to_pixels(one), None, self.model) for one in images)


@contextmanager
def _without_checker(pipeline: Any) -> Iterator[None]:
    """The pipeline's own safety checker would answer black frames; the guard decides instead."""
    checker = getattr(pipeline, "safety_checker", None)
    if checker is None:
        yield
        return
    pipeline.safety_checker = None
    try:
        yield
    finally:
        pipeline.safety_checker = checker


def _check(call: Mapping[str, Any], output_type: object) -> None:
    """Raises InvalidRequest for whatever in this call cannot be screened or guarded."""
    if output_type not in OUTPUT_TYPES:
        raise InvalidRequest(
            f"The output type {output_type!r} cannot be guarded.",
            hint="Use 'pil' or 'np': latents and tensors carry no mark.",
        )
    for name, value in call.items():
        if value is None:
            continue
        if "embeds" in name:
            raise InvalidRequest(
                f"'{name}' cannot be screened.", hint="Pass prompt and negative_prompt as text."
            )
        if "image" in name and name not in _PICTURES_ALLOWED:
            raise InvalidRequest(
                f"'{name}' cannot be screened yet.", hint="Only 'image' and 'mask_image' can."
            )
    if call.get("callback_on_step_end_tensor_inputs") or call.get("callback") is not None:
        raise InvalidRequest(
            "Callbacks may not look at latents: those are pictures that nobody has screened.",
            hint="Leave callback_on_step_end_tensor_inputs out; callback_on_step_end still works.",
        )


def _parts(call: dict[str, Any]) -> list[dict[str, Any]]:
    """One call per prompt; lists that belong to prompts or pictures are split with them."""
    prompts = call.get("prompt")
    known = dict(call)
    if call.get("callback_on_step_end") is not None:
        known["callback_on_step_end_tensor_inputs"] = []
    if not isinstance(prompts, list):
        return [known]
    count = call.get("num_images_per_prompt") or 1
    return [
        {
            name: _share(value, index, len(prompts), count) if _PER_PROMPT.match(name) else value
            for name, value in known.items()
        }
        for index in range(len(prompts))
    ]


def _request(call: Mapping[str, Any]) -> GenerationRequest:
    """What of one prompt's call is screened."""
    return GenerationRequest(
        prompt=_text(call, "prompt"),
        negative_prompt=_text(call, "negative_prompt"),
        count=call.get("num_images_per_prompt") or 1,
        input_image=_encoded(call.get("image")),
    )


def _share(value: Any, index: int, prompts: int, count: int) -> Any:
    """The part of a list or tensor that belongs to prompt ``index``.

    Raises InvalidRequest when it has neither an entry for each prompt nor one for each picture.
    """
    if not isinstance(value, list) and not hasattr(value, "shape"):
        return value
    if len(value) == prompts * count and count > 1:
        return value[index * count : (index + 1) * count]
    if len(value) != prompts:
        raise InvalidRequest(f"A list of {len(value)} does not fit {prompts} prompts.")
    return value[index] if isinstance(value, list) else value[index : index + 1]


def _text(call: Mapping[str, Any], name: str) -> str:
    """``prompt`` with ``prompt_2`` and ``prompt_3`` below it: whatever an encoder reads."""
    texts = [call.get(one) for one in (name, f"{name}_2", f"{name}_3")]
    for text in texts:
        if text is not None and not isinstance(text, str):
            raise InvalidRequest(f"'{name}' must be text or a list of texts.")
    if name == "prompt" and texts[0] is None:
        raise InvalidRequest("There is no prompt.", hint="Say what to draw.")
    return "\n".join(dict.fromkeys(text for text in texts if text))


def _encoded(image: Any) -> bytes | None:
    """An input picture as a PNG, for the classifiers."""
    if image is None:
        return None
    from PIL.Image import Image

    if not isinstance(image, Image):
        raise InvalidRequest(
            f"An input image of type {type(image).__name__} cannot be screened.",
            hint="Pass a PIL image, or a list with one for each prompt.",
        )
    return encode(np.asarray(image.convert("RGB")), "image/png")


def _images(outcomes: list[Outcome], output_type: str) -> Any:
    """Marked pixels decoded from the signed files, None elsewhere."""
    pixels = [
        decode(one.images[0].bytes).pixels if isinstance(one, Released) else None
        for one in outcomes
    ]
    if output_type == "pil":
        from PIL import Image

        return [None if one is None else Image.fromarray(one) for one in pixels]
    floats = [None if one is None else one.astype(np.float32) / 255.0 for one in pixels]
    shapes = {one.shape for one in floats if one is not None}
    whole = len(shapes) == 1 and not any(one is None for one in floats)
    return np.stack([one for one in floats if one is not None]) if whole else floats


def _reasons(outcome: Outcome) -> tuple[Reason, ...]:
    return () if isinstance(outcome, Released) else outcome.reasons


def _receipt(outcome: Outcome) -> AuditReceipt:
    assert isinstance(outcome, Released | Blocked | Held | Failed)  # noqa: S101
    return outcome.receipt


def _raise_if_all_failed(outcomes: list[Outcome]) -> None:
    failed = [one for one in outcomes if isinstance(one, Failed)]
    if failed and len(failed) == len(outcomes):
        raise StageMisbehaved(
            f"No picture could be released: {failed[0].cause or failed[0].reasons[0].message}",
            hint=failed[0].hint,
        )


def _output_class(pipeline: Any) -> Any:
    """The pipeline's own output class, found without running it: a blocked prompt never does."""
    from diffusers.pipelines.pipeline_utils import ImagePipelineOutput
    from diffusers.utils.outputs import BaseOutput

    for parent in type(pipeline).__mro__:
        for value in vars(sys.modules[parent.__module__]).values():
            known = isinstance(value, type) and issubclass(value, BaseOutput)
            if (
                known
                and dataclasses.is_dataclass(value)
                and "images" in {f.name for f in dataclasses.fields(value)}
            ):
                return value
    return ImagePipelineOutput
