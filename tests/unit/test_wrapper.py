"""The wrapper: on a real, tiny pipeline with real rooms, and on a stub where the call matters."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from guard.errors import GuardError, InvalidRequest, StageMisbehaved
from guard.generate.base import Generator
from guard.image.decode import decode
from guard.image.encode import encode
from guard.types import (
    Action,
    AuditReceipt,
    Blocked,
    Decision,
    Failed,
    GenerationRequest,
    Outcome,
    Reason,
    Released,
    SignedAsset,
    Stage,
)
from guard.wrapper import GuardedPipeline, wrap
from tests.support.house import FORBIDDEN, House

RECEIPT = AuditReceipt("log", 1, "00")
BAD = Reason("sexual", "No.")
MARK = 3
"""What the stand-in for a watermark adds to each pixel."""


@dataclass
class FakeGuard:
    """Blocks prompts with "forbidden", blocks red pictures, marks and "signs" the others."""

    requests: list[GenerationRequest] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    one_for_all: bool = True

    def generate_each(
        self, request: GenerationRequest, *, generator: Generator
    ) -> tuple[Outcome, ...]:
        self.requests.append(request)
        if "forbidden" in request.prompt:
            return (blocked(Stage.PROMPT),) * (1 if self.one_for_all else request.count)
        try:
            raws = generator.generate(request)
        except GuardError as error:
            cause = Failed("id", Stage.GENERATE, (BAD,), RECEIPT, error.message, error.hint)
            return (cause,) * request.count
        assert generator.notices(request) == ()
        self.models.append(generator.model)
        return tuple(
            blocked(Stage.CLASSIFY) if raw.pixels[0, 0, 0] == 255 else released(raw.pixels)
            for raw in raws
        )


def blocked(stage: Stage) -> Blocked:
    return Blocked("id", stage, (BAD,), RECEIPT, Decision(Action.BLOCK, ("r",), "0"))


def released(pixels: np.ndarray) -> Released:
    data = encode(pixels + np.uint8(MARK), "image/png")
    asset = SignedAsset(data, "image/png", "00", "label", "00")
    return Released("id", (asset,), RECEIPT, Decision(Action.ALLOW, (), "0"))


class StubPipeline:
    """Takes what Stable Diffusion takes; pictures are grey by number, red where told."""

    def __init__(self, red: tuple[int, ...] = (), answer: Any = "pictures") -> None:
        self.config = SimpleNamespace(_name_or_path="owner/name")
        self.calls: list[dict[str, Any]] = []
        self.red = red
        self.answer = answer
        self.safety_checker: object = "a checker"
        self.device = "cpu"

    def __call__(  # noqa: PLR0917  # as diffusers has it
        self,
        prompt: Any = None,
        prompt_2: Any = None,
        height: int = 16,
        num_images_per_prompt: int | None = 1,
        image: Any = None,
        output_type: str = "pil",
        return_dict: bool = True,
        generator: Any = None,
        **kwargs: Any,
    ) -> Any:
        given = {key: value for key, value in locals().items() if key not in {"self", "kwargs"}}
        self.calls.append({**given, **kwargs, "checker": self.safety_checker})
        if self.answer != "pictures":
            return SimpleNamespace(images=self.answer)
        pictures = np.zeros((num_images_per_prompt or 1, height, 16, 3), np.float32)
        for index in range(len(pictures)):
            pictures[index] = (10.0 + index) / 255
            if index in self.red:
                pictures[index, ..., 0] = 1.0
        return SimpleNamespace(images=pictures)

    def to(self, device: str) -> StubPipeline:
        self.device = device
        return self


def guarded(
    pipeline: StubPipeline | None = None, **options: Any
) -> tuple[GuardedPipeline, StubPipeline, FakeGuard]:
    inner, fake = pipeline or StubPipeline(), FakeGuard(**options)
    return wrap(inner, guard=fake), inner, fake  # type: ignore[arg-type]


# -- a real pipeline ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tiny_pipeline_dir: Path) -> Any:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(tiny_pipeline_dir, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_a_real_pipeline_in_a_real_house(tiny: Any, house: House) -> None:
    from diffusers.pipelines.stable_diffusion import StableDiffusionPipelineOutput

    pipe = wrap(tiny, guard=house.guard())
    output = pipe(["a b", FORBIDDEN], num_inference_steps=1, height=256, width=256)
    assert type(output) is StableDiffusionPipelineOutput
    good, bad = output.images
    assert bad is None
    assert isinstance(good, Image.Image)
    assert good.size == (256, 256)
    assert output.nsfw_content_detected == [False, True]
    assert output.reasons[0] == ()
    assert [one.code for one in output.reasons[1]] == ["sexual"]
    assert output.assets[1] is None
    assert np.array_equal(decode(output.assets[0]).pixels, np.asarray(good))
    assert house.rooms.watermark.detect(np.asarray(good)).detected
    assert all(isinstance(one, AuditReceipt) for one in output.receipts)
    assert [one.model for one in house.records()][-3] == "StableDiffusionPipeline:tiny-sd"


def test_blocked_alone_still_has_the_pipeline_s_output_class(tiny: Any, house: House) -> None:
    from diffusers.pipelines.stable_diffusion import StableDiffusionPipelineOutput

    output = wrap(tiny, guard=house.guard())(FORBIDDEN, num_images_per_prompt=2)
    assert type(output) is StableDiffusionPipelineOutput
    assert output.images == [None, None]


def test_the_pipeline_draws_what_it_draws_unwrapped(tiny: Any) -> None:
    import torch

    fake = FakeGuard()
    call: dict[str, Any] = {"num_inference_steps": 1, "guidance_scale": 2.0}
    plain = tiny("a b", generator=torch.Generator().manual_seed(5), output_type="np", **call)
    output = wrap(tiny, guard=fake)(  # type: ignore[arg-type]
        "a b", generator=torch.Generator().manual_seed(5), output_type="np", **call
    )
    assert isinstance(output.images, np.ndarray)
    assert output.images.shape == plain.images.shape
    expected = (np.rint(plain.images * 255) + MARK) % 256
    assert np.abs(output.images * 255 - expected).max() < 1e-3


# -- the call ---------------------------------------------------------------------------------


def test_images_are_the_marked_pixels_with_everything_beside_them() -> None:
    pipe, inner, fake = guarded(StubPipeline(red=(1,)))
    output = pipe("a house", num_images_per_prompt=3)
    first, second, third = output.images
    assert second is None
    assert (np.asarray(first) == 10 + MARK).all()
    assert (np.asarray(third) == 12 + MARK).all()
    assert output.reasons == [(), (BAD,), ()]
    assert [asset is None for asset in output.assets] == [False, True, False]
    assert output.receipts == [RECEIPT] * 3
    assert [type(one) for one in output.outcomes] == [Released, Blocked, Released]
    assert fake.models == ["StubPipeline:owner/name"]
    (call,) = inner.calls
    assert call["output_type"] == "np"
    assert (call["prompt"], call["num_images_per_prompt"]) == ("a house", 3)


@pytest.mark.parametrize("one_for_all", [True, False])
def test_a_blocked_prompt_never_reaches_the_pipeline(one_for_all: bool) -> None:
    pipe, inner, _ = guarded(one_for_all=one_for_all)
    output = pipe(["forbidden", "a house"], num_images_per_prompt=2)
    assert [image is None for image in output.images] == [True, True, False, False]
    assert output.reasons == [(BAD,), (BAD,), (), ()]
    assert [call["prompt"] for call in inner.calls] == ["a house"]


def test_lists_are_shared_out_to_their_prompts() -> None:
    pipe, inner, fake = guarded()
    tensor = np.arange(4)
    pictures = [Image.new("RGB", (16, 16), (n, n, n)) for n in (1, 2)]
    pipe(
        ["one", "two"],
        negative_prompt=["x", "y"],
        num_images_per_prompt=2,
        generator=["g1", "g2", "g3", "g4"],
        latents=tensor,
        image=pictures,
        timesteps=[9, 5],
    )
    first, second = inner.calls
    assert (first["prompt"], second["prompt"]) == ("one", "two")
    assert (first["negative_prompt"], second["negative_prompt"]) == ("x", "y")
    assert (first["generator"], second["generator"]) == (["g1", "g2"], ["g3", "g4"])
    assert first["latents"].tolist() == [0, 1]
    assert second["latents"].tolist() == [2, 3]
    assert first["timesteps"] == second["timesteps"] == [9, 5]
    assert (first["image"], second["image"]) == tuple(pictures)
    for request, value in zip(fake.requests, (1, 2), strict=True):
        assert request.input_image is not None
        assert (decode(request.input_image).pixels == value).all()
    assert [request.negative_prompt for request in fake.requests] == ["x", "y"]


def test_lists_of_one_entry_a_prompt() -> None:
    pipe, inner, _ = guarded()
    pipe(["one", "two"], generator=["g1", "g2"], latents=np.arange(2))
    assert [call["generator"] for call in inner.calls] == ["g1", "g2"]
    assert [call["latents"].tolist() for call in inner.calls] == [[0], [1]]
    with pytest.raises(InvalidRequest, match="does not fit"):
        pipe(["one", "two"], generator=["g1", "g2", "g3"])


def test_every_prompt_of_the_call_is_screened() -> None:
    pipe, inner, fake = guarded()
    output = pipe("a house", prompt_2="forbidden", negative_prompt="n", negative_prompt_2="m")
    assert fake.requests[0].prompt == "a house\nforbidden"
    assert fake.requests[0].negative_prompt == "n\nm"
    assert output.images == [None]
    assert inner.calls == []
    pipe("a house", prompt_2="a house")
    assert fake.requests[1].prompt == "a house"


def test_positional_arguments_mean_what_they_meant() -> None:
    pipe, inner, _ = guarded()
    assert pipe("a house", None, 24).images[0].size == (16, 24)
    assert inner.calls[0]["height"] == 24


def test_numpy_output_is_one_array_unless_something_is_missing() -> None:
    whole = guarded()[0]("a house", num_images_per_prompt=2, output_type="np").images
    assert whole.shape == (2, 16, 16, 3)
    assert whole.dtype == np.float32
    assert whole[1] == pytest.approx((11 + MARK) / 255)
    pipe = guarded(StubPipeline(red=(0,)))[0]
    missing = pipe("a house", num_images_per_prompt=2, output_type="np").images
    assert missing[0] is None
    assert missing[1].shape == (16, 16, 3)


def test_a_tuple_is_answered_when_asked_for() -> None:
    images, *rest = guarded(StubPipeline(red=(0,)))[0]("a house", return_dict=False)
    assert images == [None]
    assert all(one is None or one == [True] for one in rest)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"output_type": "latent"}, "output type"),
        ({"output_type": "pt"}, "output type"),
        ({"output_type": None}, "output type"),
        ({"prompt_embeds": [1]}, "prompt_embeds"),
        ({"negative_prompt_embeds": [1]}, "negative_prompt_embeds"),
        ({"ip_adapter_image_embeds": [1]}, "ip_adapter_image_embeds"),
        ({"ip_adapter_image": [1]}, "ip_adapter_image"),
        ({"control_image": [1]}, "control_image"),
        ({"image": np.zeros((8, 8, 3))}, "input image"),
        ({"image": [Image.new("RGB", (8, 8))]}, "input image"),
        ({"callback_on_step_end_tensor_inputs": ["latents"]}, "latents"),
        ({"callback": print}, "Callbacks"),
        ({"prompt": None}, "no prompt"),
        ({"prompt": 7}, "must be text"),
        ({"prompt": ""}, "no prompt|empty"),
        ({"prompt": " "}, "empty"),
        ({"negative_prompt": 7}, "must be text"),
        ({"num_images_per_prompt": 1000}, "count"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_screened_is_refused(given: dict[str, Any], words: str) -> None:
    pipe, inner, fake = guarded()
    with pytest.raises(InvalidRequest, match=words):
        pipe(**{"prompt": "a house", **given})
    assert inner.calls == []
    assert fake.requests == []


def test_no_prompt_of_a_list_runs_when_another_cannot_be_used() -> None:
    pipe, inner, fake = guarded()
    with pytest.raises(InvalidRequest):
        pipe(["a house", " "])
    assert inner.calls == []
    assert fake.requests == []


def test_none_is_not_refused() -> None:
    pipe, _, _ = guarded()
    output = pipe("a house", prompt_embeds=None, image=None, ip_adapter_image=None, callback=None)
    assert len(output.images) == 1


def test_a_callback_sees_steps_and_no_latents() -> None:
    pipe, inner, _ = guarded()
    pipe("a house", callback_on_step_end=print)
    assert inner.calls[0]["callback_on_step_end_tensor_inputs"] == []
    pipe("a house")
    assert "callback_on_step_end_tensor_inputs" not in inner.calls[1]


def test_the_pipeline_s_checker_is_off_during_the_call_only() -> None:
    pipe, inner, _ = guarded()
    pipe("a house")
    assert inner.calls[0]["checker"] is None
    assert inner.safety_checker == "a checker"


@pytest.mark.parametrize(
    "answer",
    [None, [np.full((8, 8, 3), np.nan)], [np.zeros((8, 8, 9))], [None], ["x"]],
    ids=["nothing", "nan", "channels", "none", "text"],
)
def test_a_broken_pipeline_is_an_error_not_a_picture(answer: Any) -> None:
    pipe, _, _ = guarded(StubPipeline(answer=answer))
    with pytest.raises(StageMisbehaved, match="No picture could be released"):
        pipe("a house")


def test_a_failure_beside_a_block_is_a_missing_picture_with_its_reason() -> None:
    pipe, _, _ = guarded(StubPipeline(answer=None))
    output = pipe(["forbidden", "a house"])
    assert output.images == [None, None]
    assert output.reasons == [(BAD,), (BAD,)]
    assert isinstance(output.outcomes[1], Failed)


def test_everything_else_is_the_pipeline_s_own() -> None:
    pipe, inner, _ = guarded()
    assert pipe.device == "cpu"
    assert pipe.to("cuda") is pipe
    assert inner.device == "cuda"
    pipe.scheduler = "another"
    assert inner.scheduler == "another"  # type: ignore[attr-defined]
    assert "scheduler" not in vars(pipe)
    assert "StubPipeline" in repr(pipe)
    with pytest.raises(AttributeError):
        _ = pipe.no_such_thing


def test_a_local_folder_s_path_stays_out_of_the_record(tmp_path: Path) -> None:
    pipe, inner, fake = guarded()
    inner.config._name_or_path = str(tmp_path)
    pipe("a house")
    inner.config._name_or_path = None
    pipe("a house")
    assert fake.models == [f"StubPipeline:{tmp_path.name}", "StubPipeline"]


@pytest.mark.parametrize("thing", [None, "pipe", len, object(), lambda image: image])
def test_only_a_pipeline_can_be_wrapped(thing: Any) -> None:
    with pytest.raises(InvalidRequest, match="not a pipeline"):
        wrap(thing, guard=FakeGuard())  # type: ignore[arg-type]


def test_a_guard_is_built_from_settings_when_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from guard.pipeline import Guard

    built: list[Any] = []
    monkeypatch.setattr(Guard, "from_settings", lambda policy: built.append(policy) or FakeGuard())
    assert wrap(StubPipeline(), policy="strict")("a house").images[0] is not None
    assert built == ["strict"]
