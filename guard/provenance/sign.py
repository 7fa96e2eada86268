"""Signs pictures with c2pa and looks at the result before handing it out.

One signer serves many threads: the native signer and context are shared, a builder is made for
every picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from urllib.parse import urlsplit

import numpy as np

from guard.errors import GuardError, KeyInvalid, SettingsInvalid, StageMisbehaved, Unavailable
from guard.image.decode import decode
from guard.image.encode import encode
from guard.provenance.base import ManifestFacts
from guard.provenance.certificates import DEV_HINT
from guard.provenance.claim import bind_values, placeholder
from guard.provenance.container import holds_manifest_store, replace_manifest_store
from guard.provenance.cose import active_label
from guard.provenance.keys import SigningKeys
from guard.provenance.manifest import definition, ingredient, soft_bindings
from guard.provenance.read import ManifestReading, extract_manifest_store, read_manifest
from guard.provenance.trust import TrustList, anchors_of, context_for
from guard.types import SignedAsset

__all__ = ["C2paSigner", "extract_manifest_store"]

_OWN_ANCHOR = "urn:genguard:trust:signer"
_END = b"-----END CERTIFICATE-----"


class C2paSigner:
    """Embeds a signed manifest; with ``tsa_url`` also an RFC 3161 time-stamp.

    Raises KeyInvalid when c2pa does not accept the certificate, SettingsInvalid for a bad URL.
    """

    def __init__(self, keys: SigningKeys, tsa_url: str | None = None) -> None:
        from c2pa import C2paError, C2paSignerInfo, Signer

        self._keys = keys
        self._tsa_host = _host(tsa_url)
        self._own = _own_trust(keys)
        try:
            self._signer = Signer.from_info(
                C2paSignerInfo(keys.algorithm, keys.chain_pem, keys.key_pem, tsa_url)
            )
        except C2paError as error:
            raise _refused(error) from error

    @property
    def certificate_fingerprint(self) -> str:
        """SHA-256 of the signing certificate's DER, hex."""
        return self._keys.certificate_fingerprint

    def sign(self, encoded: bytes, media_type: str, facts: ManifestFacts) -> SignedAsset:
        """The signed file.

        Raises KeyInvalid for a key that expired or that c2pa refuses, Unavailable when the
        time-stamping authority does not answer, StageMisbehaved when what was signed does not
        verify or its pixels changed.
        """
        if datetime.now(UTC) > self._keys.expires:
            raise KeyInvalid(
                f"The signing certificate expired on {self._keys.expires:%Y-%m-%d}.",
                hint="Renew it; development keys: `guard keys dev --replace`.",
            )
        signed = self._embed(encoded, media_type, facts)
        reading = self._read_back(encoded, signed, media_type, facts)
        return SignedAsset(
            bytes=signed,
            media_type=media_type,
            sha256=hashlib.sha256(signed).hexdigest(),
            manifest_label=reading.label or "",
            certificate_fingerprint=self.certificate_fingerprint,
        )

    def _embed(self, encoded: bytes, media_type: str, facts: ManifestFacts) -> bytes:
        from c2pa import C2paError

        try:
            return self._build(encoded, media_type, facts)
        except C2paError as error:
            bare = _without_manifest(facts)
            if bare is None:
                raise self._failure(error) from error
        try:
            return self._build(encoded, media_type, bare)
        except C2paError as error:
            raise self._failure(error) from error

    def _build(self, encoded: bytes, media_type: str, facts: ManifestFacts) -> bytes:
        from c2pa import Builder

        out = BytesIO()
        values = {} if self._tsa_host else _placeholders(facts)
        stated = definition(facts, media_type, tuple(values))
        with Builder(stated, context=context_for(self._own, self._tsa_host)) as builder:
            told = ingredient(facts)
            if told is not None and facts.parent is not None:
                kind = facts.parent_media_type or decode(facts.parent).media_type
                builder.add_ingredient(told, kind, BytesIO(facts.parent))
            store = builder.sign(self._signer, media_type, BytesIO(encoded), out)
        return self._bind(out.getvalue(), media_type, store, values)

    def _bind(
        self, signed: bytes, media_type: str, store: bytes, values: Mapping[str, bytes]
    ) -> bytes:
        """Soft bindings as byte strings. A time-stamp covers the first signature: then as text."""
        if not values:
            return signed
        try:
            bound = bind_values(store, active_label(store), values, self._keys)
            return replace_manifest_store(signed, media_type, bound)
        except ValueError as error:
            raise _misbehaved(f"The manifest cannot be completed: {error}.") from error

    def _read_back(
        self, encoded: bytes, signed: bytes, media_type: str, facts: ManifestFacts
    ) -> ManifestReading:
        reading = read_manifest(signed, media_type, self._own)
        if reading is None or reading.state == "invalid" or not reading.label:
            problems = ", ".join(reading.problems) if reading else "no manifest"
            raise _misbehaved(f"The signed picture does not verify: {problems}.")
        if reading.record_id != facts.record_id:
            raise _misbehaved("The signed picture names another record.")
        if not np.array_equal(decode(encoded).pixels, decode(signed).pixels):
            raise _misbehaved("Signing changed the picture.")
        return reading

    def _failure(self, error: Exception) -> GuardError:
        text = str(error).lower()
        if self._tsa_host and any(word in text for word in ("timestamp", "time stamp", "http")):
            return Unavailable(
                f"The time-stamping authority {self._tsa_host} gave no time-stamp.",
                hint="Try again, or unset GUARD_TSA_URL to sign without one.",
            )
        if "certificate" in text or "credential" in text or "cose" in text:
            return _refused(error)
        return _misbehaved(f"The picture cannot be signed: {error}.")


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


def _placeholders(facts: ManifestFacts) -> dict[str, bytes]:
    return {placeholder(len(value)): value for _, value in soft_bindings(facts)}


def _own_trust(keys: SigningKeys) -> TrustList:
    """For reading back: the last certificate of our own chain."""
    last = keys.chain_pem.strip().split(_END)[-2] + _END
    return TrustList((anchors_of("the signer's own chain", last, date="", uri=_OWN_ANCHOR),))


def _host(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsInvalid(
            f"GUARD_TSA_URL: {url!r} is not an http(s) address.",
            hint="Correct or unset GUARD_TSA_URL.",
        )
    return parts.hostname


def _refused(error: Exception) -> KeyInvalid:
    return KeyInvalid(f"C2PA does not accept the signing certificate: {error}.", hint=DEV_HINT)


def _misbehaved(message: str) -> StageMisbehaved:
    return StageMisbehaved(message, hint="Nothing was released. Please report this.")
