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


def seal(key: bytes, fields: dict[str, bytes], *place: str) -> dict[str, bytes]:
    """Nonce, ciphertext and tag of each field, which belong to ``place`` (log, record)."""
    cipher, where = AESGCM(key), joined(_PURPOSE, *place)
    sealed: dict[str, bytes] = {}
    for name, text in fields.items():
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed[name] = nonce + cipher.encrypt(nonce, text, where + joined(name))
    return sealed


def unseal(key: bytes, sealed: bytes, *place: str) -> bytes:
    """What was sealed at ``place`` (log, record, field).

    Raises LogTampered when it was changed, moved, or sealed otherwise.
    """
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
