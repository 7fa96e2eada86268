"""Encrypting one field of one record: AES-256-GCM (NIST SP 800-38D).

What is sealed is bound to its place: log, record and field are authenticated with it, so that
ciphertext moved elsewhere does not open. Nonces are 96 random bits; a key seals what one person
asked for within one period, far below the 2³² messages that random nonces allow (section 8.3).
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from guard.errors import LogTampered

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

_PURPOSE = "genguard vault 1"


def seal(key: bytes, text: bytes, *place: str) -> bytes:
    """Nonce, ciphertext and tag of ``text``, which belongs to ``place`` (log, record, field)."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, joined(_PURPOSE, *place))


def unseal(key: bytes, sealed: bytes, *place: str) -> bytes:
    """What was sealed. Raises LogTampered when it was changed, moved, or sealed otherwise."""
    nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, rest, joined(_PURPOSE, *place))
    except (InvalidTag, ValueError) as error:
        raise LogTampered(
            f"What the vault keeps of record {place[1]} is not what was put there.",
            hint="Restore the database from a backup.",
        ) from error


def joined(*parts: str) -> bytes:
    """The parts with their lengths before them: no two lists of parts give the same bytes."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(one).to_bytes(4, "big") + one for one in encoded)
