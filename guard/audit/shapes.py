"""The shapes that fields of a leaf may have, so that no sentence, and no prompt, can slip in."""

from __future__ import annotations

import re

MAX_TEXT = 500
"""For names that others choose (model, tenant, reviewer, key): longer ones are no names."""

IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+@-]{0,199}")
DIGEST = re.compile(r"[0-9a-f]{64}")
HEX = re.compile(r"(?:[0-9a-f]{2})+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def check_text(name: str, text: str | None) -> None:
    """Raises ValueError unless ``text`` is one line of at most ``MAX_TEXT`` characters."""
    if text is None:
        return
    if not isinstance(text, str) or len(text) > MAX_TEXT or _CONTROL.search(text):
        raise ValueError(f"the {name} is not a line of at most {MAX_TEXT} characters")


def check_shape(name: str, text: str | None, shape: re.Pattern[str], what: str) -> None:
    """Raises ValueError unless the whole of ``text`` has this shape."""
    # The value itself stays out of the message: it may be the very text that must not be kept.
    if text is not None and (not isinstance(text, str) or not shape.fullmatch(text)):
        raise ValueError(f"the {name} is not {what}")


def check_identifier(name: str, text: str | None) -> None:
    """Raises ValueError unless ``text`` is an identifier of at most 200 characters."""
    check_shape(name, text, IDENTIFIER, "an identifier")
