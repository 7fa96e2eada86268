"""Word of the certificate authority that the signing certificate is not revoked (OCSP, RFC 6960).

It is fetched where the certificate says, kept until it expires, and stapled to signatures, so that
verifiers need not ask. An answer that says *revoked* stops signing at once. Answers are checked
the way a strict verifier does: signed by the issuer, or by a responder that the issuer appointed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from guard.errors import KeyInvalid, RevocationUnavailable
from guard.provenance.claim_key import Certificates
from guard.provenance.revocation import stands_behind
from guard.provenance.transport import NoAnswer, ask, host_of

DEFAULT_LIFE = timedelta(hours=1)
"""How long an answer is used that does not say how long it holds."""

PAUSE = timedelta(seconds=60)
"""How long a responder that did not answer is left alone: signing must not wait each time."""

_QUERY = "application/ocsp-request"
_HINT = "Renew the certificate, and see the certificate authority's notice."


@dataclass(frozen=True, slots=True)
class _Answer:
    der: bytes
    until: datetime


class Stapler:
    """Fetches and keeps the OCSP answer about the first certificate of ``chain``.

    Shared by threads. Raises RevocationUnavailable when the certificate does not say where to
    ask, or the chain lacks the issuer.
    """

    def __init__(self, chain: Certificates) -> None:
        self._leaf = chain[0]
        self._url = _responder_of(self._leaf)
        self._issuer = _issuer_in(chain)
        self._lock = threading.Lock()
        self._kept: _Answer | None = None
        self._paused: tuple[datetime, str] | None = None

    def answer(self) -> bytes:
        """The answer (DER), not older than it says it may be.

        Raises KeyInvalid when the certificate is revoked, RevocationUnavailable when nobody says.
        """
        with self._lock:
            now = datetime.now(UTC)
            if self._kept is None or now >= self._kept.until:
                self._kept = self._fetch(now)
            return self._kept.der

    def _fetch(self, now: datetime) -> _Answer:
        if self._paused is not None and now < self._paused[0]:
            raise _unavailable(self._paused[1])
        builder = ocsp.OCSPRequestBuilder().add_certificate(self._leaf, self._issuer, hashes.SHA1())  # noqa: S303  # a name's digest, which RFC 5019 wants so
        try:
            der = ask(self._url, builder.build().public_bytes(Encoding.DER), _QUERY)
            answer = _read(der, self._leaf, self._issuer, now)
        except (NoAnswer, ValueError, UnsupportedAlgorithm) as error:
            why = f"{host_of(self._url, 'OCSP address')}: {error}"
            self._paused = (now + PAUSE, why)
            raise _unavailable(why) from error
        self._paused = None
        return answer


def _read(der: bytes, leaf: x509.Certificate, issuer: x509.Certificate, now: datetime) -> _Answer:
    """Raises ValueError for an answer that proves nothing, KeyInvalid for *revoked*."""
    response = ocsp.load_der_ocsp_response(der)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f"it answered {response.response_status.name.lower()}")
    if response.serial_number != leaf.serial_number:
        raise ValueError("its answer is about another certificate")
    if not stands_behind(issuer, response):
        raise ValueError("its answer is not signed by the issuer or whom it appointed")
    if response.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        since = response.revocation_time_utc
        raise KeyInvalid(f"The signing certificate was revoked on {since:%Y-%m-%d}.", hint=_HINT)
    if response.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        raise ValueError("it does not know the certificate")
    until = response.next_update_utc or response.this_update_utc + DEFAULT_LIFE
    if until <= now:
        raise ValueError("its answer is out of date")
    return _Answer(der, until)


def _responder_of(leaf: x509.Certificate) -> str:
    try:
        stated = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        stated = x509.AuthorityInformationAccess([])
    for one in stated:
        place = one.access_location
        if one.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            place, x509.UniformResourceIdentifier
        ):
            return str(place.value)
    raise _unavailable("the certificate does not say where to ask (Authority Information Access)")


def _issuer_in(chain: Certificates) -> x509.Certificate:
    for one in chain[1:]:
        if one.subject == chain[0].issuer:
            return one
    raise _unavailable("the chain lacks the certificate's issuer")


def _unavailable(why: str) -> RevocationUnavailable:
    return RevocationUnavailable(
        f"Nobody says whether the signing certificate is revoked: {why}.",
        hint="Try again, or let the policy say `manifest: {ocsp: staple}` or `none`.",
    )
