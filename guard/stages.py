"""Each stage, run within its time limit, with its answer looked at before it is believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from guard.generate.base import Generator
from guard.image.decode import decode
from guard.image.encode import encode
from guard.policy.decide import decide_output, decide_prompt
from guard.policy.model import Policy
from guard.provenance.base import ManifestFacts
from guard.rooms import Rooms
from guard.stage import StageLimits, expect, expect_picture, run_stage
from guard.types import (
    Decision,
    Finding,
    GenerationRequest,
    MarkedImage,
    Pixels,
    RawImage,
    Score,
    SignedAsset,
    Stage,
)

T = TypeVar("T")

LOSSLESS = {"image/png", "image/tiff"}
"""Formats in which the signed file must hold the marked pixels bit by bit."""

Drawn = tuple[Sequence[RawImage], tuple[str, ...]]
"""What a generator answers: its pictures, and one-line notices for the caller."""


class Stages:
    """The rooms of one guard, called one at a time.

    Every method raises StageTimeout, StageMisbehaved, or whatever GuardError the room raises;
    none of them answers anything that was not checked.
    """

    def __init__(self, policy: Policy, rooms: Rooms, limits: StageLimits) -> None:
        self.policy = policy
        self.rooms = rooms
        self._seconds = limits.seconds

    def screen(self, prompt: str, negative_prompt: str) -> tuple[tuple[Finding, ...], Decision]:
        """Findings in a prompt, and what the policy says of them."""
        findings = self.run(
            Stage.PROMPT,
            lambda: self.rooms.screener.screen(prompt, negative_prompt=negative_prompt),
        )
        _expect_all(findings, Finding, Stage.PROMPT, "findings")
        return findings, decide_prompt(self.policy, findings)

    def prepare_classifier(self) -> None:
        """Open every detector: nothing is generated that could not be classified."""
        self.run(Stage.CLASSIFY, self.rooms.classifier.prepare)

    def classify(self, pixels: Pixels) -> tuple[tuple[Score, ...], Decision]:
        """Scores of a picture, and what the policy says of them."""
        scores = self.run(Stage.CLASSIFY, lambda: self.rooms.classifier.score(pixels))
        _expect_all(scores, Score, Stage.CLASSIFY, "scores")
        return scores, decide_output(self.policy, scores)

    def draw(self, request: GenerationRequest, generator: Generator | None) -> Drawn:
        """As many pictures as the request asks for."""

        def work() -> Drawn:
            drawer = generator or self.rooms.open_generator(request.model)
            return drawer.generate(request), tuple(drawer.notices(request))

        raws, notices = self.run(Stage.GENERATE, work)
        is_sequence = isinstance(raws, Sequence) and not isinstance(raws, (str, bytes))
        expect(is_sequence, Stage.GENERATE, f"{type(raws).__name__}, not pictures")
        expect(
            len(raws) == request.count, Stage.GENERATE, f"{len(raws)} of {request.count} pictures"
        )
        for raw in raws:
            expect(isinstance(raw, RawImage), Stage.GENERATE, f"{type(raw).__name__}, no picture")
            expect_picture(raw.pixels, Stage.GENERATE)
        return raws, notices

    def mark(self, pixels: Pixels, payload: bytes) -> MarkedImage:
        """A marked copy whose mark was read back: a watermark that lies is a broken stage."""
        watermark = self.rooms.watermark
        marked = self.run(Stage.WATERMARK, lambda: watermark.embed(pixels, payload))
        expect(isinstance(marked, MarkedImage), Stage.WATERMARK, f"{type(marked).__name__}")
        expect_picture(marked.pixels, Stage.WATERMARK)
        expect(
            marked.pixels.shape == pixels.shape,
            Stage.WATERMARK,
            f"pixels of shape {marked.pixels.shape} for {pixels.shape}",
        )
        found = self.run(Stage.WATERMARK, lambda: watermark.detect(marked.pixels))
        reads = found is not None and found.detected and found.payload == payload.hex()
        expect(bool(reads), Stage.WATERMARK, "a picture in which the mark does not read back")
        return marked

    def sign(
        self, marked: MarkedImage, facts: ManifestFacts, media_type: str, alpha: Any = None
    ) -> tuple[SignedAsset, bytes]:
        """The encoded and signed file, and its manifest store for the repository."""
        from guard.provenance.container import extract_manifest_store
        from guard.provenance.xmp import xmp_packet

        def work() -> SignedAsset:
            encoded = encode(marked.pixels, media_type, xmp=xmp_packet(facts), alpha=alpha)
            return self.rooms.signer.sign(encoded, media_type, facts)

        asset = self.run(Stage.SIGN, work)
        expect(isinstance(asset, SignedAsset), Stage.SIGN, f"{type(asset).__name__}, no asset")
        back = self.run(Stage.SIGN, lambda: decode(asset.bytes).pixels)
        expect(back.shape == marked.pixels.shape, Stage.SIGN, f"a picture of shape {back.shape}")
        same = media_type not in LOSSLESS or alpha is not None
        same = same or np.array_equal(back, marked.pixels)
        expect(same, Stage.SIGN, "a picture whose pixels changed")
        manifest = extract_manifest_store(asset.bytes, media_type)
        expect(manifest is not None, Stage.SIGN, "a file without a manifest")
        return asset, manifest or b""

    def run(self, stage: Stage, work: Callable[[], T]) -> T:
        """``work()`` within the limit of ``stage``."""
        return run_stage(stage, self._seconds[stage], work)


def _expect_all(answer: object, kind: type, stage: Stage, what: str) -> None:
    expect(isinstance(answer, tuple), stage, f"{type(answer).__name__} instead of {what}")
    assert isinstance(answer, tuple)  # noqa: S101  # for the type checker
    wrong = [type(one).__name__ for one in answer if not isinstance(one, kind)]
    expect(not wrong, stage, f"{', '.join(wrong)} among its {what}")
