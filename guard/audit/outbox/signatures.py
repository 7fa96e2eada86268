"""Signatures of messages, as Standard Webhooks writes them (standardwebhooks.com, version 1.0).

``webhook-signature`` holds ``v1,`` and base64 of HMAC-SHA256 over ``id.timestamp.body``, once for
each secret: while a secret is changed, receivers know one of the two.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from guard.errors import InvalidRequest, SettingsInvalid

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64
"""Of a secret, as the specification asks."""

TOLERANCE = 300
"""Seconds by which a receiver's clock may differ; older messages may be replayed ones."""


def parse_secrets(text: str, setting: str) -> tuple[bytes, ...]:
    """The secrets of a setting: ``whsec_`` and base64, several divided by spaces.

    Raises SettingsInvalid, which never repeats them.
    """
    secrets = []
    for one in text.split():
        try:
            secret = base64.b64decode(one.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if not one.startswith(PREFIX) or not LEAST_BYTES <= len(secret) <= MOST_BYTES:
            raise SettingsInvalid(
                f"{setting} is no webhook secret.",
                hint=f"It is {PREFIX} and base64 of {LEAST_BYTES} to {MOST_BYTES} random bytes: "
                f'echo "{PREFIX}$(openssl rand -base64 32)"',
            )
        secrets.append(secret)
    if not secrets:
        raise SettingsInvalid(
            f"{setting} is not set: messages would go out unsigned.",
            hint=f'Make one: {setting}="{PREFIX}$(openssl rand -base64 32)"',
        )
    return tuple(secrets)


def sign(message_id: str, timestamp: int, body: bytes, secrets: tuple[bytes, ...]) -> str:
    """The value of ``webhook-signature``; ``timestamp`` in seconds since 1970."""
    return " ".join(_signature(message_id, str(timestamp), body, one) for one in secrets)


def verify(
    headers: Mapping[str, str], body: bytes, secrets: tuple[bytes, ...], *, now: float
) -> None:
    """What a receiver does first. Raises InvalidRequest for whatever did not come from us now.

    ``headers`` have lower-case names; ``now`` in seconds since 1970.
    """
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    try:
        late = abs(now - int(timestamp)) > TOLERANCE
    except ValueError:
        late = True
    if not message_id or late:
        raise InvalidRequest("The message has no id, or is not of now.")
    given = headers.get("webhook-signature", "").split()
    wanted = [_signature(message_id, timestamp, body, one) for one in secrets]
    pairs = [(a.encode(), b.encode()) for a in given for b in wanted]
    if not sum(hmac.compare_digest(a, b) for a, b in pairs):
        raise InvalidRequest("The message is not signed with a known secret.")


def _signature(message_id: str, timestamp: str, body: bytes, secret: bytes) -> str:
    said = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, said, hashlib.sha256)).decode()
