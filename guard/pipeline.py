"""The hallway: the one place that orders the stages.

::

    prompt screen → Started (durable) → generate → classify → watermark → encode + sign
                  → Released | Held | Blocked | Failed (durable) → bytes leave

Nothing leaves that is not classified, marked, signed and recorded. A block is a value; only a
broken audit log and unusable input are exceptions.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from uuid6 import uuid7

from guard.audit.sensitive import Shown
from guard.case import Case, Clerk
from guard.delivery import Delivery
from guard.errors import AuditUnavailable, GuardError, InvalidRequest, MarkRejected
from guard.generate.base import Generator
from guard.image.blocks import describe
from guard.image.decode import Decoded, decode, load
from guard.image.fingerprint import fingerprints
from guard.policy.model import Policy
from guard.provenance.base import ManifestFacts
from guard.provenance.container import holds_manifest_store
from guard.rooms import Rooms
from guard.settings import Settings
from guard.stage import StageLimits
from guard.stages import Stages
from guard.types import (
    Action,
    AuditRecord,
    Decision,
    Event,
    Finding,
    GenerationRequest,
    Origin,
    Outcome,
    Pixels,
    Reason,
    Score,
    SignedAsset,
    Stage,
    check_name,
)
from guard.version import __version__

if TYPE_CHECKING:
    from PIL.Image import Image

    from guard.audit.vault.kek import KeyEncryptionKey
    from guard.provenance.claim_key import ClaimKey

IN_MEMORY = Delivery()
"""PNG bytes in the outcome, nothing on disk."""

MARK_REJECTED = Reason(
    "mark_rejected",
    "This picture is too small or too flat to carry the mark that every released picture needs.",
)

ALREADY_MARKED = Reason(
    "already_marked",
    "This picture carries a mark of this platform already, and is not marked again.",
)


@dataclasses.dataclass(frozen=True, slots=True)
class _Source:
    """What a picture is made from, as the manifest tells it.

    ``opened``: the picture is its parent, not something new that was made from it. ``outside``: it
    was handed in, and may carry an earlier mark; ``file`` is then what was handed in.
    """

    origin: Origin
    prompt: str | None = None
    parent: Decoded | None = None
    alpha: Any = None
    opened: bool = False
    labelled: bool = False
    outside: bool = False
    file: bytes | None = dataclasses.field(default=None, repr=False)


class Guard:
    """A generator's guard under one policy.

    Build one with :meth:`from_settings`; it may be shared by threads.
    """

    def __init__(self, policy: Policy, rooms: Rooms, limits: StageLimits) -> None:
        self.policy = policy
        self.rooms = rooms
        self._stages = Stages(policy, rooms, limits)
        self._clerk = Clerk(rooms.log, limits.seconds[Stage.AUDIT], policy)

    @classmethod
    def from_settings(
        cls,
        policy: str | Path | Policy | None = None,
        settings: Settings | None = None,
        *,
        signing_key: ClaimKey | None = None,
        key_service: KeyEncryptionKey | None = None,
    ) -> Self:
        """A guard from ``GUARD_…`` settings and a policy's name, file or value.

        ``signing_key`` signs manifests instead of the key that the settings name, such as a
        :class:`guard.provenance.claim_key.CallbackKey` for a key service. ``key_service`` wraps
        the vault's keys instead of a key in the home: a :class:`guard.audit.vault.kek.CallbackKek`.

        Raises InvalidConfiguration (PolicyInvalid, SettingsInvalid, KeyInvalid) or
        AuditUnavailable.
        """
        from guard.assemble import build_rooms, resolve_policy, tidy

        settings = settings or Settings.load()
        chosen = resolve_policy(policy, settings)
        rooms = build_rooms(chosen, settings, signing_key=signing_key, key_service=key_service)
        tidy(chosen, settings, rooms)
        return cls(chosen, rooms, StageLimits.from_settings(settings))

    # -- questions that leave no record ------------------------------------------------------

    def screen(
        self, prompt: str, *, negative_prompt: str = ""
    ) -> tuple[tuple[Finding, ...], Decision]:
        """What the policy says of a prompt, and why. Raises Unavailable when screening fails."""
        return self._stages.screen(prompt, negative_prompt)

    def classify(self, pixels: Pixels) -> tuple[tuple[Score, ...], Decision]:
        """What the policy says of a picture. Raises Unavailable when a detector fails."""
        return self._stages.classify(pixels)

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
        first = self._case(
            Origin.GENERATED,
            tenant=request.tenant,
            model=request.model,
            idempotency_key=request.idempotency_key,
        )
        stopped = self._screen_prompt(first, request, parent)
        if stopped is not None:
            return (stopped,)
        cases = self._cases(request, first)
        for case in cases:
            case.start(request.prompt, request.user, request.negative_prompt)
        stage = Stage.CLASSIFY
        try:
            self._stages.prepare_classifier()
            if parent is not None and self._input_is_blocked(cases, parent.pixels):
                shown = Shown(parent.pixels, parent.data)
                return tuple(case.block(stage, shown) for case in cases)
            stage = Stage.GENERATE
            raws, notices = self._stages.draw(request, generator)
        except GuardError as error:
            return tuple(case.fail(stage, error) for case in cases)
        told = request.prompt if self.policy.manifest.include_prompt else None
        source = _Source(Origin.GENERATED, prompt=told, parent=parent)
        outcomes: list[Outcome] = []
        for case, raw in zip(cases, raws, strict=True):
            case.note(model=raw.model, seed=raw.seed)
            case.notices = notices
            try:
                outcomes.append(self._finish(case, raw.pixels, source, delivery))
            except AuditUnavailable as error:
                error.outcomes = tuple(outcomes)  # these left, and whoever asked must know
                raise
        return tuple(outcomes)

    def _screen_prompt(
        self, case: Case, request: GenerationRequest, parent: Decoded | None
    ) -> Outcome | None:
        """How the request ended at the front door; None when it may go on."""
        try:
            case.findings, decision = self._stages.screen(request.prompt, request.negative_prompt)
        except GuardError as error:
            case.start(request.prompt, request.user, request.negative_prompt)
            return case.fail(Stage.PROMPT, error)
        case.weigh(decision)
        if decision.action is not Action.BLOCK:
            return None
        case.start(request.prompt, request.user, request.negative_prompt)
        shown = None if parent is None else Shown(parent.pixels, parent.data)
        return case.block(Stage.PROMPT, shown)

    def _cases(self, request: GenerationRequest, first: Case) -> list[Case]:
        """One case a picture; they share the prompt's findings."""
        cases = [first]
        for index in range(1, request.count):
            key = f"{request.idempotency_key}/{index}" if request.idempotency_key else None
            record = dataclasses.replace(first.record, record_id=str(uuid7()), idempotency_key=key)
            cases.append(Case(self._clerk, record, first.decision, first.findings))
        return cases

    def _input_is_blocked(self, cases: list[Case], pixels: Pixels) -> bool:
        """An img2img input passes the same classifiers."""
        scores, decision = self._stages.classify(pixels, cases[0].findings)
        for case in cases:
            case.scores = scores
            case.weigh(decision)
        return decision.action is Action.BLOCK

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

        Only ``origin=generated`` is signed as made by a trained algorithm; where such a picture
        brings a manifest, that one says so and is kept. Raises InvalidImage, InvalidRequest,
        OutputUnwritable or AuditUnavailable.
        """
        check_name("user", user)
        check_name("tenant", tenant)
        delivery.check()
        decoded = load(image)
        case = self._case(origin, tenant=tenant)
        case.start("", user)
        opened = origin is not Origin.GENERATED
        opened = opened or holds_manifest_store(decoded.data, decoded.media_type)
        parent = decoded if opened else None
        source = _Source(
            origin, None, parent, decoded.alpha, opened=opened, outside=True, file=decoded.data
        )
        return self._finish(case, decoded.pixels, source, delivery)

    # -- the rest of the hallway -------------------------------------------------------------

    def _finish(self, case: Case, pixels: Pixels, source: _Source, delivery: Delivery) -> Outcome:
        stage = Stage.CLASSIFY
        try:
            scores, decision = self._stages.classify(pixels, case.findings)
            case.scores = scores
            case.weigh(decision)
            if decision.action is Action.BLOCK:
                return case.block(stage, Shown(pixels, source.file))
            stage = Stage.WATERMARK
            if source.outside and self._refuses_mark(case, pixels):
                return self._refuse(case, ALREADY_MARKED)
            pixels, source = self._labelled(pixels, source)
            marked = self._stages.mark(pixels, self._clerk.new_mark_id())
            first, *others = fingerprints(marked.pixels)
            case.note(mark=marked.mark, fingerprint=first, other_fingerprints=tuple(others))
            case.blocks = describe(marked.pixels)
            stage = Stage.SIGN
            facts = self._facts(case, source)
            asset, manifest = self._stages.sign(marked, facts, delivery.media_type, source.alpha)
            _note_asset(case, asset)
            case.notices += asset.notices
            if case.decision.action is Action.FLAG and self.policy.on_flag == "hold":
                return self._hold(case, asset, manifest)
            pending = delivery.stage(case.record.record_id, asset)
        except MarkRejected:
            return self._refuse(case, MARK_REJECTED)
        except GuardError as error:
            return case.fail(stage, error)
        return case.release(asset, manifest, pending)

    def _refuse(self, case: Case, reason: Reason) -> Outcome:
        """The picture cannot be marked as the policy wants it."""
        case.weigh(Decision(Action.BLOCK, (reason.code,), self.policy.digest, (reason,)))
        return case.block(Stage.WATERMARK)

    def _refuses_mark(self, case: Case, pixels: Pixels) -> bool:
        """Whether the policy refuses a picture for the mark it came with; if not, it is noted."""
        payload = self._stages.earlier_mark(pixels)
        if payload is None:
            return False
        if self.policy.watermark.on_marked == "refuse":
            return True
        earlier = self._clerk.find_by_mark(payload)
        case.note(derived_from=earlier or f"mark:{payload}")
        return False

    def _hold(self, case: Case, asset: SignedAsset, manifest: bytes) -> Outcome:
        """Into quarantine first: a held record without its picture could never be approved."""
        record_id = case.record.record_id
        looked = {rule.id for rule in self.policy.output_rules}
        looked |= {rule.id for rule in self.policy.picture_combinations}
        by = Stage.CLASSIFY if looked.intersection(case.decision.rules) else Stage.PROMPT
        self._stages.run(Stage.SIGN, lambda: self.rooms.quarantine.keep(record_id, asset))
        try:
            return case.hold(by, manifest)
        except BaseException:
            self.rooms.quarantine.discard(record_id)
            raise

    def _labelled(self, pixels: Pixels, source: _Source) -> tuple[Pixels, _Source]:
        """With the visible sign, where the policy wants it; before anything reads the pixels."""
        if self.policy.manifest.visible_label == "none" or source.origin is Origin.UNKNOWN:
            return pixels, source
        from guard.image.label import visibly_labelled

        pixels, alpha = visibly_labelled(pixels, source.alpha)
        return pixels, dataclasses.replace(source, alpha=alpha, labelled=True)

    def _facts(self, case: Case, source: _Source) -> ManifestFacts:
        return ManifestFacts(
            record_id=case.record.record_id,
            origin=source.origin,
            when=datetime.now(UTC),
            model=case.record.model,
            mark=case.record.mark,
            fingerprint=case.record.fingerprint,
            other_fingerprints=case.record.other_fingerprints,
            provider=self.policy.manifest.provider,
            prompt=source.prompt,
            parent=source.parent.data if source.parent is not None else None,
            parent_media_type=source.parent.media_type if source.parent is not None else None,
            screened_by=tuple(sorted({score.detector for score in case.scores})),
            parent_is_input=not source.opened,
            labelled=source.labelled,
        )

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


def _note_asset(case: Case, asset: SignedAsset) -> None:
    case.note(
        asset_sha256=asset.sha256,
        media_type=asset.media_type,
        manifest_label=asset.manifest_label,
        certificate_fingerprint=asset.certificate_fingerprint,
    )
