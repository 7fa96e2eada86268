"""The hallway: the one place that orders the stages.

::

    prompt screen → Started (durable) → generate → classify → watermark → encode + sign
                  → Released | Held | Blocked | Failed (durable) → bytes leave

Nothing leaves that is not classified, marked, signed and recorded. A block is a value; only a
broken audit log and unusable input are exceptions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from uuid6 import uuid7

from guard.case import Case, Clerk
from guard.delivery import Delivery
from guard.errors import GuardError, InvalidRequest, MarkRejected
from guard.generate.base import Generator
from guard.image.decode import Decoded, decode, load
from guard.image.encode import encode
from guard.image.fingerprint import fingerprint
from guard.policy.decide import decide_output, decide_prompt
from guard.policy.model import Policy
from guard.provenance.base import ManifestFacts
from guard.rooms import Rooms
from guard.settings import Settings
from guard.stage import StageLimits, expect, expect_picture, run_stage
from guard.types import (
    Action,
    AuditRecord,
    Decision,
    Event,
    Finding,
    GenerationRequest,
    MarkedImage,
    Origin,
    Outcome,
    Pixels,
    RawImage,
    Reason,
    Score,
    SignedAsset,
    Stage,
)
from guard.version import __version__

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

IN_MEMORY = Delivery()
"""PNG bytes in the outcome, nothing on disk."""

MARK_REJECTED = Reason(
    "mark_rejected",
    "This picture is too small or too flat to carry the mark that every released picture needs.",
)


@dataclasses.dataclass(frozen=True, slots=True)
class _Source:
    """What a picture is made from, as the manifest tells it."""

    origin: Origin
    prompt: str | None = None
    parent: Decoded | None = None
    alpha: Any = None


class Guard:
    """A generator's guard under one policy.

    Build one with :meth:`from_settings`; it may be shared by threads.
    """

    def __init__(self, policy: Policy, rooms: Rooms, limits: StageLimits) -> None:
        self.policy = policy
        self.rooms = rooms
        self._seconds = limits.seconds
        self._clerk = Clerk(rooms.log, limits.seconds[Stage.AUDIT])

    @classmethod
    def from_settings(
        cls, policy: str | Path | Policy | None = None, settings: Settings | None = None
    ) -> Self:
        """A guard from ``GUARD_…`` settings and a policy's name, file or value.

        Raises InvalidConfiguration (PolicyInvalid, SettingsInvalid, KeyInvalid) or
        AuditUnavailable.
        """
        from guard.assemble import build_rooms, resolve_policy

        settings = settings or Settings.load()
        chosen = resolve_policy(policy, settings)
        return cls(chosen, build_rooms(chosen, settings), StageLimits.from_settings(settings))

    # -- questions that leave no record ------------------------------------------------------

    def screen(
        self, prompt: str, *, negative_prompt: str = ""
    ) -> tuple[tuple[Finding, ...], Decision]:
        """What the policy says of a prompt, and why. Raises Unavailable when screening fails."""
        findings = self._run(
            Stage.PROMPT,
            lambda: self.rooms.screener.screen(prompt, negative_prompt=negative_prompt),
        )
        expect(
            isinstance(findings, tuple), Stage.PROMPT, f"{type(findings).__name__}, not findings"
        )
        wrong = [one for one in findings if not isinstance(one, Finding)]
        expect(not wrong, Stage.PROMPT, "something that is not a finding")
        return findings, decide_prompt(self.policy, findings)

    def classify(self, pixels: Pixels) -> tuple[tuple[Score, ...], Decision]:
        """What the policy says of a picture. Raises Unavailable when a detector fails."""
        scores = self._run(Stage.CLASSIFY, lambda: self.rooms.classifier.score(pixels))
        expect(isinstance(scores, tuple), Stage.CLASSIFY, f"{type(scores).__name__}, not scores")
        for score in scores:
            expect(isinstance(score, Score), Stage.CLASSIFY, "something that is not a score")
            expect(0.0 <= score.value <= 1.0, Stage.CLASSIFY, f"a score of {score.value}")
        return scores, decide_output(self.policy, scores)

    # -- the front door ----------------------------------------------------------------------

    def generate(
        self,
        request: GenerationRequest,
        *,
        delivery: Delivery = IN_MEMORY,
        generator: Generator | None = None,
    ) -> Outcome:
        """One picture for one request. For ``count`` over 1 see :meth:`generate_each`.

        Raises InvalidInput for what cannot be used and AuditUnavailable when nothing can be
        recorded; everything else is an outcome.
        """
        if request.count != 1:
            raise InvalidRequest(
                f"generate() makes one picture; {request.count} were asked for.",
                hint="Use generate_each(): it answers one outcome a picture.",
            )
        return self.generate_each(request, delivery=delivery, generator=generator)[0]

    def generate_each(
        self,
        request: GenerationRequest,
        *,
        delivery: Delivery = IN_MEMORY,
        generator: Generator | None = None,
    ) -> tuple[Outcome, ...]:
        """``request.count`` pictures, one record and one outcome each.

        A prompt that is blocked, or cannot be screened, is one record and one outcome.
        """
        delivery.check()
        parent = decode(request.input_image) if request.input_image is not None else None
        case = self._case(
            Origin.GENERATED,
            tenant=request.tenant,
            model=request.model,
            idempotency_key=request.idempotency_key,
        )
        try:
            findings, decision = self.screen(
                request.prompt, negative_prompt=request.negative_prompt
            )
        except GuardError as error:
            case.start(request.prompt, request.user)
            return (case.fail(Stage.PROMPT, error),)
        case.findings = findings
        case.weigh(decision)
        if decision.action is Action.BLOCK:
            case.start(request.prompt, request.user)
            return (case.block(Stage.PROMPT),)
        return self._generate_screened(request, case, parent, (delivery, generator))

    def _generate_screened(
        self,
        request: GenerationRequest,
        case: Case,
        parent: Decoded | None,
        how: tuple[Delivery, Generator | None],
    ) -> tuple[Outcome, ...]:
        cases = self._cases(request, case)
        for one in cases:
            one.start(request.prompt, request.user)
        stage = Stage.CLASSIFY
        try:
            self._run(Stage.CLASSIFY, self.rooms.classifier.prepare)
            if parent is not None:
                blocked = self._screen_input(cases, parent.pixels)
                if blocked:
                    return blocked
            stage = Stage.GENERATE
            raws, notices = self._draw(request, how[1])
        except GuardError as error:
            return tuple(one.fail(stage, error) for one in cases)
        source = _Source(
            Origin.GENERATED,
            prompt=request.prompt if self.policy.manifest.include_prompt else None,
            parent=parent,
        )
        outcomes: list[Outcome] = []
        for one, raw in zip(cases, raws, strict=True):
            one.note(model=raw.model, seed=raw.seed)
            one.notices = notices
            outcomes.append(self._finish(one, raw.pixels, source, how[0]))
        return tuple(outcomes)

    def _cases(self, request: GenerationRequest, first: Case) -> list[Case]:
        """One case a picture; they share the prompt's findings."""
        cases = [first]
        for index in range(1, request.count):
            key = f"{request.idempotency_key}/{index}" if request.idempotency_key else None
            record = dataclasses.replace(first.record, record_id=str(uuid7()), idempotency_key=key)
            cases.append(Case(self._clerk, record, first.decision, first.findings))
        return cases

    def _screen_input(self, cases: list[Case], pixels: Pixels) -> tuple[Outcome, ...]:
        """An img2img input passes the same classifiers; blocked outcomes, or none."""
        scores, decision = self.classify(pixels)
        for case in cases:
            case.scores = scores
            case.weigh(decision)
        if decision.action is not Action.BLOCK:
            return ()
        return tuple(case.block(Stage.CLASSIFY) for case in cases)

    def _draw(
        self, request: GenerationRequest, generator: Generator | None
    ) -> tuple[Sequence[RawImage], tuple[str, ...]]:
        def work() -> tuple[Sequence[RawImage], tuple[str, ...]]:
            drawer = generator or self.rooms.open_generator(request.model)
            return drawer.generate(request), drawer.notices(request)

        raws, notices = self._run(Stage.GENERATE, work)
        expect(
            isinstance(raws, Sequence) and not isinstance(raws, (str, bytes)),
            Stage.GENERATE,
            f"{type(raws).__name__}, not pictures",
        )
        expect(
            len(raws) == request.count, Stage.GENERATE, f"{len(raws)} of {request.count} pictures"
        )
        for raw in raws:
            expect(
                isinstance(raw, RawImage), Stage.GENERATE, f"{type(raw).__name__}, not a picture"
            )
            expect_picture(raw.pixels, Stage.GENERATE)
        return raws, tuple(notices)

    # -- the side door -----------------------------------------------------------------------

    def protect(
        self,
        image: bytes | str | Path | Image,
        *,
        origin: Origin = Origin.UNKNOWN,
        user: str | None = None,
        tenant: str | None = None,
        delivery: Delivery = IN_MEMORY,
    ) -> Outcome:
        """Classify, mark, sign and record a picture made elsewhere.

        Only ``origin=generated`` is signed as made by a trained algorithm. Raises InvalidImage,
        OutputUnwritable or AuditUnavailable.
        """
        delivery.check()
        decoded = load(image)
        case = self._case(origin, tenant=tenant)
        case.start("", user)
        parent = None if origin is Origin.GENERATED else decoded
        source = _Source(origin, parent=parent, alpha=decoded.alpha)
        return self._finish(case, decoded.pixels, source, delivery)

    # -- the rest of the hallway -------------------------------------------------------------

    def _finish(self, case: Case, pixels: Pixels, source: _Source, delivery: Delivery) -> Outcome:
        stage = Stage.CLASSIFY
        try:
            scores, decision = self.classify(pixels)
            case.scores = scores
            case.weigh(decision)
            if decision.action is Action.BLOCK:
                return case.block(stage)
            stage = Stage.WATERMARK
            marked = self._mark(case, pixels)
            stage = Stage.SIGN
            asset, manifest = self._sign(case, marked, source, delivery.media_type)
            if case.decision.action is Action.FLAG and self.policy.on_flag == "hold":
                return self._hold(case, asset, manifest, self._flagged_by(decision))
            pending = delivery.stage(case.record.record_id, asset)
        except MarkRejected:
            case.weigh(self._refusal(MARK_REJECTED))
            return case.block(Stage.WATERMARK)
        except GuardError as error:
            return case.fail(stage, error)
        return case.release(asset, manifest, pending)

    def _mark(self, case: Case, pixels: Pixels) -> MarkedImage:
        """Mark, and read the mark back: a watermark that lies is a broken stage."""
        payload = self._clerk.new_mark_id()
        marked = self._run(Stage.WATERMARK, lambda: self.rooms.watermark.embed(pixels, payload))
        expect(isinstance(marked, MarkedImage), Stage.WATERMARK, f"{type(marked).__name__}")
        expect_picture(marked.pixels, Stage.WATERMARK)
        expect(
            marked.pixels.shape == pixels.shape,
            Stage.WATERMARK,
            f"pixels of shape {marked.pixels.shape} for {pixels.shape}",
        )
        found = self._run(Stage.WATERMARK, lambda: self.rooms.watermark.detect(marked.pixels))
        reads = found is not None and found.detected and found.payload == payload.hex()
        expect(bool(reads), Stage.WATERMARK, "a picture in which the mark does not read back")
        case.note(mark=marked.mark, fingerprint=fingerprint(marked.pixels))
        return marked

    def _sign(
        self, case: Case, marked: MarkedImage, source: _Source, media_type: str
    ) -> tuple[SignedAsset, bytes | None]:
        """Encode and sign, and look at what came back."""
        from guard.provenance.container import extract_manifest_store
        from guard.provenance.xmp import xmp_packet

        facts = self._facts(case, source)

        def work() -> tuple[SignedAsset, bytes | None]:
            packet = xmp_packet(facts)
            encoded = encode(marked.pixels, media_type, xmp=packet, alpha=source.alpha)
            asset = self.rooms.signer.sign(encoded, media_type, facts)
            expect(isinstance(asset, SignedAsset), Stage.SIGN, f"{type(asset).__name__}")
            back = decode(asset.bytes).pixels
            expect(back.shape == marked.pixels.shape, Stage.SIGN, f"a picture of {back.shape}")
            lossless = media_type in {"image/png", "image/tiff"} and source.alpha is None
            same = not lossless or np.array_equal(back, marked.pixels)
            expect(same, Stage.SIGN, "a picture whose pixels changed")
            return asset, extract_manifest_store(asset.bytes, media_type)

        asset, manifest = self._run(Stage.SIGN, work)
        expect(manifest is not None, Stage.SIGN, "a file without a manifest")
        case.note(
            asset_sha256=asset.sha256,
            media_type=asset.media_type,
            manifest_label=asset.manifest_label,
            certificate_fingerprint=asset.certificate_fingerprint,
        )
        return asset, manifest

    def _hold(self, case: Case, asset: SignedAsset, manifest: bytes | None, by: Stage) -> Outcome:
        """Into quarantine first: a held record without its picture could never be approved."""
        record_id = case.record.record_id
        self._run(Stage.SIGN, lambda: self.rooms.quarantine.keep(record_id, asset))
        try:
            return case.hold(by, manifest)
        except GuardError:
            self.rooms.quarantine.discard(record_id)
            raise

    def _facts(self, case: Case, source: _Source) -> ManifestFacts:
        return ManifestFacts(
            record_id=case.record.record_id,
            origin=source.origin,
            when=datetime.now(UTC),
            model=case.record.model,
            mark=case.record.mark,
            fingerprint=case.record.fingerprint,
            provider=self.policy.manifest.provider,
            prompt=source.prompt,
            parent=source.parent.data if source.parent is not None else None,
            parent_media_type=source.parent.media_type if source.parent is not None else None,
            screened_by=tuple(sorted({score.detector for score in case.scores})),
        )

    # -- small things ------------------------------------------------------------------------

    def _run(self, stage: Stage, work: Callable[[], T]) -> T:
        return run_stage(stage, self._seconds[stage], work)

    def _case(self, origin: Origin, **asked: Any) -> Case:
        record = AuditRecord(
            record_id=str(uuid7()),
            event=Event.STARTED,
            at=datetime.now(UTC),
            origin=origin,
            policy=self.policy.name,
            policy_digest=self.policy.digest,
            software=f"genguard/{__version__}",
            **asked,
        )
        return Case(self._clerk, record, Decision(Action.ALLOW, (), self.policy.digest))

    def _refusal(self, reason: Reason) -> Decision:
        return Decision(Action.BLOCK, (reason.code,), self.policy.digest, (reason,))

    @staticmethod
    def _flagged_by(output: Decision) -> Stage:
        return Stage.CLASSIFY if output.action is Action.FLAG else Stage.PROMPT
