"""What signs claims: anything that holds a key and answers a signature for a few hundred bytes.

The key may lie in a file, on a token behind PKCS#11, or with a key service behind a callback. It
is handed the claim alone (a COSE Sig_structure): pixels never go there. Whatever comes back is
checked against the certificate before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from guard.errors import GuardError, KeyInvalid, SigningKeyUnavailable
from guard.provenance.certificates import DEV_HINT, DEVELOPMENT_ONLY, common_name, fingerprint_of
from guard.provenance.signatures import algorithm_of, holds, in_cose_form

Certificates = tuple[x509.Certificate, ...]


class ClaimKey(Protocol):
    """A signing key with the certificates that vouch for it."""

    @property
    def algorithm(self) -> str:
        """``es256``, ``es384``, ``es512``, ``ps256`` or ``ed25519``."""
        ...

    @property
    def chain(self) -> Certificates:
        """The signer's own certificate first, then those above it."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature of ``message``, which is some hundred bytes long and holds no pixels.

        r‖s (or DER) for ECDSA, PSS with SHA-256 and a salt of 32 bytes for RSA.
        """
        ...


@dataclass(frozen=True)
class Credentials:
    """A certificate chain, and what a signer says of itself with it."""

    chain: Certificates = field(repr=False)

    @cached_property
    def algorithm(self) -> str:
        """What the first certificate's key signs with. Raises KeyInvalid."""
        return algorithm_of(self.chain[0].public_key())

    @cached_property
    def chain_pem(self) -> bytes:
        """The chain as PEM."""
        return b"".join(one.public_bytes(Encoding.PEM) for one in self.chain)

    @cached_property
    def certificate_fingerprint(self) -> str:
        """SHA-256 of the first certificate's DER, hex."""
        return fingerprint_of(self.chain[0])

    @property
    def subject(self) -> str:
        """Whom the first certificate names."""
        return common_name(self.chain[0].subject)

    @property
    def expires(self) -> datetime:
        """When the first certificate expires."""
        return self.chain[0].not_valid_after_utc

    @property
    def development(self) -> bool:
        """Whether the certificate says that it is for development only."""
        return DEVELOPMENT_ONLY in self.subject


@dataclass(frozen=True)
class CallbackKey(Credentials):
    """A key that somebody else holds: ``signs`` is called with what is to be signed.

    It may be called by several threads at once, and may answer ECDSA signatures as DER, as most
    key services do.
    """

    signs: Callable[[bytes], bytes] = field(repr=False)

    @classmethod
    def of(cls, chain_pem: bytes, signs: Callable[[bytes], bytes]) -> CallbackKey:
        """From a PEM chain, the signer's own certificate first. Raises KeyInvalid."""
        key = cls(parse_chain(chain_pem, "The chain"), signs)
        algorithm_of(key.chain[0].public_key())
        return key

    def sign(self, message: bytes) -> bytes:
        """Whatever the callback answers."""
        return self.signs(message)


def parse_chain(pem: bytes, what: str) -> Certificates:
    """Certificates of a PEM chain; ``what`` names it in the error. Raises KeyInvalid."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise KeyInvalid(
            f"{what} is not a PEM certificate chain.", hint="The signer's certificate comes first."
        ) from error


def signature_of(key: ClaimKey, message: bytes) -> bytes:
    """The key's signature in COSE's form, checked against its certificate.

    Raises SigningKeyUnavailable whatever is wrong with the answer, GuardErrors of the key's own.
    """
    public = key.chain[0].public_key()
    try:
        answer = key.sign(message)
        signature = in_cose_form(public, bytes(answer)) if isinstance(answer, bytes) else None
    except GuardError:
        raise
    except Exception as error:  # a callback raises anything
        raise _unavailable(f"it raised {type(error).__name__}: {error}") from error
    if signature is None:
        raise _unavailable(f"it answered {type(answer).__name__} instead of bytes")
    if not holds(public, message, signature):
        raise _unavailable("its signature does not verify with the certificate")
    return signature


def _unavailable(why: str) -> SigningKeyUnavailable:
    return SigningKeyUnavailable(
        f"The signing key gave no valid signature: {why}.",
        hint=f"Check the key's holder and that the certificate is of this key. {DEV_HINT}",
    )
