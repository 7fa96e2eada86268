"""The watermark's secret: 32 random bytes, made at first use, kept as hex in ``keys/mark.secret``.

Who loses it cannot read old marks. It is never replaced because it is malformed; only
:func:`rotate_mark_secret` puts a new one in its place, and the old one is by then a line of
``keys/mark.retired``: one retired secret a line, the newest first, each with the time.
"""

from __future__ import annotations

import binascii
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

from guard.errors import KeyInvalid
from guard.provenance.private import locked, private_directory, write_private

SECRET_BYTES = 32
"""As long as the hash that is keyed with it (HMAC-SHA256, RFC 2104 section 3)."""

SETTING = "GUARD_MARK_SECRET"
RETIRED_SETTING = "GUARD_RETIRED_MARK_SECRETS"


def load_mark_secret(home: Path, given: str | None = None) -> bytes:
    """The secret: ``given`` (64 hex digits, from the setting) or that of the home.

    Raises KeyInvalid when it is malformed or unreadable, OutputUnwritable when none is there and
    none can be written.
    """
    if given is not None:
        return _parse(given, SETTING)
    path = private_directory(home / "keys") / "mark.secret"
    if not path.exists():  # of two that come here at once, one writes and both read
        write_private(path, _line(secrets.token_bytes(SECRET_BYTES)))
    return _parse(_read(path), str(path))


def load_retired_mark_secrets(home: Path, given: str | None = None) -> tuple[bytes, ...]:
    """Secrets that still read and no longer mark: those of the home, then those ``given``.

    ``given`` are hex digits with commas or blanks between them, from the setting. Each secret
    comes once; the newest comes first. Nothing is made. Raises KeyInvalid for what is malformed
    or unreadable: old marks that quietly stop being read would look like none.
    """
    path = _retired(home)
    lines = _read(path).splitlines() if path.exists() else []
    found = [
        _parse(line.split()[0], f"line {number} of {path}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    found += [_parse(one, RETIRED_SETTING) for one in re.split(r"[\s,]+", given or "") if one]
    return tuple(dict.fromkeys(found))


def rotate_mark_secret(home: Path) -> bytes:
    """A new secret in ``home``, returned; the one so far is retired and still reads.

    The old one is on the disk as retired before it stops being the current one: whenever this is
    interrupted, no secret is lost, and the same call again ends the work. Files have mode 0600.
    Raises KeyInvalid when there is none yet or a file is malformed, OutputUnwritable.
    """
    current = home / "keys" / "mark.secret"
    if not current.exists():
        raise KeyInvalid(
            f"There is no watermark secret {current} to retire.",
            hint="It is made when the first picture is marked. Check --home and GUARD_HOME.",
        )
    with locked(private_directory(current.parent)):
        old = _parse(_read(current), str(current))
        retired = _retired(home)
        if old not in load_retired_mark_secrets(home):
            before = retired.read_bytes() if retired.exists() else b""
            write_private(retired, _line(old, datetime.now(UTC)) + before, replace=True)
        new = secrets.token_bytes(SECRET_BYTES)
        write_private(current, _line(new), replace=True)
    return new


def _retired(home: Path) -> Path:
    return home / "keys" / "mark.retired"


def _line(secret: bytes, at: datetime | None = None) -> bytes:
    when = f" {at:%Y-%m-%dT%H:%M:%SZ}" if at else ""
    return f"{secret.hex()}{when}\n".encode()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
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
