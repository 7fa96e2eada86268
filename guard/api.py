"""The one-call questions of the library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from guard.settings import Settings
from guard.types import VerificationReport

if TYPE_CHECKING:
    from PIL.Image import Image


def verify_image(
    image: bytes | str | Path | Image, *, settings: Settings | None = None
) -> VerificationReport:
    """What is this picture? Uses the home's keys, trust lists and records.

    For many pictures build one :class:`guard.verify.suspect.Verifier` instead. Raises
    InvalidImage, InvalidConfiguration or AuditUnavailable.
    """
    from guard.assemble import build_verifier, resolve_policy

    settings = settings or Settings.load()
    return build_verifier(resolve_policy(None, settings), settings).examine(image)
