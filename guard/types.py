"""The values that cross borders between rooms: frozen, slotted, standard library and numpy only.

No ORM row and no tensor crosses a border. Pixels are always ``uint8`` arrays of shape
``(height, width, 3)``, RGB, read-only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from guard.errors import InvalidRequest

if TYPE_CHECKING:  # numpy is half of what a screener would otherwise need to start
    import numpy as np
    from numpy.typing import NDArray

Pixels: TypeAlias = "NDArray[np.uint8]"
"""RGB, shape (height, width, 3), 0–255, read-only."""

MAX_PROMPT_CHARS = 20_000
"""Longer prompts are refused: no text encoder reads them, and screening must stay cheap."""

MAX_NAME_CHARS = 400
"""Of users, tenants, keys and models: the audit log takes no longer names."""

MAX_IMAGES = 64
MAX_SIDE = 8192


class Action(StrEnum):
    """What a policy says. Ordered by severity: see :func:`worst`."""

    ALLOW = "allow"
    FLAG = "flag"
    BLOCK = "block"


def worst(actions: list[Action]) -> Action:
    """The severest of ``actions``; ``allow`` when there is none."""
    order = list(Action)
    return max(actions, key=order.index, default=Action.ALLOW)


class Stage(StrEnum):
    """The rooms of the hallway, in the order a request passes them."""

    PROMPT = "prompt"
    GENERATE = "generate"
    CLASSIFY = "classify"
    WATERMARK = "watermark"
    SIGN = "sign"
    AUDIT = "audit"


class Status(StrEnum):
    """How a request ended."""

    RELEASED = "released"
    BLOCKED = "blocked"
    HELD = "held"
    FAILED = "failed"


class Event(StrEnum):
    """What an audit row says happened to a record."""

    STARTED = "started"
    RELEASED = "released"
    BLOCKED = "blocked"
    HELD = "held"
    FAILED = "failed"
    ABANDONED = "abandoned"


class Act(StrEnum):
    """What somebody did about the log's records."""

    ERASED = "erased"
    EXPIRED = "expired"
    DECRYPTED = "decrypted"
    VIEWED = "viewed"
    EXPORTED = "exported"
    HOLD_PLACED = "hold_placed"
    HOLD_LIFTED = "hold_lifted"
    APPEALED = "appealed"
    APPEAL_GRANTED = "appeal_granted"
    APPEAL_DENIED = "appeal_denied"
    SIGNALLED = "signalled"
    REPORTED = "reported"


class Origin(StrEnum):
    """Where the pixels came from; only ``generated`` is signed as made by a trained algorithm."""

    GENERATED = "generated"
    EDITED = "edited"
    UNKNOWN = "unknown"


class VerdictName(StrEnum):
    """What ``verify`` answers, in the order in which they are tried."""

    ALTERED = "altered"
    TRUSTED = "trusted"
    UNKNOWN_SIGNER = "unknown_signer"
    RECOVERED = "recovered"
    MARKED = "marked"
    LABEL_ONLY = "label_only"
    NOTHING_FOUND = "nothing_found"


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What a caller asks for.

    ``size`` is (width, height) in pixels, each a multiple of 8 in 64–8192, or None for the
    model's own. ``steps`` (1–1000) and ``seed`` (0–2⁶³−1) None means the model's default and a
    random seed. ``input_image`` holds the encoded bytes of an img2img input: it is screened,
    never marked or signed. ``user`` and ``tenant`` are the platform's own ids; ``user`` stands
    in the log as a salted commitment only; the vault keeps it encrypted, where the policy says so.

    Raises InvalidRequest when a field is out of range.
    """

    prompt: str
    negative_prompt: str = ""
    size: tuple[int, int] | None = None
    steps: int | None = None
    seed: int | None = None
    count: int = 1
    model: str | None = None
    input_image: bytes | None = field(default=None, repr=False)
    user: str | None = None
    tenant: str | None = None
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        _check_text("prompt", self.prompt)
        if not self.prompt.strip():
            raise InvalidRequest("The prompt is empty.", hint="Say what to draw.")
        _check_text("negative prompt", self.negative_prompt)
        _check_range("count", self.count, 1, MAX_IMAGES)
        _check_range("steps", self.steps, 1, 1000)
        _check_range("seed", self.seed, 0, 2**63 - 1)
        for name in ("model", "user", "tenant", "idempotency_key"):
            check_name(name.replace("_", " "), getattr(self, name))
        if self.size is not None and len(self.size) != 2:
            raise InvalidRequest(f"The size {self.size} is not (width, height).", hint="Give two.")
        for side in self.size or ():
            _check_range("size", side, 64, MAX_SIDE)
            if side % 8:
                raise InvalidRequest(
                    f"The size {side} is not a multiple of 8.",
                    hint=f"Diffusion models need multiples of 8: try {side // 8 * 8}.",
                )


def _check_text(name: str, text: str) -> None:
    if not isinstance(text, str):
        raise InvalidRequest(
            f"The {name} must be text, not {type(text).__name__}.", hint="Send a string."
        )
    check_length(name, text)
    if "\0" in text:
        raise InvalidRequest(f"The {name} contains a NUL byte.", hint="Send plain text.")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidRequest(f"The {name} is not valid Unicode.", hint="Send UTF-8 text.")


def check_length(name: str, text: str) -> None:
    """That ``text`` is no longer than a prompt may be. Raises InvalidRequest."""
    if len(text) > MAX_PROMPT_CHARS:
        raise InvalidRequest(
            f"The {name} has {len(text):,} characters; the limit is {MAX_PROMPT_CHARS:,}.",
            hint="Shorten it: text encoders read a few hundred words at most.",
        )


def check_name(name: str, text: str | None) -> None:
    """That ``text``, where given, can stand in a record as a ``name``. Raises InvalidRequest."""
    if text is None:
        return
    _check_text(name, text)
    if len(text) > MAX_NAME_CHARS or not text.isprintable():
        raise InvalidRequest(
            f"The {name} is no name: it has {len(text):,} characters, or some that do not print.",
            hint=f"At most {MAX_NAME_CHARS} printable characters on one line.",
        )


def _check_range(name: str, value: int | None, least: int, most: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidRequest(
            f"The {name} is {value!r}, which is no whole number from {least} to {most}.",
            hint=f"Choose a {name} from {least} to {most}.",
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a text was found fault with.

    ``span`` is (start, end) in code points of what the user typed, ``matched`` that very text;
    ``score`` in 0–1; ``source`` names the lexicon or model that said so. For operators, never for
    users: ``term`` is the entry behind it ("" where there is none) and ``tier`` which kind of
    reader found it (``lexical``, ``semantic``, ``own`` for a platform's own lists).
    """

    rule: str
    category: str
    span: tuple[int, int]
    matched: str
    score: float
    source: str
    explanation: str
    term: str = ""
    tier: str = "lexical"


@dataclass(frozen=True, slots=True)
class Score:
    """One detector's opinion of a picture: ``value`` in 0–1, over ``threshold`` the rule acts."""

    category: str
    value: float
    threshold: float
    detector: str
    model_digest: str


@dataclass(frozen=True, slots=True)
class Reason:
    """What a user is told: a stable code and a sentence, never the term that matched."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy made of findings or scores: ``rules`` are the ids that acted.

    ``sensitive``: one of them is of a category of which nothing may be kept but hashes.
    """

    action: Action
    rules: tuple[str, ...]
    policy_digest: str
    reasons: tuple[Reason, ...] = ()
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class RawImage:
    """What a generator answers. Pixels are made read-only."""

    pixels: Pixels
    seed: int | None
    model: str

    def __post_init__(self) -> None:
        if hasattr(self.pixels, "setflags"):  # whatever else it is, its stage is told so
            self.pixels.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark as embedded: ``payload`` is the mark id as lower-case hex, ``psnr_db`` its price.

    ``survived`` names the damage that it was read back after before release.
    """

    method: str
    payload: str
    psnr_db: float
    survived: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MarkedImage:
    """Pixels that carry a mark."""

    pixels: Pixels
    mark: Mark


Point: TypeAlias = tuple[float, float]
"""(x, y), x right, y down."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a marked picture lies in a suspect one.

    Point p of the suspect (pixels, from its centre) shows point ``matrix`` · p + ``shift`` of the
    marked picture, in canonical units (1/256 of its short side) from its top left corner.
    The shift is known modulo ``period`` in x and y. ``region``: corners of the part of the suspect
    in which the mark was seen, as fractions of its width and height; about, where it was cut.
    """

    matrix: tuple[Point, Point]
    shift: Point
    region: tuple[Point, ...] = ()
    period: float = 256.0


@dataclass(frozen=True, slots=True)
class Detection:
    """What a watermark detector found.

    ``detected`` only when ``p_value`` (the probability that an unmarked picture, or one marked
    under another key, scores as high) is below the allowed false-positive rate and the payload's
    check code holds; ``payload`` is hex or None; ``key_id`` names the key that read it;
    ``geometry`` says in words, and ``placement`` in numbers, where the mark lies.
    """

    detected: bool
    payload: str | None
    method: str
    p_value: float
    key_id: str = ""
    geometry: str = ""
    placement: Placement | None = None

    @property
    def confidence(self) -> float:
        """1 − p."""
        return 1.0 - self.p_value


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A perceptual hash of a picture: algorithm name and ``bits`` as hex."""

    algorithm: str
    bits: str


@dataclass(frozen=True, slots=True)
class SignedAsset:
    """An encoded, marked and signed picture: what may leave.

    ``notices``: one-line remarks for the caller on what it lacks by leave of the policy.
    """

    bytes: bytes = field(repr=False)
    media_type: str
    sha256: str
    manifest_label: str
    certificate_fingerprint: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditReceipt:
    """Proof that a row is in the log: which log, which leaf, its RFC 6962 leaf hash in hex."""

    log_id: str
    index: int
    leaf_hash: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One event of one record, as it goes into the log: no personal data.

    ``record_id`` is a UUIDv7; ``at`` is an aware UTC time; ``prompt_commitment`` and
    ``user_commitment`` are ``HMAC-SHA256(salt, text)`` in hex; digests are SHA-256 in hex:
    ``blocks_sha256`` that of the coarse description kept beside the log. ``derived_from`` names
    the record of an earlier mark that the picture came with, or ``mark:`` and its id.
    ``other_fingerprints`` are of other algorithms than ``fingerprint``, and of one another.
    """

    record_id: str
    event: Event
    at: datetime
    origin: Origin = Origin.GENERATED
    tenant: str | None = None
    policy: str = ""
    policy_digest: str = ""
    action: Action | None = None
    stage: Stage | None = None
    rules: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    model: str | None = None
    seed: int | None = None
    mark: Mark | None = None
    fingerprint: Fingerprint | None = None
    other_fingerprints: tuple[Fingerprint, ...] = ()
    blocks_sha256: str | None = None
    derived_from: str | None = None
    asset_sha256: str | None = None
    media_type: str | None = None
    manifest_label: str | None = None
    certificate_fingerprint: str | None = None
    prompt_commitment: str | None = None
    user_commitment: str | None = None
    idempotency_key: str | None = None
    reviewer: str | None = None
    software: str = ""


@dataclass(frozen=True, slots=True)
class AuditAct:
    """Something done about records, as it goes into the log beside them: no personal data.

    ``act_id`` is a UUIDv7; ``who`` a line of text; ``reason`` an identifier such as
    ``case-4711``; ``about`` the id of a record, ``subject`` a keyed pseudonym of a person (64 hex
    digits); ``details`` are pairs of identifiers with sorted, distinct names.
    """

    act_id: str
    act: Act
    at: datetime
    who: str
    reason: str
    about: str | None = None
    subject: str | None = None
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Released:
    """Everything was in order. Cannot be built without an audit receipt."""

    record_id: str
    images: tuple[SignedAsset, ...]
    receipt: AuditReceipt
    decision: Decision
    path: Path | None = None
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.receipt, AuditReceipt):
            raise TypeError("Released needs the receipt of its audit record")

    @property
    def status(self) -> Status:
        """``released``."""
        return Status.RELEASED


@dataclass(frozen=True, slots=True)
class Blocked:
    """The policy said no. ``reasons`` for the user, the rest for the operator."""

    record_id: str
    stage: Stage
    reasons: tuple[Reason, ...]
    receipt: AuditReceipt
    decision: Decision
    findings: tuple[Finding, ...] = ()
    scores: tuple[Score, ...] = ()

    @property
    def status(self) -> Status:
        """``blocked``."""
        return Status.BLOCKED


@dataclass(frozen=True, slots=True)
class Held:
    """The policy said ``flag``: nothing is delivered until a reviewer approves."""

    record_id: str
    stage: Stage
    reasons: tuple[Reason, ...]
    receipt: AuditReceipt
    decision: Decision
    findings: tuple[Finding, ...] = ()
    scores: tuple[Score, ...] = ()

    @property
    def status(self) -> Status:
        """``held``."""
        return Status.HELD


@dataclass(frozen=True, slots=True)
class Failed:
    """A stage was missing, raised, hung or lied: nothing leaves. ``cause`` is for the operator."""

    record_id: str
    stage: Stage
    reasons: tuple[Reason, ...]
    receipt: AuditReceipt
    cause: str = ""
    hint: str = ""

    @property
    def status(self) -> Status:
        """``failed``."""
        return Status.FAILED


Outcome = Released | Blocked | Held | Failed


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What a suspect picture is. A part that found nothing is None; never means "not AI".

    ``comparison`` with the recorded picture, where both are there: ``result`` is ``agrees``,
    ``altered``, ``other_picture`` or ``not_compared``; ``regions`` are the altered parts and
    ``frame`` the recorded picture's corners, (x, y) as fractions of the suspect's sides.
    """

    verdict: VerdictName
    explanation: str
    provenance: Mapping[str, Any] | None = None
    watermark: Mapping[str, Any] | None = None
    fingerprint: Mapping[str, Any] | None = None
    record: Mapping[str, Any] | None = None
    labels: tuple[Mapping[str, Any], ...] = ()
    comparison: Mapping[str, Any] | None = None


def as_dict(value: Any) -> dict[str, Any]:
    """A border dataclass as a JSON-ready dict: enums as text, times as ISO 8601, bytes left out."""
    plain: dict[str, Any] = {}
    for f in dataclasses.fields(value):
        item = getattr(value, f.name)
        if not isinstance(item, bytes):
            plain[f.name] = _plain(item)
    return plain


def _plain(item: Any) -> Any:
    match item:
        case StrEnum() | Path():
            plain: Any = str(item)
        case datetime():
            plain = item.isoformat()
        case list() | tuple():
            plain = [_plain(one) for one in item]
        case Mapping():
            plain = {key: _plain(one) for key, one in item.items()}
        case _:
            plain = as_dict(item) if dataclasses.is_dataclass(item) else item
    return plain
