"""What can be wrong with a chain as a whole: order, key, time, and who trusts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from guard.provenance.certificates import DEVELOPMENT_ONLY, common_name
from guard.provenance.diagnosis import CertificateFinding, Level
from guard.provenance.profiles import OCSP_RESPONDER, TSA_LEAF, Profile

SOON = timedelta(days=30)
"""Certificates that expire sooner are warned about: renewing one takes days."""

Found = Iterator[CertificateFinding]

_RENEW = (
    "Renew it: `guard keys request` makes the request. Set GUARD_TSA_URL, so that pictures stay "
    "valid after it expires."
)
_RENEW_DEVELOPMENT = "Make new ones: `guard keys dev --replace`."


@dataclass(frozen=True, slots=True)
class Rule:
    """How bad it is, why it matters and what to do; ``mend`` may depend on the certificate."""

    level: Level
    why: str
    mend: str = ""


RULES = {
    "chain_strangers": Rule(
        "error",
        "c2pa refuses a chain in which one certificate did not issue the one before it.",
        "Take them out of the file; the signer's certificate comes first, then its issuer.",
    ),
    "chain_twice": Rule("warning", "Every signature carries it twice.", "Take one of them out."),
    "chain_order": Rule(
        "error",
        "The first one in the file is taken for the signer's, so the key does not match it.",
        "Put the signer's first, then its issuer, and so on up.",
    ),
    "key_match": Rule(
        "error",
        "Every verifier answers claimSignature.mismatch.",
        "Find the key that the certificate request was made with, or request anew.",
    ),
    "purpose": Rule(
        "note",
        "As GUARD_SIGNING_CERTIFICATE it would be refused.",
        "Nothing, unless it was meant to sign pictures.",
    ),
    "chain_length": Rule(
        "error",
        "Verifiers find no valid path to the root.",
        "Use the chain that the CA sent, unchanged, or ask for a new one.",
    ),
    "chain_outlives": Rule(
        "warning",
        "From then on signatures verify only with a time-stamp from before.",
        "Renew by then, not by the signer's own date.",
    ),
    "expired": Rule(
        "error",
        "Nothing can be signed. What was signed before needs a time-stamp; without one verifiers "
        "answer signingCredential.expired.",
    ),
    "not_yet": Rule(
        "error", "Verifiers refuse what is signed before.", "Check this machine's clock."
    ),
    "expires_soon": Rule("warning", "From then on nothing can be signed."),
    "half_life": Rule("warning", "More than half of its time is over; a CA may take weeks."),
    "self_signed": Rule(
        "warning",
        "Every verifier answers signingCredential.untrusted: the picture is intact, its signer "
        "unknown.",
        "For production, have a CA of the C2PA trust list certify the key: `guard keys request`. "
        "For development: `guard keys dev`.",
    ),
    "root_in_chain": Rule(
        "note",
        "Verifiers have it already or do not trust it, and every signature carries it.",
        "Take it out to make every picture about a kilobyte smaller.",
    ),
    "chain_incomplete": Rule(
        "warning",
        "A verifier that lacks a certificate in between answers signingCredential.untrusted, even "
        "where it trusts the root.",
        "Append the CA's intermediate certificates to the file, in order.",
    ),
    "development": Rule(
        "note",
        "No verifier but this home's trusts it.",
        "For production, request a real one: `guard keys request`.",
    ),
    "untrusted": Rule(
        "warning",
        "Verifiers answer signingCredential.untrusted: the picture is intact, its signer unknown.",
        "Get a certificate from a CA of the C2PA trust list. Where your own verifiers are to trust "
        "your own CA, put its root into trust/ of their home.",
    ),
}


def order(given: tuple[x509.Certificate, ...], ordered: tuple[x509.Certificate, ...]) -> Found:
    """``given`` as it stands in the file, ``ordered`` as it should."""
    strangers = [one for one in given if one not in ordered]
    if strangers:
        names = ", ".join(dict.fromkeys(common_name(one.subject) for one in strangers))
        yield _found(
            "chain_strangers",
            f"The file holds certificates that are not above the signer's: {names}.",
        )
    if len(set(given)) != len(given):
        yield _found("chain_twice", "A certificate stands in the file twice.")
    if tuple(one for one in dict.fromkeys(given) if one in ordered) != ordered:
        yield _found("chain_order", "The certificates are in the wrong order.")


def key_match(leaf: x509.Certificate, key: bytes | None) -> Found:
    """``key``: the public key that is to sign, DER; None where it is not known."""
    if key is None:
        return
    try:
        certified = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        certified = b""
    if certified != key:
        yield _found(
            "key_match", "The signing key is not the one that this certificate was issued for."
        )


def purpose(profile: Profile) -> Found:
    """A certificate that was not made for claims, where that need not be wrong."""
    if profile in (TSA_LEAF, OCSP_RESPONDER) or profile.ca:
        yield _found(
            "purpose", f"This is the certificate of a {profile.title}; it signs no claims."
        )


def links(chain: Sequence[x509.Certificate]) -> Found:
    """CAs whose path length is used up, or that expire before what they issued."""
    for place, one in enumerate(chain[1:], 1):
        limit = _path_length(one)
        if limit is not None and limit < place - 1:
            what = f"It allows {limit} CAs below it, and there are {place - 1}."
            yield _found("chain_length", what, place)
    for place, (below, above) in enumerate(pairwise(chain), 1):
        if above.not_valid_after_utc < below.not_valid_after_utc:
            what = f"It expires before what it issued, on {above.not_valid_after_utc:%Y-%m-%d}."
            yield _found("chain_outlives", what, place)


def time(chain: Sequence[x509.Certificate], now: datetime) -> Found:
    """Certificates that expired, will soon, or are not valid yet."""
    for place, one in enumerate(chain):
        start, end = one.not_valid_before_utc, one.not_valid_after_utc
        renew = _RENEW_DEVELOPMENT if is_development(one) else _RENEW
        left = f"It expires in {(end - now).days} days, on {end:%Y-%m-%d}."
        if now > end:
            yield _found("expired", f"It expired on {end:%Y-%m-%d}.", place, renew)
        elif now < start:
            yield _found("not_yet", f"It is valid only from {start:%Y-%m-%d %H:%M} UTC on.", place)
        elif end - now < SOON:
            yield _found("expires_soon", left, place, renew)
        elif place == 0 and now - start > (end - start) / 2:
            yield _found("half_life", left, place, renew)


def trust(chain: Sequence[x509.Certificate], *, known: bool, trusted: bool) -> Found:
    """``known``: whether there are trust lists to go by; ``trusted``: whether one of them does."""
    last, place = chain[-1], len(chain) - 1
    rooted = last.subject == last.issuer
    if rooted and place == 0:
        yield _found("self_signed", "It is signed by itself.")
    elif rooted:
        yield _found("root_in_chain", "The root stands in the file.", place)
    elif known and not trusted:
        yield _found(
            "chain_incomplete",
            f"The chain ends here, and its issuer ({common_name(last.issuer)}) is in no trust "
            "list of this home.",
            place,
        )
    if is_development(chain[0]):
        yield _found("development", "It is for development only.")
    elif known and not trusted and not (rooted and place == 0):
        yield _found(
            "untrusted",
            "It leads to no certificate of the C2PA trust list, nor of this home's lists.",
        )


def is_development(certificate: x509.Certificate) -> bool:
    """Whether its name says that it is for development only."""
    return DEVELOPMENT_ONLY in common_name(certificate.subject)


def _found(rule: str, what: str, place: int = 0, mend: str = "") -> CertificateFinding:
    told = RULES[rule]
    return CertificateFinding(rule, told.level, place, what, told.why, mend or told.mend)


def _path_length(certificate: x509.Certificate) -> int | None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return None
    return found.value.path_length
