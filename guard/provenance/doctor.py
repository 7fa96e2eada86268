"""The certificate doctor: what is wrong with a chain, why it matters and what to do.

It looks at every certificate by its profile, at how they hang together, at time, at the key, and
at who trusts them. It asks nobody over the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID

from guard.errors import KeyInvalid
from guard.provenance import chain_rules
from guard.provenance.certificates import common_name, fingerprint_of
from guard.provenance.chain_rules import is_development
from guard.provenance.diagnosis import CertificateFinding, Diagnosis, Member, worst_first
from guard.provenance.profile_rules import check_profile, key_name
from guard.provenance.profiles import (
    ISSUING_CA,
    LEAF_1,
    OCSP_RESPONDER,
    TSA_LEAF,
    Profile,
    is_ca,
    profile_for,
)

MAX_CHAIN = 10
"""Real chains have two to four certificates; a file with more is a trust list."""

_MEND_DEVELOPMENT = "`guard keys dev --serve --replace` makes certificates that have it all."


@dataclass(frozen=True, slots=True)
class AnchorList:
    """A trust list by its name: whoever stands under one of these is trusted by it."""

    name: str
    certificates: tuple[x509.Certificate, ...]


def parse_certificates(
    data: bytes, name: str, *, limit: int | None = MAX_CHAIN
) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file, or the one of a DER file. Raises KeyInvalid.

    ``limit``: so many belong into a chain; None for a trust list.
    """
    try:
        if b"-----BEGIN" in data:
            found = tuple(x509.load_pem_x509_certificates(data))
        else:
            found = (x509.load_der_x509_certificate(data),)
    except ValueError as error:
        raise KeyInvalid(
            f"{name} holds no certificate.",
            hint="It should be PEM, the signer's certificate first, then those of its CAs.",
        ) from error
    if limit is not None and len(found) > limit:
        raise KeyInvalid(
            f"{name} holds {len(found)} certificates: that is no chain.",
            hint="Give the file with the signer's certificate and those of its CAs.",
        )
    return found


def examine(
    chain: Sequence[x509.Certificate],
    *,
    key: bytes | None = None,
    anchors: Sequence[AnchorList] = (),
    now: datetime | None = None,
    for_claims: bool = True,
) -> Diagnosis:
    """The diagnosis of a chain, as it stands in its file.

    ``key``: the public key that is to sign (DER SubjectPublicKeyInfo), where it is known.
    ``for_claims`` False: the certificate may be made for time-stamps or OCSP answers instead, and
    is then held against its own profile. ``anchors`` are those of its kind.
    """
    now = now or datetime.now(UTC)
    ordered = _ordered(tuple(chain))
    profiles = _profiles(ordered, for_claims=for_claims)
    trusted_by = _trusted_by(ordered, anchors, now)
    claims = profiles[0].level is not None
    found = [
        *chain_rules.order(tuple(chain), ordered),
        *chain_rules.key_match(ordered[0], key),
        *chain_rules.purpose(profiles[0]),
        *chain_rules.links(ordered),
        *chain_rules.time(ordered, now),
        *(
            finding
            for place, (one, profile) in enumerate(zip(ordered, profiles, strict=True))
            for finding in _for_development(one, check_profile(one, profile, place))
        ),
        *chain_rules.trust(ordered, known=claims and bool(anchors), trusted=bool(trusted_by)),
    ]
    return Diagnosis(
        chain=tuple(_member(*one, now) for one in zip(ordered, profiles, strict=True)),
        findings=worst_first(found),
        trusted_by=trusted_by,
        development=is_development(ordered[0]),
        ocsp_url=ocsp_url(ordered[0]),
    )


def _for_development(
    certificate: x509.Certificate, findings: tuple[CertificateFinding, ...]
) -> tuple[CertificateFinding, ...]:
    """No CA is to be asked for what a development certificate lacks."""
    if not is_development(certificate):
        return findings
    return tuple(replace(one, mend=_MEND_DEVELOPMENT) for one in findings)


def _member(certificate: x509.Certificate, profile: Profile, now: datetime) -> Member:
    return Member(
        subject=common_name(certificate.subject),
        issuer=common_name(certificate.issuer),
        profile=profile.title,
        algorithm=key_name(certificate),
        fingerprint=fingerprint_of(certificate),
        expires=certificate.not_valid_after_utc,
        days_left=(certificate.not_valid_after_utc - now).days,
    )


def _ordered(chain: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    """The chain from the signer up; certificates that do not belong are left out.

    The signer is the first that is no CA, or else the first.
    """
    found = [next((one for one in chain if not is_ca(one)), chain[0])]
    left = [one for one in chain if one not in found]
    while above := next((one for one in left if issued(found[-1], one)), None):
        found.append(above)
        left.remove(above)
    return tuple(found)


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether ``issuer``'s name and key are those that ``certificate`` was signed by."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _profiles(chain: Sequence[x509.Certificate], *, for_claims: bool) -> list[Profile]:
    leaf = profile_for(chain[0])
    if for_claims and (leaf in (TSA_LEAF, OCSP_RESPONDER) or leaf.ca):
        leaf = LEAF_1
    above = [profile_for(one, issues_leaves=place == 0) for place, one in enumerate(chain[1:])]
    return [leaf, *(one if one.ca else ISSUING_CA for one in above)]


def _trusted_by(
    chain: Sequence[x509.Certificate], anchors: Sequence[AnchorList], now: datetime
) -> tuple[str, ...]:
    def leads(anchor: x509.Certificate) -> bool:
        valid = anchor.not_valid_before_utc <= now <= anchor.not_valid_after_utc
        return valid and any(one == anchor or issued(one, anchor) for one in chain)

    return tuple(one.name for one in anchors if any(map(leads, one.certificates)))


def ocsp_url(certificate: x509.Certificate) -> str | None:
    """Where it says to ask whether it was revoked."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, ValueError):
        return None
    named = (
        one.access_location.value
        for one in found.value
        if one.access_method == AuthorityInformationAccessOID.OCSP
    )
    return next((str(one) for one in named), None)
