"""A kept manifest outlives the certificate that signed it: its record proves when it was signed.

A certificate is valid for a year, a picture is looked for much longer. A time-stamp in the
signature settles when it was made. Where there is none, the audit log says when the manifest was
registered: its leaf holds the time, the manifest's digest and the signer's certificate, and cannot
be changed without showing (:mod:`guard.audit.verify`). An *expired* certificate is then no fault,
if it was valid at that very time, under an authority of our trust lists that was valid then, too.
Nothing else is forgiven: neither revocation nor an authority that is in no list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from guard.provenance import cbor
from guard.provenance.cose import signature_parts
from guard.provenance.read import EXPIRED, HARD_BINDINGS, WRONG_USAGE, ManifestReading
from guard.provenance.trust import TrustList, may_sign_claims

if TYPE_CHECKING:
    from cryptography import x509

FORGIVEN = frozenset({EXPIRED, WRONG_USAGE, "claimSignature.outsideValidity"})
"""What the engines say of a signer whose certificate has expired.

That it is in no list they say, too, because they look no further; here it is looked up again.
"""

MAX_CHAIN = 8
"""Certificates between a signer and its authority: one or two are usual."""

_X5CHAIN: tuple[Any, ...] = (33, "x5chain")


@dataclass(frozen=True, slots=True)
class Registered:
    """What the audit record says of a manifest: when it came, and who signed it.

    ``certificate_fingerprint``: SHA-256 of the signing certificate's DER, hex.
    """

    at: datetime
    certificate_fingerprint: str


def in_force_when_registered(
    reading: ManifestReading, store: bytes, trust: TrustList, registered: Registered | None
) -> ManifestReading:
    """``reading`` of a kept ``store``, ``trusted`` if all that ails it is that time has passed.

    ``registered`` must come from an intact leaf that names this very store. Never raises on
    hostile bytes.
    """
    said = {code for voice in reading.engines for code in voice.problems} | set(reading.problems)
    left = said - HARD_BINDINGS - FORGIVEN
    if reading.state != "valid" or EXPIRED not in said or left or reading.revoked:
        return reading
    name = None if registered is None else _list_at(reading.label or "", store, trust, registered)
    if name is None:
        return reading
    problems = tuple(code for code in reading.problems if code not in FORGIVEN)
    return replace(reading, state="trusted", trust_list=name, problems=problems)


def _list_at(label: str, store: bytes, trust: TrustList, registered: Registered) -> str | None:
    """The list under which the signer was trusted at that time."""
    from cryptography.hazmat.primitives import hashes

    chain = _chain(store, label)
    if not chain or chain[0].fingerprint(hashes.SHA256()).hex() != (
        registered.certificate_fingerprint
    ):
        return None
    if not may_sign_claims(chain[0]):
        return None
    for anchors in trust.lists:
        if any(_leads_to(chain, one, registered.at) for one in anchors.certificates):
            return anchors.name
    return None


def _leads_to(chain: Sequence[x509.Certificate], anchor: x509.Certificate, at: datetime) -> bool:
    """Whether the signer's chain ends at ``anchor``, every certificate valid at ``at``."""
    path: list[x509.Certificate] = []
    for certificate in chain:
        if path and not (_is_authority(certificate) and _issued(path[-1], certificate)):
            return False
        path.append(certificate)
        if not _valid(certificate, at):
            return False
        if certificate == anchor:
            return True
        if _is_authority(anchor) and _valid(anchor, at) and _issued(certificate, anchor):
            return True
    return False


def _valid(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def _is_authority(certificate: x509.Certificate) -> bool:
    from cryptography import x509

    with suppress(x509.ExtensionNotFound, ValueError):
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _chain(store: bytes, label: str) -> list[x509.Certificate]:
    from cryptography import x509

    with suppress(ValueError, TypeError, LookupError, AttributeError):
        protected, unprotected, _, _ = signature_parts(store, label)
        for ders in _listed(cbor.decode(protected), unprotected):
            return [x509.load_der_x509_certificate(der) for der in ders[:MAX_CHAIN]]
    return []


def _listed(*headers: Any) -> Iterator[list[bytes]]:
    """The chains that a signature's headers hold, the protected one's first."""
    for header in headers:
        for key in _X5CHAIN:
            found = header.get(key)
            if found:
                yield [found] if isinstance(found, bytes) else list(found)
