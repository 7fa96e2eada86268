"""The key-encryption key: what the vault's data keys are wrapped with.

From a file in the home (made at first use), from the environment, or from a key service through
two calls. Local ones wrap with AES key wrap (RFC 3394; NIST SP 800-38F, KW), which tells a wrong
key from a right one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap,
    aes_key_wrap,
)

from guard.audit.files import sync_folder, writable, write_private
from guard.errors import KeyInvalid, OutputUnwritable, VaultUnavailable

KEK_BYTES = 32
SETTING = "GUARD_KEY_ENCRYPTION_KEY"
RETIRED_SETTING = "GUARD_RETIRED_KEY_ENCRYPTION_KEY"

FILE = "vault.kek"
RETIRED_FILE = "vault.kek.retired"


class KeyEncryptionKey(Protocol):
    """Wraps data keys. ``id`` names it and stands beside what it wrapped; it is no secret."""

    @property
    def id(self) -> str:
        """The same for the same key, another for any other."""
        ...

    def wrap(self, key: bytes) -> bytes:
        """32 bytes, wrapped. Raises VaultUnavailable."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """What was wrapped. Raises VaultUnavailable when this key did not wrap it."""
        ...


@dataclass(frozen=True)
class LocalKek:
    """A key-encryption key that this process holds: 32 bytes."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Part of a hash of the key: tells keys apart and nothing else."""
        return hashlib.sha256(b"genguard key-encryption key\0" + self.secret).hexdigest()[:16]

    def wrap(self, key: bytes) -> bytes:
        """RFC 3394."""
        return aes_key_wrap(self.secret, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """RFC 3394, section 2.2.2."""
        try:
            return aes_key_unwrap(self.secret, wrapped)
        except (InvalidUnwrap, ValueError) as error:
            raise VaultUnavailable(
                "A key of the vault does not open under its key-encryption key: it was damaged "
                "or replaced.",
                hint="Restore the key database from a backup.",
            ) from error


@dataclass(frozen=True)
class CallbackKek:
    """A key-encryption key that never leaves a key service: two calls wrap and unwrap with it.

    ``id`` is the service's own name for the key and its version.
    """

    id: str
    wrap_call: Callable[[bytes], bytes] = field(repr=False)
    unwrap_call: Callable[[bytes], bytes] = field(repr=False)

    def wrap(self, key: bytes) -> bytes:
        """Through the service."""
        return self._ask(self.wrap_call, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Through the service; what comes back must be a data key."""
        key = self._ask(self.unwrap_call, wrapped)
        if len(key) != KEK_BYTES:
            raise VaultUnavailable(
                f"The key service answered {len(key)} bytes for a key of {KEK_BYTES}.",
                hint="Check what is called to unwrap.",
            )
        return key

    def _ask(self, call: Callable[[bytes], bytes], data: bytes) -> bytes:
        try:
            answer = call(data)
        except Exception as error:  # whatever the service's client raises
            raise VaultUnavailable(
                f"The key service failed: {type(error).__name__}.",
                hint="Check that it is up and that this process may use the key.",
            ) from error
        if not isinstance(answer, bytes) or not answer:
            raise VaultUnavailable(
                "The key service answered no bytes.", hint="Check what is called to wrap."
            )
        return answer


@dataclass(frozen=True)
class Keks:
    """Where key-encryption keys come from: a service's, settings, or the home.

    ``given`` and ``retired`` are hex, from the settings.
    """

    home: Path
    given: str | None = field(default=None, repr=False)
    retired: str | None = field(default=None, repr=False)
    service: KeyEncryptionKey | None = None

    def check(self) -> None:
        """Raises KeyInvalid for settings that are no keys."""
        self._given()

    def load(self) -> tuple[KeyEncryptionKey, ...]:
        """Every key there is, the current one first. Raises KeyInvalid."""
        found: list[KeyEncryptionKey] = [] if self.service is None else [self.service]
        found += self._given()
        for name in (FILE, RETIRED_FILE):
            path = self.home / "keys" / name
            if path.exists():
                found.append(LocalKek(_parse(_read(path), str(path))))
        return tuple({one.id: one for one in found}.values())

    def current(self) -> KeyEncryptionKey:
        """The key to wrap with from the beginning; made in the home where there is none.

        Raises KeyInvalid, VaultUnavailable when it cannot be written.
        """
        if self.service is None and self.given is None:
            folder = self.home / "keys"
            try:
                with writable(folder):
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    _write_new(folder / FILE, secrets.token_bytes(KEK_BYTES))
            except OutputUnwritable as error:
                raise VaultUnavailable(error.message, hint=error.hint) from error
        return self.load()[0]

    def find(self, kek_id: str) -> KeyEncryptionKey:
        """The key of this id. Raises VaultUnavailable when it is not among them, KeyInvalid."""
        for one in self.load():
            if one.id == kek_id:
                return one
        raise VaultUnavailable(
            f"The key-encryption key {kek_id} of the vault is not there.",
            hint=f"Restore {self.home / 'keys' / FILE} from a backup, or set {SETTING}. Without "
            "it what the vault keeps cannot be read; the log itself still verifies.",
        )

    def begin_rotation(self) -> KeyEncryptionKey:
        """The key to rewrap with; in the home a new one, while the one so far is kept, retired.

        Interrupted at any moment, no key is lost, and the same call again goes on.
        Raises KeyInvalid where settings name the current key and none that is retired.
        """
        if self.service is not None or self.given is not None:
            return self.load()[0]
        folder = self.home / "keys"
        current, retired = folder / FILE, folder / RETIRED_FILE
        old = _parse(_read(current), str(current))
        with writable(folder):
            if not _write_new(retired, old) and _parse(_read(retired), str(retired)) != old:
                return LocalKek(old)  # an earlier rotation was interrupted after this step
            write_private(current, _line(secrets.token_bytes(KEK_BYTES))).replace(current)
            sync_folder(folder)
        return self.load()[0]

    def end_rotation(self) -> None:
        """Destroy the retired key of the home: nothing is wrapped with it any more."""
        path = self.home / "keys" / RETIRED_FILE
        if not path.exists():
            return
        with writable(path):
            with path.open("r+b") as file:  # before its blocks are set free
                file.write(b"0" * path.stat().st_size)
            path.unlink()
            sync_folder(path.parent)

    def _given(self) -> list[KeyEncryptionKey]:
        found: list[KeyEncryptionKey] = []
        if self.given is not None:
            found.append(LocalKek(_parse(self.given, SETTING)))
        for one in re.split(r"[\s,]+", self.retired or ""):
            if one:
                found.append(LocalKek(_parse(one, RETIRED_SETTING)))  # noqa: PERF401
        return found


def _write_new(path: Path, secret: bytes) -> bool:
    """Write a key where none is; of two writers one wins and both read the same."""
    if path.exists():
        return False
    temporary = write_private(path, _line(secret))
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    sync_folder(path.parent)
    return True


def _line(secret: bytes) -> bytes:
    return f"{secret.hex()}\n".encode()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise KeyInvalid(
            f"The key-encryption key {path} cannot be read: {error.strerror}.",
            hint="Restore it from a backup, or give its owner read permission.",
        ) from error


def _parse(text: str, where: str) -> bytes:
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError:
        secret = b""
    if len(secret) != KEK_BYTES:
        raise KeyInvalid(
            f"The key-encryption key in {where} is not {2 * KEK_BYTES} hex digits.",
            hint="Restore it from a backup; a new one: openssl rand -hex 32",
        )
    return secret
