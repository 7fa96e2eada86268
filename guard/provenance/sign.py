"""Signs pictures and looks at the result before handing it out.

c2pa builds and embeds the manifest; the claim alone goes to the key, which need not be on this
machine. One signer serves many threads.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding

from guard.errors import GuardError, KeyInvalid, StageMisbehaved, TimestampUnavailable
from guard.image.decode import decode
from guard.image.encode import encode
from guard.provenance.base import ManifestFacts
from guard.provenance.certificates import DEV_HINT, fingerprint_of
from guard.provenance.claim import bind_values, placeholder, sign_claim
from guard.provenance.claim_key import Certificates, ClaimKey
from guard.provenance.container import (
    extract_manifest_store,
    holds_manifest_store,
    replace_manifest_store,
)
from guard.provenance.cose import active_label
from guard.provenance.envelope import (
    SMALLEST_PAD,
    EnvelopeTooSmall,
    Sealed,
    protected_header,
    with_envelope,
)
from guard.provenance.manifest import definition, ingredient, soft_bindings
from guard.provenance.read import WRONG_USAGE, ManifestReading, read_manifest
from guard.provenance.scaffold import ROOM_STEP, Draft, Part, draft
from guard.provenance.services import NO_STAMP, Services
from guard.provenance.signatures import signature_size
from guard.provenance.timestamps import time_stamp_holds
from guard.provenance.trust import TrustList, anchors_of, may_sign_claims
from guard.provenance.unchanged import same_picture
from guard.types import SignedAsset

__all__ = ["C2paSigner", "extract_manifest_store"]

_OWN_ANCHOR = "urn:genguard:trust:signer"

_NOBODY = TrustList()

_ATTEMPTS = 2
"""The second leaves room for a time-stamp as large as the first one was."""

_FOR_THE_KEY = "signingCredential."


@dataclass(frozen=True, slots=True)
class _Signed:
    """A file with its seal; ``notices`` say what it lacks."""

    data: bytes
    sealed: Sealed
    notices: tuple[str, ...]


class C2paSigner:
    """Embeds manifests signed by ``key``, with what ``services`` add.

    ``trust``: the lists by which the manifests of originals are judged when they are taken up
    (default: the signer's own chain). Raises KeyInvalid for a certificate that is for something
    else.
    """

    def __init__(
        self, key: ClaimKey, services: Services | None = None, trust: TrustList | None = None
    ) -> None:
        if not may_sign_claims(key.chain[0]):
            raise KeyInvalid(
                "C2PA does not accept the signing certificate: it is for other purposes "
                "(extended key usage).",
                hint="Ask for one for claim signing, e-mail or documents: `guard keys request`.",
            )
        self._key = key
        self._services = services or Services()
        self._own = _own_trust(key.chain)
        self._trust = trust or self._own
        signature = bytes(signature_size(key.chain[0].public_key()))
        self._bare = Sealed(protected_header(key), signature)
        self._stamp_room = self._services.room
        self._chain_holds = False

    @property
    def certificate_fingerprint(self) -> str:
        """SHA-256 of the signing certificate's DER, hex."""
        return fingerprint_of(self._key.chain[0])

    def sign(self, encoded: bytes, media_type: str, facts: ManifestFacts) -> SignedAsset:
        """The signed file.

        Raises KeyInvalid for a key that expired, was revoked or that verifiers refuse,
        SigningKeyUnavailable when its holder gives no signature, TimestampUnavailable and
        RevocationUnavailable where the policy insists, StageMisbehaved when what was signed does
        not verify or its pixels changed.
        """
        expires = self._key.chain[0].not_valid_after_utc
        if datetime.now(UTC) > expires:
            raise KeyInvalid(
                f"The signing certificate expired on {expires:%Y-%m-%d}.",
                hint="Renew it; development keys: `guard keys dev --replace`.",
            )
        signed = self._embed(encoded, media_type, facts)
        reading = self._read_back(encoded, signed, media_type, facts)
        if self._services.queue is not None and NO_STAMP in signed.notices:
            self._services.queue.add(signed.sealed, facts.record_id)
        return SignedAsset(
            bytes=signed.data,
            media_type=media_type,
            sha256=hashlib.sha256(signed.data).hexdigest(),
            manifest_label=reading.label or "",
            certificate_fingerprint=self.certificate_fingerprint,
            notices=signed.notices,
        )

    def _embed(self, encoded: bytes, media_type: str, facts: ManifestFacts) -> _Signed:
        from c2pa import C2paError

        try:
            return self._build(encoded, media_type, facts)
        except C2paError as error:
            bare = _without_manifest(facts)
            if bare is None:
                raise _unsignable(error) from error
        try:
            return self._build(encoded, media_type, bare)
        except C2paError as error:
            raise _unsignable(error) from error

    def _build(self, encoded: bytes, media_type: str, facts: ManifestFacts) -> _Signed:
        answers, notices = self._services.word()
        values = {placeholder(len(value)): value for _, value in soft_bindings(facts)}
        stated = definition(facts, media_type, tuple(values))
        for attempt in range(_ATTEMPTS):
            later = self._stamp_room
            room = replace(self._bare, revocation=answers).size + SMALLEST_PAD + later
            built = draft(encoded, stated, _part(facts), room=room, trust=self._trust)
            try:
                return self._seal(built, media_type, values, (answers, notices))
            except EnvelopeTooSmall as error:
                if attempt == _ATTEMPTS - 1:
                    raise _misbehaved(f"The manifest cannot be completed: {error}.") from error
                self._stamp_room = max(self._stamp_room, later + error.missing + ROOM_STEP)
            except ValueError as error:
                raise _misbehaved(f"The manifest cannot be completed: {error}.") from error
        raise AssertionError("unreachable")  # pragma: no cover

    def _seal(
        self,
        built: Draft,
        media_type: str,
        values: dict[str, bytes],
        word: tuple[tuple[bytes, ...], tuple[str, ...]],
    ) -> _Signed:
        answers, notices = word
        label = active_label(built.store)
        store = bind_values(built.store, label, values)
        sealed = replace(sign_claim(store, label, self._key), revocation=answers)
        sealed = self._services.stamped(sealed)
        if self._services.stamps is not None and sealed.token is None:
            notices = (*notices, NO_STAMP)
        store = with_envelope(store, label, sealed)
        return _Signed(replace_manifest_store(built.data, media_type, store), sealed, notices)

    def _read(self, data: bytes, media_type: str) -> ManifestReading | None:
        """What a verifier makes of the file.

        The first must be trusted by our own chain. The chain is the same for all that follow, so
        they are read without: following it costs more than all the rest of reading.
        """
        return read_manifest(data, media_type, _NOBODY if self._chain_holds else self._own)

    def _accepts(self, reading: ManifestReading) -> bool:
        """A chain of one holds no issuer to trust it by."""
        if reading.state == "trusted":
            self._chain_holds = True
            return True
        followed = self._chain_holds or len(self._key.chain) == 1
        return followed and reading.state == "valid" and set(reading.problems) <= {WRONG_USAGE}

    def _read_back(
        self, encoded: bytes, signed: _Signed, media_type: str, facts: ManifestFacts
    ) -> ManifestReading:
        reading = self._read(signed.data, media_type)
        if reading is None or not reading.label or not self._accepts(reading):
            raise _not_verified(reading.problems if reading else ("no manifest",))
        if reading.record_id != facts.record_id:
            raise _misbehaved("The signed picture names another record.")
        if not same_picture(encoded, signed.data, media_type):
            raise _misbehaved("Signing changed the picture.")
        if signed.sealed.token is not None and not time_stamp_holds(signed.data, media_type):
            raise TimestampUnavailable(
                "The time-stamping authority gave a time-stamp that does not hold.",
                hint="Ask who runs it, or name another in GUARD_TSA_URL.",
            )
        return reading


def _part(facts: ManifestFacts) -> Part | None:
    said = ingredient(facts)
    if said is None or facts.parent is None:
        return None
    return Part(said, facts.parent_media_type or decode(facts.parent).media_type, facts.parent)


def _without_manifest(facts: ManifestFacts) -> ManifestFacts | None:
    """The facts with a parent freed of a manifest that cannot be carried on; None for no such.

    A picture must not become unsignable because someone broke the manifest that it came with.
    """
    if facts.parent is None:
        return None
    picture = decode(facts.parent)
    if not holds_manifest_store(facts.parent, picture.media_type):
        return None
    bare = encode(picture.pixels, "image/png")
    return replace(facts, parent=bare, parent_media_type="image/png")


def _own_trust(chain: Certificates) -> TrustList:
    """For reading back: the last certificate of our own chain."""
    last = chain[-1].public_bytes(Encoding.PEM)
    return TrustList((anchors_of("the signer's own chain", last, date="", uri=_OWN_ANCHOR),))


def _not_verified(problems: tuple[str, ...]) -> GuardError:
    """The signer's certificate is to blame, or something that must not happen."""
    listed = ", ".join(problems)
    if problems and all(code.startswith(_FOR_THE_KEY) for code in problems):
        return KeyInvalid(f"C2PA does not accept the signing certificate: {listed}.", hint=DEV_HINT)
    return _misbehaved(f"The signed picture does not verify: {listed}.")


def _unsignable(error: Exception) -> GuardError:
    return _misbehaved(f"The picture cannot be signed: {error}.")


def _misbehaved(message: str) -> StageMisbehaved:
    return StageMisbehaved(message, hint="Nothing was released. Please report this.")
