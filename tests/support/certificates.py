"""Signed files for every way in which a certificate can be right or wrong, with what is true.

``CASES`` maps a name to a :class:`Case`: ``CASES[name].file(lab)`` makes the file, ``trusted``
says whether a verifier that trusts ``lab.claim_anchors`` for claims and ``lab.tsa_anchors`` for
time-stamps, and nothing else, may call its signer trusted. Pixels, claim and signature are whole
in all of them, but for ``broken_time_stamp``, where the time-stamp is over another signature: so
none of them says anything about the picture.

Keys are made at test time; a lab takes about 30 ms, a case about 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from guard.provenance import pki as kinds
from guard.provenance.development import DevelopmentPki
from guard.provenance.ocsp_reply import OcspAnswer, answer_about
from guard.provenance.pki import Credential, Template

from .resigning import Stamp, signed_by

RIGHT, WRONG, EITHER = True, False, None
"""EITHER: nothing was proven against the signer, and a verifier that is stricter does no harm."""

DAY = timedelta(days=1)
DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
EMAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _old_pki() -> DevelopmentPki:
    return DevelopmentPki.create(since=now() - 400 * DAY)


@dataclass
class Lab:
    """A PKI that the verifier knows, and one of the same names that it does not."""

    pki: DevelopmentPki = field(default_factory=_old_pki)
    foreign: DevelopmentPki = field(default_factory=_old_pki)

    @property
    def claim_anchors(self) -> bytes:
        """PEM: whoever may sign claims stands under it."""
        return self.pki.root.pem

    @property
    def tsa_anchors(self) -> bytes:
        """PEM: time-stamping authorities stand under it, and never a signer."""
        return self.pki.tsa_root.pem

    def leaf(self, **changes: object) -> Credential:
        """A claim-signing certificate under the known CA, with some things changed."""
        return self.pki.issue(kinds.SIGNER.but(**changes))

    def expired(self) -> Credential:
        """Valid from 100 to 50 days ago."""
        return self.leaf(start=now() - 100 * DAY, valid_days=50)

    def stamp(
        self, days_ago: float, *, by: Credential | None = None, broken: bool = False
    ) -> Stamp:
        return Stamp(by or self.pki.tsa, now() - days_ago * DAY, broken)

    def answer(
        self,
        status: str,
        *,
        by: Credential | None = None,
        revoked_days_ago: float = 1,
        days_ago: float = 0,
    ) -> bytes:
        """An OCSP answer about the signer, given ``days_ago``; by the delegated responder."""
        when = now() - days_ago * DAY
        told = OcspAnswer(status, when=when, revoked_at=when - revoked_days_ago * DAY)
        certificate, issuer = self.pki.signer.certificate, self.pki.issuing.certificate
        return answer_about(certificate, issuer, by or self.pki.responder, told)


@dataclass(frozen=True)
class Case:
    """One file. ``why`` says for a person what is right or wrong with its signer.

    ``revoked``: whether a stapled answer proves that its certificate was revoked.
    """

    trusted: bool | None
    why: str
    file: Callable[[Lab], bytes]
    revoked: bool = False


def _leaf(trusted: bool | None, why: str, **changes: object) -> Case:
    return Case(trusted, why, lambda lab: signed_by(lab.leaf(**changes)))


def _usage(trusted: bool | None, *usages: x509.ObjectIdentifier) -> Case:
    named = ", ".join(one.dotted_string for one in usages) or "none"
    return _leaf(trusted, f"extended key usage {named}", usages=usages)


def _revoked(lab: Lab, days_ago: float, *, stamped_days_ago: float) -> bytes:
    """Direct answers and delegated ones are told apart elsewhere; here it is about time."""
    answer = lab.answer("revoked", revoked_days_ago=days_ago)
    return signed_by(lab.pki.signer, ocsp=(answer,), stamp=lab.stamp(stamped_days_ago))


def _stapled(status: str, by: Callable[[Lab], Credential] | None = None) -> Callable[[Lab], bytes]:
    def file(lab: Lab) -> bytes:
        answer = lab.answer(status, by=by(lab) if by else None)
        return signed_by(lab.pki.signer, ocsp=(answer,))

    return file


def _self_signed(lab: Lab) -> bytes:
    return signed_by(kinds.issue(kinds.SIGNER))


def _under(template: Template) -> Callable[[Lab], bytes]:
    """A signer under a certificate of ``template``, which stands under the known issuing CA."""

    def file(lab: Lab) -> bytes:
        middle = lab.pki.issue(template, kinds.new_key("es384"))
        return signed_by(kinds.issue(kinds.SIGNER, middle))

    return file


def _with_chain(pick: Callable[[Lab], tuple[x509.Certificate, ...]]) -> Callable[[Lab], bytes]:
    return lambda lab: signed_by(lab.pki.signer, chain=pick(lab))


def _alike(lab: Lab) -> bytes:
    """The known issuer's name, another's key."""
    chain = (lab.foreign.signer.certificate, lab.pki.issuing.certificate)
    return signed_by(lab.foreign.signer, chain=chain)


@cache
def _rsa() -> kinds.PrivateKey:
    """One for all: such a key takes a while."""
    return kinds.new_key("ps256")


def _issuer_expired(lab: Lab) -> bytes:
    old = kinds.ISSUING_CA.but(start=now() - 300 * DAY, valid_days=200)
    return signed_by(kinds.issue(kinds.SIGNER, kinds.issue(old, lab.pki.root)))


CASES: Mapping[str, Case] = {
    # -- right -------------------------------------------------------------------------------
    "good": _leaf(RIGHT, "follows the profile"),
    "good_stamped": Case(
        RIGHT, "with a time-stamp", lambda lab: signed_by(lab.pki.signer, stamp=lab.stamp(0))
    ),
    "good_with_root": Case(
        RIGHT,
        "the root stands in the chain as well",
        _with_chain(
            lambda lab: (
                lab.pki.signer.certificate,
                lab.pki.issuing.certificate,
                lab.pki.root.certificate,
            )
        ),
    ),
    "ed25519": Case(
        RIGHT,
        "an Ed25519 key",
        lambda lab: signed_by(lab.pki.issue(key=kinds.new_key("ed25519"))),
    ),
    "es384": Case(
        RIGHT, "a P-384 key", lambda lab: signed_by(lab.pki.issue(key=kinds.new_key("es384")))
    ),
    # -- time --------------------------------------------------------------------------------
    "expired": Case(WRONG, "expired, no time-stamp", lambda lab: signed_by(lab.expired())),
    "expired_stamped": Case(
        RIGHT,
        "signed while it was valid, as a trusted authority says",
        lambda lab: signed_by(lab.expired(), stamp=lab.stamp(70)),
    ),
    "expired_stamped_late": Case(
        WRONG,
        "time-stamped after it expired",
        lambda lab: signed_by(lab.expired(), stamp=lab.stamp(7)),
    ),
    "expired_stamped_early": Case(
        WRONG,
        "time-stamped before it was valid",
        lambda lab: signed_by(lab.expired(), stamp=lab.stamp(200)),
    ),
    "expired_stamped_by_unknown": Case(
        WRONG,
        "the time-stamp is of an authority that nobody knows",
        lambda lab: signed_by(lab.expired(), stamp=lab.stamp(70, by=lab.foreign.tsa)),
    ),
    "expired_stamped_by_signer": Case(
        WRONG,
        "the time-stamp is by a certificate that may not stamp",
        lambda lab: signed_by(lab.expired(), stamp=lab.stamp(70, by=lab.pki.signer)),
    ),
    "broken_time_stamp": Case(
        WRONG,
        "the time-stamp is over another signature",
        lambda lab: signed_by(lab.expired(), stamp=lab.stamp(70, broken=True)),
    ),
    "not_yet_valid": Case(
        WRONG,
        "valid only from tomorrow",
        lambda lab: signed_by(lab.leaf(start=now() + 1 * DAY + kinds.CLOCK_SKEW)),
    ),
    # -- revocation --------------------------------------------------------------------------
    "ocsp_good": Case(RIGHT, "a stapled answer says good", _stapled("good")),
    "ocsp_good_by_issuer": Case(
        RIGHT, "the issuing CA itself says good", _stapled("good", lambda lab: lab.pki.issuing)
    ),
    "revoked": Case(
        WRONG, "the delegated responder says revoked", _stapled("revoked"), revoked=True
    ),
    "revoked_by_issuer": Case(
        WRONG,
        "the issuing CA itself says revoked",
        _stapled("revoked", lambda lab: lab.pki.issuing),
        revoked=True,
    ),
    "revoked_before_stamp": Case(
        WRONG,
        "revoked ten days ago, time-stamped five days ago",
        lambda lab: _revoked(lab, 10, stamped_days_ago=5),
        revoked=True,
    ),
    "revoked_after_stamp": Case(
        EITHER,
        "time-stamped five days ago, revoked yesterday: the key may have been lost before",
        lambda lab: _revoked(lab, 1, stamped_days_ago=5),
        revoked=True,
    ),
    "revoked_long_ago": Case(
        WRONG,
        "the answer that says revoked is out of date: what is revoked stays so",
        lambda lab: signed_by(lab.pki.signer, ocsp=(lab.answer("revoked", days_ago=60),)),
        revoked=True,
    ),
    "revoked_beside_good": Case(
        WRONG,
        "an older answer says good, a newer one revoked",
        lambda lab: signed_by(
            lab.pki.signer, ocsp=(lab.answer("good", days_ago=2), lab.answer("revoked"))
        ),
        revoked=True,
    ),
    "ocsp_unknown": Case(
        EITHER, "the responder does not know the certificate", _stapled("unknown")
    ),
    "ocsp_of_another": Case(
        RIGHT,
        "the answer that says revoked is about another certificate",
        lambda lab: signed_by(lab.leaf(), ocsp=(lab.answer("revoked"),)),
    ),
    "ocsp_broken": Case(
        RIGHT,
        "what is stapled is no OCSP answer",
        lambda lab: signed_by(lab.pki.signer, ocsp=(b"\x30\x03\x02\x01",)),
    ),
    "revoked_by_stranger": Case(
        RIGHT,
        "somebody who is not the issuer says revoked: that proves nothing",
        _stapled("revoked", lambda lab: lab.foreign.responder),
    ),
    "revoked_by_leaf": Case(
        EITHER,
        "another certificate of the issuer, which may not answer, says revoked; c2pa believes it",
        _stapled("revoked", lambda lab: lab.leaf()),
    ),
    # -- anchors -----------------------------------------------------------------------------
    "self_signed": Case(WRONG, "signed by itself", _self_signed),
    "unknown_ca": Case(
        WRONG, "under a CA that is in no list", lambda lab: signed_by(lab.foreign.signer)
    ),
    "same_names": Case(WRONG, "another CA with the known one's name", _alike),
    "leaf_alone": Case(
        WRONG,
        "the intermediate is missing",
        _with_chain(lambda lab: (lab.pki.signer.certificate,)),
    ),
    "tsa_anchored": Case(
        WRONG,
        "a claim signer under the time-stamping root",
        lambda lab: signed_by(kinds.issue(kinds.SIGNER, lab.pki.tsa_issuing)),
    ),
    "tsa_signs": Case(
        WRONG, "a time-stamping authority signed the claim", lambda lab: signed_by(lab.pki.tsa)
    ),
    "issuer_expired": Case(WRONG, "its issuer expired", _issuer_expired),
    "issued_by_leaf": Case(WRONG, "issued by a certificate that is no CA", _under(kinds.SIGNER)),
    "path_too_long": Case(
        WRONG, "a CA more than the issuing CA allows below it", _under(kinds.ISSUING_CA)
    ),
    # -- purposes ----------------------------------------------------------------------------
    "eku_email": _usage(RIGHT, EMAIL),
    "eku_documents": _usage(RIGHT, DOCUMENT_SIGNING),
    "eku_claims": _usage(RIGHT, kinds.CLAIM_SIGNING),
    "eku_none": _usage(WRONG),
    "eku_server": _usage(WRONG, ExtendedKeyUsageOID.SERVER_AUTH),
    "eku_code": _usage(WRONG, ExtendedKeyUsageOID.CODE_SIGNING),
    "eku_any": _usage(WRONG, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE),
    "eku_stamping": _usage(WRONG, ExtendedKeyUsageOID.TIME_STAMPING),
    "eku_ocsp": _usage(WRONG, ExtendedKeyUsageOID.OCSP_SIGNING),
    "eku_email_and_stamping": _usage(WRONG, EMAIL, ExtendedKeyUsageOID.TIME_STAMPING),
    # -- keys --------------------------------------------------------------------------------
    "ps256": Case(RIGHT, "an RSA key", lambda lab: signed_by(lab.pki.issue(key=_rsa()))),
    # -- extensions --------------------------------------------------------------------------
    "ca_signs": _leaf(WRONG, "a CA signed the claim", ca=True, path_length=0),
    "no_signature_usage": _leaf(
        WRONG, "its key is not for signatures", key_usage=("key_encipherment",)
    ),
    "only_commits": _leaf(
        WRONG,
        "its key is for commitments and not for signatures; both engines trust it",
        key_usage=("content_commitment",),
    ),
    "only_issues": _leaf(
        WRONG,
        "its key is for issuing certificates, though it is no CA; both engines trust it",
        key_usage=("key_cert_sign", "crl_sign"),
    ),
    "no_key_usage": _leaf(
        WRONG, "no key usage at all", without=frozenset({ExtensionOID.KEY_USAGE})
    ),
    "no_authority_key": _leaf(
        WRONG,
        "no authority key identifier",
        without=frozenset({ExtensionOID.AUTHORITY_KEY_IDENTIFIER}),
    ),
}
