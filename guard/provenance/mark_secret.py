"""The watermark's secret: 32 random bytes, made at first use, kept as hex in ``keys/mark.secret``.

Who loses it cannot read old marks: it is never replaced here, not even when it is malformed.
"""

from __future__ import annotations

import binascii
import secrets
from pathlib import Path

from guard.errors import KeyInvalid
from guard.provenance.private import private_directory, write_private

SECRET_BYTES = 32
"""As long as the hash that is keyed with it (HMAC-SHA256, RFC 2104 section 3)."""


def load_mark_secret(home: Path, given: str | None = None) -> bytes:
    """The secret: ``given`` (64 hex digits, from the setting) or that of the home.

    Raises KeyInvalid when it is malformed or unreadable, OutputUnwritable when none is there and
    none can be written.
    """
    if given is not None:
        return _parse(given, "GUARD_MARK_SECRET")
    path = private_directory(home / "keys") / "mark.secret"
    if not path.exists():  # of two that come here at once, one writes and both read
        write_private(path, secrets.token_hex(SECRET_BYTES).encode() + b"\n")
    try:
        return _parse(path.read_text(encoding="ascii", errors="replace"), str(path))
    except OSError as error:
        raise KeyInvalid(
            f"The watermark secret {path} cannot be read: {error.strerror}.",
            hint="Give its owner read permission.",
        ) from error


def _parse(text: str, where: str) -> bytes:
    try:
        secret = binascii.unhexlify(text.strip())
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise KeyInvalid(
            f"The watermark secret in {where} is not {2 * SECRET_BYTES} hex digits.",
            hint="Restore it from a backup: with another secret old marks cannot be read.",
        )
    return secret
