"""Salted commitments: what was said can be confirmed, and never read.

``HMAC-SHA256(salt, text)`` with 32 random bytes of salt for each record and field. Whoever has
the text and the salt can confirm it; destroying the salt makes the commitment meaningless, also
for texts that are easy to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from guard.store.rows import Salts

SALT_BYTES = 32


def new_salts() -> Salts:
    """Fresh salts for one record."""
    return Salts(secrets.token_bytes(SALT_BYTES), secrets.token_bytes(SALT_BYTES))


def commit(salt: bytes, text: str) -> str:
    """The commitment, 64 hex digits."""
    return hmac.new(salt, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def confirms(salt: bytes, text: str, commitment: str) -> bool:
    """Whether ``commitment`` was made of this text."""
    return hmac.compare_digest(commit(salt, text), commitment)
