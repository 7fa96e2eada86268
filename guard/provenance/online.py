"""What only others can say of a certificate: whether it was revoked, and who stamps the time."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from cryptography import x509

from guard.errors import KeyInvalid, RevocationUnavailable, TimestampUnavailable
from guard.provenance.diagnosis import CertificateFinding
from guard.provenance.doctor import ocsp_url
from guard.provenance.stapling import Stapler
from guard.provenance.timestamps import TimestampAuthority


def ask_around(
    chain: Sequence[x509.Certificate], tsa_url: str | None = None
) -> tuple[CertificateFinding, ...]:
    """Findings about the signer's revocation and about the time-stamping authority, if one is set.

    Asks the OCSP responder that the first certificate names, and the authority for one time-stamp
    over random bytes. Raises SettingsInvalid for an address that is none.
    """
    return (*_revocation(chain), *_time_stamps(tsa_url))


def _revocation(chain: Sequence[x509.Certificate]) -> Iterator[CertificateFinding]:
    if ocsp_url(chain[0]) is None:
        return  # which the profile's rules say already
    try:
        Stapler(tuple(chain)).answer()
    except KeyInvalid as error:
        yield CertificateFinding(
            "revoked",
            "error",
            0,
            error.message,
            "Verifiers answer signingCredential.ocsp.revoked, also to what was signed before.",
            "Stop signing with it, ask the CA why, and request a new one with a new key.",
        )
    except RevocationUnavailable as error:
        yield CertificateFinding(
            "ocsp_silent",
            "warning",
            0,
            error.message,
            "Nothing can be stapled; where the policy says `ocsp: required`, nothing is signed.",
            "Try again; a responder that stays silent is the CA's to mend.",
        )
    else:
        yield CertificateFinding(
            "not_revoked",
            "note",
            0,
            "Its CA says that it is not revoked.",
            "The answer can be stapled to signatures: `manifest: {ocsp: staple}` in the policy.",
            "",
        )


def _time_stamps(url: str | None) -> Iterator[CertificateFinding]:
    if url is None:
        yield CertificateFinding(
            "no_time_stamps",
            "note",
            0,
            "No time-stamping authority is set.",
            "From the day on which the certificate expires, no verifier trusts its pictures.",
            "Set GUARD_TSA_URL.",
        )
        return
    authority = TimestampAuthority(url)
    try:
        authority.token(secrets.token_bytes(32))
    except TimestampUnavailable as error:
        yield CertificateFinding(
            "tsa_silent",
            "warning",
            0,
            error.message,
            "Where the policy says `timestamp: required`, nothing is signed.",
            "Correct GUARD_TSA_URL, or try again.",
        )
    else:
        yield CertificateFinding(
            "tsa_answers",
            "note",
            0,
            f"The time-stamping authority {authority.host} answers.",
            "Pictures stay valid after the certificate expires.",
            "",
        )
