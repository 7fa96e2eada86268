"""Each stage, run within its time limit, with its answer looked at before it is believed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from guard.errors import MarkRejected
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
    Detection,
    Finding,
    GenerationRequest,
    Mark,
    MarkedImage,
    Pixels,
    RawImage,
    Score,
    SignedAsset,
    Stage,
)

T = TypeVar("T")

LOSSLESS = {"image/png", "image/tiff", "image/webp"}
"""Formats in which the signed file must hold the marked pixels bit by bit."""

MOST_CHANGE = 25.5
"""Root of the mean squared change that a mark may make, of 255 levels: 20 dB, ten times weaker than
the strongest that a policy may ask for. More is another picture, which no classifier has seen."""

LOOKED_AT = 1024
"""Pixels of each side that are compared for that: every n-th of a larger picture."""

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

    def classify(
        self, pixels: Pixels, findings: tuple[Finding, ...] = ()
    ) -> tuple[tuple[Score, ...], Decision]:
        """Scores of a picture, and what the policy says of them and its prompt's findings."""
        scores = self.run(Stage.CLASSIFY, lambda: self.rooms.classifier.score(pixels))
        _expect_all(scores, Score, Stage.CLASSIFY, "scores")
        return scores, decide_output(self.policy, scores, findings)

    def draw(self, request: GenerationRequest, generator: Generator | None) -> Drawn:
        """As many pictures as the request asks for."""

        def work() -> Drawn:
            drawer = generator or self.rooms.open_generator(request.model)
            return drawer.generate(request), drawer.notices(request)

        raws, notices = self.run(Stage.GENERATE, work)
        _expect_all(notices, str, Stage.GENERATE, "notices")
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
        expect(_is_like(marked.pixels, pixels), Stage.WATERMARK, "another picture")
        stated = isinstance(marked.mark, Mark) and marked.mark.payload == payload.hex()
        expect(stated, Stage.WATERMARK, "another mark than it was asked for")
        reads = self._reads(marked.pixels, marked.mark, Stage.WATERMARK)
        expect(reads, Stage.WATERMARK, "a picture in which the mark does not read back")
        return marked

    def earlier_mark(self, pixels: Pixels) -> str | None:
        """The payload, in hex, of a mark that a picture came with."""
        found = self.run(Stage.WATERMARK, lambda: self.rooms.watermark.detect(pixels))
        expect(isinstance(found, Detection), Stage.WATERMARK, f"{type(found).__name__}")
        return found.payload if found.detected else None

    def sign(
        self, marked: MarkedImage, facts: ManifestFacts, media_type: str, alpha: Any = None
    ) -> tuple[SignedAsset, bytes]:
        """The encoded and signed file, and its manifest store for the repository.

        Raises MarkRejected when the mark does not show through the picture's transparency.
        """
        from guard.provenance.container import extract_manifest_store
        from guard.provenance.xmp import xmp_packet

        def work() -> SignedAsset:
            encoded = encode(marked.pixels, media_type, xmp=xmp_packet(facts), alpha=alpha)
            return self.rooms.signer.sign(encoded, media_type, facts)

        asset = self.run(Stage.SIGN, work)
        _expect_asset(asset, media_type)
        back = self.run(Stage.SIGN, lambda: decode(asset.bytes).pixels)
        expect(back.shape == marked.pixels.shape, Stage.SIGN, f"a picture of shape {back.shape}")
        if media_type in LOSSLESS and alpha is None:
            same = np.array_equal(back, marked.pixels)
            expect(same, Stage.SIGN, "a picture whose pixels changed")
        elif not self._reads(back, marked.mark, Stage.SIGN):
            expect(alpha is not None, Stage.SIGN, "a picture in which the mark no longer reads")
            raise MarkRejected("The picture is too transparent for a mark that reads back.")
        manifest = self.run(Stage.SIGN, lambda: extract_manifest_store(asset.bytes, media_type))
        expect(manifest is not None, Stage.SIGN, "a file without a manifest")
        return asset, manifest or b""

    def _reads(self, pixels: Pixels, mark: Mark, stage: Stage) -> bool:
        found = self.run(stage, lambda: self.rooms.watermark.detect(pixels))
        return isinstance(found, Detection) and found.detected and found.payload == mark.payload

    def run(self, stage: Stage, work: Callable[[], T]) -> T:
        """``work()`` within the limit of ``stage``."""
        return run_stage(stage, self._seconds[stage], work)


def _expect_all(answer: object, kind: type, stage: Stage, what: str) -> None:
    expect(isinstance(answer, tuple), stage, f"{type(answer).__name__} instead of {what}")
    assert isinstance(answer, tuple)  # noqa: S101  # for the type checker
    wrong = [type(one).__name__ for one in answer if not isinstance(one, kind)]
    expect(not wrong, stage, f"{', '.join(wrong)} among its {what}")


def _is_like(pixels: Pixels, others: Pixels) -> bool:
    step = max(1, max(pixels.shape[:2]) // LOOKED_AT)
    change = pixels[::step, ::step].astype(np.float32) - others[::step, ::step]
    return float(np.sqrt(np.mean(np.square(change)))) <= MOST_CHANGE


def _expect_asset(asset: object, media_type: str) -> None:
    expect(isinstance(asset, SignedAsset), Stage.SIGN, f"{type(asset).__name__}, no asset")
    assert isinstance(asset, SignedAsset)  # noqa: S101  # for the type checker
    data = asset.bytes
    expect(isinstance(data, bytes), Stage.SIGN, f"{type(data).__name__} instead of bytes")
    expect(asset.media_type == media_type, Stage.SIGN, f"{asset.media_type} for {media_type}")
    same = asset.sha256 == hashlib.sha256(data).hexdigest()
    expect(same, Stage.SIGN, "a digest that is not the file's")
    _expect_all(asset.notices, str, Stage.SIGN, "notices")
