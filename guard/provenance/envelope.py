"""Builds the signature box of a claim: COSE_Sign1 of a size that was fixed before.

The box's size is laid down when the file is built around it, so what is not needed is filled:
C2PA 2.4 section 13.2 names ``pad`` and ``pad2`` in the unprotected header for that. The same room
takes what comes after the signature: a time-stamp over it (``sigTst2``, section 10.3.2.5) and what
the certificate authority says of the signer (``rVals``, section 13.2.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from guard.provenance import cbor, jumbf
from guard.provenance.claim_key import ClaimKey
from guard.provenance.cose import SIGNATURE, cbor_of, signature_parts
from guard.provenance.signatures import COSE_NUMBERS

STAMPS, REVOCATION = "sigTst2", "rVals"
_PADS = ("pad", "pad2")

SMALLEST_PAD = 5
"""Bytes of an empty ``pad``: a box cannot be larger than what is in it by fewer."""

_ALGORITHM, _X5CHAIN = 1, 33  # RFC 9052 section 3.1, RFC 9360
_TAG = b"\xd2"
"""Tag 18 of COSE_Sign1; CBOR's head of it."""


class EnvelopeTooSmall(ValueError):
    """What is to go into the box needs ``missing`` bytes more than there are."""

    def __init__(self, missing: int) -> None:
        super().__init__(f"the signature box is {missing} bytes too small")
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Sealed:
    """A signature with what stands beside it. ``protected`` is the encoded protected header.

    ``token``: a TimeStampToken (DER) over :attr:`stamped`; ``revocation``: OCSP answers (DER).
    """

    protected: bytes
    signature: bytes
    token: bytes | None = None
    revocation: tuple[bytes, ...] = ()

    @property
    def stamped(self) -> bytes:
        """What a time-stamp speaks of: the Countersignature structure over the signature."""
        return cbor.array(
            cbor.text_string("CounterSignature"),
            cbor.byte_string(self.protected),
            cbor.byte_string(b""),
            cbor.byte_string(cbor.byte_string(self.signature)),
        )

    @property
    def size(self) -> int:
        """Bytes that it needs at least."""
        return len(self._with(self._beside))

    @property
    def _beside(self) -> dict[str, Any]:
        beside: dict[str, Any] = {}
        if self.token is not None:
            beside[STAMPS] = {"tstTokens": [{"val": self.token}]}
        if self.revocation:
            beside[REVOCATION] = {"ocspVals": list(self.revocation)}
        return beside

    def encoded(self, size: int) -> bytes:
        """COSE_Sign1 of exactly ``size`` bytes. Raises EnvelopeTooSmall."""
        room = size - self.size
        if room < 0:
            raise EnvelopeTooSmall(-room)
        for pads in _paddings(room):
            filled = self._with(self._beside | dict(zip(_PADS, pads, strict=False)))
            if len(filled) == size:
                return filled
        raise EnvelopeTooSmall(SMALLEST_PAD - room)

    def _with(self, beside: dict[str, Any]) -> bytes:
        parts = (cbor.byte_string(self.protected), beside, None, self.signature)
        return _TAG + cbor.array(parts[0], *(cbor.encode(part) for part in parts[1:]))


def protected_header(key: ClaimKey) -> bytes:
    """The header that is signed with the claim: the algorithm and the certificates."""
    chain = [one.public_bytes(Encoding.DER) for one in key.chain]
    shown = chain if len(chain) > 1 else chain[0]
    return cbor.encode({_ALGORITHM: COSE_NUMBERS[key.algorithm], _X5CHAIN: shown})


def read_envelope(store: bytes, label: str) -> Sealed:
    """What stands in a manifest's signature box. Raises ValueError when it is none of ours."""
    protected, beside, _, signature = signature_parts(store, label)
    if not isinstance(protected, bytes) or not isinstance(signature, bytes):
        raise ValueError("not a signature of a claim")  # noqa: TRY004  # one error for all callers
    if not isinstance(beside, dict):
        raise ValueError("not a header of a signature")  # noqa: TRY004
    return Sealed(protected, signature, _token(beside), _answers(beside))


def box_of(store: bytes, label: str) -> jumbf.Box:
    """Where the signature of a manifest lies. Raises ValueError."""
    return cbor_of(store, label, SIGNATURE)


def with_envelope(store: bytes, label: str, sealed: Sealed) -> bytes:
    """The store with another signature box of the same size. Raises ValueError."""
    box = box_of(store, label)
    return store[: box.body] + sealed.encoded(box.end - box.body) + store[box.end :]


def _paddings(room: int) -> Sequence[tuple[bytes, ...]]:
    """Ways to fill ``room`` bytes: one pad, or two where the length of a length jumps over it."""
    if room == 0:
        return [()]
    names = len(cbor.text_string(_PADS[0])), len(cbor.text_string(_PADS[1]))
    single = [(bytes(room - names[0] - head),) for head in (1, 2, 3, 5) if room >= names[0] + head]
    left = room - sum(names) - 2
    double = [(bytes(left - head), b"") for head in (0, 1, 2, 4) if left >= head]
    return [*single, *double]


def _token(beside: dict[Any, Any]) -> bytes | None:
    if STAMPS not in beside:
        return None
    try:
        token = beside[STAMPS]["tstTokens"][0]["val"]
    except (TypeError, LookupError) as error:
        raise ValueError("not a time-stamp of a signature") from error
    return token if isinstance(token, bytes) else None


def _answers(beside: dict[Any, Any]) -> tuple[bytes, ...]:
    values = beside.get(REVOCATION)
    listed = values.get("ocspVals") if isinstance(values, dict) else None
    listed = listed if isinstance(listed, list) else []
    return tuple(one for one in listed if isinstance(one, bytes))
