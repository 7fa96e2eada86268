"""What is asked of a generator."""

from __future__ import annotations

from dataclasses import dataclass, field

from guard.errors import InvalidRequest

MAX_PROMPT_CHARS = 20_000
"""Longer prompts are refused: no text encoder reads them, and screening must stay cheap."""

MAX_NAME_CHARS = 400
"""Of users, tenants, keys and models: the audit log takes no longer names."""

MAX_IMAGES = 64
MAX_SIDE = 8192


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
