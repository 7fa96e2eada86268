"""A signing key on a token behind PKCS#11: a hardware module, or SoftHSM. It never leaves it.

Which key, an RFC 7512 address says: ``pkcs11:token=NAME;object=LABEL?module-path=/…/lib.so``. The
PIN comes from GUARD_PKCS11_PIN alone: addresses end up in logs and process lists.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, unquote_to_bytes

from guard.errors import KeyInvalid, SettingsInvalid, SigningKeyUnavailable
from guard.provenance.claim_key import Credentials
from guard.provenance.keys import load_chain
from guard.provenance.signatures import HASHES

T = TypeVar("T")

_SETTING = "GUARD_PKCS11_URI"
_EXAMPLE = "pkcs11:token=NAME;object=LABEL?module-path=/usr/lib/softhsm/libsofthsm2.so"
_KNOWN = {"token", "serial", "object", "id", "type", "module-path"}
_IGNORED = {"manufacturer", "model", "library-manufacturer", "library-description"}
_PINS = {"pin-value", "pin-source"}


@dataclass(frozen=True, slots=True)
class TokenAddress:
    """What an address says: the module's path, and the token and key by whatever it names."""

    module: str
    token: str | None = None
    serial: bytes | None = None
    label: str | None = None
    id: bytes | None = None

    @classmethod
    def parse(cls, uri: str) -> TokenAddress:
        """From an RFC 7512 address. Raises SettingsInvalid."""
        if not uri.startswith("pkcs11:"):
            raise _bad("it does not begin with 'pkcs11:'")
        path, _, query = uri.removeprefix("pkcs11:").partition("?")
        told = _attributes(path, ";") | _attributes(query, "&")
        if told.keys() & _PINS:
            raise _bad("a PIN does not belong into an address", "Set GUARD_PKCS11_PIN instead.")
        unknown = sorted(told.keys() - _KNOWN - _IGNORED)
        if unknown:
            raise _bad(f"it says {', '.join(unknown)}, which is not understood")
        if told.get("type", "private") != "private":
            raise _bad("'type' must be 'private'")
        if not told.get("module-path"):
            raise _bad("it does not say 'module-path'")
        if not told.get("object") and not told.get("id"):
            raise _bad("it names no key: say 'object' or 'id'")
        return cls(
            unquote(told["module-path"]),
            token=unquote(told["token"]) if "token" in told else None,
            serial=unquote_to_bytes(told["serial"]) if "serial" in told else None,
            label=unquote(told["object"]) if "object" in told else None,
            id=unquote_to_bytes(told["id"]) if "id" in told else None,
        )


@dataclass(frozen=True)
class TokenKey(Credentials):
    """A private key on a token. One signature at a time: sessions are not for sharing.

    ``connect`` opens a session and finds the key in it. A session that broke (the module was
    restarted, the token was pulled and put back) is opened anew, once.
    """

    connect: Callable[[], Any] = field(repr=False)
    _held: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def sign(self, message: bytes) -> bytes:
        """The signature of ``message``. Raises SigningKeyUnavailable."""
        from pkcs11 import PKCS11Error

        with self._lock:
            try:
                return self._once(message)
            except PKCS11Error:
                self._held.clear()
            try:
                return self._once(message)
            except PKCS11Error as error:
                self._held.clear()
                raise _unavailable(error) from error

    def _once(self, message: bytes) -> bytes:
        if "key" not in self._held:
            self._held["key"] = self.connect()
        return sign_with(self._held["key"], self.algorithm, message)


def open_token_key(uri: str, pin: str | None, certificate: Path | None) -> TokenKey:
    """The key at an address, with the chain in ``certificate``.

    Raises SettingsInvalid for a bad address, KeyInvalid for a bad chain or a key that is not
    there, SigningKeyUnavailable when module or token cannot be opened.
    """
    address = TokenAddress.parse(uri)
    if certificate is None:
        raise KeyInvalid(
            f"{_SETTING} names a key, and nothing its certificate.",
            hint="Set GUARD_SIGNING_CERTIFICATE to the PEM file of its chain.",
        )
    pkcs11 = _package()
    key = TokenKey(load_chain(certificate), lambda: _connect(pkcs11, address, pin))
    key._held["key"] = _connect(pkcs11, address, pin)  # noqa: SLF001  # a wrong PIN is told at start
    return key


def find_key(uri: str, pin: str | None) -> Any:
    """The private key at an address, to be handed to :func:`sign_with`.

    Raises SettingsInvalid, KeyInvalid, SigningKeyUnavailable as :func:`open_token_key` does.
    """
    return _connect(_package(), TokenAddress.parse(uri), pin)


def sign_with(key: Any, algorithm: str, message: bytes) -> bytes:
    """What a token's key answers to ``message``: r‖s for ECDSA. Raises PKCS11Error."""
    signature: bytes = key.sign(_prepared(algorithm, message), **_mechanism(algorithm))
    return signature


def _package() -> Any:
    try:
        import pkcs11
    except ImportError as error:
        raise SigningKeyUnavailable(
            "Keys on tokens need a package that is not installed.",
            hint="pip install 'genguard[pkcs11]'",
        ) from error
    return pkcs11


def _connect(pkcs11: Any, address: TokenAddress, pin: str | None) -> Any:
    """The key in a new session. Raises KeyInvalid, SigningKeyUnavailable."""
    try:
        wanted = {"token_label": address.token, "token_serial": address.serial}
        given = {name: value for name, value in wanted.items() if value is not None}
        token = pkcs11.lib(address.module).get_token(**given)
        return _session(pkcs11, token, pin).get_key(
            object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=address.label, id=address.id
        )
    except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid, pkcs11.PinLocked) as error:
        raise KeyInvalid(
            f"The token refuses the PIN ({type(error).__name__}).",
            hint="Correct GUARD_PKCS11_PIN; tokens lock after a few wrong ones.",
        ) from error
    except (pkcs11.NoSuchKey, pkcs11.MultipleObjectsReturned) as error:
        found = "no such key" if isinstance(error, pkcs11.NoSuchKey) else "several such keys"
        raise KeyInvalid(
            f"The token holds {found} as {_SETTING} names.",
            hint="Without GUARD_PKCS11_PIN tokens hide their private keys.",
        ) from error
    except (pkcs11.PKCS11Error, OSError) as error:
        raise _unavailable(error) from error


def _session(pkcs11: Any, token: Any, pin: str | None) -> Any:
    """Logged in. One login counts for the whole process: a second is an error to the token."""
    if pin is None:
        return token.open()
    try:
        return token.open(user_pin=pin)
    except pkcs11.UserAlreadyLoggedIn:
        return token.open()


def _prepared(algorithm: str, message: bytes) -> bytes:
    """ECDSA on tokens signs a digest: few of them hash by themselves."""
    hashed = HASHES.get(algorithm)
    if hashed is None or algorithm == "ps256":
        return message
    return hashlib.new(hashed.name, message).digest()


def _mechanism(algorithm: str) -> dict[str, Any]:
    from pkcs11 import MGF, Mechanism

    if algorithm == "ed25519":
        return {"mechanism": Mechanism.EDDSA}
    if algorithm == "ps256":
        return {
            "mechanism": Mechanism.SHA256_RSA_PKCS_PSS,
            "mechanism_param": (Mechanism.SHA256, MGF.SHA256, 32),
        }
    return {"mechanism": Mechanism.ECDSA}


def _attributes(text: str, separator: str) -> dict[str, str]:
    """Name → value as it stands (percent-encoded)."""
    parts = [part.partition("=") for part in text.split(separator) if part]
    names = [name for name, _, _ in parts]
    if len(set(names)) < len(names) or not all(mark for _, mark, _ in parts):
        raise _bad("it says something twice, or something without a value")
    return {name: value for name, _, value in parts}


def _bad(why: str, hint: str = f"Such as {_EXAMPLE}") -> SettingsInvalid:
    return SettingsInvalid(f"{_SETTING}: {why}.", hint=hint)


def _unavailable(error: Exception) -> SigningKeyUnavailable:
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    return SigningKeyUnavailable(
        f"The signing key's token cannot be used: {said}.",
        hint=f"Check the module, the token and {_SETTING}.",
    )
