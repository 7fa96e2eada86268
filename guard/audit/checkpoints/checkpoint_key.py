"""The key that signs checkpoints: Ed25519, in ``keys/checkpoint.pem`` of the home.

It is made at first use, together with ``checkpoint.vkey``, the public line that verifiers need.
It is never made anew for a log that has checkpoints already: those would then look forged.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from guard.audit.checkpoints.checkpoint import Checkpoint, SignedCheckpoint
from guard.audit.checkpoints.note import VerifierKey, sign
from guard.audit.files import put_in_place, writable, write_private
from guard.errors import KeyInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SETTING = "GUARD_CHECKPOINT_KEY"


@dataclass(frozen=True, slots=True)
class CheckpointKey:
    """Signs for the log ``origin``."""

    origin: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> VerifierKey:
        """What others need to verify."""
        return VerifierKey(self.origin, self.private.public_key().public_bytes_raw())

    def sign(self, size: int, root: bytes) -> SignedCheckpoint:
        """A signed checkpoint: only a :class:`~guard.audit.checkpoints.publish.Publisher` asks."""
        checkpoint = Checkpoint(self.origin, size, root)
        return SignedCheckpoint(checkpoint, sign(checkpoint.text, self.origin, self.private))


def key_path(home: Path, given: Path | None = None) -> Path:
    """Where the private key is: ``given`` by the setting, or in the home."""
    return given if given is not None else home / "keys" / "checkpoint.pem"


def load_key(path: Path, origin: str) -> CheckpointKey:
    """The key of the log ``origin``. Raises KeyInvalid when it is missing or unusable."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        raise KeyInvalid(
            f"There is no key {path} to sign checkpoints with.",
            hint=f"Restore it from a backup, or name it with {SETTING}. If it is lost for good, "
            "see docs/how-to/audit-for-auditors.md.",
        ) from None
    except OSError as error:
        raise KeyInvalid(
            f"The checkpoint key {path} cannot be read: {error.strerror}.",
            hint="Give its owner read permission.",
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyInvalid(
            f"{path} is no Ed25519 private key in PEM without a passphrase.",
            hint="Restore it from a backup: checkpoints by another key are not believed.",
        )
    return CheckpointKey(origin, private)


def make_key(path: Path, origin: str) -> CheckpointKey:
    """The key at ``path``, made if there is none. Raises KeyInvalid, OutputUnwritable."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    if not path.exists():
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with writable(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_once(path, pem)
    return load_key(path, origin)


def _write_once(path: Path, data: bytes) -> None:
    """Of two that come here at once, one writes and both read."""
    temporary = write_private(path, data)
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)


def verifier_path(home: Path) -> Path:
    """Where the public lines are: for whoever verifies, to be copied."""
    return home / "keys" / "checkpoint.vkey"


def write_verifier(path: Path, key: VerifierKey) -> None:
    """Add a key's public line, in front of those of earlier keys and other logs."""
    line = f"{key}\n"
    with writable(path):
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if line not in before.splitlines(keepends=True):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            put_in_place(write_private(path, (line + before).encode()), path)


def load_verifiers(path: Path, origin: str, given: str | None = None) -> tuple[VerifierKey, ...]:
    """Keys whose checkpoints of the log ``origin`` are believed.

    ``given`` are verifier keys with blanks or commas between them, from the setting; without it
    the lines of ``path`` count. Empty when there is none yet. Raises KeyInvalid for what is
    malformed.
    """
    lines = (given or "").replace(",", " ").split()
    if given is None and path.exists():
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [VerifierKey.parse(line) for line in lines if line.strip()]
    return tuple(one for one in found if one.name == origin)
