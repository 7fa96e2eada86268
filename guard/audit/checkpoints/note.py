"""Signed notes: text that anybody can read, with Ed25519 signatures beneath it.

The format is C2SP signed-note (c2sp.org/signed-note): the text, an empty line, and one line a
signature, ``— NAME BASE64(key id ‖ signature)``. Signatures of keys that nobody here knows are
kept and ignored, so that witnesses can add theirs; one of a known key that does not hold spoils
the whole note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guard.errors import KeyInvalid, ProofInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519 = 1
"""The signature type byte of plain Ed25519 signatures over the note's text."""

KEY_ID_BYTES = 4
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
"""The specification asks for at least 16; hostile notes must not cost us thousands of checks."""

_DASH = "— "


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: who, with which key, and the bytes that follow the key id."""

    name: str
    key_id: bytes
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {encode64(self.key_id + self.data)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and its signatures: not verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def verify(self, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
        """Those of ``keys`` whose signature holds, in the note's order.

        Raises ProofInvalid when there is none, or when one of theirs does not hold.
        """
        known = {(key.name, key.key_id): key for key in keys}
        signers: list[VerifierKey] = []
        for one in self.signatures:
            key = known.get((one.name, one.key_id))
            if key is None:
                continue
            if not key.verifies(self.text.encode(), one.data):
                raise ProofInvalid(
                    f"The note's signature by {one.name} does not hold.",
                    hint="Somebody changed the note. Get it again from where it was published.",
                )
            signers.append(key)
        if not signers:
            raise ProofInvalid(
                "The note has no signature of a key that is trusted here.",
                hint="Give the log's verifier key, a line NAME+ID+KEY: it stands in "
                "keys/checkpoint.vkey of the log's home.",
            )
        return tuple(dict.fromkeys(signers))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name: ``NAME+KEYID+BASE64(type ‖ key)`` as text."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name ‖ newline ‖ type ‖ key)."""
        hashed = self.name.encode() + b"\n" + bytes([ED25519]) + self.public
        return hashlib.sha256(hashed).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode64(bytes([ED25519]) + self.public)}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` (64 bytes) is this key's over ``message``."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if len(signature) != SIGNATURE_BYTES:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read a verifier key. Raises KeyInvalid when it is malformed or of another type."""
        name, key_id, encoded = [*text.strip().split("+", 2), "", ""][:3]
        try:
            data = decode64(encoded)
        except ValueError:
            data = b""
        if is_name(name) and len(data) == 1 + PUBLIC_KEY_BYTES and data[0] == ED25519:
            key = cls(name, data[1:])
            if key.key_id.hex() == key_id:
                return key
        raise KeyInvalid(
            "That is no Ed25519 verifier key of the form NAME+ID+KEY.",
            hint="Copy the whole line from keys/checkpoint.vkey of the log's home.",
        )


def sign(text: str, name: str, key: Ed25519PrivateKey) -> Note:
    """``text`` (which ends in a newline) signed under ``name``.

    Raises ValueError for a text or a name that cannot stand in a note.
    """
    if not text.endswith("\n") or not _is_plain(text) or not is_name(name):
        raise ValueError("the text or the key's name cannot stand in a note")
    public = VerifierKey(name, key.public_key().public_bytes_raw())
    return Note(text, (Signature(name, public.key_id, key.sign(text.encode())),))


def parse_note(data: bytes | str) -> Note:
    """Read a note, strictly; nothing is verified yet. Raises ProofInvalid."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > MAX_NOTE_BYTES:
        raise _malformed(f"it is larger than {MAX_NOTE_BYTES:,} bytes")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("it is not UTF-8") from None
    if not _is_plain(whole):
        raise _malformed("it contains control characters")
    text, found, lines = whole.rpartition("\n\n")
    if not found or not text or not lines.endswith("\n"):
        raise _malformed("it has no signatures")
    signed = lines[:-1].split("\n")
    if len(signed) > MAX_SIGNATURES:
        raise _malformed(f"it has more than {MAX_SIGNATURES} signatures")
    return Note(f"{text}\n", tuple(_signature(line) for line in signed))


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        data = decode64(encoded)
    except ValueError:
        data = b""
    if not line.startswith(_DASH) or not is_name(name) or len(data) <= KEY_ID_BYTES:
        raise _malformed("a line below the text is no signature")
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def _malformed(why: str) -> ProofInvalid:
    return ProofInvalid(
        f"This is no signed note: {why}.",
        hint="Get it again from where it was published; nothing may be added or left out.",
    )


def is_name(name: str) -> bool:
    """Whether a key can be called so: not empty, no Unicode spaces, no plus."""
    return bool(name) and "+" not in name and not any(map(str.isspace, name)) and _is_plain(name)


def _is_plain(text: str) -> bool:
    return not any((char < " " and char != "\n") or "\ud800" <= char <= "\udfff" for char in text)


def encode64(data: bytes) -> str:
    """Standard Base 64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()


def decode64(text: str) -> bytes:
    """The bytes that have exactly this Base 64 form. Raises ValueError."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not Base 64") from error
    if encode64(data) != text:  # bits behind the end: two texts for the same bytes
        raise ValueError("not the canonical Base 64 form")
    return data
